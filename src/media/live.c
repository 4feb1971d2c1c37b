/* Live sources: a camera through V4L2, or an address (network.c); how they are lost and found. */
#include <errno.h>
#include <fcntl.h>
#include <linux/videodev2.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "media/network_priv.h"

enum {
  BACKOFF_MIN_MS = 500,
  BACKOFF_MAX_MS = 10000,
  CAMERA_WAIT_MS = 4, /* between two looks at a camera that has no picture yet */
  DAMAGE_MAX = 100,   /* damaged places in a row that are passed over */
};

/* ---- Cameras ---- */

static void set_camera_error(GError **error, const char *name, int failure) {
  switch (failure) {
  case ENOENT:
  case ENODEV:
  case ENXIO:
    g_set_error(error, MNK_ERROR, MNK_ERROR_NOT_FOUND, "there is no camera %s", name);
    break;
  case EBUSY:
    g_set_error(error, MNK_ERROR, MNK_ERROR_SOURCE,
                "the camera %s is busy: another program uses it", name);
    break;
  case EACCES:
  case EPERM:
    g_set_error(error, MNK_ERROR, MNK_ERROR_SOURCE,
                "no permission to use the camera %s (its group is usually 'video')", name);
    break;
  case ENOTTY:
  case EINVAL:
    g_set_error(error, MNK_ERROR, MNK_ERROR_SOURCE, "%s is not a camera", name);
    break;
  default:
    g_set_error(error, MNK_ERROR, MNK_ERROR_SOURCE, "the camera %s failed: %s", name,
                g_strerror(failure));
  }
}

/* Asks the device itself first: libavdevice's errors do not tell these cases apart. */
static gboolean check_camera(const char *path, GError **error) {
  int fd = open(path, O_RDWR | O_NONBLOCK | O_CLOEXEC);
  if (fd < 0) {
    set_camera_error(error, path, errno);
    return FALSE;
  }
  struct v4l2_capability about = {0};
  int failure = ioctl(fd, VIDIOC_QUERYCAP, &about) < 0 ? errno : 0;
  close(fd);
  guint32 can = about.capabilities & V4L2_CAP_DEVICE_CAPS ? about.device_caps : about.capabilities;
  if (failure == 0 && !(can & V4L2_CAP_VIDEO_CAPTURE))
    failure = ENOTTY;
  if (failure)
    set_camera_error(error, path, failure);
  return failure == 0;
}

static gboolean open_camera(MnkSource *source, GError **error) {
  if (!check_camera(source->address, error))
    return FALSE;
  const AVInputFormat *input = av_find_input_format("video4linux2");
  AVFormatContext *format = input ? avformat_alloc_context() : NULL;
  if (!format) {
    g_set_error_literal(error, MNK_ERROR, MNK_ERROR_UNSUPPORTED,
                        "This FFmpeg was built without cameras (v4l2)");
    return FALSE;
  }
  format->flags |= AVFMT_FLAG_NONBLOCK;
  format->interrupt_callback = (AVIOInterruptCB){mnk_interrupt_asked, &source->interrupt};
  mnk_interrupt_arm(&source->interrupt, source->config.timeout_ms);
  int code = avformat_open_input(&format, source->address, input, NULL);
  if (code >= 0)
    source->format = format;
  else
    set_camera_error(error, source->name, AVUNERROR(code));
  return code >= 0 && mnk_input_open_streams(source, error);
}

/* ---- Open ---- */

static gboolean open_source(MnkSource *source, GError **error) {
  gboolean ok = source->config.kind == MNK_SOURCE_CAMERA ? open_camera(source, error)
                                                         : mnk_network_open(source, error);
  if (!ok) {
    mnk_input_close(source);
    return FALSE;
  }
  /* Only where each packet stands for itself can be chosen without waiting for later ones. */
  const AVCodecDescriptor *about =
      avcodec_descriptor_get(source->format->streams[source->video]->codecpar->codec_id);
  gboolean intra = about && (about->props & AV_CODEC_PROP_INTRA_ONLY);
  source->mode = intra && !source->config.every_frame ? MNK_PLAN_NEAREST : MNK_PLAN_ALL;
  mnk_plan_set(source->plan, source->mode, source->config.fps, MNK_NO_TIME);
  return TRUE;
}

gboolean mnk_live_open(MnkSource *source, GError **error) {
  if (source->config.kind != MNK_SOURCE_CAMERA && !mnk_network_prepare(source, error))
    return FALSE;
  if (!open_source(source, error))
    return FALSE;
  double fps = source->info.fps > 0 ? source->info.fps : 25;
  gboolean discontinuous =
      source->info.live || (source->format->iformat->flags & AVFMT_TS_DISCONT) != 0;
  mnk_timeline_init(&source->timeline, MNK_NO_TIME, (gint64)(G_USEC_PER_SEC / fps), discontinuous);
  source->absence.backoff_ms = BACKOFF_MIN_MS;
  return TRUE;
}

/* ---- Lost and found ---- */

/* FALSE: it cannot be had again; the failure is set. */
static gboolean reach_again(MnkSource *source, int code) {
  MnkAbsence *absence = &source->absence;
  char buffer[192];
  g_autofree char *why = g_strdup(mnk_network_reason(source, code, buffer, sizeof buffer));
  mnk_input_close(source);
  while (absence->attempts < source->config.reconnect_max) {
    absence->attempts++;
    gint64 at_us = mnk_clock_mono_us(source->clock) + absence->backoff_ms * 1000;
    absence->backoff_ms = MIN(absence->backoff_ms * 2, BACKOFF_MAX_MS);
    if (!mnk_clock_sleep_until(source->clock, at_us, source->interrupt.stopped))
      return FALSE;
    g_autoptr(GError) error = NULL;
    if (open_source(source, &error)) {
      source->counters.reconnects++;
      return TRUE;
    }
    mnk_info("media", NULL, "event=reconnect attempt=%u error=\"%s\"", absence->attempts,
             error->message);
    if (mnk_source_is_stopped(source))
      return FALSE;
  }
  mnk_source_fail(source, MNK_ERROR_SOURCE, "%s %s and could not be reached again in %u attempts",
                  source->name, why, absence->attempts);
  return FALSE;
}

static void lose(MnkSource *source, int code) {
  source->waiting = FALSE;
  mnk_intake_video(source, NULL, AVDISCARD_DEFAULT);
  mnk_intake_flush(source, mnk_intake_end_us(source) / 1000, TRUE);
  if (source->config.kind == MNK_SOURCE_CAMERA) {
    mnk_source_fail(source, MNK_ERROR_SOURCE, "the camera %s %s", source->name,
                    code == AVERROR_EXIT ? "gives no pictures" : "is gone");
    return;
  }
  if (mnk_network_is_over(source, code)) {
    source->ended = TRUE;
    return;
  }
  if (!source->info.live) {
    char buffer[192];
    mnk_source_fail(source, MNK_ERROR_SOURCE, "%s %s before its end", source->name,
                    mnk_network_reason(source, code, buffer, sizeof buffer));
    return;
  }
  mnk_info("media", NULL, "event=lost source=\"%s\"", source->name);
  if (source->timeline.last_us != MNK_NO_TIME)
    source->absence.away = TRUE;
  (void)reach_again(source, code);
}

void mnk_live_step(MnkSource *source) {
  if (!source->format) {
    source->ended = TRUE;
    return;
  }
  if (mnk_intake_decode(source))
    return;
  /* Not while frames wait to be taken: that is not the source's silence. */
  if (!source->waiting)
    mnk_interrupt_arm(&source->interrupt, mnk_network_patience_ms(source));
  source->waiting = TRUE;
  int code = av_read_frame(source->format, source->packet);
  if (source->config.kind != MNK_SOURCE_CAMERA && mnk_network_has_moved(source)) {
    av_packet_unref(source->packet);
    lose(source, AVERROR(EIO));
    return;
  }
  if (code >= 0) {
    source->read_failures = 0;
    source->waiting = FALSE;
    if (source->absence.attempts == 0)
      source->absence.backoff_ms = BACKOFF_MIN_MS;
    mnk_intake_packet(source);
    return;
  }
  if (code == AVERROR(EAGAIN) && !mnk_interrupt_asked(&source->interrupt)) {
    g_usleep(CAMERA_WAIT_MS * 1000);
    return;
  }
  if (code == AVERROR_INVALIDDATA && source->config.kind == MNK_SOURCE_HTTP &&
      ++source->read_failures < DAMAGE_MAX) {
    source->counters.damaged_packets++;
    return;
  }
  if (!mnk_source_is_stopped(source))
    lose(source, code == AVERROR(EAGAIN) ? AVERROR_EXIT : code);
}
