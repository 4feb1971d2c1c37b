/* The model's life in the server: its files are tried, its process is started and watched. */
#include "local/client_priv.h"

#include <signal.h>

enum { TICK_MS = 500, STOP_MS = 2000, SEQUENCES = 16, MICRO_BATCH = 128, BACKOFF_MAX_MS = 10000 };

static const char *const STATE_NAMES[] = {"trying", "loading", "ready", "away", "failed"};

const char *mnk_local_state_name(MnkLocalState state) {
  return STATE_NAMES[state];
}

/* ---- Sources ---- */

GSource *mnk_local_timer(GMainContext *context, gint64 ms, GSourceFunc func, gpointer user) {
  GSource *source = g_timeout_source_new((guint)CLAMP(ms, 0, G_MAXINT));
  g_source_set_callback(source, func, user, NULL);
  g_source_attach(source, context);
  return source;
}

void mnk_local_drop_source(GSource **source) {
  GSource *own = g_steal_pointer(source);
  if (own == NULL)
    return;
  g_source_destroy(own);
  g_source_unref(own);
}

/* ---- State ---- */

static gboolean on_change(gpointer user) {
  MnkLocal *local = user;
  mnk_local_drop_source(&local->change_source);
  local->changed(local->user);
  return G_SOURCE_REMOVE;
}

static void set_state(MnkLocal *local, MnkLocalState state, const char *detail) {
  local->state = state;
  g_free(local->detail);
  local->detail = g_strdup(detail);
  mnk_info("local", NULL, "event=model-%s detail=\"%s\"", STATE_NAMES[state], detail);
  if (local->change_source == NULL && local->changed != NULL)
    local->change_source = mnk_local_timer(local->context, 0, on_change, local);
}

MnkLocalState mnk_local_state(const MnkLocal *local) {
  return local->state;
}

const char *mnk_local_detail(const MnkLocal *local) {
  return local->detail;
}

const MnkVlmFiles *mnk_local_files(const MnkLocal *local) {
  return &local->files;
}

GPid mnk_local_pid(const MnkLocal *local) {
  return local->supervisor != NULL ? mnk_supervisor_pid(local->supervisor) : 0;
}

static GPtrArray *streams_of(MnkLocal *local) {
  GPtrArray *list = g_ptr_array_new();
  GHashTableIter iter;
  gpointer value;
  g_hash_table_iter_init(&iter, local->by_id);
  while (g_hash_table_iter_next(&iter, NULL, &value))
    g_ptr_array_add(list, value);
  return list;
}

/* Nothing will ever be encoded or answered: whoever waits is told. */
static void fail(MnkLocal *local, const char *detail) {
  mnk_warning("local", NULL, "event=model-failed reason=\"%s\"", detail);
  set_state(local, MNK_LOCAL_FAILED, detail);
  mnk_calls_fail(local, NULL, FALSE, g_error_new_literal(MNK_ERROR, MNK_ERROR_MODEL, detail));
  g_autoptr(GPtrArray) streams = streams_of(local);
  for (guint i = 0; i < streams->len; i++) {
    MnkLocalStream *stream = streams->pdata[i];
    mnk_stream_lost(stream);
    mnk_tower_forget(local->tower, stream);
    mnk_stream_check_idle(stream);
  }
}

/* ---- Sending ---- */

void mnk_local_post(MnkLocal *local, MnkMessageType type, guint32 stream, const GString *text,
                    int fd) {
  mnk_sender_post(local->sender, type, stream, text->str, text->len, fd);
}

void mnk_local_kill(MnkLocal *local, const char *why) {
  GPid pid = mnk_local_pid(local);
  mnk_warning("local", NULL, "event=model-killed reason=\"%s\"", why);
  if (pid > 0)
    kill(pid, SIGKILL);
}

static const char *text_of(const MnkSettings *settings, MnkOptionId id) {
  const char *text = mnk_settings_string(settings, id);
  return text != NULL ? text : "";
}

static void say_hello(MnkLocal *local) {
  g_autoptr(GString) text = g_string_new(NULL);
  const MnkSettings *settings = local->settings;
  const MnkModelHello hello = {
      .model = local->model,
      .mmproj = local->mmproj,
      .indexer = (char *)text_of(settings, MNK_OPT_INDEXER_FILE),
      .context = (guint)mnk_settings_int(settings, MNK_OPT_MODEL_CONTEXT),
      .sequences = SEQUENCES,
      .image_tokens = (guint)mnk_settings_int(settings, MNK_OPT_IMAGE_TOKENS),
      .micro_batch = MICRO_BATCH,
      .threads = mnk_settings_int(settings, MNK_OPT_MODEL_THREADS),
      .threads_batch = mnk_settings_int(settings, MNK_OPT_MODEL_THREADS_BATCH),
      .gpu = mnk_settings_bool(settings, MNK_OPT_MODEL_GPU),
      .sandbox = mnk_settings_bool(settings, MNK_OPT_SANDBOX),
      .max_memory = (guint64)mnk_settings_int(settings, MNK_OPT_MODEL_MEMORY),
      .log_level = (guint)mnk_settings_int(settings, MNK_OPT_LOG_LEVEL),
  };
  mnk_model_hello_write(&hello, text);
  mnk_local_post(local, MNK_MSG_HELLO, 0, text, -1);
}

/* ---- Events of the process ---- */

static void on_started(MnkChannel *channel, guint attempt, gpointer user) {
  MnkLocal *local = user;
  mnk_sender_connect(local->sender, channel);
  if (attempt == 0)
    set_state(local, MNK_LOCAL_LOADING, "the model is being loaded");
  say_hello(local);
}

static void on_ready(MnkLocal *local, const MnkJsonValue *value) {
  g_autoptr(GError) error = NULL;
  if (local->state == MNK_LOCAL_READY || !mnk_model_ready_read(value, &local->ready, &error)) {
    mnk_local_kill(local, error != NULL ? error->message : "it said twice that it is ready");
    return;
  }
  set_state(local, MNK_LOCAL_READY, "");
  g_autoptr(GPtrArray) streams = streams_of(local);
  for (guint i = 0; i < streams->len; i++)
    mnk_stream_open(streams->pdata[i]);
}

/* It could be started, and cannot do its work: starting it again would not mend that. */
static void on_refused(MnkLocal *local, const MnkJsonValue *value) {
  g_autoptr(GError) error = mnk_model_error_read(value);
  mnk_supervisor_stop(local->supervisor, 0);
  mnk_sender_connect(local->sender, NULL);
  fail(local, error != NULL ? error->message : "the model's worker gave up");
}

static void on_clipped(MnkLocal *local, guint32 number, const MnkJsonValue *value) {
  g_autoptr(GError) error = NULL;
  MnkModelClipped clipped;
  MnkLocalStream *stream = g_hash_table_lookup(local->by_number, GUINT_TO_POINTER(number));
  if (!mnk_model_clipped_read(value, &clipped, &error)) {
    mnk_local_kill(local, error->message);
    return;
  }
  if (stream != NULL)
    stream->memory = clipped.memory;
  mnk_tower_clipped(local->tower, stream, &clipped);
  mnk_model_clipped_clear(&clipped);
  if (stream != NULL)
    mnk_stream_check_idle(stream);
}

static void on_restored(MnkLocal *local, guint32 number, const MnkJsonValue *value) {
  g_autoptr(GError) error = NULL;
  MnkLocalMemory memory;
  MnkLocalStream *stream = g_hash_table_lookup(local->by_number, GUINT_TO_POINTER(number));
  if (!mnk_model_restored_read(value, &memory, &error))
    mnk_local_kill(local, error->message);
  else if (stream != NULL)
    stream->memory = memory;
}

static void on_saved(MnkLocal *local, const MnkJsonValue *value) {
  MnkModelSaved saved;
  if (!mnk_model_saved_read(value, &saved, NULL))
    return;
  mnk_stream_saved(local, &saved);
  g_clear_error(&saved.error);
}

static void on_message(MnkMessage *message, gpointer user) {
  MnkLocal *local = user;
  g_autoptr(GError) error = NULL;
  g_autoptr(MnkJson) json = mnk_message_json(message, &error);
  if (json == NULL) {
    mnk_local_kill(local, error->message);
    return;
  }
  const MnkJsonValue *root = mnk_json_root(json);
  if (message->type == MNK_MSG_READY)
    on_ready(local, root);
  else if (message->type == MNK_MSG_ENDED)
    on_refused(local, root);
  else if (message->type == MNK_MSG_COUNTERS)
    mnk_model_counters_read(root, &local->now, NULL);
  else if (message->type == MNK_MSG_CLIPPED)
    on_clipped(local, message->stream, root);
  else if (message->type == MNK_MSG_RESTORED)
    on_restored(local, message->stream, root);
  else if (message->type == MNK_MSG_PIECE)
    mnk_calls_piece(local, root);
  else if (message->type == MNK_MSG_ANSWER)
    mnk_calls_answer(local, root);
  else if (message->type == MNK_MSG_SAVED)
    on_saved(local, root);
}

static void add_counters(MnkLocalCounters *sum, const MnkLocalCounters *more) {
  sum->cached += more->cached;
  sum->clips += more->clips;
  sum->captions += more->captions;
  sum->questions += more->questions;
  sum->watches += more->watches;
  sum->interrupted += more->interrupted;
  sum->failed += more->failed;
  sum->prompt_tokens += more->prompt_tokens;
  sum->visual_tokens += more->visual_tokens;
  sum->cached_tokens += more->cached_tokens;
  sum->answer_tokens += more->answer_tokens;
  sum->encode_ms += more->encode_ms;
  sum->remember_ms += more->remember_ms;
  sum->route_ms += more->route_ms;
  sum->prompt_ms += more->prompt_ms;
  sum->answer_ms += more->answer_ms;
}

static void on_died(const char *why, gboolean given_up, gpointer user) {
  MnkLocal *local = user;
  g_autofree char *detail = g_strdup_printf("the model's worker died: %s", why);
  mnk_warning("local", NULL, "event=model-worker-died reason=\"%s\" given_up=%d", why, given_up);
  mnk_sender_connect(local->sender, NULL);
  add_counters(&local->before, &local->now);
  local->now = (MnkLocalCounters){0};
  local->before.deaths++;
  mnk_tower_lost(local->tower);
  g_autoptr(GPtrArray) streams = streams_of(local);
  for (guint i = 0; i < streams->len; i++)
    mnk_stream_lost(streams->pdata[i]);
  if (given_up) {
    fail(local, detail);
    return;
  }
  mnk_calls_fail(local, NULL, TRUE, g_error_new_literal(MNK_ERROR, MNK_ERROR_WORKER, detail));
  set_state(local, MNK_LOCAL_AWAY, detail);
}

/* ---- Trying, starting ---- */

static gboolean start(MnkLocal *local, GError **error) {
  static const MnkSupervisorEvents EVENTS = {on_started, on_message, on_died};
  g_autofree char *self = mnk_path_self(error);
  if (self == NULL)
    return FALSE;
  const char *const argv[] = {self, "worker", "--kind=model", NULL};
  MnkSupervisorConfig config = {
      .argv = argv,
      .deaths_max = (guint)mnk_settings_int(local->settings, MNK_OPT_WORKER_DEATHS),
      .backoff_min_ms = 100,
      .backoff_max_ms = BACKOFF_MAX_MS,
      .hang_ms = mnk_settings_int(local->settings, MNK_OPT_WORKER_HANG),
  };
  local->supervisor = mnk_supervisor_new(&config, &EVENTS, local);
  return mnk_supervisor_start(local->supervisor, error);
}

static void on_probed(const GError *verdict, gpointer user) {
  MnkLocal *local = user;
  g_autoptr(GError) error = NULL;
  g_autofree char *why = verdict != NULL ? g_strdup(verdict->message) : NULL;
  g_clear_pointer(&local->probe, mnk_probe_free);
  if (why == NULL && !start(local, &error))
    why = g_strdup(error->message);
  if (why != NULL)
    fail(local, why);
}

static gboolean on_tick(gpointer user) {
  MnkLocal *local = user;
  gint64 now_us = g_get_monotonic_time();
  if (mnk_tower_is_overdue(local->tower, now_us))
    mnk_local_kill(local, "a clip takes longer than any should");
  mnk_calls_tick(local, now_us);
  return G_SOURCE_CONTINUE;
}

static gboolean check_files(MnkLocal *local, const char *path, GError **error) {
  const MnkSettings *settings = local->settings;
  guint context = (guint)mnk_settings_int(settings, MNK_OPT_MODEL_CONTEXT);
  guint64 most = (guint64)mnk_settings_int(settings, MNK_OPT_MODEL_MEMORY);
  if (!mnk_local_find(path, mnk_settings_string(settings, MNK_OPT_MMPROJ), &local->model,
                      &local->mmproj, error) ||
      !mnk_vlm_inspect(local->model, local->mmproj, context, &local->files, error))
    return FALSE;
  if (local->files.needed <= most)
    return TRUE;
  g_set_error(error, MNK_ERROR, MNK_ERROR_LIMIT,
              "the model needs about %" G_GUINT64_FORMAT " MiB of memory, and --model-memory gives "
              "it %" G_GUINT64_FORMAT " MiB",
              local->files.needed >> 20, most >> 20);
  return FALSE;
}

/* A build without the library says so as its loading does. */
static gboolean check_library(GError **error) {
  MnkVlmConfig config;
  mnk_vlm_config_init(&config);
  return mnk_vlm_is_built() || mnk_vlm_probe(&config, error);
}

MnkLocal *mnk_local_make(const MnkSettings *settings) {
  MnkLocal *local = g_new0(MnkLocal, 1);
  local->settings = mnk_settings_copy(settings);
  local->context = g_main_context_ref_thread_default();
  local->sender = mnk_sender_new();
  local->by_id = g_hash_table_new(g_str_hash, g_str_equal);
  local->by_number = g_hash_table_new(NULL, NULL);
  local->calls = g_hash_table_new(NULL, NULL);
  local->tower = mnk_tower_new(local);
  local->closing = g_cancellable_new();
  return local;
}

gboolean mnk_local_new(const MnkSettings *settings, void (*changed)(gpointer user), gpointer user,
                       MnkLocal **out, GError **error) {
  const char *path = mnk_settings_string(settings, MNK_OPT_MODEL_PATH);
  *out = NULL;
  if (path == NULL && mnk_settings_string(settings, MNK_OPT_MMPROJ) != NULL) {
    g_set_error_literal(error, MNK_ERROR, MNK_ERROR_CONFIG,
                        "--mmproj names a projector, and no --model-path the model that it is for");
    return FALSE;
  }
  if (path == NULL)
    return TRUE;
  g_autoptr(MnkLocal) local = mnk_local_make(settings);
  local->changed = changed;
  local->user = user;
  local->detail = g_strdup("the model's files are being tried");
  if (!check_library(error) || !check_files(local, path, error))
    return FALSE;
  local->probe = mnk_probe_new(settings, local->model, local->mmproj, on_probed, local, error);
  if (local->probe == NULL)
    return FALSE;
  local->tick_source = mnk_local_timer(local->context, TICK_MS, on_tick, local);
  *out = g_steal_pointer(&local);
  return TRUE;
}

void mnk_local_free(MnkLocal *local) {
  if (local == NULL)
    return;
  g_cancellable_cancel(local->closing);
  mnk_local_drop_source(&local->change_source);
  mnk_local_drop_source(&local->tick_source);
  mnk_probe_free(local->probe);
  mnk_calls_drop_all(local);
  mnk_tower_free(local->tower);
  mnk_sender_free(local->sender);
  if (local->supervisor != NULL) {
    mnk_supervisor_stop(local->supervisor, STOP_MS);
    mnk_supervisor_free(local->supervisor);
  }
  g_hash_table_unref(local->by_id);
  g_hash_table_unref(local->by_number);
  g_hash_table_unref(local->calls);
  g_object_unref(local->closing);
  g_main_context_unref(local->context);
  mnk_settings_free(local->settings);
  g_free(local->model);
  g_free(local->mmproj);
  g_free(local->detail);
  g_free(local);
}

/* ---- Counters ---- */

static void add_stream(MnkLocalCounters *sum, const MnkLocalStream *stream) {
  const MnkTowerStream *part = &stream->tower;
  gint64 room = mnk_settings_int(stream->settings, MNK_OPT_VISION_QUEUE);
  guint pressure = (guint)MIN(part->waiting.length * 100 / MAX(room, 1), 100);
  sum->frames += part->frames;
  sum->encoded += part->encoded;
  sum->left_out += part->left_out;
  sum->waiting += mnk_tower_waiting(part);
  sum->memory_bytes += stream->memory.bytes;
  sum->pressure = MAX(sum->pressure, pressure);
}

void mnk_local_counters(const MnkLocal *local, MnkLocalCounters *out) {
  GHashTableIter iter;
  gpointer value;
  *out = local->before;
  add_counters(out, &local->now);
  g_hash_table_iter_init(&iter, local->by_id);
  while (g_hash_table_iter_next(&iter, NULL, &value))
    add_stream(out, value);
}
