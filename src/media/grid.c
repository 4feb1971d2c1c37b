#include "media/source_priv.h"

/* Packets of other streams or pictures that may lie between a seek and the key frame. */
enum { PACKETS_MAX = 500 };

guint mnk_grid_first_after(const MnkSource *source, gint64 raw_us) {
  guint i = 0;
  while (i < (guint)source->keys->n && raw_us != MNK_NO_TIME && source->keys->raw_us[i] <= raw_us)
    i++;
  return i;
}

static double key_ms(const MnkSource *source, guint key) {
  return (double)(source->keys->raw_us[key] + source->timeline.offset_us) / 1000;
}

/* The same choice as the sampler's, over the key frames of the index alone. */
static gboolean is_sampled(const MnkSource *source, guint key) {
  if (source->kept == 0)
    return TRUE;
  double ms = key_ms(source, key);
  double from = key > 0 ? (key_ms(source, key - 1) + ms) / 2 : 0;
  double until = key + 1 < (guint)source->keys->n ? (ms + key_ms(source, key + 1)) / 2
                                                  : (double)mnk_intake_end_us(source) / 1000;
  return mnk_grid_has_point(source->config.fps, from, until);
}

/* Reads on to the next key frame. FALSE: there is none near. */
static gboolean read_key(MnkSource *source) {
  for (int i = 0; i < PACKETS_MAX; i++) {
    av_packet_unref(source->packet);
    if (av_read_frame(source->format, source->packet) < 0)
      return FALSE;
    if (source->packet->stream_index == source->video &&
        (source->packet->flags & AV_PKT_FLAG_KEY) && !(source->packet->flags & AV_PKT_FLAG_CORRUPT))
      return TRUE;
  }
  return FALSE;
}

static void decode_key(MnkSource *source, guint key) {
  if (av_seek_frame(source->format, source->video, source->keys->stamps[key],
                    AVSEEK_FLAG_BACKWARD) < 0 ||
      !read_key(source)) {
    source->counters.damaged_packets++;
    return;
  }
  mnk_intake_video(source, source->packet, AVDISCARD_DEFAULT);
  mnk_intake_video(source, NULL, AVDISCARD_DEFAULT);
  mnk_decoder_flush(source->decoder);
  av_packet_unref(source->packet);
}

void mnk_grid_step(MnkSource *source) {
  guint n = (guint)source->keys->n;
  while (source->next_key < n && !is_sampled(source, source->next_key))
    source->next_key++;
  gboolean in_part =
      source->next_key < n && (source->until_us == MNK_NO_TIME ||
                               source->keys->raw_us[source->next_key] < source->until_us);
  if (in_part)
    decode_key(source, source->next_key++);
  else
    mnk_file_finish_pass(source);
}
