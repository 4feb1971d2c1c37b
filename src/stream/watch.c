#include "stream/stream_priv.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* The reading thread decodes, finds cuts, measures motion and gates; frames that pass wait in a
 * short queue for the looker's thread, which tells the server about them in order. Boundaries and
 * gaps go by a queue of their own, because a live stream may drop frames, but never those. */

enum { MAX_WAITING = 8, MAX_EVENTS = 256 };

static const gint64 COUNTERS_EVERY_US = G_USEC_PER_SEC;
static const int JPEG_QUALITY = 85;

/* A sampled frame on its way to be looked at. */
typedef struct {
  MnkObservation obs;
  MnkFrame *frame; /* NULL: a duplicate; else RGB */
} Job;

/* What happened between sampled frames, ready to be told: a shot boundary, or a gap. */
typedef struct {
  gint64 at_ms;
  MnkMessageType type;
  GString *text;
} Event;

struct _MnkWatch {
  gint refs; /* atomic: the worker's, and one for each turn with the looker */
  MnkWatchSetup setup;
  guint32 number;
  int fd;
  MnkChannel *channel;
  MnkSlots *slots;
  MnkLooker *looker;
  GThread *thread;
  gint stop;      /* atomic */
  gint reading;   /* atomic: the reading thread has not finished */
  gint scheduled; /* atomic: the looker has a turn for this watch */
  gint ended;     /* atomic: ENDED has been sent */
  MnkQueue *jobs, *events;

  /* the reading thread's */
  MnkSource *source;
  MnkGate *gate;
  MnkShots *shots;
  MnkMotion *motion;
  gboolean new_shot;
  guint64 seq;
  gint64 step_ms, end_ms;

  /* the looker's thread's */
  Event *next_event; /* taken from the queue, lies after the last frame looked at */
  gboolean shot_began;
  gint64 counters_us;

  /* both threads': guarded by lock */
  GMutex lock;
  MnkWatchCounters counters;
  GError *failure;
};

static void job_free(gpointer data) {
  Job *job = data;
  g_clear_pointer(&job->frame, mnk_frame_unref);
  g_free(job);
}

static void event_free(gpointer data) {
  Event *event = data;
  g_string_free(event->text, TRUE);
  g_free(event);
}

/* ---- telling the server ---- */

static void send(MnkWatch *watch, MnkMessageType type, const GString *text) {
  g_autoptr(GError) error = NULL;
  if (!mnk_channel_send(watch->channel, type, watch->number, text->str, text->len, -1, -1, &error))
    g_atomic_int_set(&watch->stop, 1); /* the server is gone */
}

static void send_observation(MnkWatch *watch, const MnkObservation *obs) {
  g_autoptr(GString) text = g_string_new(NULL);
  mnk_observation_write_json(obs, text);
  send(watch, MNK_MSG_OBSERVATION, text);
}

static void send_picture(MnkWatch *watch, const Job *job) {
  g_autoptr(GError) error = NULL;
  g_autoptr(GBytes) jpeg = mnk_frame_to_jpeg(job->frame, JPEG_QUALITY, &error);
  gsize length = 0;
  const void *bytes = jpeg != NULL ? g_bytes_get_data(jpeg, &length) : NULL;
  if (bytes == NULL || length > MNK_SLOT_SIZE) {
    mnk_warning("stream", watch->setup.stream, "event=no-picture reason=\"%s\"",
                error != NULL ? error->message : "larger than a slot");
    return;
  }
  int slot = mnk_slots_acquire(watch->slots);
  if (slot < 0)
    return; /* the server is behind: it has other pictures of this scene */
  memcpy(mnk_slots_bytes(watch->slots, (guint)slot), bytes, length);
  g_autoptr(GString) text = g_string_new(NULL);
  MnkJsonWriter w;
  mnk_json_writer_init(&w, text);
  mnk_json_begin_object(&w, NULL);
  mnk_json_add_int(&w, "pts_ms", job->obs.pts_ms);
  mnk_json_add_int(&w, "slot", slot);
  mnk_json_add_int(&w, "length", (gint64)length);
  mnk_json_end_object(&w);
  send(watch, MNK_MSG_PICTURE, text);
}

static void send_counters(MnkWatch *watch, MnkPerception *perception) {
  MnkWatchCounters counters;
  MnkQueueCounters queue;
  mnk_queue_counters(watch->jobs, &queue);
  g_mutex_lock(&watch->lock);
  counters = watch->counters;
  g_mutex_unlock(&watch->lock);
  counters.dropped += queue.dropped;
  counters.queued =
      counters.received - counters.encoded - counters.gated - counters.late - counters.dropped;
  for (guint i = 0; i < G_N_ELEMENTS(counters.part_ms); i++) {
    gint64 us = 0;
    mnk_perception_times(perception, (MnkPart)(1u << i), &us, &counters.part_runs[i]);
    counters.part_ms[i] = (double)us / 1000.0;
  }
  g_autoptr(GString) text = g_string_new(NULL);
  mnk_watch_counters_write(&counters, text);
  send(watch, MNK_MSG_COUNTERS, text);
}

/* ---- the looker's thread ---- */

static void take_event(MnkWatch *watch) {
  if (watch->next_event == NULL)
    watch->next_event = mnk_queue_pop(watch->events, 0);
}

static void tell_event(MnkWatch *watch) {
  send(watch, watch->next_event->type, watch->next_event->text);
  watch->shot_began = TRUE;
  g_clear_pointer(&watch->next_event, event_free);
}

/* Tells what happened up to a time. */
static void pass_events(MnkWatch *watch, gint64 until_ms) {
  for (take_event(watch); watch->next_event != NULL && watch->next_event->at_ms <= until_ms;
       take_event(watch))
    tell_event(watch);
}

/* The next frame; while none waits, what happened since the last one. An event is taken before
 * frames are looked for: those of before it are in their queue by then, however far the reading
 * thread has come meanwhile. */
static Job *next_job(MnkWatch *watch) {
  for (;;) {
    take_event(watch);
    Job *job = mnk_queue_pop(watch->jobs, 0);
    if (job != NULL || watch->next_event == NULL)
      return job;
    tell_event(watch);
  }
}

/* Faults for tests: "abort@MS", "hang@MS", "kill-loop". */
static void play_fault(const MnkWatch *watch, gint64 pts_ms) {
  const char *fault = watch->setup.fault, *at = strchr(fault, '@');
  if (g_str_equal(fault, "kill-loop"))
    raise(SIGKILL);
  if (at == NULL || watch->setup.resume_ms >= 0 || pts_ms < g_ascii_strtoll(at + 1, NULL, 10))
    return;
  if (g_str_has_prefix(fault, "abort@"))
    abort();
  if (g_str_has_prefix(fault, "hang@"))
    raise(SIGSTOP);
}

static void look(MnkWatch *watch, MnkPerception *perception, Job *job) {
  g_autoptr(GError) error = NULL;
  gint64 start_us = g_get_monotonic_time();
  if (!mnk_perception_look(perception, job->frame, watch->shot_began, &job->obs, &error))
    mnk_warning("vision", watch->setup.stream, "event=not-looked-at reason=\"%s\"", error->message);
  watch->shot_began = FALSE;
  if (watch->setup.live.pictures)
    send_picture(watch, job);
  g_mutex_lock(&watch->lock);
  watch->counters.encoded++;
  watch->counters.look_ms += (double)(g_get_monotonic_time() - start_us) / 1000.0;
  g_mutex_unlock(&watch->lock);
}

static void finish(MnkWatch *watch, MnkPerception *perception) {
  pass_events(watch, G_MAXINT64);
  send_counters(watch, perception);
  g_autoptr(GString) text = g_string_new(NULL);
  mnk_ended_write(watch->end_ms + watch->setup.offset_ms, watch->failure, text);
  send(watch, MNK_MSG_ENDED, text);
  g_atomic_int_set(&watch->ended, 1);
}

gboolean mnk_watch_look(MnkWatch *watch, MnkPerception *perception) {
  g_atomic_int_set(&watch->scheduled, 0);
  if (g_atomic_int_get(&watch->ended))
    return FALSE;
  gboolean reading = g_atomic_int_get(&watch->reading);
  Job *job = next_job(watch);
  if (job == NULL) {
    if (!reading)
      finish(watch, perception);
    return FALSE;
  }
  if (watch->setup.fault[0] != '\0')
    play_fault(watch, job->obs.pts_ms);
  pass_events(watch, job->obs.pts_ms);
  if (job->frame != NULL)
    look(watch, perception, job);
  else {
    g_mutex_lock(&watch->lock);
    watch->counters.gated++;
    g_mutex_unlock(&watch->lock);
  }
  send_observation(watch, &job->obs);
  job_free(job);
  gint64 now_us = g_get_monotonic_time();
  if (now_us - watch->counters_us >= COUNTERS_EVERY_US) {
    watch->counters_us = now_us;
    send_counters(watch, perception);
  }
  return g_atomic_int_compare_and_exchange(&watch->scheduled, 0, 1);
}

/* ---- the reading thread ---- */

static void wake(MnkWatch *watch) {
  if (g_atomic_int_compare_and_exchange(&watch->scheduled, 0, 1))
    mnk_looker_wake(watch->looker, watch);
}

static void note_event(MnkWatch *watch, MnkMessageType type, gint64 at_ms, GString *text) {
  Event *event = g_new(Event, 1);
  *event = (Event){at_ms, type, text};
  mnk_queue_push(watch->events, event);
  watch->new_shot = TRUE;
  wake(watch);
}

static void note_boundary(MnkWatch *watch, const MnkShotBoundary *boundary, guint32 epoch) {
  g_autofree MnkObservation *obs = g_new0(MnkObservation, 1);
  gint64 offset = watch->setup.offset_ms;
  obs->type = MNK_OBS_CUT;
  obs->epoch = epoch;
  obs->pts_ms = boundary->start_ms + offset;
  obs->step_ms = watch->step_ms;
  obs->cut = boundary->kind;
  obs->cut_ms = boundary->start_ms + offset;
  obs->cut_end_ms = boundary->end_ms + offset;
  obs->cut_score = boundary->score;
  GString *text = g_string_new(NULL);
  mnk_observation_write_json(obs, text);
  /* after the frames in which two shots are mixed, for the timeline to set them aside */
  note_event(watch, MNK_MSG_OBSERVATION, obs->cut_end_ms, text);
  if (watch->motion != NULL)
    mnk_motion_cut(watch->motion);
}

static void offer(MnkWatch *watch, const MnkFrame *frame) {
  guint8 thumb[MNK_GATE_SIDE * MNK_GATE_SIDE];
  MnkGateVerdict verdict = MNK_GATE_ACCEPTED;
  float change = 1;
  if (mnk_frame_thumbnail(frame, thumb, MNK_GATE_SIDE, MNK_GATE_SIDE))
    verdict =
        mnk_gate_offer(watch->gate, thumb, frame->pts_ms, frame->epoch, watch->new_shot, &change);
  g_mutex_lock(&watch->lock);
  watch->counters.received++;
  watch->counters.late += verdict == MNK_GATE_LATE;
  g_mutex_unlock(&watch->lock);
  if (verdict == MNK_GATE_LATE)
    return;
  g_autoptr(GError) error = NULL;
  Job *job = g_new0(Job, 1);
  job->obs.type = verdict == MNK_GATE_ACCEPTED ? MNK_OBS_FRAME : MNK_OBS_DUPLICATE;
  job->obs.seq = watch->seq++;
  job->obs.epoch = frame->epoch;
  job->obs.pts_ms = frame->pts_ms + watch->setup.offset_ms;
  job->obs.arrival_us = frame->arrival_us;
  job->obs.step_ms = watch->step_ms;
  job->obs.change = change;
  if (watch->motion != NULL)
    mnk_motion_take(watch->motion, &job->obs.motion);
  if (verdict == MNK_GATE_ACCEPTED) {
    watch->new_shot = FALSE;
    job->frame = mnk_frame_convert(frame, MNK_FRAME_RGB, watch->setup.live.picture_size, &error);
    if (job->frame == NULL) {
      mnk_warning("media", watch->setup.stream, "event=frame-not-converted reason=\"%s\"",
                  error->message);
      g_mutex_lock(&watch->lock);
      watch->counters.dropped++;
      g_mutex_unlock(&watch->lock);
      g_free(job);
      return;
    }
  }
  mnk_queue_push(watch->jobs, job);
  wake(watch);
}

static void take_frame(MnkWatch *watch, const MnkFrame *frame) {
  MnkShotBoundary boundary;
  if (watch->shots != NULL && mnk_shots_push(watch->shots, frame, &boundary))
    note_boundary(watch, &boundary, frame->epoch);
  if (watch->motion != NULL)
    mnk_motion_push(watch->motion, frame);
  watch->end_ms = MAX(watch->end_ms, frame->pts_ms);
  if (frame->sampled)
    offer(watch, frame);
}

static void note_gap(MnkWatch *watch) {
  gint64 start_ms, end_ms;
  mnk_source_last_gap(watch->source, &start_ms, &end_ms);
  GString *text = g_string_new(NULL);
  MnkJsonWriter w;
  mnk_json_writer_init(&w, text);
  mnk_json_begin_object(&w, NULL);
  mnk_json_add_int(&w, "start_ms", start_ms + watch->setup.offset_ms);
  mnk_json_add_int(&w, "end_ms", end_ms + watch->setup.offset_ms);
  mnk_json_add_string(&w, "why", "the source was away");
  mnk_json_end_object(&w);
  note_event(watch, MNK_MSG_GAP, start_ms + watch->setup.offset_ms, text);
}

static void copy_counters(MnkWatch *watch) {
  MnkSourceCounters from;
  mnk_source_counters(watch->source, &from);
  g_mutex_lock(&watch->lock);
  watch->counters.decoded = from.decoded;
  watch->counters.damaged = from.damaged_packets;
  watch->counters.reconnects = from.reconnects;
  watch->counters.decode_ms = (double)from.decode_us / 1000.0;
  g_mutex_unlock(&watch->lock);
}

static void read_all(MnkWatch *watch, GError **error) {
  guint since_counted = 0;
  while (!g_atomic_int_get(&watch->stop)) {
    g_autoptr(MnkFrame) frame = NULL;
    g_autoptr(MnkAudio) audio = NULL;
    switch (mnk_source_read(watch->source, &frame, &audio, error)) {
    case MNK_READ_FRAME:
      take_frame(watch, frame);
      if (++since_counted >= 32) {
        copy_counters(watch);
        since_counted = 0;
      }
      break;
    case MNK_READ_AUDIO:
      break;
    case MNK_READ_GAP:
      note_gap(watch);
      break;
    case MNK_READ_END:
    case MNK_READ_ERROR:
      return;
    }
  }
  g_set_error_literal(error, MNK_ERROR, MNK_ERROR_CANCELLED, "stopped");
}

static gboolean open_source(MnkWatch *watch, GError **error) {
  const MnkWatchSetup *setup = &watch->setup;
  MnkSourceConfig config = {
      .kind = setup->kind,
      .address = setup->address,
      .fd = watch->fd,
      .fps = setup->live.fps,
      .from_ms = setup->from_ms,
      .to_ms = setup->to_ms,
      .resume_ms = setup->resume_ms,
      .loop = setup->loop,
      .realtime = setup->realtime,
      .every_frame = setup->every_frame,
      .rtsp_udp = setup->rtsp_udp,
      .timeout_ms = setup->timeout_ms,
      .reconnect_max = setup->reconnect_max,
      .max_pixels = setup->max_pixels,
      .stop = &watch->stop,
  };
  watch->fd = -1;
  MnkSource *source = mnk_source_open(&config, error);
  if (source == NULL)
    return FALSE;
  watch->source = source;
  g_autoptr(GString) text = g_string_new(NULL);
  mnk_source_info_write(mnk_source_info(source), text);
  send(watch, MNK_MSG_OPENED, text);
  return TRUE;
}

static gpointer run(gpointer user) {
  MnkWatch *watch = user;
  MnkShotBoundary boundary;
  g_autoptr(GError) error = NULL;
  if (open_source(watch, &error)) {
    read_all(watch, &error);
    while (watch->shots != NULL && mnk_shots_flush(watch->shots, &boundary))
      note_boundary(watch, &boundary, 0);
    copy_counters(watch);
    const MnkSourceInfo *info = mnk_source_info(watch->source);
    if (watch->counters.decoded > 0) /* a single picture lasts as long as one that was sampled */
      watch->end_ms += info->fps > 0 && watch->counters.decoded > 1 ? (gint64)(1000.0 / info->fps)
                                                                    : watch->step_ms;
  }
  watch->failure = g_steal_pointer(&error);
  g_atomic_int_set(&watch->reading, 0);
  wake(watch);
  return NULL;
}

/* ---- life ---- */

MnkWatch *mnk_watch_new(const MnkWatchSetup *setup, guint32 number, int fd, MnkChannel *channel,
                        MnkSlots *slots, MnkLooker *looker) {
  MnkWatch *watch = g_new0(MnkWatch, 1);
  gboolean live = setup->kind != MNK_SOURCE_FILE || setup->realtime;
  watch->setup = *setup;
  watch->setup.stream = g_strdup(setup->stream);
  watch->setup.address = g_strdup(setup->address);
  watch->setup.fault = g_strdup(setup->fault);
  watch->refs = 1;
  watch->number = number;
  watch->fd = fd;
  watch->channel = channel;
  watch->slots = slots;
  watch->looker = looker;
  watch->reading = 1;
  watch->new_shot = watch->shot_began = TRUE;
  watch->step_ms = MAX((gint64)(1000.0 / setup->live.fps), 1);
  g_mutex_init(&watch->lock);
  watch->jobs =
      mnk_queue_new(MAX_WAITING, live ? MNK_QUEUE_DROP_OLDEST : MNK_QUEUE_BLOCK, job_free);
  watch->events = mnk_queue_new(MAX_EVENTS, MNK_QUEUE_BLOCK, event_free);
  watch->gate = mnk_gate_new(setup->live.gate_mse, setup->live.gate_max_gap_ms);
  watch->shots = setup->cuts ? mnk_shots_new() : NULL;
  watch->motion = setup->camera_motion ? mnk_motion_new() : NULL;
  watch->thread = g_thread_new("reader", run, watch);
  return watch;
}

void mnk_watch_stop(MnkWatch *watch) {
  g_atomic_int_set(&watch->stop, 1);
}

gboolean mnk_watch_is_over(MnkWatch *watch) {
  return g_atomic_int_get(&watch->ended);
}

void mnk_watch_free(MnkWatch *watch) {
  if (watch == NULL)
    return;
  mnk_watch_stop(watch);
  mnk_queue_close(watch->jobs);
  g_thread_join(watch->thread);
  mnk_watch_unref(watch);
}

MnkWatch *mnk_watch_ref(MnkWatch *watch) {
  g_atomic_int_inc(&watch->refs);
  return watch;
}

void mnk_watch_unref(MnkWatch *watch) {
  if (!g_atomic_int_dec_and_test(&watch->refs))
    return;
  mnk_source_free(watch->source);
  mnk_queue_free(watch->jobs);
  mnk_queue_free(watch->events);
  mnk_gate_free(watch->gate);
  mnk_shots_free(watch->shots);
  mnk_motion_free(watch->motion);
  g_clear_error(&watch->failure);
  g_clear_pointer(&watch->next_event, event_free);
  mnk_watch_setup_clear(&watch->setup);
  g_mutex_clear(&watch->lock);
  if (watch->fd >= 0)
    close(watch->fd);
  g_free(watch);
}
