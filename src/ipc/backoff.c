#include "ipc/backoff_priv.h"

MnkBackoff *mnk_backoff_new(gint64 min_ms, gint64 max_ms, guint deaths_max) {
  MnkBackoff *backoff = g_new0(MnkBackoff, 1);
  backoff->min_ms = MAX(min_ms, 0);
  backoff->max_ms = MAX(max_ms, backoff->min_ms);
  backoff->deaths_max = deaths_max;
  backoff->deaths = g_array_new(FALSE, FALSE, sizeof(gint64));
  return backoff;
}

void mnk_backoff_free(MnkBackoff *backoff) {
  if (!backoff)
    return;
  g_array_unref(backoff->deaths);
  g_free(backoff);
}

void mnk_backoff_reset(MnkBackoff *backoff) {
  backoff->wait_ms = 0;
  g_array_set_size(backoff->deaths, 0);
}

static void count_death(MnkBackoff *backoff, gint64 now_us) {
  guint old = 0;
  while (old < backoff->deaths->len &&
         now_us - g_array_index(backoff->deaths, gint64, old) >= MNK_BACKOFF_WINDOW_US)
    old++;
  g_array_remove_range(backoff->deaths, 0, old);
  g_array_append_val(backoff->deaths, now_us);
}

gboolean mnk_backoff_after_death(MnkBackoff *backoff, gint64 started_us, gint64 now_us,
                                 gint64 *wait_ms) {
  if (now_us - started_us >= MNK_BACKOFF_WINDOW_US)
    backoff->wait_ms = 0;
  *wait_ms = CLAMP(backoff->wait_ms, backoff->min_ms, backoff->max_ms);
  backoff->wait_ms = *wait_ms > backoff->max_ms / 2 ? backoff->max_ms : *wait_ms * 2;

  if (backoff->deaths_max == 0)
    return TRUE;
  count_death(backoff, now_us);
  return backoff->deaths->len < backoff->deaths_max;
}
