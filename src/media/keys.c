#include "media/keys_priv.h"

#include <glib.h>

/* Some indices hold times of decoding, which go before those of showing by the same step for every
 * key frame. The first one is shown at the start. Seeking, too, goes by times of showing. */
static void shift_to_shown(MnkKeys *keys, gint64 start_us, AVRational time_base) {
  gint64 early_us = start_us - keys->raw_us[0];
  if (early_us <= 0 || early_us > G_USEC_PER_SEC)
    return;
  gint64 early = av_rescale_q(early_us, AV_TIME_BASE_Q, time_base);
  for (int i = 0; i < keys->n; i++) {
    keys->raw_us[i] += early_us;
    keys->stamps[i] += early;
  }
}

MnkKeys *mnk_keys_new(AVStream *stream, gint64 start_us, gint64 end_us) {
  int entries = avformat_index_get_entries_count(stream);
  if (entries <= 0)
    return NULL;
  g_autoptr(MnkKeys) keys = g_new0(MnkKeys, 1);
  keys->stamps = g_try_new(gint64, entries);
  keys->raw_us = g_try_new(gint64, entries);
  if (!keys->stamps || !keys->raw_us)
    return NULL;

  gint64 longest = 0;
  for (int i = 0; i < entries; i++) {
    const AVIndexEntry *entry = avformat_index_get_entry(stream, i);
    if (!entry || !(entry->flags & AVINDEX_KEYFRAME) || (entry->flags & AVINDEX_DISCARD_FRAME) ||
        entry->timestamp == AV_NOPTS_VALUE)
      continue;
    gint64 raw_us = av_rescale_q(entry->timestamp, stream->time_base, AV_TIME_BASE_Q);
    if (keys->n > 0) {
      gint64 gap = raw_us - keys->raw_us[keys->n - 1];
      if (gap <= 0)
        continue;
      longest = MAX(longest, gap);
    }
    keys->stamps[keys->n] = entry->timestamp;
    keys->raw_us[keys->n++] = raw_us;
  }
  if (keys->n == 0)
    return NULL;
  shift_to_shown(keys, start_us, stream->time_base);
  keys->max_gap_ms = (double)MAX(longest, end_us - keys->raw_us[keys->n - 1]) / 1000;
  return g_steal_pointer(&keys);
}

void mnk_keys_free(MnkKeys *keys) {
  if (!keys)
    return;
  g_free(keys->stamps);
  g_free(keys->raw_us);
  g_free(keys);
}
