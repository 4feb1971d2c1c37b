#include "media/source_priv.h"

#include <libavutil/avstring.h>
#include <string.h>

enum {
  OPEN_MS = 60000,       /* a file that takes longer to open is made to hang */
  FAILURES_MAX = 100,    /* damaged places in a row that are passed over */
  SEEK_BACK_US = 500000, /* a key frame's time of showing may lie after its time in the index */
  SEEKING_PAYS = 4,      /* key frames per grid point from which on seeking beats reading on */
};

/* What is read: containers and elementary streams whose content tells what they are. Not here, for
 * they open other files or addresses: playlists (hls, dash, concat, ...), image sequences, sdp, and
 * devices. Sound alone is here to be told apart from damage. */
static const char ALLOWED[] =
    "mov,matroska,avi,mpegts,mpeg,mpegvideo,m4v,h264,hevc,obu,av1,ivf,flv,asf,ogg,mxf,wtv,nut,rm,"
    "dv,yuv4mpegpipe,mjpeg,vc1,gif,apng,png_pipe,jpeg_pipe,webp_pipe,bmp_pipe,tiff_pipe,pam_pipe,"
    "ppm_pipe,pgm_pipe,qoi_pipe,jpegxl_pipe,"
    "mp3,wav,w64,flac,aac,ac3,eac3,dts,aiff,au,amr,caf,opus,tta,ape,wv";

static int deny_open(AVFormatContext *format, AVIOContext **io, const char *url, int flags,
                     AVDictionary **options) {
  return AVERROR(EPERM);
}

/* ---- Open ---- */

/* What the bytes are, although they are not read; "" if nobody knows. */
static const char *guess_content(MnkSource *source) {
  AVIOContext *io = mnk_fd_io_can_seek(source->io) ? mnk_fd_io_rewind(source->io, TRUE) : NULL;
  const AVInputFormat *input = NULL;
  if (!io || av_probe_input_buffer2(io, &input, "", NULL, 0, 0) < 0 || !input)
    return "";
  return input->name;
}

static void complain_open(MnkSource *source, int code, GError **error) {
  const char *name = source->name;
  char text[AV_ERROR_MAX_STRING_SIZE];
  if (mnk_source_is_stopped(source)) {
    g_set_error_literal(error, MNK_ERROR, MNK_ERROR_CANCELLED, "Stopped");
    return;
  }
  if (code == AVERROR_EXIT) {
    g_set_error(error, MNK_ERROR, MNK_ERROR_BAD_INPUT, "%s is damaged: opening it does not end",
                name);
    return;
  }
  if (mnk_fd_io_errno(source->io)) {
    g_set_error(error, MNK_ERROR, MNK_ERROR_SOURCE, "Reading %s failed: %s", name,
                g_strerror(mnk_fd_io_errno(source->io)));
    return;
  }
  if (mnk_fd_io_was_empty(source->io)) {
    g_set_error(error, MNK_ERROR, MNK_ERROR_BAD_INPUT, "%s is empty", name);
    return;
  }
  const char *content = guess_content(source);
  if (g_str_has_prefix(content, "mov,"))
    g_set_error(error, MNK_ERROR, MNK_ERROR_BAD_INPUT,
                "%s is cut off or damaged: the index of an mp4 file (moov) is not in it", name);
  else if (*content && av_match_list(content, ALLOWED, ',') <= 0)
    g_set_error(error, MNK_ERROR, MNK_ERROR_BAD_INPUT, "%s is not a video file but looks like '%s'",
                name, content);
  else if (*content)
    g_set_error(error, MNK_ERROR, MNK_ERROR_BAD_INPUT, "%s is damaged or cut off: %s", name,
                mnk_av_error_text(code, text, sizeof text));
  else
    g_set_error(error, MNK_ERROR, MNK_ERROR_BAD_INPUT, "%s is not a video file", name);
}

/* Under all restrictions. NULL: no memory. */
static AVFormatContext *restricted(MnkSource *source, gboolean may_seek) {
  AVFormatContext *format = avformat_alloc_context();
  if (!format)
    return NULL;
  format->pb = mnk_fd_io_rewind(source->io, may_seek);
  format->io_open = deny_open;
  format->interrupt_callback = (AVIOInterruptCB){mnk_interrupt_asked, &source->interrupt};
  format->format_whitelist = av_strdup(ALLOWED);
  format->protocol_whitelist = av_strdup("");
  if (!format->pb || !format->format_whitelist || !format->protocol_whitelist)
    g_clear_pointer(&format, avformat_free_context);
  return format;
}

static int open_container(MnkSource *source, gboolean may_seek) {
  AVFormatContext *format = restricted(source, may_seek);
  int code = format ? avformat_open_input(&format, "", NULL, NULL) : AVERROR(ENOMEM);
  if (code >= 0)
    source->format = format;
  source->may_seek = code >= 0 && may_seek;
  return code;
}

/* From the first byte on. */
static gboolean open_input(MnkSource *source, GError **error) {
  gboolean may_seek = mnk_fd_io_can_seek(source->io);
  mnk_interrupt_arm(&source->interrupt, may_seek ? OPEN_MS : 0);
  int code = open_container(source, may_seek);
  /* An mp4 file in pieces that was cut off opens only when its end is not looked at. */
  if ((code == AVERROR_INVALIDDATA || code == AVERROR_EOF) && may_seek &&
      g_str_has_prefix(guess_content(source), "mov,"))
    code = open_container(source, FALSE);
  if (code < 0) {
    complain_open(source, code, error);
    return FALSE;
  }
  gboolean ok = mnk_input_open_streams(source, error);
  mnk_interrupt_arm(&source->interrupt, 0);
  return ok;
}

/* Containers whose index lists every key frame, or else only key frames. What libavformat collects
 * about others while it reads is neither. Matroska's lies at the end and is read with the first
 * seek. */
static const char INDEXED[] = "mov,matroska,avi";

static gboolean is_indexed(const MnkSource *source) {
  return av_match_list(source->format->iformat->name, INDEXED, ',') > 0;
}

static void load_index(MnkSource *source) {
  AVFormatContext *format = source->format;
  AVStream *stream = format->streams[source->video];
  if (!source->may_seek || source->info.synthetic_clock || format->duration <= 0 ||
      !is_indexed(source))
    return;
  if (strstr(format->iformat->name, "matroska")) {
    gint64 first = stream->start_time == AV_NOPTS_VALUE ? 0 : stream->start_time;
    if (av_seek_frame(format, source->video, first, AVSEEK_FLAG_BACKWARD) < 0)
      return;
  }
  source->keys = mnk_keys_new(stream, source->start_us, source->start_us + format->duration);
}

/* ---- Back and forth ---- */

static gboolean reopen(MnkSource *source) {
  g_autoptr(GError) error = NULL;
  mnk_input_close(source);
  if (!open_input(source, &error)) {
    mnk_source_fail(source, error->code, "%s", error->message);
    return FALSE;
  }
  load_index(source);
  return TRUE;
}

static gboolean try_seek(MnkSource *source, gint64 raw_us) {
  if (!source->may_seek || source->info.synthetic_clock ||
      avformat_seek_file(source->format, -1, G_MININT64, raw_us, raw_us, 0) < 0)
    return FALSE;
  mnk_decoder_flush(source->decoder);
  if (source->listener)
    mnk_listener_flush(source->listener);
  mnk_plan_clear(source->plan);
  return TRUE;
}

/* To a key frame at or before wanted_us, or to the start. Only an index tells where key frames are:
 * elsewhere a seek may land between two of them, and has to be tried from further back. FALSE: the
 * failure is set. */
static gboolean go_to_wanted(MnkSource *source, gint64 back_us) {
  gint64 target_us = source->wanted_us == MNK_NO_TIME ? MNK_NO_TIME : source->wanted_us - back_us;
  gboolean from_start = target_us == MNK_NO_TIME || target_us <= source->start_us;
  source->input_ended = source->missed = FALSE;
  source->counted = 0;
  source->read_failures = 0;
  source->back_us = from_start ? 0 : back_us;
  if (!from_start && try_seek(source, target_us))
    return TRUE;
  source->back_us = 0;
  if (from_start && is_indexed(source) && try_seek(source, source->start_us))
    return TRUE;
  return reopen(source);
}

gboolean mnk_file_missed(MnkSource *source, gint64 raw_us) {
  if (source->back_us == 0 || source->missed)
    return source->missed;
  if (raw_us == MNK_NO_TIME) /* tells nothing */
    return TRUE;
  source->missed = raw_us > source->wanted_us + source->timeline.frame_us;
  if (!source->missed)
    source->back_us = 0;
  return source->missed;
}

static gint64 frame_us_of(const MnkSource *source) {
  return source->info.fps > 0 ? (gint64)(G_USEC_PER_SEC / source->info.fps) : G_USEC_PER_SEC / 25;
}

/* The first pass may begin later than the others: another process has read what lies before. */
static gint64 resumed_us(const MnkSource *source) {
  return source->start_us + source->config.resume_ms * 1000;
}

static gint64 first_wanted_us(const MnkSource *source) {
  return source->config.from_ms > 0 ? source->start_us + source->config.from_ms * 1000
                                    : MNK_NO_TIME;
}

gboolean mnk_file_open(MnkSource *source, GError **error) {
  const MnkSourceConfig *config = &source->config;
  source->io = mnk_fd_io_new(config->fd, source->name, &source->interrupt, error);
  if (!source->io)
    return FALSE;
  if (config->loop && !mnk_fd_io_can_seek(source->io)) {
    g_set_error(error, MNK_ERROR, MNK_ERROR_USAGE, "%s is not a file that can be looped",
                source->name);
    return FALSE;
  }
  if (!open_input(source, error))
    return FALSE;
  gint64 start = source->format->start_time;
  source->start_us = source->info.synthetic_clock || start == AV_NOPTS_VALUE ? 0 : start;
  source->wanted_us = config->resume_ms > 0 ? resumed_us(source) : first_wanted_us(source);
  source->until_us = config->to_ms < 0 ? MNK_NO_TIME : source->start_us + config->to_ms * 1000;
  mnk_timeline_init(&source->timeline, source->start_us, frame_us_of(source),
                    (source->format->iformat->flags & AVFMT_TS_DISCONT) != 0);
  load_index(source);
  if (source->wanted_us != MNK_NO_TIME && source->may_seek && !go_to_wanted(source, SEEK_BACK_US)) {
    g_propagate_error(error, g_steal_pointer(&source->failure));
    return FALSE;
  }
  mnk_file_choose_mode(source);
  return TRUE;
}

/* ---- How it is decoded ---- */

static gboolean keys_suffice(const MnkSource *source) {
  /* A little more than the interval is well: rates such as 29.97 make one second 1.001. */
  return source->keys && source->keys->max_gap_ms <= 1.02 * 1000 / source->config.fps;
}

static gint64 video_end_us(const MnkSource *source) {
  const AVStream *stream = source->format->streams[source->video];
  if (stream->duration == AV_NOPTS_VALUE || stream->start_time == AV_NOPTS_VALUE)
    return source->start_us + source->format->duration;
  return mnk_input_raw_us(source, source->video, stream->start_time + stream->duration);
}

void mnk_file_choose_mode(MnkSource *source) {
  const MnkSourceConfig *config = &source->config;
  source->by_seeking = FALSE;
  if (config->every_frame || source->info.synthetic_clock)
    source->mode = MNK_PLAN_ALL;
  else if (keys_suffice(source))
    source->mode = MNK_PLAN_KEYS;
  else
    source->mode = mnk_plan_can_choose(source->plan) ? MNK_PLAN_NEAREST : MNK_PLAN_ALL;

  if (source->mode == MNK_PLAN_KEYS && !source->listener &&
      source->keys->max_gap_ms * SEEKING_PAYS <= 1000 / config->fps) {
    source->by_seeking = TRUE;
    gint64 from = source->wanted_us == MNK_NO_TIME ? MNK_NO_TIME : source->wanted_us - 1;
    source->next_key = mnk_grid_first_after(source, from);
    source->raw_end_us = video_end_us(source);
  }
  mnk_plan_set(source->plan, source->mode, config->fps, source->wanted_us);
  mnk_plan_set_offset(source->plan, source->timeline.offset_us);
}

void mnk_file_change_mode(MnkSource *source) {
  gboolean left_out = source->mode == MNK_PLAN_KEYS;
  gint64 reaches_us = source->timeline.last_us + source->timeline.frame_us / 2;
  if (source->kept > 0) {
    mnk_intake_flush(source, reaches_us / 1000, FALSE);
    source->sampler.has_begun = TRUE;
    source->sampler.reaches_ms = (double)reaches_us / 1000;
  }
  if (source->raw_last_us != MNK_NO_TIME)
    source->wanted_us = source->raw_last_us + 1;
  mnk_file_choose_mode(source);
  /* What follows the last key frame was not decoded: back to it. */
  if (left_out && source->mode != MNK_PLAN_KEYS && source->raw_last_us != MNK_NO_TIME)
    (void)go_to_wanted(source, SEEK_BACK_US);
}

/* ---- On ---- */

static void complain_nothing(MnkSource *source) {
  if (source->counters.decoded > 0)
    mnk_source_fail(source, MNK_ERROR_BAD_INPUT, "%s has no picture in the part asked for",
                    source->name);
  else
    mnk_source_fail(source, MNK_ERROR_BAD_INPUT,
                    "%s is damaged: no picture in it can be decoded (codec '%s')", source->name,
                    source->info.codec);
}

/* Back to the start of the wanted part; times go on. */
static gboolean next_round(MnkSource *source, gint64 end_us) {
  source->wanted_us = first_wanted_us(source);
  gint64 first_us = source->wanted_us == MNK_NO_TIME ? source->start_us : source->wanted_us;
  if (!go_to_wanted(source, SEEK_BACK_US))
    return FALSE;
  mnk_timeline_restart(&source->timeline, first_us, end_us, FALSE);
  source->video_done = source->audio_done = FALSE;
  source->kept = 0;
  source->raw_end_us = MNK_NO_TIME;
  mnk_file_choose_mode(source);
  return TRUE;
}

/* The seek before landed too late: from four times as far back. */
static void seek_again(MnkSource *source) {
  if (go_to_wanted(source, 4 * source->back_us))
    mnk_file_choose_mode(source);
}

void mnk_file_finish_pass(MnkSource *source) {
  mnk_intake_video(source, NULL, AVDISCARD_DEFAULT);
  if (source->listener)
    mnk_intake_audio(source, NULL);
  if (source->back_us > 0) { /* not one picture since the seek */
    source->missed = TRUE;
    return;
  }
  gint64 frames_end_us = mnk_intake_end_us(source);
  gint64 end_us = MAX(frames_end_us, mnk_timeline_end_us(&source->timeline));
  gboolean resumed = source->config.resume_ms > 0;
  gboolean again = source->config.loop && (source->kept > 0 || resumed);
  source->config.resume_ms = 0;
  mnk_intake_flush(source, (frames_end_us + 500) / 1000, FALSE);
  if (mnk_fd_io_errno(source->io))
    mnk_source_fail(source, MNK_ERROR_SOURCE, "Reading %s failed: %s", source->name,
                    g_strerror(mnk_fd_io_errno(source->io)));
  else if (source->kept == 0 && !resumed)
    complain_nothing(source);
  if (!again || source->failure || !next_round(source, end_us))
    source->ended = TRUE;
}

/* Damage in the container is passed over; the end, or too much damage, ends the input. */
static void read_packet(MnkSource *source) {
  int code = av_read_frame(source->format, source->packet);
  if (code >= 0) {
    source->read_failures = 0;
    mnk_intake_packet(source);
    return;
  }
  if (code == AVERROR_EOF || code == AVERROR_EXIT || mnk_fd_io_errno(source->io) ||
      avio_feof(source->format->pb) || ++source->read_failures > FAILURES_MAX)
    source->input_ended = TRUE;
  else
    source->counters.damaged_packets++;
}

static gboolean part_is_over(const MnkSource *source) {
  return source->video_done && (source->audio_done || !source->listener);
}

void mnk_file_step(MnkSource *source) {
  if (source->missed) {
    seek_again(source);
    return;
  }
  if (source->by_seeking) {
    mnk_grid_step(source);
    return;
  }
  if (part_is_over(source)) {
    mnk_file_finish_pass(source);
    return;
  }
  if (mnk_intake_decode(source))
    return;
  if (source->input_ended)
    mnk_file_finish_pass(source);
  else
    read_packet(source);
}
