/* HTTP client against a server with faults. */
#include <string.h>

#include "base/error.h"
#include "client.h"

typedef struct {
  ClientServer *server;
  MnkAddressPolicy *loopback;
  MnkHttpClient *client;
} Fixture;

static void setup(Fixture *fixture, gconstpointer data) {
  fixture->server = client_server_new("");
  fixture->loopback = mnk_address_policy_new("loopback", NULL);
  fixture->client = mnk_http_client_new(4);
}

static void teardown(Fixture *fixture, gconstpointer data) {
  mnk_http_client_free(fixture->client);
  mnk_address_policy_unref(fixture->loopback);
  client_server_free(fixture->server);
}

static char *url_of(const Fixture *fixture, const char *path) {
  return g_strdup_printf("http://127.0.0.1:%u%s", fixture->server->port, path);
}

static void get(const Fixture *fixture, const char *path, ClientResult *result) {
  g_autofree char *url = url_of(fixture, path);
  MnkHttpCallConfig config = client_config(url, fixture->loopback);
  client_start(fixture->client, &config, result);
  client_wait(result);
}

static void assert_body(const ClientResult *result, const char *expected) {
  gsize length;
  const char *bytes = g_bytes_get_data(result->body, &length);
  g_assert_cmpmem(bytes, length, expected, strlen(expected));
}

static gboolean body_has(const ClientResult *result, const char *part) {
  gsize length;
  const char *bytes = g_bytes_get_data(result->body, &length);
  return memmem(bytes, length, part, strlen(part)) != NULL;
}

/* ---- What goes well ---- */

static const struct {
  const char *path;
  guint status;
  const char *body;
} good[] = {
    {"/chunked", 200, "hello world"},
    {"/trickled", 200, "ok"},
    {"/until-close", 200, "to the end"},
    {"/continue", 200, "ok"},
    {"/redirect", 302, ""},
    {"/status/404", 404, "body"},
    {"/status/429", 429, "body"},
    {"/status/503", 503, "body"},
};

static void test_good(Fixture *fixture, gconstpointer data) {
  guint i = GPOINTER_TO_UINT(data);
  g_auto(ClientResult) result = {0};
  get(fixture, good[i].path, &result);
  g_assert_no_error(result.error);
  g_assert_cmpuint(result.status, ==, good[i].status);
  assert_body(&result, good[i].body);
  g_assert_cmpint(result.first_byte_us, <=, result.total_us);
}

static void test_headers(Fixture *fixture, gconstpointer data) {
  static const struct {
    const char *name, *value;
  } cases[] = {{"x-one", "first"},
               {"CONTENT-TYPE", "application/json"},
               {"X-Empty", ""},
               {"X-Missing", NULL}};
  for (guint i = 0; i < G_N_ELEMENTS(cases); i++) {
    g_auto(ClientResult) result = {.header_name = cases[i].name};
    get(fixture, "/echo", &result);
    g_assert_no_error(result.error);
    g_assert_cmpstr(result.header, ==, cases[i].value);
  }
}

/* The environment has no say: not its proxies, and nothing is sent that was not asked for. */
static void test_request(Fixture *fixture, gconstpointer data) {
  static const char *const methods[] = {"GET", "POST", "PUT", "DELETE"};
  static const char *const headers[] = {"Content-Type: application/json", "X-Goog-Api-Key: k",
                                        NULL};
  for (guint i = 0; i < G_N_ELEMENTS(methods); i++) {
    for (guint with_body = 0; with_body < 2; with_body++) {
      g_autofree char *url = url_of(fixture, "/echo");
      g_autoptr(GBytes) body = with_body ? g_bytes_new_static("{\"a\":1}", 7) : NULL;
      MnkHttpCallConfig config = client_config(url, fixture->loopback);
      g_auto(ClientResult) result = {0};
      config.method = methods[i];
      config.headers = headers;
      config.body = body;
      client_start(fixture->client, &config, &result);
      client_wait(&result);
      g_assert_no_error(result.error);
      g_autofree char *method = g_strdup_printf("\"method\": \"%s\"", methods[i]);
      g_assert_true(body_has(&result, method));
      g_assert_true(body_has(&result, "\"path\": \"/echo\""));
      g_assert_true(body_has(&result, "\"x-goog-api-key\": \"k\""));
      g_assert_true(body_has(&result, "\"content-type\": \"application/json\""));
      g_assert_true(body_has(&result, with_body ? "{\\\"a\\\":1}" : "\"body\": \"\""));
      g_assert_false(body_has(&result, "expect"));
      g_assert_false(body_has(&result, "cookie"));
      g_assert_false(body_has(&result, "accept-encoding"));
      g_assert_false(body_has(&result, "authorization"));
    }
  }
}

static void test_user_in_url(Fixture *fixture, gconstpointer data) {
  g_autofree char *url =
      g_strdup_printf("http://me:pa%%40ss@127.0.0.1:%u/echo", fixture->server->port);
  MnkHttpCallConfig config = client_config(url, fixture->loopback);
  g_auto(ClientResult) result = {0};
  client_start(fixture->client, &config, &result);
  client_wait(&result);
  g_assert_no_error(result.error);
  g_assert_true(body_has(&result, "Basic bWU6cGFAc3M=")); /* me:pa@ss */
}

/* ---- What goes wrong ---- */

static const struct {
  const char *path, *part;
  int code;
} bad[] = {
    {"/reset", "closed the connection", MNK_ERROR_SOURCE},
    {"/reset-in-body", "closed the connection", MNK_ERROR_SOURCE},
    {"/short", "closed the connection", MNK_ERROR_SOURCE},
    {"/cut-chunk", "closed the connection", MNK_ERROR_SOURCE},
    {"/nothing", "closed the connection", MNK_ERROR_SOURCE},
    {"/large", "more than 1048576 bytes", MNK_ERROR_LIMIT},
    {"/large-unannounced", "more than 1048576 bytes", MNK_ERROR_LIMIT},
    {"/large-head", "a head of more than", MNK_ERROR_LIMIT},
    {"/noise", "not HTTP", MNK_ERROR_SOURCE},
    {"/old", "not HTTP", MNK_ERROR_SOURCE},
    {"/bad-chunk", "", MNK_ERROR_SOURCE},
    {"/bad-length", "", MNK_ERROR_SOURCE},
};

static void test_bad(Fixture *fixture, gconstpointer data) {
  guint i = GPOINTER_TO_UINT(data);
  g_auto(ClientResult) result = {0};
  get(fixture, bad[i].path, &result);
  g_assert_error(result.error, MNK_ERROR, bad[i].code);
  g_assert_nonnull(strstr(result.error->message, bad[i].part));
  /* The client is as good as new. */
  g_auto(ClientResult) next = {0};
  get(fixture, "/chunked", &next);
  g_assert_no_error(next.error);
}

static const struct {
  const char *path, *part;
  gint64 first_byte_ms, idle_ms, total_ms;
} late[] = {
    {"/silent", "began no answer within 0.15 s", 150, 20000, 20000},
    {"/silent", "gave no whole answer within 0.15 s", 20000, 20000, 150},
    {"/slow-head", "gave no whole answer within 0.3 s", 20000, 20000, 300},
    {"/slow-body", "gave no whole answer within 0.3 s", 20000, 20000, 300},
    {"/hang", "sent nothing more of its answer within 0.15 s", 20000, 150, 20000},
    {"/hang", "gave no whole answer within 0.15 s", 20000, 0, 150},
};

static void test_late(Fixture *fixture, gconstpointer data) {
  guint i = GPOINTER_TO_UINT(data);
  g_autofree char *url = url_of(fixture, late[i].path);
  MnkHttpCallConfig config = client_config(url, fixture->loopback);
  g_auto(ClientResult) result = {0};
  config.first_byte_ms = late[i].first_byte_ms;
  config.idle_ms = late[i].idle_ms;
  config.total_ms = late[i].total_ms;
  client_start(fixture->client, &config, &result);
  client_wait(&result);
  g_assert_error(result.error, MNK_ERROR, MNK_ERROR_SOURCE);
  g_assert_nonnull(strstr(result.error->message, late[i].part));
}

/* A listener whose queue is full takes no connection. */
static void test_late_connection(Fixture *fixture, gconstpointer data) {
  g_autoptr(GSocket) listening =
      g_socket_new(G_SOCKET_FAMILY_IPV4, G_SOCKET_TYPE_STREAM, G_SOCKET_PROTOCOL_TCP, NULL);
  g_autoptr(GSocketAddress) any = g_inet_socket_address_new_from_string("127.0.0.1", 0);
  g_socket_set_listen_backlog(listening, 0);
  g_assert_true(g_socket_bind(listening, any, FALSE, NULL));
  g_assert_true(g_socket_listen(listening, NULL));
  g_autoptr(GSocketAddress) bound = g_socket_get_local_address(listening, NULL);
  g_autoptr(GPtrArray) fillers = g_ptr_array_new_with_free_func(g_object_unref);
  for (guint i = 0; i < 8; i++) {
    GSocket *filler =
        g_socket_new(G_SOCKET_FAMILY_IPV4, G_SOCKET_TYPE_STREAM, G_SOCKET_PROTOCOL_TCP, NULL);
    g_socket_set_blocking(filler, FALSE);
    g_socket_connect(filler, bound, NULL, NULL);
    g_ptr_array_add(fillers, filler);
  }
  g_autofree char *url = g_strdup_printf(
      "http://127.0.0.1:%u/", g_inet_socket_address_get_port(G_INET_SOCKET_ADDRESS(bound)));
  MnkHttpCallConfig config = client_config(url, fixture->loopback);
  g_auto(ClientResult) result = {0};
  config.connect_ms = 200;
  client_start(fixture->client, &config, &result);
  client_wait(&result);
  g_assert_error(result.error, MNK_ERROR, MNK_ERROR_SOURCE);
  g_assert_nonnull(strstr(result.error->message, "took no connection within 0.2 s"));
}

static void test_refused_connection(Fixture *fixture, gconstpointer data) {
  g_autoptr(GSocket) socket =
      g_socket_new(G_SOCKET_FAMILY_IPV4, G_SOCKET_TYPE_STREAM, G_SOCKET_PROTOCOL_TCP, NULL);
  g_autoptr(GSocketAddress) any = g_inet_socket_address_new_from_string("127.0.0.1", 0);
  g_assert_true(g_socket_bind(socket, any, FALSE, NULL)); /* bound, and nobody listens */
  g_autoptr(GSocketAddress) bound = g_socket_get_local_address(socket, NULL);
  guint port = g_inet_socket_address_get_port(G_INET_SOCKET_ADDRESS(bound));
  g_autofree char *url = g_strdup_printf("http://me:secret@127.0.0.1:%u/a?key=secret", port);
  MnkHttpCallConfig config = client_config(url, fixture->loopback);
  g_auto(ClientResult) result = {0};
  client_start(fixture->client, &config, &result);
  client_wait(&result);
  g_assert_error(result.error, MNK_ERROR, MNK_ERROR_SOURCE);
  g_autofree char *expected = g_strdup_printf("http://127.0.0.1:%u refused the connection", port);
  g_assert_cmpstr(result.error->message, ==, expected);
}

static void test_header_with_line_break(Fixture *fixture, gconstpointer data) {
  static const char *const headers[] = {"X-Api-Key: a\r\nX-Other: b", NULL};
  g_autofree char *url = url_of(fixture, "/echo");
  MnkHttpCallConfig config = client_config(url, fixture->loopback);
  g_auto(ClientResult) result = {0}, after = {0};
  config.headers = headers;
  client_start(fixture->client, &config, &result);
  config.headers = NULL;
  client_start(fixture->client, &config, &after);
  client_wait(&result);
  g_assert_error(result.error, MNK_ERROR, MNK_ERROR_BAD_INPUT);
  client_wait(&after);
  g_assert_no_error(after.error);
}

/* ---- TLS ---- */

static void test_certificate(void) {
  g_autofree char *folder = g_dir_make_tmp("mnk-XXXXXX", NULL);
  g_autofree char *certificate = g_build_filename(folder, "cert.pem", NULL);
  g_autofree char *key = g_build_filename(folder, "key.pem", NULL);
  const char *argv[] = {"openssl", "req",   "-x509", "-newkey",       "rsa:2048",
                        "-nodes",  "-days", "2",     "-out",          certificate,
                        "-keyout", key,     "-subj", "/CN=localhost", NULL};
  g_autoptr(GSubprocess) openssl = g_subprocess_newv(argv, G_SUBPROCESS_FLAGS_STDERR_SILENCE, NULL);
  if (!openssl || !g_subprocess_wait_check(openssl, NULL, NULL)) {
    g_test_skip("no openssl program");
    return;
  }
  g_autofree char *options = g_strdup_printf("--tls %s %s", certificate, key);
  g_autoptr(ClientServer) server = client_server_new(options);
  g_autoptr(MnkAddressPolicy) policy = mnk_address_policy_new("loopback", NULL);
  g_autoptr(MnkHttpClient) client = mnk_http_client_new(1);
  g_autofree char *url = g_strdup_printf("https://localhost:%u/echo", server->port);
  MnkHttpCallConfig config = client_config(url, policy);
  g_auto(ClientResult) result = {0};
  client_start(client, &config, &result);
  client_wait(&result);
  g_assert_error(result.error, MNK_ERROR, MNK_ERROR_SOURCE);
  g_assert_nonnull(strstr(result.error->message, "certificate that cannot be trusted"));
}

static void test_not_tls(Fixture *fixture, gconstpointer data) {
  g_autofree char *url = g_strdup_printf("https://127.0.0.1:%u/", fixture->server->port);
  MnkHttpCallConfig config = client_config(url, fixture->loopback);
  g_auto(ClientResult) result = {0};
  config.total_ms = 2000;
  client_start(fixture->client, &config, &result);
  client_wait(&result);
  g_assert_error(result.error, MNK_ERROR, MNK_ERROR_SOURCE);
}

/* ---- Many, cancelled, freed ---- */

static void test_many(Fixture *fixture, gconstpointer data) {
  ClientResult results[40] = {0};
  g_autofree char *url = url_of(fixture, "/trickled");
  MnkHttpCallConfig config = client_config(url, fixture->loopback);
  for (guint i = 0; i < G_N_ELEMENTS(results); i++)
    client_start(fixture->client, &config, &results[i]);
  for (guint i = 0; i < G_N_ELEMENTS(results); i++) {
    client_wait(&results[i]);
    g_assert_no_error(results[i].error);
    assert_body(&results[i], "ok");
    client_result_clear(&results[i]);
  }
}

static void never(const MnkHttpReply *reply, const GError *error, gpointer user) {
  g_assert_not_reached();
}

/* One connection only: the second call waits, and its total time runs. */
static void test_waiting(Fixture *fixture, gconstpointer data) {
  g_autoptr(MnkHttpClient) client = mnk_http_client_new(1);
  g_autofree char *silent = url_of(fixture, "/silent");
  g_autofree char *fine = url_of(fixture, "/chunked");
  g_auto(ClientResult) second = {0}, third = {0};
  MnkHttpCallConfig config = client_config(silent, fixture->loopback);
  config.first_byte_ms = config.total_ms = 0;
  MnkHttpCall *first = mnk_http_client_call(client, &config, never, NULL);
  config = client_config(fine, fixture->loopback);
  config.total_ms = 100;
  client_start(client, &config, &second);
  config.total_ms = 20000;
  client_start(client, &config, &third);
  client_wait(&second);
  g_assert_error(second.error, MNK_ERROR, MNK_ERROR_SOURCE);
  g_assert_cmpuint(third.calls, ==, 0);
  mnk_http_call_cancel(first);
  client_wait(&third);
  g_assert_no_error(third.error);
}

static void test_cancel(Fixture *fixture, gconstpointer data) {
  g_autofree char *silent = url_of(fixture, "/silent");
  MnkHttpCallConfig config = client_config(silent, fixture->loopback);
  MnkHttpCall *calls[8]; /* four of them wait */
  for (guint i = 0; i < G_N_ELEMENTS(calls); i++)
    calls[i] = mnk_http_client_call(fixture->client, &config, never, NULL);
  for (guint turn = 0; turn < 20; turn++)
    g_main_context_iteration(NULL, FALSE);
  for (guint i = G_N_ELEMENTS(calls); i > 0; i--)
    mnk_http_call_cancel(calls[i - 1]);
  g_auto(ClientResult) result = {0};
  get(fixture, "/chunked", &result);
  g_assert_no_error(result.error);
}

static void test_free(Fixture *fixture, gconstpointer data) {
  ClientResult results[6] = {0};
  g_autofree char *silent = url_of(fixture, "/silent");
  MnkHttpClient *client = mnk_http_client_new(3);
  MnkHttpCallConfig config = client_config(silent, fixture->loopback);
  for (guint i = 0; i < G_N_ELEMENTS(results); i++)
    client_start(client, &config, &results[i]);
  for (guint turn = 0; turn < 20; turn++)
    g_main_context_iteration(NULL, FALSE);
  mnk_http_client_free(client);
  for (guint i = 0; i < G_N_ELEMENTS(results); i++) {
    g_assert_cmpuint(results[i].calls, ==, 1);
    g_assert_error(results[i].error, MNK_ERROR, MNK_ERROR_CANCELLED);
    client_result_clear(&results[i]);
  }
}

typedef struct {
  MnkHttpClient *client;
  MnkHttpCall *other;
  const MnkHttpCallConfig *config;
  guint calls;
} Chain;

static void go_on(const MnkHttpReply *reply, const GError *error, gpointer user) {
  Chain *chain = user;
  chain->calls++;
  if (chain->other)
    mnk_http_call_cancel(g_steal_pointer(&chain->other));
  if (chain->calls < 3)
    g_assert_nonnull(mnk_http_client_call(chain->client, chain->config, go_on, chain));
  else
    g_clear_pointer(&chain->client, mnk_http_client_free);
}

/* From within done: another call is cancelled, a new one made, the client freed. */
static void test_from_within(Fixture *fixture, gconstpointer data) {
  g_autofree char *url = url_of(fixture, "/chunked");
  g_autofree char *silent = url_of(fixture, "/silent");
  MnkHttpCallConfig config = client_config(url, fixture->loopback);
  MnkHttpCallConfig hanging = client_config(silent, fixture->loopback);
  Chain chain = {.client = mnk_http_client_new(2), .config = &config};
  chain.other = mnk_http_client_call(chain.client, &hanging, never, NULL);
  mnk_http_client_call(chain.client, &config, go_on, &chain);
  while (chain.client)
    g_main_context_iteration(NULL, TRUE);
  g_assert_cmpuint(chain.calls, ==, 3);
}

/* A connection that one policy allowed is no way round another one. */
static void test_kept_connection(Fixture *fixture, gconstpointer data) {
  g_autoptr(MnkAddressPolicy) nothing = mnk_address_policy_new(NULL, NULL);
  g_autofree char *url = url_of(fixture, "/echo");
  MnkHttpCallConfig config = client_config(url, fixture->loopback);
  g_auto(ClientResult) allowed = {0}, refused = {0}, again = {0};
  client_start(fixture->client, &config, &allowed);
  client_wait(&allowed);
  g_assert_no_error(allowed.error);
  config.policy = nothing;
  client_start(fixture->client, &config, &refused);
  client_wait(&refused);
  g_assert_error(refused.error, MNK_ERROR, MNK_ERROR_LIMIT);
  g_assert_cmpstr(refused.error->message, ==,
                  "127.0.0.1 is a loopback address; outbound_allow does not list it");
  config.policy = fixture->loopback;
  client_start(fixture->client, &config, &again);
  client_wait(&again);
  g_assert_no_error(again.error);
}

/* ---- A body that is told as it comes ---- */

typedef struct {
  ClientResult result;
  GString *told;
  guint status;
  char *header;
  MnkHttpClient *client; /* to be freed from within */
  MnkHttpCall *call;     /* to be cancelled from within */
} Parts;

static void on_part(const MnkHttpReply *head, const char *bytes, gsize length, gpointer user) {
  Parts *parts = user;
  g_assert_cmpuint(length, >, 0);
  g_assert_cmpuint(parts->result.calls, ==, 0);
  g_assert_null(head->body);
  g_string_append_len(parts->told, bytes, (gssize)length);
  parts->status = head->status;
  g_free(parts->header);
  parts->header = g_strdup(mnk_http_reply_header(head, "Content-Length"));
  if (parts->call)
    mnk_http_call_cancel(g_steal_pointer(&parts->call));
  g_clear_pointer(&parts->client, mnk_http_client_free);
}

static void on_parts_done(const MnkHttpReply *reply, const GError *error, gpointer user) {
  Parts *parts = user;
  parts->result.calls++;
  if (error)
    parts->result.error = g_error_copy(error);
  else
    parts->result.body = g_bytes_ref(reply->body);
}

static void parts_start(MnkHttpClient *client, Fixture *fixture, const char *path, gsize max,
                        Parts *parts, gboolean cancel) {
  g_autofree char *url = url_of(fixture, path);
  MnkHttpCallConfig config = client_config(url, fixture->loopback);
  config.part = on_part;
  config.response_max = max;
  parts->told = g_string_new(NULL);
  MnkHttpCall *call = mnk_http_client_call(client, &config, on_parts_done, parts);
  if (cancel)
    parts->call = call;
}

static void parts_clear(Parts *parts) {
  client_result_clear(&parts->result);
  g_string_free(parts->told, TRUE);
  g_free(parts->header);
}

static void test_parts(Fixture *fixture, gconstpointer data) {
  static const char *const paths[][2] = {
      {"/chunked", "hello world"}, {"/trickled", "ok"}, {"/status/503", "body"}};
  for (guint i = 0; i < G_N_ELEMENTS(paths); i++) {
    Parts parts = {0};
    parts_start(fixture->client, fixture, paths[i][0], 1 << 20, &parts, FALSE);
    client_wait(&parts.result);
    g_assert_no_error(parts.result.error);
    g_assert_cmpstr(parts.told->str, ==, paths[i][1]);
    assert_body(&parts.result, paths[i][1]);
    g_assert_cmpuint(parts.status, ==, i == 2 ? 503 : 200);
    if (i == 1)
      g_assert_cmpstr(parts.header, ==, "2");
    parts_clear(&parts);
  }
}

/* What had come before the end was told; of too much nothing past the limit is. */
static void test_parts_cut(Fixture *fixture, gconstpointer data) {
  Parts parts = {0};
  parts_start(fixture->client, fixture, "/reset-in-body", 1 << 20, &parts, FALSE);
  client_wait(&parts.result);
  g_assert_error(parts.result.error, MNK_ERROR, MNK_ERROR_SOURCE);
  g_assert_cmpstr(parts.told->str, ==, "half");
  parts_clear(&parts);
  Parts large = {0};
  parts_start(fixture->client, fixture, "/large", 100000, &large, FALSE);
  client_wait(&large.result);
  g_assert_error(large.result.error, MNK_ERROR, MNK_ERROR_LIMIT);
  g_assert_cmpuint(large.told->len, <=, 100000);
  parts_clear(&large);
}

static void test_parts_from_within(Fixture *fixture, gconstpointer data) {
  Parts cancelled = {0};
  parts_start(fixture->client, fixture, "/hang", 1 << 20, &cancelled, TRUE);
  while (cancelled.told->len == 0)
    g_main_context_iteration(NULL, TRUE);
  g_assert_cmpuint(cancelled.result.calls, ==, 0);
  parts_clear(&cancelled);
  Parts freed = {.client = mnk_http_client_new(2)};
  parts_start(freed.client, fixture, "/hang", 1 << 20, &freed, FALSE);
  client_wait(&freed.result);
  g_assert_error(freed.result.error, MNK_ERROR, MNK_ERROR_CANCELLED);
  g_assert_cmpstr(freed.told->str, ==, "half");
  parts_clear(&freed);
}

#define ADD(path, data, test) g_test_add(path, Fixture, data, setup, test, teardown)

int main(int argc, char **argv) {
  g_setenv("http_proxy", "http://127.0.0.1:9", TRUE);
  g_setenv("https_proxy", "http://127.0.0.1:9", TRUE);
  g_setenv("all_proxy", "socks5://127.0.0.1:9", TRUE);
  g_test_init(&argc, &argv, NULL);
  for (guint i = 0; i < G_N_ELEMENTS(good); i++) {
    g_autofree char *path = g_strdup_printf("/net/client/good%s", good[i].path);
    ADD(path, GUINT_TO_POINTER(i), test_good);
  }
  ADD("/net/client/headers", NULL, test_headers);
  ADD("/net/client/request", NULL, test_request);
  ADD("/net/client/user-in-url", NULL, test_user_in_url);
  for (guint i = 0; i < G_N_ELEMENTS(bad); i++) {
    g_autofree char *path = g_strdup_printf("/net/client/bad%s", bad[i].path);
    ADD(path, GUINT_TO_POINTER(i), test_bad);
  }
  for (guint i = 0; i < G_N_ELEMENTS(late); i++) {
    g_autofree char *path = g_strdup_printf("/net/client/late%s/%u", late[i].path, i);
    ADD(path, GUINT_TO_POINTER(i), test_late);
  }
  ADD("/net/client/late-connection", NULL, test_late_connection);
  ADD("/net/client/refused-connection", NULL, test_refused_connection);
  ADD("/net/client/header-with-line-break", NULL, test_header_with_line_break);
  g_test_add_func("/net/client/certificate", test_certificate);
  ADD("/net/client/not-tls", NULL, test_not_tls);
  ADD("/net/client/many", NULL, test_many);
  ADD("/net/client/waiting", NULL, test_waiting);
  ADD("/net/client/cancel", NULL, test_cancel);
  ADD("/net/client/free", NULL, test_free);
  ADD("/net/client/from-within", NULL, test_from_within);
  ADD("/net/client/kept-connection", NULL, test_kept_connection);
  ADD("/net/client/parts", NULL, test_parts);
  ADD("/net/client/parts-cut", NULL, test_parts_cut);
  ADD("/net/client/parts-from-within", NULL, test_parts_from_within);
  return g_test_run();
}
