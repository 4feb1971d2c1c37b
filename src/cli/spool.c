#include "cli/ask_priv.h"

struct _MnkSpool {
  GArray *frames; /* of MnkSpooled, by time */
  guint max;
  guint64 left_out;
};

static void clear_frame(gpointer frame) {
  g_bytes_unref(((MnkSpooled *)frame)->jpeg);
}

MnkSpool *mnk_spool_new(guint max) {
  MnkSpool *spool = g_new0(MnkSpool, 1);
  spool->frames = g_array_new(FALSE, FALSE, sizeof(MnkSpooled));
  g_array_set_clear_func(spool->frames, clear_frame);
  spool->max = MAX(max, 3);
  return spool;
}

void mnk_spool_free(MnkSpool *spool) {
  if (spool == NULL)
    return;
  g_array_unref(spool->frames);
  g_free(spool);
}

/* What is lost with a frame: what it tells, over the stretch that then has no frame. The first and
 * the last one stay. */
static guint least_telling(const GArray *frames) {
  guint least = 1;
  double least_loss = G_MAXDOUBLE;
  for (guint i = 1; i + 1 < frames->len; i++) {
    const MnkSpooled *frame = &g_array_index(frames, MnkSpooled, i);
    gint64 gap_ms = frame[1].pts_ms - frame[-1].pts_ms;
    double loss = ((double)frame->importance + 0.05) * (double)MAX(gap_ms, 1);
    if (loss >= least_loss)
      continue;
    least_loss = loss;
    least = i;
  }
  return least;
}

void mnk_spool_add(MnkSpool *spool, const MnkSpooled *frame) {
  MnkSpooled own = *frame;
  g_bytes_ref(own.jpeg);
  g_array_append_val(spool->frames, own);
  if (spool->frames->len <= spool->max)
    return;
  guint index = least_telling(spool->frames);
  /* A scene begins with the next frame that is left of it. */
  if (g_array_index(spool->frames, MnkSpooled, index).cut)
    g_array_index(spool->frames, MnkSpooled, index + 1).cut = TRUE;
  g_array_remove_index(spool->frames, index);
  spool->left_out++;
}

gboolean mnk_spool_take(MnkSpool *spool, MnkSpooled *frame) {
  if (spool->frames->len == 0)
    return FALSE;
  *frame = g_array_index(spool->frames, MnkSpooled, 0);
  g_bytes_ref(frame->jpeg);
  g_array_remove_index(spool->frames, 0);
  return TRUE;
}

guint mnk_spool_count(const MnkSpool *spool) {
  return spool->frames->len;
}

guint64 mnk_spool_left_out(const MnkSpool *spool) {
  return spool->left_out;
}
