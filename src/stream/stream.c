#include "stream/stream_priv.h"

#include <math.h>
#include <unistd.h>

enum { STREAM = 1, MAX_PICTURES = 24 };

static const gint64 STOP_GRACE_US = 3 * G_USEC_PER_SEC;
static const gint64 HANG_MS = 20000;
static const int SEND_TIMEOUT_MS = 5000;

struct _MnkStream {
  char *id, *source_text;
  MnkSettings *settings;
  MnkSourceName source;
  MnkWatchSetup setup;
  MnkStore *store;
  MnkStreamEvents events;
  gpointer user;

  MnkSupervisor *supervisor;
  MnkSlots *slots;
  MnkCaptioner *captioner;
  GHashTable *pictures; /* pts (gint64 *) -> GBytes: of the running scene */

  MnkWatchCounters counters, before; /* of this worker; of those that died */
  guint64 deaths, gaps;
  gint64 duration_ms; /* of the file; < 0: unknown */
  gint64 seen_ms;     /* the newest observation; < 0: none yet */
  gint64 seen_end_ms; /* how far it reaches */
  gint64 seen_mono_us;
  char *died_why; /* a worker died: the next observation tells how much was missed */
  gboolean stopping, source_over;
  GError *failure; /* how the source ended */
  guint stop_timer, end_timer;
  gboolean ended;
};

/* ---- the end ---- */

/* The last event, from the main loop: nothing of ours is on the stack then. */
static gboolean end_now(gpointer user) {
  MnkStream *stream = user;
  stream->end_timer = 0;
  if (mnk_captioner_waiting(stream->captioner) > 0) {
    stream->end_timer = g_timeout_add(5, end_now, stream);
    return G_SOURCE_REMOVE;
  }
  stream->ended = TRUE;
  g_autoptr(GError) failure = g_steal_pointer(&stream->failure);
  stream->events.ended(failure, stream->user);
  return G_SOURCE_REMOVE;
}

static void source_over(MnkStream *stream, gint64 end_ms, GError *failure) {
  if (stream->source_over) {
    g_clear_error(&failure);
    return;
  }
  stream->source_over = TRUE;
  stream->failure = failure;
  if (stream->stopping && stream->failure == NULL)
    g_set_error_literal(&stream->failure, MNK_ERROR, MNK_ERROR_CANCELLED, "stopped");
  g_clear_handle_id(&stream->stop_timer, g_source_remove);
  /* where the source ended, if the worker could tell */
  mnk_timeline_finish(mnk_captioner_timeline(stream->captioner),
                      end_ms > stream->seen_ms ? end_ms : stream->seen_end_ms);
  stream->end_timer = g_idle_add(end_now, stream);
}

static gboolean stop_is_late(gpointer user) {
  MnkStream *stream = user;
  stream->stop_timer = 0;
  source_over(stream, 0, NULL);
  return G_SOURCE_REMOVE;
}

/* ---- captions ---- */

/* The picture nearest to the middle of what the caption tells. */
static GBytes *picture_for(MnkStream *stream, const MnkCaption *caption, gint64 *pts_ms) {
  gint64 middle = caption->start_ms + (caption->end_ms - caption->start_ms) / 2;
  GBytes *best = NULL;
  GHashTableIter iter;
  gpointer key, value;
  g_hash_table_iter_init(&iter, stream->pictures);
  while (g_hash_table_iter_next(&iter, &key, &value)) {
    gint64 at = *(const gint64 *)key;
    if (at < caption->start_ms || at >= caption->end_ms)
      continue;
    if (best == NULL || ABS(at - middle) < ABS(*pts_ms - middle)) {
      best = value;
      *pts_ms = at;
    }
  }
  return best;
}

static gboolean is_before(gpointer key, gpointer value, gpointer limit) {
  return *(const gint64 *)key < *(const gint64 *)limit;
}

static void on_caption(const MnkCaption *caption, gboolean durable, gpointer user) {
  MnkStream *stream = user;
  gint64 pts_ms = 0;
  GBytes *picture = picture_for(stream, caption, &pts_ms);
  if (picture != NULL && stream->events.picture != NULL)
    stream->events.picture(caption, pts_ms, picture, stream->user);
  gint64 end_ms = caption->end_ms;
  g_hash_table_foreach_remove(stream->pictures, is_before, &end_ms);
  stream->events.caption(caption, durable, stream->user);
}

/* ---- messages from the worker ---- */

/* A worker had died: what lies between its last word and the first of the next was not seen. */
static void mark_gap(MnkStream *stream, gint64 until_ms) {
  g_autofree char *why =
      g_strdup_printf("the worker was %s and was started again", stream->died_why);
  g_clear_pointer(&stream->died_why, g_free);
  stream->gaps++;
  mnk_timeline_gap(mnk_captioner_timeline(stream->captioner), MAX(stream->seen_end_ms, 0),
                   MAX(until_ms, stream->seen_end_ms), why);
}

static void on_observation(MnkStream *stream, const MnkJsonValue *value, GError **error) {
  g_autofree MnkObservation *obs = g_new(MnkObservation, 1);
  if (!mnk_observation_read_json(value, obs, error))
    return;
  if (stream->died_why != NULL && obs->type != MNK_OBS_CUT)
    mark_gap(stream, obs->pts_ms);
  mnk_timeline_observe(mnk_captioner_timeline(stream->captioner), obs);
  if (obs->type == MNK_OBS_CUT)
    return;
  stream->seen_ms = obs->pts_ms;
  stream->seen_end_ms = obs->pts_ms + obs->step_ms;
  stream->seen_mono_us = mnk_clock_mono_us(mnk_clock_system());
  if (stream->events.progress != NULL)
    stream->events.progress(obs->pts_ms, stream->user);
}

static void on_picture(MnkStream *stream, const MnkJsonValue *value, GError **error) {
  gint64 pts_ms, slot, length;
  if (!mnk_json_get_int(value, "pts_ms", MNK_JSON_REQUIRED, 0, G_MAXINT64, &pts_ms, error) ||
      !mnk_json_get_int(value, "slot", MNK_JSON_REQUIRED, 0, MNK_SLOTS - 1, &slot, error) ||
      !mnk_json_get_int(value, "length", MNK_JSON_REQUIRED, 1, MNK_SLOT_SIZE, &length, error))
    return;
  const guint8 *bytes = mnk_slots_bytes(stream->slots, (guint)slot);
  if (g_hash_table_size(stream->pictures) < MAX_PICTURES)
    g_hash_table_insert(stream->pictures, g_memdup2(&pts_ms, sizeof pts_ms),
                        g_bytes_new(bytes, (gsize)length));
  g_autofree char *reply = g_strdup_printf("{\"slot\":%d}", (int)slot);
  MnkChannel *channel = mnk_supervisor_channel(stream->supervisor);
  if (channel != NULL)
    mnk_channel_send(channel, MNK_MSG_SLOT_FREE, STREAM, reply, strlen(reply), -1, SEND_TIMEOUT_MS,
                     NULL);
}

static void on_gap(MnkStream *stream, const MnkJsonValue *value, GError **error) {
  gint64 start_ms, end_ms;
  const char *why = NULL;
  if (!mnk_json_get_int(value, "start_ms", MNK_JSON_REQUIRED, 0, G_MAXINT64, &start_ms, error) ||
      !mnk_json_get_int(value, "end_ms", MNK_JSON_REQUIRED, 0, G_MAXINT64, &end_ms, error) ||
      !mnk_json_get_string(value, "why", MNK_JSON_REQUIRED, 256, &why, error))
    return;
  stream->gaps++;
  mnk_timeline_gap(mnk_captioner_timeline(stream->captioner), start_ms, end_ms, why);
}

static void on_opened(MnkStream *stream, const MnkJsonValue *value, const char *text) {
  stream->duration_ms = mnk_json_int(mnk_json_get(value, "duration_ms"), -1);
  if (stream->events.opened != NULL)
    stream->events.opened(text, stream->duration_ms, stream->user);
}

static void on_ready(MnkStream *stream, const MnkJsonValue *value) {
  MnkJsonIter iter = {0};
  const char *part = NULL;
  const MnkJsonValue *why = NULL;
  while (mnk_json_next(mnk_json_get(value, "faults"), &iter, &part, &why))
    mnk_warning("vision", stream->id, "event=part-missing part=%s reason=\"%s\"", part,
                mnk_json_string(why, ""));
}

static void on_ended(MnkStream *stream, const MnkJsonValue *value, GError **error) {
  gint64 end_ms;
  GError *failure = NULL;
  if (!mnk_ended_read(value, &end_ms, &failure, error))
    return;
  if (stream->died_why != NULL && failure == NULL)
    mark_gap(stream, end_ms);
  source_over(stream, end_ms, failure);
}

static void on_message(MnkMessage *message, gpointer user) {
  MnkStream *stream = user;
  gsize length = 0;
  const char *bytes = g_bytes_get_data(message->payload, &length);
  g_autoptr(GError) error = NULL;
  g_autoptr(MnkJson) json = mnk_json_parse(bytes, length, NULL, &error);
  const MnkJsonValue *root = json != NULL ? mnk_json_root(json) : NULL;
  if (root == NULL || stream->source_over) {
    /* damaged (told below), or late */
  } else if (message->type == MNK_MSG_OBSERVATION) {
    on_observation(stream, root, &error);
  } else if (message->type == MNK_MSG_PICTURE) {
    on_picture(stream, root, &error);
  } else if (message->type == MNK_MSG_COUNTERS) {
    mnk_watch_counters_read(root, &stream->counters, &error);
  } else if (message->type == MNK_MSG_GAP) {
    on_gap(stream, root, &error);
  } else if (message->type == MNK_MSG_OPENED) {
    g_autofree char *text = g_strndup(bytes, length);
    on_opened(stream, root, text);
  } else if (message->type == MNK_MSG_READY) {
    on_ready(stream, root);
  } else if (message->type == MNK_MSG_ENDED) {
    on_ended(stream, root, &error);
  }
  if (error != NULL)
    mnk_warning("ipc", stream->id, "event=message-refused type=%d reason=\"%s\"", message->type,
                error->message);
}

/* ---- the worker's life ---- */

/* Where the next worker goes on. A file goes on behind the frame in hand when the last one died:
 * that frame may be what killed it. A live source goes on where it is now. */
static void set_resume(MnkStream *stream) {
  MnkWatchSetup *setup = &stream->setup;
  setup->resume_ms = -1;
  if (stream->seen_ms < 0 && stream->deaths == 0)
    return;
  gint64 step_ms = MAX((gint64)ceil(1000.0 / setup->live.fps), 1);
  gint64 next_ms = stream->seen_ms < 0 ? setup->from_ms + step_ms * (gint64)stream->deaths
                                       : stream->seen_end_ms + step_ms / 2;
  if (setup->kind != MNK_SOURCE_FILE || stream->source.standard_input) {
    gint64 away_us = mnk_clock_mono_us(mnk_clock_system()) - stream->seen_mono_us;
    setup->offset_ms = stream->seen_ms < 0 ? 0 : stream->seen_end_ms + away_us / 1000;
    return;
  }
  gint64 length_ms = (setup->to_ms >= 0 ? setup->to_ms : stream->duration_ms) - setup->from_ms;
  if (setup->loop && length_ms > 0) {
    gint64 passes = MAX(next_ms - setup->from_ms, 0) / length_ms;
    setup->offset_ms = passes * length_ms;
  }
  setup->resume_ms = next_ms - setup->offset_ms;
}

static gboolean send_text(MnkChannel *channel, MnkMessageType type, guint32 number,
                          const GString *text, int fd, GError **error) {
  return mnk_channel_send(channel, type, number, text->str, text->len, fd, SEND_TIMEOUT_MS, error);
}

static gboolean send_setup(MnkStream *stream, MnkChannel *channel, GError **error) {
  g_autoptr(GString) hello = g_string_new(NULL);
  g_autoptr(GString) open = g_string_new(NULL);
  MnkWorkerSetup worker;
  mnk_worker_setup_init(&worker, stream->settings, &stream->source);
  mnk_worker_setup_write(&worker, hello);
  mnk_worker_setup_clear(&worker);
  set_resume(stream);
  mnk_watch_setup_write(&stream->setup, open);
  int fd = -1;
  if (stream->source.kind == MNK_SOURCE_FILE &&
      (fd = mnk_source_name_open(&stream->source, error)) < 0)
    return FALSE;
  gboolean sent = send_text(channel, MNK_MSG_HELLO, 0, hello, mnk_slots_fd(stream->slots), error) &&
                  send_text(channel, MNK_MSG_OPEN, STREAM, open, fd, error);
  if (fd >= 0)
    close(fd);
  return sent;
}

static void add_counters(MnkWatchCounters *sum, const MnkWatchCounters *other) {
  sum->received += other->received, sum->encoded += other->encoded, sum->gated += other->gated;
  sum->late += other->late, sum->decoded += other->decoded, sum->damaged += other->damaged;
  sum->dropped += other->dropped, sum->reconnects += other->reconnects;
  sum->decode_ms += other->decode_ms, sum->look_ms += other->look_ms;
  for (guint i = 0; i < G_N_ELEMENTS(sum->part_ms); i++) {
    sum->part_ms[i] += other->part_ms[i];
    sum->part_runs[i] += other->part_runs[i];
  }
}

static void on_started(MnkChannel *channel, guint attempt, gpointer user) {
  MnkStream *stream = user;
  GError *error = NULL;
  if (attempt > 0)
    mnk_warning("ipc", stream->id, "event=worker-started attempt=%u", attempt);
  if (!send_setup(stream, channel, &error))
    source_over(stream, 0, error);
}

static void on_died(const char *why, gboolean given_up, gpointer user) {
  MnkStream *stream = user;
  if (stream->source_over)
    return;
  stream->deaths++;
  /* What waited in the worker went with it. */
  stream->counters.dropped += stream->counters.queued;
  stream->counters.queued = 0;
  add_counters(&stream->before, &stream->counters);
  stream->counters = (MnkWatchCounters){0};
  g_hash_table_remove_all(stream->pictures);
  mnk_warning("ipc", stream->id, "event=worker-died reason=\"%s\" given_up=%d", why, given_up);
  g_free(stream->died_why);
  stream->died_why = g_strdup(why);
  if (!given_up && !stream->stopping)
    return;
  GError *error = NULL;
  if (given_up)
    g_set_error(&error, MNK_ERROR, MNK_ERROR_WORKER,
                "the worker died %" G_GUINT64_FORMAT " times (last: %s) and is not started again",
                stream->deaths, why);
  source_over(stream, 0, error);
}

/* ---- life ---- */

static gboolean choose_id(MnkStream *stream, GError **error) {
  const char *wish = mnk_settings_string(stream->settings, MNK_OPT_STREAM);
  stream->id = wish != NULL ? g_strdup(wish) : mnk_source_name_id(&stream->source);
  if (mnk_stream_id_is_valid(stream->id))
    return TRUE;
  g_set_error(error, MNK_ERROR, MNK_ERROR_USAGE,
              "the stream id \"%s\" may have 1 to 64 letters, digits, '-' and '_'", stream->id);
  return FALSE;
}

static gboolean check_range(const MnkWatchSetup *setup, GError **error) {
  if (setup->to_ms < 0 || setup->to_ms > setup->from_ms)
    return TRUE;
  g_set_error_literal(error, MNK_ERROR, MNK_ERROR_USAGE, "--to must be later than --from");
  return FALSE;
}

MnkStream *mnk_stream_new(const MnkSettings *settings, const char *source,
                          const MnkStreamEvents *events, gpointer user, GError **error) {
  g_autoptr(MnkStream) stream = g_new0(MnkStream, 1);
  stream->settings = mnk_settings_copy(settings);
  stream->seen_ms = stream->seen_end_ms = -1;
  stream->duration_ms = -1;
  stream->events = *events;
  stream->user = user;
  stream->source_text = g_strdup(source);
  mnk_watch_setup_init(&stream->setup, settings);
  if (!mnk_source_name_parse(source, &stream->source, error) || !choose_id(stream, error) ||
      !check_range(&stream->setup, error))
    return NULL;
  stream->setup.stream = g_strdup(stream->id);
  stream->setup.address = g_strdup(stream->source.address);
  stream->setup.kind = stream->source.kind;
  stream->pictures =
      g_hash_table_new_full(g_int64_hash, g_int64_equal, g_free, (GDestroyNotify)g_bytes_unref);
  stream->slots = mnk_slots_new(MNK_SLOTS, MNK_SLOT_SIZE, error);
  return stream->slots != NULL ? g_steal_pointer(&stream) : NULL;
}

void mnk_stream_set_store(MnkStream *stream, MnkStore *store) {
  stream->store = store;
}

gboolean mnk_stream_start(MnkStream *stream, GError **error) {
  static const MnkSupervisorEvents EVENTS = {on_started, on_message, on_died};
  g_autofree char *self = mnk_path_self(error);
  if (self == NULL)
    return FALSE;
  const char *const argv[] = {self, "worker", NULL};
  MnkSupervisorConfig config = {
      .argv = argv,
      .deaths_max = (guint)mnk_settings_int(stream->settings, MNK_OPT_WORKER_DEATHS),
      .backoff_min_ms = 100,
      .backoff_max_ms = 10000,
      .hang_ms = HANG_MS,
  };
  stream->captioner =
      mnk_captioner_new(stream->id, stream->settings, stream->store, on_caption, stream);
  if (stream->store != NULL)
    mnk_store_put_stream(stream->store, stream->id, stream->source_text,
                         mnk_clock_wall_us(mnk_clock_system()), TRUE, NULL, NULL);
  stream->supervisor = mnk_supervisor_new(&config, &EVENTS, stream);
  return mnk_supervisor_start(stream->supervisor, error);
}

void mnk_stream_stop(MnkStream *stream) {
  if (stream->stopping || stream->source_over)
    return;
  stream->stopping = TRUE;
  MnkChannel *channel = mnk_supervisor_channel(stream->supervisor);
  if (channel == NULL ||
      !mnk_channel_send(channel, MNK_MSG_CLOSE, STREAM, "{}", 2, -1, 100, NULL)) {
    source_over(stream, 0, NULL);
    return;
  }
  stream->stop_timer = g_timeout_add((guint)(STOP_GRACE_US / 1000), stop_is_late, stream);
}

void mnk_stream_close(MnkStream *stream) {
  g_clear_handle_id(&stream->stop_timer, g_source_remove);
  g_clear_handle_id(&stream->end_timer, g_source_remove);
  stream->source_over = TRUE;
  if (stream->supervisor != NULL)
    mnk_supervisor_stop(stream->supervisor, STOP_GRACE_US / 1000);
}

void mnk_stream_free(MnkStream *stream) {
  if (stream == NULL)
    return;
  mnk_stream_close(stream);
  mnk_supervisor_free(stream->supervisor);
  mnk_captioner_free(stream->captioner);
  mnk_slots_free(stream->slots);
  g_clear_pointer(&stream->pictures, g_hash_table_unref);
  mnk_source_name_clear(&stream->source);
  mnk_watch_setup_clear(&stream->setup);
  mnk_settings_free(stream->settings);
  g_clear_error(&stream->failure);
  g_free(stream->died_why);
  g_free(stream->source_text);
  g_free(stream->id);
  g_free(stream);
}

const char *mnk_stream_id(const MnkStream *stream) {
  return stream->id;
}

GPid mnk_stream_worker_pid(const MnkStream *stream) {
  return stream->supervisor != NULL ? mnk_supervisor_pid(stream->supervisor) : 0;
}

void mnk_stream_counters(const MnkStream *stream, MnkStreamCounters *out) {
  MnkWatchCounters sum = stream->before;
  add_counters(&sum, &stream->counters);
  *out = (MnkStreamCounters){
      .received = sum.received,
      .encoded = sum.encoded,
      .gated = sum.gated,
      .late = sum.late,
      .dropped = sum.dropped,
      .queued = stream->counters.queued,
      .decoded = sum.decoded,
      .worker_deaths = stream->deaths,
      .gaps = stream->gaps,
      .captions = mnk_captioner_count(stream->captioner),
      .decode_ms = sum.decode_ms,
      .look_ms = sum.look_ms,
  };
  for (guint i = 0; i < G_N_ELEMENTS(out->part_ms); i++) {
    out->part_ms[i] = sum.part_ms[i];
    out->part_runs[i] = sum.part_runs[i];
  }
}
