/* Batches: what is asked of a remote model at a time, and which of its frames are sent. */
#include "language/batch_priv.h"

#include <string.h>

static void frame_free(gpointer data) {
  mnk_batch_frame_free(data);
}

MnkBatch *mnk_batch_new(void) {
  MnkBatch *batch = g_new0(MnkBatch, 1);
  batch->frames = g_ptr_array_new_with_free_func(frame_free);
  batch->temperature = -1;
  return batch;
}

void mnk_batch_frame_free(MnkBatchFrame *frame) {
  if (!frame)
    return;
  g_clear_pointer(&frame->jpeg, g_bytes_unref);
  g_free(frame);
}

void mnk_batch_free(MnkBatch *batch) {
  if (!batch)
    return;
  g_free(batch->stream);
  g_free(batch->pts_ms);
  g_ptr_array_unref(batch->frames);
  g_free(batch->context);
  g_free(batch->running);
  g_free(batch->known);
  g_free(batch->prompt);
  g_free(batch->lang);
  g_free(batch);
}

MnkBatch *mnk_batch_copy(const MnkBatch *batch) {
  MnkBatch *copy = mnk_batch_new();
  copy->stream = g_strdup(batch->stream);
  copy->n_frames = batch->n_frames;
  copy->pts_ms = g_memdup2(batch->pts_ms, batch->n_frames * sizeof *batch->pts_ms);
  copy->end_ms = batch->end_ms;
  copy->context = g_strdup(batch->context);
  copy->running = g_strdup(batch->running);
  copy->known = g_strdup(batch->known);
  copy->prompt = g_strdup(batch->prompt);
  copy->lang = g_strdup(batch->lang);
  copy->temperature = batch->temperature;
  copy->deadline_us = batch->deadline_us;
  for (guint i = 0; i < batch->frames->len; i++) {
    const MnkBatchFrame *frame = batch->frames->pdata[i];
    MnkBatchFrame *shared = g_new0(MnkBatchFrame, 1);
    *shared = *frame;
    g_bytes_ref(shared->jpeg);
    g_ptr_array_add(copy->frames, shared);
  }
  return copy;
}

/* ---- Selection ---- */

typedef struct {
  const float *importance;
  guint n;
  guint *distance; /* of each frame to the nearest that is chosen */
} Selection;

static float importance_at(const Selection *selection, guint i) {
  float importance = selection->importance[i];
  return importance > 0 ? importance : 0; /* also when it is no number */
}

static void choose(Selection *selection, guint frame) {
  for (guint i = 0; i < selection->n; i++) {
    guint distance = i > frame ? i - frame : frame - i;
    selection->distance[i] = MIN(selection->distance[i], distance);
  }
}

/* The most important frame at least apart away from every chosen one; of equals the one farthest
 * from them, so that a batch in which nothing stands out is shown evenly. n: none. */
static guint best_apart(const Selection *selection, guint apart) {
  guint best = selection->n;
  for (guint i = 0; i < selection->n; i++) {
    if (selection->distance[i] < apart)
      continue;
    if (best == selection->n || importance_at(selection, i) > importance_at(selection, best) ||
        (importance_at(selection, i) == importance_at(selection, best) &&
         selection->distance[i] > selection->distance[best]))
      best = i;
  }
  return best;
}

/* The first and the last; of a single one, the most important. */
static guint choose_ends(Selection *selection, guint max) {
  if (max == 1) {
    choose(selection, best_apart(selection, 1));
    return 1;
  }
  choose(selection, 0);
  choose(selection, selection->n - 1);
  return 2;
}

GArray *mnk_batch_select(const float *importance, guint n, guint max) {
  GArray *chosen = g_array_new(FALSE, FALSE, sizeof(guint));
  if (n == 0 || max == 0)
    return chosen;
  g_autofree guint *distance = g_new(guint, n);
  for (guint i = 0; i < n; i++)
    distance[i] = max >= n ? 0 : G_MAXUINT;
  Selection selection = {importance, n, distance};
  if (max < n) {
    guint apart = MAX(1, n / (2 * max));
    for (guint taken = choose_ends(&selection, max); taken < max;) {
      guint frame = best_apart(&selection, apart);
      if (frame == n) { /* no room at this distance; at distance 1 there is some, as max < n */
        apart = MAX(1, apart / 2);
        continue;
      }
      choose(&selection, frame);
      taken++;
    }
  }
  for (guint i = 0; i < n; i++)
    if (distance[i] == 0)
      g_array_append_val(chosen, i);
  return chosen;
}
