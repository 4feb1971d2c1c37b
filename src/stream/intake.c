/* What the worker says about one stream. */
#include "stream/server_priv.h"

enum { MAX_PICTURES = 24 };

static const gint64 RUNNING_EVERY_US = G_USEC_PER_SEC;

/* What lies between the last observation and the first of now was not seen. */
void mnk_stream_mark_gap(MnkStream *stream, gint64 until_ms) {
  g_autofree char *why = g_steal_pointer(&stream->away_why);
  gint64 from_ms = MAX(stream->seen_end_ms, 0);
  if (until_ms <= from_ms)
    return;
  stream->gaps++;
  mnk_timeline_gap(stream->timeline, from_ms, until_ms, why);
}

static void show_running(MnkStream *stream) {
  gint64 now_us = mnk_clock_mono_us(mnk_clock_system());
  if (!stream->want_running || now_us - stream->running_us < RUNNING_EVERY_US)
    return;
  stream->running_us = now_us;
  mnk_timeline_peek(stream->timeline);
}

/* How far a frame reaches. A pushed one's step looks back, over frames that were dropped, too. */
static gint64 step_of(const MnkStream *stream, const MnkObservation *obs) {
  gint64 interval_ms = stream->pusher != NULL ? mnk_pusher_interval_ms(stream->pusher) : 0;
  return interval_ms > 0 ? MIN(obs->step_ms, interval_ms) : obs->step_ms;
}

/* A frame that came sooner than the one before it promised: what was told of that one stands. */
static void into_timeline(MnkStream *stream, MnkObservation *obs) {
  gint64 pts_ms = obs->pts_ms, cut_ms = obs->cut_ms;
  obs->pts_ms = MAX(pts_ms, stream->told_end_ms);
  obs->cut_ms = MAX(cut_ms, stream->told_end_ms);
  mnk_timeline_observe(stream->timeline, obs);
  obs->pts_ms = pts_ms;
  obs->cut_ms = cut_ms;
}

static void on_observation(MnkStream *stream, const MnkJsonValue *value, GError **error) {
  g_autofree MnkObservation *obs = g_new(MnkObservation, 1);
  if (!mnk_observation_read_json(value, obs, error))
    return;
  if (stream->away_why != NULL && obs->type != MNK_OBS_CUT)
    mnk_stream_mark_gap(stream, obs->pts_ms);
  obs->step_ms = step_of(stream, obs);
  if (stream->teller != NULL)
    mnk_teller_observe(stream->teller, obs);
  if (stream->feeder != NULL)
    mnk_feeder_observe(stream->feeder, obs);
  into_timeline(stream, obs);
  if (stream->pusher != NULL)
    mnk_pusher_observe(stream->pusher, obs);
  if (obs->type == MNK_OBS_CUT)
    return;
  stream->seen_ms = obs->pts_ms;
  stream->seen_end_ms = obs->pts_ms + obs->step_ms;
  stream->seen_arrival_us = obs->arrival_us;
  stream->seen_mono_us = mnk_clock_mono_us(mnk_clock_system());
  if (stream->events.observation != NULL)
    stream->events.observation(obs, stream->user);
  if (stream->events.progress != NULL)
    stream->events.progress(obs->pts_ms, stream->user);
  show_running(stream);
  guint batch = (guint)mnk_settings_int(stream->settings, MNK_OPT_FRAME_BATCH_SIZE);
  if (stream->teller != NULL && stream->pusher == NULL &&
      mnk_teller_gathered(stream->teller) >= batch)
    mnk_stream_decode(stream);
}

static void on_picture(MnkStream *stream, const MnkJsonValue *value, GError **error) {
  gint64 pts_ms;
  g_autoptr(GBytes) jpeg = mnk_link_picture(stream->link, value, &pts_ms, error);
  if (jpeg == NULL)
    return;
  if (stream->teller != NULL)
    mnk_teller_picture(stream->teller, pts_ms, jpeg);
  if (stream->feeder != NULL)
    mnk_feeder_picture(stream->feeder, pts_ms, jpeg);
  if (g_hash_table_size(stream->pictures) < MAX_PICTURES)
    g_hash_table_insert(stream->pictures, g_memdup2(&pts_ms, sizeof pts_ms), g_bytes_ref(jpeg));
}

static void on_preview(MnkStream *stream, const MnkJsonValue *value, GError **error) {
  gint64 pts_ms;
  g_autoptr(GBytes) jpeg = mnk_link_picture(stream->link, value, &pts_ms, error);
  if (jpeg != NULL && stream->events.preview != NULL)
    stream->events.preview(pts_ms, jpeg, stream->user);
}

static void on_gap(MnkStream *stream, const MnkJsonValue *value, GError **error) {
  gint64 start_ms, end_ms;
  const char *why = NULL;
  if (!mnk_json_get_int(value, "start_ms", MNK_JSON_REQUIRED, 0, G_MAXINT64, &start_ms, error) ||
      !mnk_json_get_int(value, "end_ms", MNK_JSON_REQUIRED, 0, G_MAXINT64, &end_ms, error) ||
      !mnk_json_get_string(value, "why", MNK_JSON_REQUIRED, 256, &why, error))
    return;
  stream->gaps++;
  mnk_timeline_gap(stream->timeline, start_ms, end_ms, why);
}

static void on_opened(MnkStream *stream, const MnkJsonValue *value, const char *text) {
  stream->duration_ms = mnk_json_int(mnk_json_get(value, "duration_ms"), -1);
  if (stream->events.opened != NULL)
    stream->events.opened(text, stream->duration_ms, stream->user);
}

static void on_marked(MnkStream *stream, const MnkJsonValue *value, GError **error) {
  gint64 number;
  if (mnk_json_get_int(value, "number", MNK_JSON_REQUIRED, 1, G_MAXINT64, &number, error) &&
      stream->pusher != NULL)
    mnk_pusher_marked(stream->pusher, (guint64)number);
}

static void on_ended(MnkStream *stream, const MnkJsonValue *value, GError **error) {
  gint64 end_ms;
  GError *failure = NULL;
  if (!mnk_ended_read(value, &end_ms, &failure, error))
    return;
  if (stream->away_why != NULL && failure == NULL)
    mnk_stream_mark_gap(stream, end_ms);
  mnk_stream_source_over(stream, end_ms, failure);
}

/* ---- counters ---- */

void mnk_stream_add_counters(MnkWatchCounters *sum, const MnkWatchCounters *other) {
  sum->received += other->received, sum->encoded += other->encoded, sum->gated += other->gated;
  sum->late += other->late, sum->decoded += other->decoded, sum->damaged += other->damaged;
  sum->dropped += other->dropped, sum->reconnects += other->reconnects;
  sum->dropped_behind += other->dropped_behind, sum->dropped_damaged += other->dropped_damaged;
  sum->decode_ms += other->decode_ms, sum->look_ms += other->look_ms;
  for (guint i = 0; i < G_N_ELEMENTS(sum->part_ms); i++) {
    sum->part_ms[i] += other->part_ms[i];
    sum->part_runs[i] += other->part_runs[i];
  }
}

/* The worker counts its frames' latencies by bucket; what is new since its last word goes into the
 * metric. */
static void observe_latency(const MnkWatchCounters *now, const MnkWatchCounters *before) {
  MnkMetric *metric =
      mnk_histogram("gate_latency_ms", "Time from a frame's arrival to the gate's verdict.", NULL,
                    mnk_latency_bounds_ms, mnk_latency_bounds_n);
  for (guint i = 0; i <= mnk_latency_bounds_n; i++) {
    double value = i < mnk_latency_bounds_n ? mnk_latency_bounds_ms[i]
                                            : 2 * mnk_latency_bounds_ms[mnk_latency_bounds_n - 1];
    if (now->gate_counts[i] > before->gate_counts[i])
      mnk_metric_observe_many(metric, value, now->gate_counts[i] - before->gate_counts[i]);
  }
}

static void on_counters(MnkStream *stream, const MnkJsonValue *value, GError **error) {
  MnkWatchCounters counters;
  if (!mnk_watch_counters_read(value, &counters, error))
    return;
  observe_latency(&counters, &stream->counters);
  stream->counters = counters;
}

/* ---- all of it ---- */

static void dispatch(MnkStream *stream, MnkMessageType type, const MnkJsonValue *root,
                     const char *text, GError **error) {
  switch (type) {
  case MNK_MSG_OBSERVATION:
    on_observation(stream, root, error);
    break;
  case MNK_MSG_PICTURE:
    on_picture(stream, root, error);
    break;
  case MNK_MSG_PREVIEW:
    on_preview(stream, root, error);
    break;
  case MNK_MSG_COUNTERS:
    on_counters(stream, root, error);
    break;
  case MNK_MSG_GAP:
    on_gap(stream, root, error);
    break;
  case MNK_MSG_OPENED:
    on_opened(stream, root, text);
    break;
  case MNK_MSG_MARKED:
    on_marked(stream, root, error);
    break;
  case MNK_MSG_ENDED:
    on_ended(stream, root, error);
    break;
  default:
    break;
  }
}

void mnk_stream_intake(MnkStream *stream, MnkMessage *message) {
  g_autoptr(GError) error = NULL;
  g_autoptr(MnkJson) json = mnk_message_json(message, &error);
  gboolean is_picture = message->type == MNK_MSG_PICTURE || message->type == MNK_MSG_PREVIEW;
  if (json != NULL && (!stream->source_over || is_picture)) {
    g_autofree char *text = message->type == MNK_MSG_OPENED
                                ? g_strndup(g_bytes_get_data(message->payload, NULL),
                                            g_bytes_get_size(message->payload))
                                : NULL;
    dispatch(stream, message->type, mnk_json_root(json), text, &error);
  }
  if (error != NULL)
    mnk_warning("ipc", stream->id, "event=message-refused type=%d reason=\"%s\"", message->type,
                error->message);
}
