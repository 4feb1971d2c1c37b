/* A source that is read: a thread decodes it, finds cuts, measures motion, gates, and makes
 * pictures for viewers. Boundaries and gaps go to the looker by a queue of their own, because a
 * live stream may drop frames, but never those. */
#include "stream/watch_priv.h"

#include <unistd.h>

enum { PREVIEW_QUALITY = 80, COUNT_EVERY = 32 };

struct _MnkReading {
  MnkWatch *watch;
  GThread *thread;
  int fd;
  MnkSource *source;
  MnkShots *shots;
  MnkMotion *motion;
  MnkWatchLive live; /* as far as it has been taken over */
  gint live_number;
  gint64 step_ms;
  gint64 preview_us; /* when the next one is due */
};

static gint64 step_of(double fps) {
  return MAX((gint64)(1000.0 / fps), 1);
}

/* ---- what happens between frames ---- */

static void note_event(MnkReading *reading, MnkMessageType type, gint64 at_ms, GString *text) {
  MnkWatch *watch = reading->watch;
  MnkWatchEvent *event = g_new(MnkWatchEvent, 1);
  *event = (MnkWatchEvent){at_ms, type, text};
  mnk_queue_push(watch->events, event);
  g_atomic_int_set(&watch->asked, 1);
  mnk_watch_wake_looker(watch);
}

static void note_boundary(MnkReading *reading, const MnkShotBoundary *boundary, guint32 epoch) {
  g_autofree MnkObservation *obs = g_new0(MnkObservation, 1);
  gint64 offset = reading->watch->setup.offset_ms;
  obs->type = MNK_OBS_CUT;
  obs->epoch = epoch;
  obs->pts_ms = boundary->start_ms + offset;
  obs->step_ms = reading->step_ms;
  obs->cut = boundary->kind;
  obs->cut_ms = boundary->start_ms + offset;
  obs->cut_end_ms = boundary->end_ms + offset;
  obs->cut_score = boundary->score;
  GString *text = g_string_new(NULL);
  mnk_observation_write_json(obs, text);
  /* after the frames in which two shots are mixed, for the timeline to set them aside */
  note_event(reading, MNK_MSG_OBSERVATION, obs->cut_end_ms, text);
  if (reading->motion != NULL)
    mnk_motion_cut(reading->motion);
}

static void note_gap(MnkReading *reading) {
  gint64 start_ms, end_ms, offset = reading->watch->setup.offset_ms;
  mnk_source_last_gap(reading->source, &start_ms, &end_ms);
  GString *text = g_string_new(NULL);
  MnkJsonWriter w;
  mnk_json_writer_init(&w, text);
  mnk_json_begin_object(&w, NULL);
  mnk_json_add_int(&w, "start_ms", start_ms + offset);
  mnk_json_add_int(&w, "end_ms", end_ms + offset);
  mnk_json_add_string(&w, "why", "the source was away");
  mnk_json_end_object(&w);
  note_event(reading, MNK_MSG_GAP, start_ms + offset, text);
}

/* ---- frames ---- */

static void count_received(MnkWatch *watch) {
  g_autoptr(GMutexLocker) locker = g_mutex_locker_new(&watch->lock);
  watch->counters.received++;
}

static void offer(MnkReading *reading, const MnkFrame *frame) {
  MnkWatch *watch = reading->watch;
  guint8 thumb[MNK_GATE_SIDE * MNK_GATE_SIDE];
  g_autoptr(GError) error = NULL;
  g_autoptr(MnkSample) sample = g_new0(MnkSample, 1);
  gboolean has_thumb = mnk_frame_thumbnail(frame, thumb, MNK_GATE_SIDE, MNK_GATE_SIDE);
  count_received(watch);
  sample->epoch = frame->epoch;
  sample->pts_ms = frame->pts_ms;
  sample->arrival_us = frame->arrival_us;
  sample->step_ms = reading->step_ms;
  if (mnk_watch_judge(watch, has_thumb ? thumb : NULL, sample) == MNK_GATE_LATE)
    return;
  sample->pts_ms += watch->setup.offset_ms;
  if (reading->motion != NULL)
    mnk_motion_take(reading->motion, &sample->motion);
  if (sample->kind == MNK_SAMPLE_FRAME) {
    sample->frame = mnk_frame_convert(frame, MNK_FRAME_RGB, reading->live.picture_size, &error);
    if (sample->frame == NULL) {
      mnk_watch_damaged(watch, error);
      return;
    }
  }
  mnk_watch_queue(watch, g_steal_pointer(&sample));
}

/* For viewers, from any frame that the source delivers: with every_frame FALSE, sampled ones. */
static void show(MnkReading *reading, const MnkFrame *frame) {
  MnkWatch *watch = reading->watch;
  gint64 now_us = g_get_monotonic_time();
  double fps = reading->live.preview_fps;
  if (fps <= 0 || now_us < reading->preview_us)
    return;
  /* on a grid, so that the rate is kept whatever the source's own; but never two to make up for one
   */
  gint64 step_us = (gint64)(G_USEC_PER_SEC / fps);
  reading->preview_us = MAX(reading->preview_us + step_us, now_us - step_us / 2);
  g_autoptr(GError) error = NULL;
  g_autoptr(GBytes) jpeg = NULL;
  g_autoptr(MnkFrame) rgb =
      mnk_frame_convert(frame, MNK_FRAME_RGB, reading->live.preview_size, &error);
  if (rgb != NULL)
    jpeg = mnk_frame_to_jpeg(rgb, PREVIEW_QUALITY, &error);
  if (jpeg == NULL) {
    mnk_warning("media", watch->setup.stream, "event=no-preview reason=\"%s\"", error->message);
    return;
  }
  gsize length;
  const guint8 *bytes = g_bytes_get_data(jpeg, &length);
  mnk_watch_tell_picture(watch, MNK_MSG_PREVIEW, frame->pts_ms + watch->setup.offset_ms, bytes,
                         length);
}

static void take_frame(MnkReading *reading, const MnkFrame *frame) {
  MnkWatch *watch = reading->watch;
  MnkShotBoundary boundary;
  if (reading->shots != NULL && mnk_shots_push(reading->shots, frame, &boundary))
    note_boundary(reading, &boundary, frame->epoch);
  if (reading->motion != NULL)
    mnk_motion_push(reading->motion, frame);
  watch->end_ms = MAX(watch->end_ms, frame->pts_ms);
  if (frame->sampled)
    offer(reading, frame);
  show(reading, frame);
}

/* ---- reading ---- */

static void take_over(MnkReading *reading) {
  MnkWatch *watch = reading->watch;
  gint number = g_atomic_int_get(&watch->live_number);
  if (number == reading->live_number)
    return;
  double fps = reading->live.fps;
  reading->live_number = number;
  reading->live = mnk_watch_live(watch);
  mnk_gate_set(watch->gate, reading->live.gate_mse, reading->live.gate_max_gap_ms);
  if (reading->live.fps != fps) {
    mnk_source_set_fps(reading->source, reading->live.fps);
    reading->step_ms = step_of(reading->live.fps);
  }
}

static void copy_counters(MnkReading *reading) {
  MnkWatch *watch = reading->watch;
  MnkSourceCounters from;
  mnk_source_counters(reading->source, &from);
  g_autoptr(GMutexLocker) locker = g_mutex_locker_new(&watch->lock);
  watch->counters.decoded = from.decoded;
  watch->counters.damaged = from.damaged_packets;
  watch->counters.reconnects = from.reconnects;
  watch->counters.decode_ms = (double)from.decode_us / 1000.0;
}

static void read_all(MnkReading *reading, GError **error) {
  MnkWatch *watch = reading->watch;
  guint since_counted = 0;
  while (!g_atomic_int_get(&watch->stop)) {
    g_autoptr(MnkFrame) frame = NULL;
    g_autoptr(MnkAudio) audio = NULL;
    mnk_watch_wait_while_paused(watch);
    take_over(reading);
    switch (mnk_source_read(reading->source, &frame, &audio, error)) {
    case MNK_READ_FRAME:
      take_frame(reading, frame);
      if (++since_counted >= COUNT_EVERY) {
        copy_counters(reading);
        since_counted = 0;
      }
      break;
    case MNK_READ_AUDIO:
      break;
    case MNK_READ_GAP:
      note_gap(reading);
      break;
    case MNK_READ_END:
    case MNK_READ_ERROR:
      return;
    }
  }
  g_set_error_literal(error, MNK_ERROR, MNK_ERROR_CANCELLED, "stopped");
}

static gboolean open_source(MnkReading *reading, GError **error) {
  MnkWatch *watch = reading->watch;
  const MnkWatchSetup *setup = &watch->setup;
  MnkSourceConfig config = {
      .kind = setup->kind,
      .address = setup->address,
      .fd = reading->fd,
      .fps = reading->live.fps,
      .from_ms = setup->from_ms,
      .to_ms = setup->to_ms,
      .resume_ms = setup->resume_ms,
      .loop = setup->loop,
      .realtime = setup->realtime,
      .every_frame = setup->every_frame,
      .rtsp_udp = setup->rtsp_udp,
      .timeout_ms = setup->timeout_ms,
      .reconnect_max = setup->reconnect_max,
      .outbound_allow = setup->outbound_allow,
      .max_pixels = setup->max_pixels,
      .stop = &watch->stop,
  };
  reading->fd = -1;
  reading->source = mnk_source_open(&config, error);
  if (reading->source == NULL)
    return FALSE;
  g_autoptr(GString) text = g_string_new(NULL);
  mnk_source_info_write(mnk_source_info(reading->source), text);
  mnk_watch_send(watch, MNK_MSG_OPENED, text);
  return TRUE;
}

/* A single picture lasts as long as one that was sampled. */
static gint64 last_picture_ms(const MnkReading *reading, guint64 decoded) {
  double fps = mnk_source_info(reading->source)->fps;
  if (decoded == 0)
    return 0;
  return fps > 0 && decoded > 1 ? (gint64)(1000.0 / fps) : reading->step_ms;
}

static gpointer run(gpointer user) {
  MnkReading *reading = user;
  MnkWatch *watch = reading->watch;
  MnkShotBoundary boundary;
  g_autoptr(GError) error = NULL;
  mnk_blackbox_hold(watch->number);
  if (open_source(reading, &error)) {
    read_all(reading, &error);
    while (reading->shots != NULL && mnk_shots_flush(reading->shots, &boundary))
      note_boundary(reading, &boundary, 0);
    copy_counters(reading);
    MnkSourceCounters counters;
    mnk_source_counters(reading->source, &counters);
    watch->end_ms += last_picture_ms(reading, counters.decoded);
  }
  watch->failure = g_steal_pointer(&error);
  mnk_watch_no_more(watch);
  return NULL;
}

MnkReading *mnk_reading_new(MnkWatch *watch, int fd) {
  MnkReading *reading = g_new0(MnkReading, 1);
  reading->watch = watch;
  reading->fd = fd;
  reading->live = watch->setup.live;
  reading->step_ms = step_of(reading->live.fps);
  reading->shots = watch->setup.cuts ? mnk_shots_new() : NULL;
  reading->motion = watch->setup.camera_motion ? mnk_motion_new() : NULL;
  reading->thread = g_thread_new("reader", run, reading);
  return reading;
}

void mnk_reading_join(MnkReading *reading) {
  g_thread_join(g_steal_pointer(&reading->thread));
}

void mnk_reading_free(MnkReading *reading) {
  if (reading == NULL)
    return;
  mnk_source_free(reading->source);
  mnk_shots_free(reading->shots);
  mnk_motion_free(reading->motion);
  if (reading->fd >= 0)
    close(reading->fd);
  g_free(reading);
}
