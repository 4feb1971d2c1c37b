/* A model's answer, read: what it must be, and how numbers of frames become times. */
#include "language/batch_priv.h"
#include "wire/wire.h"

#include <string.h>

/* What an event counts as whose model does not say how sure it is. */
static const float UNTOLD_CONFIDENCE = 0.5f;

void mnk_batch_event_free(MnkBatchEvent *event) {
  if (!event)
    return;
  g_free(event->text);
  g_free(event);
}

static void event_free(gpointer data) {
  mnk_batch_event_free(data);
}

/* ---- Times ---- */

static int compare_steps(gconstpointer a, gconstpointer b) {
  gint64 left = *(const gint64 *)a, right = *(const gint64 *)b;
  return (left > right) - (left < right);
}

/* The last frame ends with the batch, and always after it began. */
static gint64 batch_end_ms(const MnkBatch *batch) {
  return MAX(batch->end_ms, batch->pts_ms[batch->n_frames - 1] + 1);
}

/* The median of the times between frames; of a single frame, how long it holds. */
static gint64 median_step_ms(const MnkBatch *batch) {
  g_autoptr(GArray) steps = g_array_new(FALSE, FALSE, sizeof(gint64));
  for (guint i = 1; i < batch->n_frames; i++) {
    gint64 step = batch->pts_ms[i] - batch->pts_ms[i - 1];
    if (step > 0)
      g_array_append_val(steps, step);
  }
  if (steps->len == 0)
    return batch_end_ms(batch) - batch->pts_ms[batch->n_frames - 1];
  g_array_sort(steps, compare_steps);
  gint64 lower = g_array_index(steps, gint64, (steps->len - 1) / 2);
  gint64 upper = g_array_index(steps, gint64, steps->len / 2);
  return lower + (upper - lower) / 2;
}

static void set_times(MnkBatchEvent *event, const MnkBatch *batch, gint64 step_ms) {
  gint64 first = batch->pts_ms[0], last = batch_end_ms(batch);
  event->start_ms = CLAMP(batch->pts_ms[event->start_frame], first, last - 1);
  event->end_ms = CLAMP(batch->pts_ms[event->end_frame] + step_ms, event->start_ms + 1, last);
  event->open = event->end_frame == batch->n_frames - 1;
}

/* ---- Events ---- */

static gboolean refuse(GError **error, const char *what) {
  g_set_error_literal(error, MNK_ERROR, MNK_ERROR_BAD_INPUT, what);
  return FALSE;
}

static gboolean read_frames(MnkBatchEvent *event, const MnkJsonValue *value, const MnkBatch *batch,
                            GError **error) {
  gint64 last = batch->n_frames - 1, start = 0, end = 0;
  if (!mnk_json_get_int(value, "start_frame", MNK_JSON_REQUIRED, 0, last, &start, error) ||
      !mnk_json_get_int(value, "end_frame", MNK_JSON_REQUIRED, 0, last, &end, error))
    return FALSE;
  event->start_frame = (guint)start;
  event->end_frame = (guint)end;
  return start <= end || refuse(error, "\"start_frame\" must not be after \"end_frame\"");
}

static MnkBatchEvent *read_event(const MnkJsonValue *value, const MnkBatch *batch, GError **error) {
  g_autofree MnkBatchEvent *event = g_new0(MnkBatchEvent, 1);
  const char *text = NULL;
  double confidence = (double)UNTOLD_CONFIDENCE;
  if (mnk_json_type(value) != MNK_JSON_OBJECT) {
    refuse(error, "it must be an object");
    return NULL;
  }
  if (!read_frames(event, value, batch, error) ||
      !mnk_json_get_string(value, "text", MNK_JSON_REQUIRED, MNK_ANSWER_BYTES_MAX, &text, error) ||
      !mnk_json_get_double(value, "confidence", MNK_JSON_OPTIONAL, 0, 1, &confidence, error))
    return NULL;
  event->confidence = (float)confidence;
  g_autofree char *plain = mnk_text_plain(text, MNK_BATCH_TEXT_BYTES);
  if (*plain == '\0') {
    refuse(error, "\"text\" must say something");
    return NULL;
  }
  event->text = g_steal_pointer(&plain);
  return g_steal_pointer(&event);
}

static int compare_events(gconstpointer a, gconstpointer b) {
  const MnkBatchEvent *left = *(const MnkBatchEvent *const *)a;
  const MnkBatchEvent *right = *(const MnkBatchEvent *const *)b;
  if (left->start_ms != right->start_ms)
    return left->start_ms < right->start_ms ? -1 : 1;
  if (left->end_ms != right->end_ms)
    return left->end_ms < right->end_ms ? -1 : 1;
  /* The surer of two like events comes first and stays. */
  return (left->confidence < right->confidence) - (left->confidence > right->confidence);
}

static gboolean is_same(const MnkBatchEvent *a, const MnkBatchEvent *b) {
  return a->start_frame == b->start_frame && a->end_frame == b->end_frame &&
         g_str_equal(a->text, b->text);
}

static void drop_duplicates(GPtrArray *events) {
  for (guint i = 1; i < events->len;) {
    guint before = i;
    while (before > 0 && !is_same(events->pdata[before - 1], events->pdata[i]))
      before--;
    if (before > 0)
      g_ptr_array_remove_index(events, i);
    else
      i++;
  }
}

static GPtrArray *read_all(const MnkBatch *batch, const MnkJsonValue *list, GError **error) {
  g_autoptr(GPtrArray) events = g_ptr_array_new_with_free_func(event_free);
  gint64 step_ms = median_step_ms(batch);
  for (guint i = 0; i < mnk_json_size(list); i++) {
    MnkBatchEvent *event = read_event(mnk_json_at(list, i), batch, error);
    if (!event) {
      g_prefix_error(error, "events[%u]: ", i);
      return NULL;
    }
    set_times(event, batch, step_ms);
    g_ptr_array_add(events, event);
  }
  g_ptr_array_sort(events, compare_events);
  drop_duplicates(events);
  return g_steal_pointer(&events);
}

/* ---- The answer around them ---- */

/* Models wrap JSON in code fences and words: what counts is from the first brace to the last. */
static const char *find_object(const char *text, gsize length, gsize *object_length) {
  const char *start = memchr(text, '{', length);
  if (!start)
    return NULL;
  const char *end = text + length;
  while (end > start && end[-1] != '}')
    end--;
  *object_length = (gsize)(end - start);
  return end > start ? start : NULL;
}

GPtrArray *mnk_batch_read_events(const MnkBatch *batch, const char *json, gsize length,
                                 GError **error) {
  static const MnkJsonLimits limits = {MNK_ANSWER_BYTES_MAX, 8, 4096, MNK_ANSWER_BYTES_MAX};
  g_return_val_if_fail(batch->n_frames > 0 && batch->n_frames <= MNK_BATCH_FRAMES_MAX, NULL);
  gsize object_length = 0;
  const char *object = find_object(json, length, &object_length);
  if (!object) {
    refuse(error, "the answer holds no whole JSON object");
    return NULL;
  }
  g_autoptr(MnkJson) document = mnk_json_parse(object, object_length, &limits, error);
  const MnkJsonValue *list = NULL;
  if (!document || !mnk_json_get_array(mnk_json_root(document), "events", MNK_JSON_REQUIRED,
                                       MNK_BATCH_EVENTS_MAX, &list, error))
    return NULL;
  return read_all(batch, list, error);
}
