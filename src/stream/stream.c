/* A stream's life in the server: from its source's name to its last caption. */
#include "stream/server_priv.h"

#include <math.h>

/* Of a file: while one is asked about, another waits, so that the backend always has work. */
enum { ENOUGH_ROUNDS = 2 };

static const gint64 STOP_GRACE_MS = 3000;

/* ---- the end ---- */

static gboolean captions_wait(const MnkStream *stream) {
  return mnk_captioner_waiting(stream->captioner) > 0 ||
         (stream->teller != NULL && mnk_teller_is_busy(stream->teller));
}

/* The last event, from the main loop: nothing of ours is on the stack then. */
static gboolean end_now(gpointer user) {
  MnkStream *stream = user;
  stream->end_timer = 0;
  if (captions_wait(stream)) {
    stream->end_timer = g_timeout_add(5, end_now, stream);
    return G_SOURCE_REMOVE;
  }
  g_autoptr(GError) failure = g_steal_pointer(&stream->failure);
  if (stream->events.ended != NULL)
    stream->events.ended(failure, stream->user);
  return G_SOURCE_REMOVE;
}

void mnk_stream_source_over(MnkStream *stream, gint64 end_ms, GError *failure) {
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
  gint64 last_ms = end_ms > stream->seen_ms ? end_ms : stream->seen_end_ms;
  if (stream->pusher != NULL)
    mnk_pusher_died(stream->pusher);
  mnk_timeline_finish(stream->timeline, last_ms);
  if (stream->teller != NULL) {
    mnk_teller_decode(stream->teller, last_ms);
    mnk_teller_finish(stream->teller);
    if (stream->hurried)
      mnk_teller_hurry(stream->teller);
  }
  stream->end_timer = g_idle_add(end_now, stream);
}

static gboolean stop_is_late(gpointer user) {
  MnkStream *stream = user;
  stream->stop_timer = 0;
  mnk_stream_source_over(stream, 0, NULL);
  return G_SOURCE_REMOVE;
}

/* ---- captions ---- */

static GBytes *picture_for(const MnkCaption *caption, gint64 *pts_ms, gpointer user) {
  /* the picture nearest to the middle of what the caption tells */
  MnkStream *stream = user;
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

static GBytes *kept_picture(const MnkCaption *caption, gint64 *pts_ms, gpointer user) {
  return ((MnkStream *)user)->keep_pictures ? picture_for(caption, pts_ms, user) : NULL;
}

static gboolean is_before(gpointer key, gpointer value, gpointer limit) {
  return *(const gint64 *)key < *(const gint64 *)limit;
}

static void on_caption(const MnkCaption *caption, gboolean durable, gpointer user) {
  MnkStream *stream = user;
  if (!caption->final) {
    if (stream->events.caption != NULL)
      stream->events.caption(caption, FALSE, stream->user);
    return;
  }
  gint64 pts_ms = 0;
  GBytes *picture = picture_for(caption, &pts_ms, stream);
  if (picture != NULL && stream->events.picture != NULL)
    stream->events.picture(caption, pts_ms, picture, stream->user);
  gint64 end_ms = caption->end_ms;
  g_hash_table_foreach_remove(stream->pictures, is_before, &end_ms);
  if (stream->seen_arrival_us > 0)
    mnk_metric_observe(mnk_histogram("caption_latency_ms",
                                     "Time from the newest frame's arrival to a caption's commit.",
                                     NULL, mnk_latency_bounds_ms, mnk_latency_bounds_n),
                       (double)(mnk_clock_wall_us(mnk_clock_system()) - stream->seen_arrival_us) /
                           1000.0);
  if (stream->events.caption != NULL)
    stream->events.caption(caption, durable, stream->user);
}

static void on_scene(const MnkScene *scene, gpointer user) {
  MnkStream *stream = user;
  if (scene->final && stream->scene_told && stream->scene_number == scene->number) {
    mnk_captioner_lengthen(stream->captioner, scene->end_ms); /* a tail too short for its own */
    return;
  }
  MnkCaption *caption = mnk_captioner_caption_of(stream->captioner, scene);
  if (!scene->final) {
    mnk_captioner_show(stream->captioner, caption, scene->starts_at_cut);
    return;
  }
  stream->scene_told = stream->teller == NULL;
  stream->scene_number = scene->number;
  if (stream->teller != NULL)
    mnk_teller_scene(stream->teller, caption, scene->starts_at_cut);
  else
    mnk_captioner_tell(stream->captioner, caption, scene->starts_at_cut);
}

void mnk_stream_decode(MnkStream *stream) {
  mnk_timeline_close(stream->timeline, stream->seen_end_ms);
  if (stream->pusher != NULL)
    stream->told_end_ms = MAX(stream->seen_end_ms, 0);
  if (stream->teller != NULL)
    mnk_teller_decode(stream->teller, stream->seen_end_ms);
}

/* ---- the worker's life ---- */

/* Where the next worker goes on. A file goes on behind the frame in hand when the last one died:
 * that frame may be what killed it. A live source goes on where it is now. */
static void set_resume(MnkStream *stream) {
  MnkWatchSetup *setup = &stream->setup;
  setup->resume_ms = setup->kind == MNK_SOURCE_PUSHED && stream->deaths > 0 ? 0 : -1;
  if (setup->kind == MNK_SOURCE_PUSHED || (stream->seen_ms < 0 && stream->deaths == 0))
    return;
  gint64 step_ms = MAX((gint64)ceil(1000.0 / setup->live.fps), 1);
  gint64 next_ms = stream->seen_ms < 0 ? setup->from_ms + step_ms * (gint64)stream->deaths
                                       : stream->seen_end_ms + step_ms / 2;
  gboolean again = setup->loop && stream->duration_ms < 0; /* a pass of unknown length */
  if (setup->kind != MNK_SOURCE_FILE || stream->source.standard_input || again) {
    gint64 away_us =
        stream->seen_mono_us > 0 ? mnk_clock_mono_us(mnk_clock_system()) - stream->seen_mono_us : 0;
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

static void on_started(gpointer user) {
  MnkStream *stream = user;
  g_autoptr(GString) open = g_string_new(NULL);
  GError *error = NULL;
  int fd = -1;
  if (stream->source_over)
    return;
  set_resume(stream);
  mnk_watch_setup_write(&stream->setup, open);
  if (stream->source.kind == MNK_SOURCE_FILE &&
      (fd = mnk_source_name_open(&stream->source, &error)) < 0) {
    mnk_stream_source_over(stream, 0, error);
    return;
  }
  mnk_link_send(stream->link, MNK_MSG_OPEN, open->str, open->len, fd);
  /* a pushed stream is open as soon as it can take frames */
  if (stream->pusher != NULL && stream->events.opened != NULL)
    stream->events.opened("{}", -1, stream->user);
}

static void on_message(MnkMessage *message, gpointer user) {
  mnk_stream_intake(user, message);
}

static void on_died(const char *why, gboolean given_up, gpointer user) {
  MnkStream *stream = user;
  if (stream->source_over)
    return;
  stream->deaths++;
  /* What waited in the worker went with it. */
  MnkStreamCounters now;
  mnk_stream_counters(stream, &now);
  stream->dropped_worker += now.queued;
  mnk_stream_add_counters(&stream->before, &stream->counters);
  stream->counters = (MnkWatchCounters){0};
  g_hash_table_remove_all(stream->pictures);
  g_free(stream->away_why);
  stream->away_why = g_strdup_printf("the worker was %s and was started again", why);
  if (stream->pusher != NULL)
    mnk_pusher_died(stream->pusher);
  if (!given_up && !stream->stopping)
    return;
  GError *error = NULL;
  if (given_up)
    g_set_error(&error, MNK_ERROR, MNK_ERROR_WORKER,
                "the worker died %" G_GUINT64_FORMAT " times (last: %s) and is not started again",
                stream->deaths, why);
  mnk_stream_source_over(stream, 0, error);
}

/* ---- settings ---- */

static void send_settings(MnkStream *stream) {
  if (stream->link == NULL || !mnk_link_is_up(stream->link))
    return;
  g_autoptr(GString) text = g_string_new(NULL);
  mnk_watch_live_write(&stream->setup.live, text);
  mnk_link_send(stream->link, MNK_MSG_SET, text->str, text->len, -1);
}

/* A file is read no faster than its captions are written: nobody is in a hurry. */
static void pace(gpointer user) {
  MnkStream *stream = user;
  gboolean paused = stream->teller != NULL && mnk_teller_waiting(stream->teller) >= ENOUGH_ROUNDS;
  if (paused == stream->setup.live.paused || stream->source_over)
    return;
  stream->setup.live.paused = paused;
  send_settings(stream);
}

static gboolean can_wait(const MnkStream *stream) {
  return stream->source.kind == MNK_SOURCE_FILE && !stream->setup.realtime;
}

static void make_teller(MnkStream *stream) {
  gboolean wanted =
      stream->backend != NULL &&
      !g_str_equal(mnk_settings_string(stream->settings, MNK_OPT_BACKEND), "template");
  if (wanted && stream->teller == NULL) {
    stream->teller =
        mnk_teller_new(stream->id, stream->captioner, stream->backend, stream->settings);
    if (can_wait(stream))
      mnk_teller_be_patient(stream->teller, pace, stream);
  } else if (wanted)
    mnk_teller_set(stream->teller, stream->settings);
  else if (stream->teller != NULL) {
    mnk_teller_decode(stream->teller, stream->seen_end_ms);
    mnk_teller_finish(stream->teller);
    mnk_teller_hurry(stream->teller);
    g_clear_pointer(&stream->teller, mnk_teller_free);
    pace(stream);
  }
}

/* What the worker needs to know of the settings, and what the server wants of it. */
static void set_live(MnkStream *stream) {
  MnkWatchLive before = stream->setup.live, *live = &stream->setup.live;
  const MnkSettings *settings = stream->settings;
  mnk_watch_live_init(live, settings);
  live->preview_fps = before.preview_fps;
  live->paused = before.paused;
  if (before.preview_size > 0)
    live->preview_size = before.preview_size;
  live->pictures |= stream->wants_pictures;
  if (stream->source.kind != MNK_SOURCE_PUSHED)
    return;
  if (!mnk_settings_is_set(settings, MNK_OPT_FPS))
    live->fps = 0;
  if (stream->events.batch != NULL)
    live->summary_dim = (guint)mnk_settings_int(settings, MNK_OPT_MEMORY_SUMMARY_DIM);
}

gboolean mnk_stream_set(MnkStream *stream, const MnkSettings *settings, GError **error) {
  MnkTimelineConfig timeline = {
      .caption_max_ms = mnk_settings_int(settings, MNK_OPT_CAPTION_MAX),
      .caption_min_ms = mnk_settings_int(settings, MNK_OPT_CAPTION_MIN),
  };
  mnk_settings_free(stream->settings);
  stream->settings = mnk_settings_copy(settings);
  set_live(stream);
  mnk_timeline_set_config(stream->timeline, &timeline);
  mnk_captioner_set_lang(stream->captioner, (MnkLang)mnk_settings_int(settings, MNK_OPT_LANG));
  make_teller(stream);
  send_settings(stream);
  return TRUE;
}

void mnk_stream_set_preview(MnkStream *stream, double fps, int size) {
  MnkWatchLive *live = &stream->setup.live;
  if (fps <= 0)
    size = live->preview_size;
  if (fps == live->preview_fps && size == live->preview_size)
    return;
  live->preview_fps = fps;
  live->preview_size = size;
  send_settings(stream);
}

void mnk_stream_want_running(MnkStream *stream, gboolean wanted) {
  stream->want_running = wanted;
}

/* ---- life ---- */

static gboolean choose_id(MnkStream *stream, const char *wish, GError **error) {
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

/* A file that was begun before goes on behind what was told of it. */
static void go_on(MnkStream *stream, const MnkStreamConfig *config) {
  mnk_captioner_go_on(stream->captioner, config->next_number, config->next_seq);
  if (config->next_ms <= 0)
    return;
  stream->seen_end_ms = config->next_ms;
  stream->seen_ms = config->next_ms - 1;
  mnk_timeline_go_on(stream->timeline, config->next_ms);
  if (stream->pusher == NULL && stream->source.kind != MNK_SOURCE_FILE)
    stream->away_why = g_strdup("the server was started again");
}

MnkStream *mnk_stream_new(const MnkStreamConfig *config, const MnkStreamEvents *events,
                          gpointer user, GError **error) {
  static const MnkCaptionerEvents TOLD = {on_caption, kept_picture};
  g_autoptr(MnkStream) stream = g_new0(MnkStream, 1);
  const MnkSettings *settings = config->settings;
  MnkTimelineConfig timeline = {
      .caption_max_ms = mnk_settings_int(settings, MNK_OPT_CAPTION_MAX),
      .caption_min_ms = mnk_settings_int(settings, MNK_OPT_CAPTION_MIN),
  };
  stream->settings = mnk_settings_copy(settings);
  stream->seen_ms = stream->seen_end_ms = -1;
  stream->duration_ms = -1;
  stream->events = *events;
  stream->user = user;
  stream->workers = config->workers;
  stream->store = config->store;
  stream->backend = config->backend;
  stream->resume = config->resume;
  stream->source_text = g_strdup(config->source);
  mnk_watch_setup_init(&stream->setup, settings);
  if (!mnk_source_name_parse(config->source, &stream->source, error) ||
      !choose_id(stream, config->id, error) || !check_range(&stream->setup, error) ||
      !mnk_source_name_check(&stream->source, settings, config->trusted, error))
    return NULL;
  stream->setup.stream = g_strdup(stream->id);
  stream->setup.address = g_strdup(stream->source.address);
  stream->setup.kind = stream->source.kind;
  if (config->trusted) {
    g_free(stream->setup.outbound_allow);
    stream->setup.outbound_allow = g_strdup("any");
  }
  stream->keep_pictures = config->keep_pictures;
  stream->wants_pictures = config->keep_pictures || config->backend != NULL ||
                           events->picture != NULL || events->frame != NULL;
  if (events->frame != NULL)
    stream->feeder = mnk_feeder_new(stream);
  set_live(stream);
  stream->pictures =
      g_hash_table_new_full(g_int64_hash, g_int64_equal, g_free, (GDestroyNotify)g_bytes_unref);
  stream->timeline = mnk_timeline_new(&timeline, on_scene, stream);
  stream->captioner = mnk_captioner_new(
      stream->id, (MnkLang)mnk_settings_int(settings, MNK_OPT_LANG), config->store, &TOLD, stream);
  if (stream->source.kind == MNK_SOURCE_PUSHED)
    stream->pusher = mnk_pusher_new(stream, config->resume ? config->next_ms : 0,
                                    config->resume ? config->time_zero : 0);
  if (config->resume)
    go_on(stream, config);
  make_teller(stream);
  return g_steal_pointer(&stream);
}

gboolean mnk_stream_start(MnkStream *stream, GError **error) {
  static const MnkLinkEvents EVENTS = {on_started, on_message, on_died};
  stream->link = mnk_link_new(stream->workers, &stream->source, &EVENTS, stream, error);
  return stream->link != NULL;
}

void mnk_stream_stop(MnkStream *stream) {
  if (stream->stopping) {
    stream->hurried = TRUE;
    if (stream->source_over && stream->teller != NULL)
      mnk_teller_hurry(stream->teller);
    return;
  }
  stream->stopping = TRUE;
  if (stream->source_over)
    return;
  gint64 grace_ms = 0;
  if (stream->link != NULL && mnk_link_is_up(stream->link)) {
    mnk_link_send(stream->link, MNK_MSG_CLOSE, "{}", 2, -1);
    grace_ms = STOP_GRACE_MS;
  }
  stream->stop_timer = g_timeout_add((guint)grace_ms, stop_is_late, stream);
}

void mnk_stream_free(MnkStream *stream) {
  if (stream == NULL)
    return;
  g_clear_handle_id(&stream->stop_timer, g_source_remove);
  g_clear_handle_id(&stream->end_timer, g_source_remove);
  mnk_link_free(stream->link);
  mnk_teller_free(stream->teller);
  mnk_pusher_free(stream->pusher);
  mnk_feeder_free(stream->feeder);
  g_clear_pointer(&stream->timeline, mnk_timeline_free);
  mnk_captioner_free(stream->captioner);
  g_clear_pointer(&stream->pictures, g_hash_table_unref);
  mnk_source_name_clear(&stream->source);
  mnk_watch_setup_clear(&stream->setup);
  mnk_settings_free(stream->settings);
  g_clear_error(&stream->failure);
  g_free(stream->away_why);
  g_free(stream->source_text);
  g_free(stream->id);
  g_free(stream);
}

const char *mnk_stream_id(const MnkStream *stream) {
  return stream->id;
}

gint64 mnk_stream_clock_ms(const MnkStream *stream) {
  return stream->seen_ms;
}

double mnk_stream_time_zero(const MnkStream *stream) {
  return stream->pusher != NULL ? mnk_pusher_time_zero(stream->pusher) : 0;
}

GPid mnk_stream_worker_pid(const MnkStream *stream) {
  return stream->link != NULL ? mnk_link_pid(stream->link) : 0;
}

void mnk_stream_counters(const MnkStream *stream, MnkStreamCounters *out) {
  MnkWatchCounters sum = stream->before;
  mnk_stream_add_counters(&sum, &stream->counters);
  *out = (MnkStreamCounters){
      .received = sum.received,
      .encoded = sum.encoded,
      .gated = sum.gated,
      .late = sum.late,
      .dropped = sum.dropped + stream->dropped_worker,
      .dropped_behind = sum.dropped_behind,
      .dropped_damaged = sum.dropped_damaged,
      .dropped_worker = stream->dropped_worker,
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
  if (stream->pusher != NULL)
    mnk_pusher_count(stream->pusher, out);
  if (stream->teller != NULL) {
    MnkTellerCounters told;
    mnk_teller_counters(stream->teller, &told);
    out->batches = told.batches;
    out->batches_stale = told.stale;
    out->fallbacks = told.fallbacks;
    out->tokens = told.tokens;
  }
}
