/* The server as a whole: its parts, their start, what a reload changes, and their end. */
#include "api/core_priv.h"
#include "api/questions_priv.h"

#include <string.h>

enum {
  CLIENT_CONNECTIONS = 64,
  /* Longest wait of the start for a language model's service; the template can stand in. */
  START_MAX_MS = 3000,
  /* After the streams have ended, how long clients have to take their last words, and memories to
   * be saved. */
  LINGER_MS = 1000,
  SAVE_MS = 5000,
  LINGER_STEP_MS = 20,
};

char *mnk_api_data_dir(const MnkSettings *settings) {
  const char *option = mnk_settings_string(settings, MNK_OPT_DATA_DIR);
  return option != NULL ? g_strdup(option) : mnk_path_data();
}

char *mnk_api_db_path(const MnkSettings *settings) {
  const char *option = mnk_settings_string(settings, MNK_OPT_DB);
  if (option != NULL)
    return g_strdup(option);
  g_autofree char *folder = mnk_api_data_dir(settings);
  return g_build_filename(folder, "timeline.db", NULL);
}

/* ---- start ---- */

static void finish_start(MnkApi *api, const GError *error) {
  if (!api->starting)
    return;
  g_clear_handle_id(&api->start_timer, g_source_remove);
  api->starting = FALSE;
  mnk_service_touch(api->service);
  if (api->on_started != NULL && !api->draining)
    api->on_started(error, api->on_started_user);
}

static void step_start(MnkApi *api) {
  if (api->resumed && api->backend_asked)
    finish_start(api, NULL);
}

static void on_resumed(gpointer user) {
  MnkApi *api = user;
  api->resumed = TRUE;
  mnk_routes_streams_are_back(api);
  step_start(api);
}

/* A service that is out of reach may come back; one that does not know the model never will. */
static void on_backend_checked(const GError *error, gpointer user) {
  MnkApi *api = user;
  api->backend_asked = TRUE;
  mnk_service_touch(api->service);
  if (error != NULL)
    mnk_warning("api", NULL, "event=backend-checked why=\"%s\"", error->message);
  if (g_error_matches(error, MNK_ERROR, MNK_ERROR_CONFIG))
    finish_start(api, error);
  else
    step_start(api);
}

static gboolean on_waited_enough(gpointer user) {
  MnkApi *api = user;
  api->start_timer = 0;
  api->backend_asked = TRUE;
  step_start(api);
  return G_SOURCE_REMOVE;
}

static gboolean on_begin(gpointer user) {
  MnkApi *api = user;
  g_autoptr(GError) error = NULL;
  api->start_timer = g_timeout_add(START_MAX_MS, on_waited_enough, api);
  if (!mnk_workers_warm(api->workers, &error))
    mnk_warning("api", NULL, "event=worker-not-started why=\"%s\"", error->message);
  mnk_registry_resume(api->registry, on_resumed, api);
  if (api->backend != NULL) {
    mnk_backend_check(api->backend, on_backend_checked, api);
  } else {
    api->backend_asked = TRUE;
    step_start(api);
  }
  return G_SOURCE_REMOVE;
}

static gboolean open_store(MnkApi *api, GError **error) {
  g_autofree char *folder = mnk_api_data_dir(api->settings);
  g_autofree char *uploads = g_build_filename(folder, "uploads", NULL);
  g_autofree char *db = mnk_api_db_path(api->settings);
  if ((api->store = mnk_store_open(db, MNK_STORE_WRITE, error)) == NULL)
    return FALSE;
  mnk_store_set_picture_quota(api->store,
                              (guint64)mnk_settings_int(api->settings, MNK_OPT_PICTURE_QUOTA));
  return (api->uploads = mnk_uploads_new(uploads, error)) != NULL;
}

static void on_local_changed(gpointer user) {
  MnkApi *api = user;
  mnk_service_touch(api->service);
  if (api->registry != NULL)
    mnk_registry_tell_states(api->registry);
}

static gboolean make_backend(MnkApi *api, GError **error) {
  return mnk_local_choose(api->settings, api->client, on_local_changed, api, &api->local,
                          &api->backend, error) &&
         (api->local == NULL || (api->memories = mnk_memories_new(api, error)) != NULL);
}

static gboolean make_language(MnkApi *api, GError **error) {
  api->outbound =
      mnk_address_policy_new(mnk_settings_string(api->settings, MNK_OPT_OUTBOUND_ALLOW), error);
  api->client = mnk_http_client_new(CLIENT_CONNECTIONS);
  return api->outbound != NULL && make_backend(api, error) &&
         mnk_embedder_new(api->settings, api->client, &api->embedder, error);
}

static gboolean listen_http(MnkApi *api, GError **error) {
  const MnkSettings *settings = api->settings;
  const MnkHttpConfig config = {
      .host = mnk_settings_string(settings, MNK_OPT_HOST),
      .port = (guint16)mnk_settings_int(settings, MNK_OPT_PORT),
      .connections_max = (guint)mnk_settings_int(settings, MNK_OPT_CONNECTIONS_MAX),
      .connections_per_address = (guint)mnk_settings_int(settings, MNK_OPT_CONNECTIONS_PER_ADDRESS),
      .header_max = (gsize)mnk_settings_int(settings, MNK_OPT_HEADER_MAX),
      .header_timeout_ms = mnk_settings_int(settings, MNK_OPT_HEADER_TIMEOUT),
      .body_idle_timeout_ms = mnk_settings_int(settings, MNK_OPT_BODY_TIMEOUT),
      .keep_alive_ms = mnk_settings_int(settings, MNK_OPT_KEEP_ALIVE),
  };
  api->http = mnk_http_server_new(&config, mnk_routes_handle, api, error);
  return api->http != NULL;
}

/* The port is taken before the timeline is touched: a second server on the same port must not
 * disturb the first one's. */
MnkApi *mnk_api_new(const MnkSettings *settings, GError **error) {
  g_autoptr(MnkApi) api = g_new0(MnkApi, 1);
  api->settings = mnk_settings_copy(settings);
  api->starting = TRUE;
  api->locks[0] = api->locks[1] = -1;
  api->sessions = g_hash_table_new(NULL, NULL);
  api->service = mnk_service_new(api);
  if (!mnk_bind_is_safe(settings, error))
    return NULL;
  api->auth = mnk_auth_new(mnk_settings_string(settings, MNK_OPT_KEYS), error);
  if (api->auth == NULL || !listen_http(api, error) || !mnk_api_lock(api, error) ||
      !open_store(api, error) || !make_language(api, error))
    return NULL;
  api->asker = mnk_asker_new(api->settings, api->store);
  api->workers = mnk_workers_new(api->settings);
  mnk_workers_be_patient(api->workers);
  api->registry = mnk_registry_new(api);
  api->start_timer = g_idle_add(on_begin, api);
  return g_steal_pointer(&api);
}

/* Connections first, as what they leave behind goes to the streams; then streams, and at last what
 * streams stand on. */
void mnk_api_free(MnkApi *api) {
  if (api == NULL)
    return;
  g_clear_handle_id(&api->start_timer, g_source_remove);
  g_clear_handle_id(&api->drain_timer, g_source_remove);
  g_clear_pointer(&api->http, mnk_http_server_free);
  g_queue_clear_full(&api->early, (GDestroyNotify)mnk_call_unref);
  g_clear_pointer(&api->sessions, g_hash_table_unref);
  g_clear_pointer(&api->videos, mnk_videos_free);
  g_clear_pointer(&api->registry, mnk_registry_free);
  g_clear_pointer(&api->asker, mnk_asker_free);
  g_clear_pointer(&api->uploads, mnk_uploads_free);
  g_clear_pointer(&api->embedder, mnk_embedder_free);
  g_clear_pointer(&api->memories, mnk_memories_free);
  g_clear_pointer(&api->backend, mnk_backend_free);
  g_clear_pointer(&api->local, mnk_local_free);
  g_clear_pointer(&api->client, mnk_http_client_free);
  g_clear_pointer(&api->workers, mnk_workers_free);
  g_clear_pointer(&api->store, mnk_store_close);
  mnk_api_unlock(api);
  g_clear_pointer(&api->outbound, mnk_address_policy_unref);
  g_clear_pointer(&api->auth, mnk_auth_free);
  g_clear_pointer(&api->service, mnk_service_free);
  mnk_settings_free(api->settings);
  g_free(api);
}

char *mnk_api_url(const MnkApi *api) {
  const char *host = mnk_settings_string(api->settings, MNK_OPT_HOST);
  gboolean is_v6 = strchr(host, ':') != NULL;
  return g_strdup_printf("http://%s%s%s:%u/", is_v6 ? "[" : "", host, is_v6 ? "]" : "",
                         mnk_http_server_port(api->http));
}

gboolean mnk_api_add_stream(MnkApi *api, const char *id, const char *source, GError **error) {
  return mnk_registry_add(api->registry, id, source, NULL, NULL, TRUE, error) != NULL;
}

void mnk_api_on_caption(MnkApi *api, void (*func)(const MnkCaption *caption, gpointer user),
                        gpointer user) {
  api->on_caption = func;
  api->on_caption_user = user;
}

void mnk_api_on_started(MnkApi *api, void (*func)(const GError *error, gpointer user),
                        gpointer user) {
  api->on_started = func;
  api->on_started_user = user;
}

/* ---- reload ---- */

static gboolean may_change(const MnkOption *option) {
  return (option->flags & MNK_OPTION_LIVE) || option->id == MNK_OPT_KEYS;
}

static void tell_unchangeable(const MnkSettings *old, const MnkSettings *new) {
  for (guint i = 0; i < MNK_OPT_N; i++) {
    const MnkOption *option = mnk_option((MnkOptionId)i);
    if (!may_change(option) && (option->commands & MNK_COMMAND_SERVE) &&
        g_strcmp0(mnk_settings_string(old, option->id), mnk_settings_string(new, option->id)) != 0)
      mnk_warning("api", NULL, "event=reload option=%s note=\"it changes with the next start\"",
                  option->name);
  }
}

gboolean mnk_api_reload(MnkApi *api, const MnkSettings *settings, GError **error) {
  g_autoptr(MnkSettings) next = mnk_settings_copy(api->settings);
  for (guint i = 0; i < MNK_OPT_N; i++)
    if (may_change(mnk_option((MnkOptionId)i)))
      mnk_settings_take(next, (MnkOptionId)i, settings);
  if (!mnk_bind_is_safe(next, error) ||
      !mnk_auth_reload(api->auth, mnk_settings_string(next, MNK_OPT_KEYS), error))
    return FALSE;
  tell_unchangeable(api->settings, settings);
  mnk_settings_free(api->settings);
  api->settings = g_steal_pointer(&next);
  mnk_log_set_level((MnkLogLevel)mnk_settings_int(api->settings, MNK_OPT_LOG_LEVEL));
  mnk_asker_set(api->asker, api->settings);
  mnk_registry_reload(api->registry);
  mnk_service_touch(api->service);
  return TRUE;
}

/* ---- end ---- */

static gboolean on_linger(gpointer user) {
  MnkApi *api = user;
  api->linger_ms += LINGER_STEP_MS;
  gboolean read = api->linger_ms >= LINGER_MS || mnk_http_server_connections(api->http) == 0;
  gboolean saved = api->linger_ms >= SAVE_MS || !mnk_memories_are_saving(api->memories);
  if (!read || !saved)
    return G_SOURCE_CONTINUE;
  api->drain_timer = 0;
  api->drained(api->drained_user);
  return G_SOURCE_REMOVE;
}

/* Whoever asks until now is told that this server is about to end; from now on nobody is heard. */
static void on_registry_drained(gpointer user) {
  MnkApi *api = user;
  mnk_memories_save(api->memories);
  mnk_sessions_go_away(api);
  mnk_http_server_drain(api->http);
  api->drain_timer = g_timeout_add(LINGER_STEP_MS, on_linger, api);
}

void mnk_api_drain(MnkApi *api, void (*done)(gpointer user), gpointer user) {
  if (api->draining)
    return;
  api->draining = TRUE;
  api->drained = done;
  api->drained_user = user;
  mnk_service_touch(api->service);
  mnk_registry_drain(api->registry, mnk_settings_int(api->settings, MNK_OPT_DRAIN),
                     on_registry_drained, api);
}
