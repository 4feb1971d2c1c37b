#include "media/source_priv.h"

static gint64 to_ms(gint64 us) {
  return (us + (us >= 0 ? 500 : -500)) / 1000;
}

/* ---- To mnk_source_read ---- */

static void push_ready(MnkSource *source, MnkReadStatus status, MnkFrame *frame, MnkAudio *audio) {
  MnkReady *ready = g_new0(MnkReady, 1);
  ready->status = status;
  ready->frame = frame;
  ready->audio = audio;
  g_queue_push_tail(&source->ready, ready);
}

void mnk_intake_emit(MnkSource *source, MnkFrame *frame) {
  if (!frame)
    return;
  if (frame->sampled)
    source->counters.sampled++;
  if (frame->sampled || source->config.every_frame)
    push_ready(source, MNK_READ_FRAME, frame, NULL);
  else
    mnk_frame_unref(frame);
}

void mnk_intake_flush(MnkSource *source, gint64 end_ms, gboolean starts_over) {
  mnk_intake_emit(source, mnk_sampler_flush(&source->sampler, end_ms, starts_over));
}

gint64 mnk_intake_end_us(const MnkSource *source) {
  gint64 end = mnk_timeline_frames_end_us(&source->timeline);
  /* Where pictures were left out, the last packet tells. */
  gboolean skipping = source->mode != MNK_PLAN_ALL || source->kept == 0;
  if (skipping && source->raw_end_us != MNK_NO_TIME && source->timeline.offset_us != MNK_NO_TIME)
    end = MAX(end, source->raw_end_us + source->timeline.offset_us);
  if (source->until_us != MNK_NO_TIME && source->timeline.offset_us != MNK_NO_TIME)
    end = MIN(end, source->until_us + source->timeline.offset_us);
  return end;
}

/* ---- Pictures ---- */

/* The first picture after an absence: the time away is told, the stream's clock has gone on. */
static void return_from_absence(MnkSource *source, gint64 raw_us) {
  gint64 start_us = mnk_timeline_frames_end_us(&source->timeline);
  gint64 away_us = mnk_clock_mono_us(source->clock) - source->absence.last_mono_us;
  gint64 end_us = MAX(start_us, source->timeline.last_us + away_us);
  mnk_timeline_restart(&source->timeline, raw_us, end_us, TRUE);
  if (raw_us == MNK_NO_TIME) /* it will be placed behind the last one */
    source->timeline.last_us = end_us - source->timeline.frame_us;
  source->absence.away = FALSE;
  push_ready(source, MNK_READ_GAP, NULL, NULL);
  MnkReady *gap = g_queue_peek_tail(&source->ready);
  gap->start_ms = to_ms(start_us);
  gap->end_ms = to_ms(end_us);
}

static MnkOrientation orientation_of(const MnkSource *source, const AVFrame *picture) {
  const AVFrameSideData *own = av_frame_get_side_data(picture, AV_FRAME_DATA_DISPLAYMATRIX);
  const gint32 *matrix = own && own->size >= 9 * sizeof(gint32)
                             ? (const gint32 *)(gconstpointer)own->data
                             : mnk_av_stream_matrix(source->format->streams[source->video]);
  return mnk_orientation_from_matrix(matrix);
}

/* Its time within the file; MNK_NO_TIME if it has none. */
static gint64 raw_time(MnkSource *source, const AVFrame *picture) {
  if (source->info.synthetic_clock)
    return source->start_us + (gint64)source->counted++ * source->timeline.frame_us;
  return mnk_input_raw_us(source, source->video, picture->best_effort_timestamp);
}

/* FALSE: before the part asked for, or after it. */
static gboolean is_wanted(MnkSource *source, gint64 raw_us) {
  if (raw_us == MNK_NO_TIME)
    return !source->video_done && (source->wanted_us == MNK_NO_TIME || source->kept > 0);
  if (source->until_us != MNK_NO_TIME && raw_us >= source->until_us)
    source->video_done = TRUE;
  return !source->video_done && (source->wanted_us == MNK_NO_TIME || raw_us >= source->wanted_us);
}

static void shift_epoch(MnkSource *source, guint32 epoch, gint64 time_us) {
  const MnkFrame *held = source->sampler.held;
  if (held && held->epoch != epoch)
    mnk_intake_flush(source, to_ms(time_us), TRUE);
}

/* The last picture of a file that was cut off lacks a part. In mid-stream what the decoder conceals
 * is better than nothing. */
static gboolean is_cut_off(const MnkSource *source, const AVFrame *picture) {
  return source->input_ended && picture->decode_error_flags != 0;
}

static void take_picture(MnkSource *source, AVFrame *picture) {
  source->counters.decoded++;
  if (is_cut_off(source, picture)) {
    source->counters.damaged_packets++;
    av_frame_free(&picture);
    return;
  }
  gint64 raw_us = raw_time(source, picture), time_us;
  gboolean wanted = !mnk_file_missed(source, raw_us) && is_wanted(source, raw_us);
  if (wanted && source->absence.away)
    return_from_absence(source, raw_us);
  if (!wanted || !mnk_timeline_frame(&source->timeline, raw_us, &time_us)) {
    av_frame_free(&picture);
    return;
  }
  mnk_plan_set_offset(source->plan, source->timeline.offset_us);
  AVRational aspect =
      av_guess_sample_aspect_ratio(source->format, source->format->streams[source->video], picture);
  MnkFrame *frame = mnk_frame_take_decoded(picture, orientation_of(source, picture), aspect);
  frame->pts_ms = to_ms(time_us);
  frame->epoch = source->timeline.epoch;
  frame->arrival_us = mnk_clock_wall_us(source->clock);
  source->kept++;
  source->raw_last_us = raw_us;
  source->absence.last_mono_us = mnk_clock_mono_us(source->clock);
  source->absence.attempts = 0;

  shift_epoch(source, frame->epoch, time_us);
  if (!source->by_seeking) {
    mnk_intake_emit(source, mnk_sampler_push(&source->sampler, frame));
    return;
  }
  frame->sampled = TRUE; /* grid.c goes to no other */
  mnk_intake_emit(source, frame);
}

void mnk_intake_video(MnkSource *source, const AVPacket *packet, enum AVDiscard discard) {
  if (!mnk_decoder_send(source->decoder, packet, discard))
    source->counters.damaged_packets++;
  AVFrame *picture;
  while ((picture = mnk_decoder_receive(source->decoder, &source->counters.damaged_packets)))
    take_picture(source, picture);
}

/* ---- Packets ---- */

void mnk_intake_audio(MnkSource *source, const AVPacket *packet) {
  mnk_listener_send(source->listener, packet);
  MnkAudio *audio;
  gint64 raw_us;
  while ((audio = mnk_listener_receive(source->listener, &raw_us))) {
    gint64 length_us = (gint64)audio->n * G_USEC_PER_SEC / 16000, time_us = 0;
    if (raw_us != MNK_NO_TIME && source->until_us != MNK_NO_TIME && raw_us >= source->until_us)
      source->audio_done = TRUE;
    gboolean early = raw_us != MNK_NO_TIME && source->wanted_us != MNK_NO_TIME &&
                     raw_us + length_us <= source->wanted_us;
    if (early || source->audio_done || source->absence.away || source->back_us > 0 ||
        !mnk_timeline_audio(&source->timeline, raw_us, length_us, &time_us)) {
      mnk_audio_free(audio);
      continue;
    }
    audio->pts_ms = to_ms(time_us);
    push_ready(source, MNK_READ_AUDIO, NULL, audio);
  }
}

/* Part of a packet at the end of a file that was cut off. In MPEG-TS the mark means a lost piece,
 * around which decoders conceal. */
static gboolean is_torn(const MnkSource *source, const AVPacket *packet) {
  return (packet->flags & AV_PKT_FLAG_CORRUPT) && source->config.kind == MNK_SOURCE_FILE &&
         !(source->format->iformat->flags & AVFMT_TS_DISCONT);
}

static void note_end(MnkSource *source, const AVPacket *packet) {
  gint64 raw_us = mnk_input_raw_us(source, source->video, packet->pts);
  if (raw_us != MNK_NO_TIME)
    source->raw_end_us = MAX(source->raw_end_us, raw_us + source->timeline.frame_us);
}

/* Audio that shows up late, or whose parameters become known late. */
static gboolean is_late_audio(MnkSource *source, int stream) {
  if (!source->config.want_audio || source->audio >= 0 ||
      source->format->streams[stream]->codecpar->codec_type != AVMEDIA_TYPE_AUDIO)
    return FALSE;
  source->listener = mnk_listener_new(source->format->streams[stream]);
  if (!source->listener)
    return FALSE;
  source->audio = stream;
  source->info.has_audio = TRUE;
  return TRUE;
}

void mnk_intake_packet(MnkSource *source) {
  AVPacket *packet = source->packet;
  int stream = packet->stream_index;
  if (is_torn(source, packet)) {
    source->counters.damaged_packets++;
  } else if (stream == source->video) {
    note_end(source, packet);
    mnk_plan_push(source->plan, packet);
  } else if (stream == source->audio || is_late_audio(source, stream)) {
    mnk_intake_audio(source, packet);
  }
  av_packet_unref(packet);
}

gboolean mnk_intake_decode(MnkSource *source) {
  MnkPacketUse use;
  g_autoptr(AVPacket) packet = mnk_plan_pop(source->plan, source->input_ended, &use);
  if (!packet)
    return FALSE;
  if (use != MNK_PACKET_LEAVE)
    mnk_intake_video(source, packet,
                     use == MNK_PACKET_DECODE ? AVDISCARD_DEFAULT : AVDISCARD_NONREF);
  return TRUE;
}
