#include "services.h"

#include <gio/gio.h>
#include <string.h>
#include <unistd.h>

static GSubprocess *server;
static MnkHttpClient *client;
static MnkAddressPolicy *policy;
static char *url;

/* ---- Waiting ---- */

static gboolean on_hang(gpointer user) {
  g_error("the test hangs");
  return G_SOURCE_REMOVE;
}

void services_wait(const gboolean *flag) {
  guint guard = g_timeout_add_seconds(120, on_hang, NULL);
  while (!*flag)
    g_main_context_iteration(NULL, TRUE);
  g_source_remove(guard);
}

static gboolean set_flag(gpointer user) {
  *(gboolean *)user = TRUE;
  return G_SOURCE_REMOVE;
}

void services_wait_ms(guint ms) {
  gboolean over = FALSE;
  g_timeout_add(ms, set_flag, &over);
  services_wait(&over);
}

void services_spin(void) {
  services_wait_ms(0);
}

/* ---- Secrets ---- */

void services_check_text(const char *text) {
  /* Eight characters in a row of the key, a token or a private key are too many. */
  static const char *const secrets[] = {"test-key-", "0123456789-", "ya29.", "test-token",
                                        "PRIVATE KEY"};
  for (guint i = 0; i < G_N_ELEMENTS(secrets); i++)
    if (strstr(text, secrets[i]))
      g_error("a secret is told: %s", text);
  if (strpbrk(text, "\x1b\x07\r\n"))
    g_error("a control character is told: %s", text);
}

static void watch_log(const char *line, gpointer user) {
  g_autofree char *text = g_strchomp(g_strdup(line));
  services_check_text(text);
}

/* ---- The server ---- */

static guint read_port(void) {
  GInputStream *output = g_subprocess_get_stdout_pipe(server);
  g_autoptr(GString) line = g_string_new(NULL);
  char byte;
  while (g_input_stream_read(output, &byte, 1, NULL, NULL) == 1 && byte != '\n')
    g_string_append_c(line, byte);
  guint64 port = 0;
  g_assert_true(g_ascii_string_to_unsigned(line->str, 10, 1, 65535, &port, NULL));
  return (guint)port;
}

void services_start(void) {
  g_autoptr(GError) error = NULL;
  server = g_subprocess_new(G_SUBPROCESS_FLAGS_STDIN_PIPE | G_SUBPROCESS_FLAGS_STDOUT_PIPE, &error,
                            g_getenv("MNK_PYTHON"), g_getenv("MNK_FAULT_SERVER"), NULL);
  g_assert_no_error(error);
  url = g_strdup_printf("http://127.0.0.1:%u", read_port());
  client = mnk_http_client_new(16);
  policy = mnk_address_policy_new("loopback", NULL);
  mnk_log_set_level(MNK_LOG_DEBUG);
  mnk_log_set_sink(watch_log, NULL);
}

const char *services_url(void) {
  return url;
}

MnkHttpClient *services_client(void) {
  return client;
}

static void check_requests(void) {
  g_autoptr(MnkJson) log = services_get("/log");
  const MnkJsonValue *root = mnk_json_root(log);
  for (guint i = 0; i < mnk_json_size(root); i++) {
    const MnkJsonValue *problems = mnk_json_get(mnk_json_at(root, i), "problems");
    for (guint k = 0; k < mnk_json_size(problems); k++)
      g_error("a request was wrong: %s", mnk_json_string(mnk_json_at(problems, k), "?"));
  }
}

void services_stop(void) {
  check_requests();
  g_clear_pointer(&client, mnk_http_client_free);
  g_clear_pointer(&policy, mnk_address_policy_unref);
  g_output_stream_close(g_subprocess_get_stdin_pipe(server), NULL, NULL);
  g_subprocess_wait(server, NULL, NULL);
  g_clear_object(&server);
  g_clear_pointer(&url, g_free);
  mnk_log_set_sink(NULL, NULL);
}

typedef struct {
  gboolean ended;
  MnkJson *json;
} Control;

static void on_control(const MnkHttpReply *reply, const GError *error, gpointer user) {
  Control *control = user;
  g_assert_no_error(error);
  g_assert_cmpuint(reply->status, ==, 200);
  gsize length = 0;
  const char *text = g_bytes_get_data(reply->body, &length);
  g_autoptr(GError) fault = NULL;
  control->json = mnk_json_parse(text, length, NULL, &fault);
  g_assert_no_error(fault);
  control->ended = TRUE;
}

static MnkJson *ask(const char *method, const char *path, const char *json) {
  Control control = {0};
  g_autofree char *whole = g_strconcat(url, path, NULL);
  g_autoptr(GBytes) body = json ? g_bytes_new(json, strlen(json)) : NULL;
  MnkHttpCallConfig config = {.method = method,
                              .url = whole,
                              .body = body,
                              .connect_ms = 10000,
                              .first_byte_ms = 60000,
                              .idle_ms = 60000,
                              .total_ms = 120000,
                              .response_max = 1 << 20,
                              .policy = policy};
  mnk_http_client_call(client, &config, on_control, &control);
  services_wait(&control.ended);
  return control.json;
}

MnkJson *services_get(const char *path) {
  return ask("GET", path, NULL);
}

void services_post(const char *path, const char *json) {
  g_autoptr(MnkJson) answer = ask("POST", path, json);
}

static void set_faults(const char *kind, const char *next, const char *always) {
  g_autoptr(GString) json = g_string_new(NULL);
  MnkJsonWriter w;
  mnk_json_writer_init(&w, json);
  mnk_json_begin_object(&w, NULL);
  mnk_json_add_string(&w, "on", kind);
  mnk_json_add_string(&w, "always", always);
  mnk_json_begin_array(&w, "next");
  g_auto(GStrv) names = g_strsplit(next, ",", -1);
  for (guint i = 0; names[i]; i++)
    mnk_json_add_string(&w, NULL, names[i]);
  mnk_json_end_array(&w);
  mnk_json_end_object(&w);
  services_post("/fault", json->str);
}

void services_faults(const char *kind, const char *faults) {
  set_faults(kind, faults, "ok");
}

void services_always(const char *kind, const char *fault) {
  set_faults(kind, "", fault);
}

static gboolean is_kind(const MnkJsonValue *entry, const char *kind) {
  return g_str_equal(mnk_json_string(mnk_json_get(entry, "kind"), ""), kind);
}

guint services_count(const MnkJson *log, const char *kind) {
  const MnkJsonValue *root = mnk_json_root(log);
  guint n = 0;
  for (guint i = 0; i < mnk_json_size(root); i++)
    n += is_kind(mnk_json_at(root, i), kind);
  return n;
}

const MnkJsonValue *services_last(const MnkJson *log, const char *kind) {
  const MnkJsonValue *root = mnk_json_root(log);
  for (guint i = mnk_json_size(root); i > 0; i--)
    if (is_kind(mnk_json_at(root, i - 1), kind))
      return mnk_json_at(root, i - 1);
  return NULL;
}

/* ---- Settings ---- */

static void set_option(MnkSettings *settings, const char *name, const char *value) {
  g_autoptr(GError) error = NULL;
  const MnkOption *option = mnk_option_by_name(name);
  g_assert_nonnull(option);
  mnk_settings_set(settings, option->id, value, &error);
  g_assert_no_error(error);
}

MnkSettings *services_settings(const char *service, const char *more) {
  MnkSettings *settings = mnk_settings_new();
  g_autofree char *openai = g_strconcat(url, "/v1/", NULL);
  const struct {
    const char *service, *name, *value;
  } rows[] = {
      {NULL, "backend", service},
      {NULL, "backend-connect", "5s"},
      {NULL, "backend-first-byte", "1500ms"},
      {NULL, "backend-deadline", "20s"},
      {NULL, "backend-backoff", "5ms"},
      {"gemini", "gemini-url", url},
      {"gemini", "gemini-api-key", SERVICE_KEY},
      {"vertex", "vertex-url", url},
      {"vertex", "vertex-project", "test-project"},
      {"vertex", "vertex-token", SERVICE_KEY},
      {"openai", "openai-url", openai},
      {"openai", "openai-api-key", SERVICE_KEY},
      {"openai", "model", "test-model"},
  };
  for (guint i = 0; i < G_N_ELEMENTS(rows); i++)
    if (!rows[i].service || g_str_equal(rows[i].service, service))
      set_option(settings, rows[i].name, rows[i].value);
  g_auto(GStrv) pairs = g_strsplit(more ? more : "", ",", -1);
  for (guint i = 0; pairs[i]; i++) {
    g_auto(GStrv) pair = g_strsplit(pairs[i], "=", 2);
    set_option(settings, pair[0], pair[1]);
  }
  return settings;
}

MnkBackend *services_backend(const char *service, const char *more) {
  g_autoptr(MnkSettings) settings = services_settings(service, more);
  g_autoptr(GError) error = NULL;
  MnkBackend *backend = NULL;
  mnk_backend_new(settings, client, &backend, &error);
  g_assert_no_error(error);
  g_assert_nonnull(backend);
  g_assert_cmpstr(mnk_backend_name(backend), ==, service);
  return backend;
}

char *services_account(void) {
  g_autoptr(MnkJson) json = services_get("/account");
  g_autoptr(GString) text = g_string_new(NULL);
  MnkJsonWriter w;
  mnk_json_writer_init(&w, text);
  mnk_json_begin_object(&w, NULL);
  MnkJsonIter iter = {0};
  const char *key;
  const MnkJsonValue *value;
  while (mnk_json_next(mnk_json_root(json), &iter, &key, &value))
    mnk_json_add_string(&w, key, mnk_json_string(value, ""));
  mnk_json_end_object(&w);
  char *path = NULL;
  int fd = g_file_open_tmp("manako-account-XXXXXX", &path, NULL);
  g_assert_cmpint(fd, >=, 0);
  close(fd);
  g_assert_true(g_file_set_contents(path, text->str, (gssize)text->len, NULL));
  return path;
}

/* ---- Batches and their ends ---- */

MnkBatch *services_batch(guint n) {
  static const guint8 jpeg[] = {0xff, 0xd8, 0xff, 0xe0, 1, 2, 3, 4, 5, 0xff, 0xd9};
  MnkBatch *batch = mnk_batch_new();
  batch->stream = g_strdup("test");
  batch->n_frames = n;
  batch->pts_ms = g_new(gint64, n);
  for (guint i = 0; i < n; i++) {
    batch->pts_ms[i] = 10000 + 500 * (gint64)i;
    MnkBatchFrame *frame = g_new0(MnkBatchFrame, 1);
    frame->index = i;
    frame->pts_ms = batch->pts_ms[i];
    frame->importance = 0.5f;
    frame->jpeg = g_bytes_new_static(jpeg, sizeof jpeg);
    g_ptr_array_add(batch->frames, frame);
  }
  batch->end_ms = 10000 + 500 * (gint64)n;
  batch->lang = g_strdup("en");
  return batch;
}

void ending_clear(Ending *ending) {
  g_clear_pointer(&ending->texts, g_free);
  g_clear_pointer(&ending->model, g_free);
  g_clear_error(&ending->error);
  ending->ended = FALSE;
}

static char *describe(const GPtrArray *events) {
  GString *out = g_string_new(NULL);
  for (guint i = 0; i < events->len; i++) {
    const MnkBatchEvent *event = events->pdata[i];
    g_string_append_printf(out, "%s%" G_GINT64_FORMAT "-%" G_GINT64_FORMAT " %s", i > 0 ? "; " : "",
                           event->start_ms, event->end_ms, event->text);
  }
  return g_string_free(out, FALSE);
}

void services_done(const MnkBackendAnswer *answer, const GError *error, gpointer user) {
  Ending *ending = user;
  g_assert_false(ending->ended); /* once */
  g_assert_true((answer != NULL) != (error != NULL));
  ending->ended = TRUE;
  if (error) {
    services_check_text(error->message);
    ending->error = g_error_copy(error);
    return;
  }
  ending->texts = describe(answer->events);
  ending->attempts = answer->attempts;
  ending->repaired = answer->repaired;
  ending->prompt_tokens = answer->prompt_tokens;
  ending->answer_tokens = answer->answer_tokens;
  ending->model = g_strdup(answer->model);
}

void services_caption(MnkBackend *backend, const MnkBatch *batch, Ending *ending) {
  ending_clear(ending);
  mnk_backend_caption(backend, batch, services_done, ending);
  g_assert_false(ending->ended); /* never from within */
  services_wait(&ending->ended);
}

void services_check_counters(const MnkBackend *backend) {
  MnkBackendCounters counters;
  mnk_backend_counters(backend, &counters);
  g_assert_cmpuint(counters.calls, ==,
                   counters.ok + counters.failed + counters.stale + counters.refused_by_breaker);
  services_check_text(mnk_backend_detail(backend));
}
