/* The server about itself: health, metrics, version, tokens, its description and its page. */
#include "api/core_priv.h"

#include "build.h"

#include <string.h>

/* Answers that many ask for are made anew at most this often. */
static const gint64 KEEP_US = 100000;

typedef struct {
  GBytes *body;
  gint64 made_us;
} Kept;

struct _MnkService {
  MnkApi *api;
  Kept health, metrics;
  GBytes *openapi;
  gboolean healthy;
};

MnkService *mnk_service_new(MnkApi *api) {
  MnkService *service = g_new0(MnkService, 1);
  service->api = api;
  return service;
}

void mnk_service_free(MnkService *service) {
  if (service == NULL)
    return;
  g_clear_pointer(&service->health.body, g_bytes_unref);
  g_clear_pointer(&service->metrics.body, g_bytes_unref);
  g_clear_pointer(&service->openapi, g_bytes_unref);
  g_free(service);
}

void mnk_service_touch(MnkService *service) {
  if (service != NULL)
    service->health.made_us = 0;
}

static gboolean is_fresh(const Kept *kept, gint64 now_us) {
  return kept->body != NULL && kept->made_us != 0 && now_us - kept->made_us < KEEP_US;
}

static void keep(Kept *kept, GString *text, gint64 now_us) {
  g_clear_pointer(&kept->body, g_bytes_unref);
  kept->body = g_string_free_to_bytes(text);
  kept->made_us = now_us;
}

/* ---- health ---- */

static void write_part(MnkJsonWriter *w, const char *name, const char *status, const char *detail) {
  mnk_json_begin_object(w, name);
  mnk_json_add_string(w, "status", status);
  mnk_json_add_string(w, "detail", detail);
  mnk_json_end_object(w);
}

static void write_worker(MnkJsonWriter *w, const MnkWorkerState *state, guint same_kind) {
  g_autofree char *name = same_kind > 0
                              ? g_strdup_printf("worker.%s.%u", state->kind, same_kind + 1)
                              : g_strdup_printf("worker.%s", state->kind);
  if (state->pid == 0 && state->streams > 0)
    write_part(w, name, "starting", state->deaths > 0 ? "it died and is started again" : "");
  else if (state->pid == 0)
    write_part(w, name, "idle", "it starts with its first stream");
  else if (state->fault != NULL)
    write_part(w, name, "degraded", state->fault);
  else
    write_part(w, name, "ok", "");
}

static void write_workers(MnkJsonWriter *w, const MnkWorkers *workers) {
  for (guint i = 0; i < mnk_workers_count(workers); i++) {
    MnkWorkerState state, other;
    guint same_kind = 0;
    mnk_workers_state(workers, i, &state);
    for (guint j = 0; j < i; j++) {
      mnk_workers_state(workers, j, &other);
      same_kind += strcmp(other.kind, state.kind) == 0;
    }
    write_worker(w, &state, same_kind);
  }
}

static void write_local(MnkJsonWriter *w, const MnkLocal *local) {
  static const char *const STATUS[] = {
      [MNK_LOCAL_TRYING] = "starting", [MNK_LOCAL_LOADING] = "starting", [MNK_LOCAL_READY] = "ok",
      [MNK_LOCAL_AWAY] = "degraded",   [MNK_LOCAL_FAILED] = "down",
  };
  write_part(w, "local", STATUS[mnk_local_state(local)], mnk_local_detail(local));
}

/* The template stands in for a language model that is away, so none is required. */
static void write_language(MnkJsonWriter *w, const MnkApi *api) {
  if (api->backend == NULL)
    write_part(w, "backend", "ok", "the embedded template");
  else
    write_part(w, "backend", mnk_backend_state_name(mnk_backend_state(api->backend)),
               mnk_backend_detail(api->backend));
  if (api->local != NULL)
    write_local(w, api->local);
  if (api->embedder != NULL)
    write_part(w, "embedder", "ok", "");
}

static gboolean write_parts(MnkJsonWriter *w, const MnkApi *api) {
  mnk_json_begin_object(w, "parts");
  gboolean stored = mnk_store_is_healthy(api->store);
  write_part(w, "store", stored ? "ok" : "down",
             stored ? "" : "the timeline cannot be written; it is tried again");
  write_workers(w, api->workers);
  write_language(w, api);
  mnk_json_end_object(w);
  return stored;
}

static GBytes *health(MnkService *service) {
  const MnkApi *api = service->api;
  gint64 now_us = mnk_clock_mono_us(mnk_clock_system());
  if (is_fresh(&service->health, now_us))
    return service->health.body;
  g_autoptr(GString) parts = g_string_new(NULL);
  GString *text = g_string_new(NULL);
  MnkJsonWriter w;
  mnk_json_writer_init(&w, parts);
  gboolean sound = write_parts(&w, api);
  const char *status = api->draining   ? "draining"
                       : api->starting ? "starting"
                       : sound         ? "ok"
                                       : "down";
  service->healthy = sound && !api->draining && !api->starting;
  g_string_append_printf(text, "{\"status\":\"%s\",%s}", status, parts->str);
  keep(&service->health, text, now_us);
  return service->health.body;
}

gboolean mnk_api_is_healthy(const MnkApi *api) {
  health(api->service);
  return api->service->healthy;
}

static void get_health(MnkCall *call) {
  MnkService *service = call->api->service;
  GBytes *body = health(service);
  mnk_request_set_answer_header(call->request, "Cache-Control", "no-store");
  if (!service->healthy)
    mnk_request_set_answer_header(call->request, "Retry-After", "5");
  mnk_request_answer(call->request, service->healthy ? 200 : 503, "application/json", body);
}

/* ---- metrics ---- */

static void gather(MnkApi *api) {
  mnk_process_metrics();
  mnk_registry_write_metrics(api->registry);
  mnk_model_metrics(api->local);
  if (api->asker != NULL)
    mnk_metric_set(mnk_gauge("questions_waiting", "Questions that are not answered yet.", NULL),
                   mnk_asker_waiting(api->asker));
  mnk_metric_set(mnk_gauge("connections", "Connections that are open", NULL),
                 mnk_http_server_connections(api->http));
  mnk_metric_set(mnk_gauge("store_healthy", "1 while the timeline can be written", NULL),
                 mnk_store_is_healthy(api->store));
}

static void get_metrics(MnkCall *call) {
  MnkService *service = call->api->service;
  gint64 now_us = mnk_clock_mono_us(mnk_clock_system());
  if (!is_fresh(&service->metrics, now_us)) {
    GString *text = g_string_new(NULL);
    gather(call->api);
    mnk_metrics_write(text);
    keep(&service->metrics, text, now_us);
  }
  mnk_request_set_answer_header(call->request, "Cache-Control", "no-store");
  mnk_request_answer(call->request, 200, "text/plain; version=0.0.4; charset=utf-8",
                     service->metrics.body);
}

/* ---- the rest ---- */

static void get_version(MnkCall *call) {
  g_autoptr(GString) text = g_string_new(NULL);
  MnkJsonWriter w;
  mnk_json_writer_init(&w, text);
  mnk_json_begin_object(&w, NULL);
  mnk_json_add_string(&w, "name", "manako");
  mnk_json_add_string(&w, "version", MNK_VERSION);
  mnk_json_add_string(&w, "build", MNK_BUILD);
  mnk_json_end_object(&w);
  mnk_answer_json(call->request, 200, text);
}

static void get_openapi(MnkCall *call) {
  MnkService *service = call->api->service;
  if (service->openapi == NULL) {
    GString *text = g_string_new(NULL);
    mnk_api_write_openapi(text);
    service->openapi = g_string_free_to_bytes(text);
  }
  mnk_request_answer(call->request, 200, "application/json", service->openapi);
}

static void get_page(MnkCall *call) {
  if (!mnk_pages_answer(call->request, "/"))
    mnk_answer_error(call->request, 404, "not_found", "this program was built without its page",
                     NULL);
}

/* The right that is asked for is the right that is needed. */
static void post_token(MnkCall *call) {
  g_autoptr(GError) error = NULL;
  MnkApi *api = call->api;
  guint status;
  const char *stream = mnk_json_string(mnk_json_get(call->body, "stream"), NULL);
  MnkScope scope = mnk_scope_from_name(mnk_json_string(mnk_json_get(call->body, "scope"), ""));
  if (stream != NULL && !mnk_stream_id_is_valid(stream)) {
    mnk_answer_error(call->request, 400, "usage",
                     "stream must be 1 to 64 letters, digits, '-' and '_'", "stream");
    return;
  }
  call->key = mnk_auth_check_header(api->auth, call->request, scope, &status, &error);
  if (call->key == NULL) {
    mnk_answer_gerror(call->request, error);
    return;
  }
  gint64 expires_us = mnk_clock_wall_us(mnk_clock_system()) +
                      1000 * mnk_settings_int(api->settings, MNK_OPT_TOKEN_TTL);
  g_autofree char *token = mnk_auth_make_token(api->auth, call->key, scope, stream, expires_us);
  g_autoptr(GString) text = g_string_new(NULL);
  MnkJsonWriter w;
  mnk_json_writer_init(&w, text);
  mnk_json_begin_object(&w, NULL);
  mnk_json_add_string(&w, "token", token);
  mnk_json_add_int(&w, "expires_us", expires_us);
  mnk_json_end_object(&w);
  mnk_answer_json(call->request, 201, text);
}

static const MnkField token_body[] = {
    {"scope", MNK_FIELD_ENUM, TRUE, 0, 0, "read|ingest|ask|admin", "What the token is good for."},
    {"stream", MNK_FIELD_STRING, FALSE, 1, 64, NULL,
     "The one stream it is good for; default: any."},
    {.name = NULL},
};

const MnkRoute mnk_routes_service[] = {
    {"GET", "/", MNK_SCOPE_NONE, NULL, NULL, 200, "text/html", "The live page", get_page, 0},
    {"GET", "/healthz", MNK_SCOPE_NONE, NULL, NULL, 200, "Health",
     "The state of each part; 503 while starting, draining or down", get_health, 0},
    {"GET", "/metrics", MNK_SCOPE_READ, NULL, NULL, 200, "text/plain",
     "Figures in Prometheus's text format", get_metrics, 0},
    {"GET", "/version", MNK_SCOPE_NONE, NULL, NULL, 200, "Version", "Name and version", get_version,
     0},
    {"GET", "/openapi.json", MNK_SCOPE_NONE, NULL, NULL, 200, "application/json",
     "This description", get_openapi, 0},
    {"POST", "/v1/tokens", MNK_SCOPE_NONE, NULL, token_body, 201, "Token",
     "Makes a short-lived token for URLs; takes a key with the scope asked for", post_token, 0},
    {.method = NULL},
};
