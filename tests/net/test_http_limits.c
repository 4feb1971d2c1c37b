/* Deadlines, numbers of connections, the graceful end, and what is left behind. Deadlines are short
 * and waited for as long as it takes; none is measured. */
#include <arpa/inet.h>
#include <ifaddrs.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/base.h"
#include "http_support.h"
#include "net/net_priv.h"

#define GET "GET / HTTP/1.1\r\nHost: a\r\n\r\n"

static MnkHttpConfig impatient(void) {
  MnkHttpConfig config = test_config;
  config.header_timeout_ms = 150;
  config.body_idle_timeout_ms = 150;
  config.keep_alive_ms = 150;
  return config;
}

/* ---- Deadlines ---- */

typedef struct {
  TestClient *client;
  const char *next;
  gboolean over;
} Trickle;

static gboolean on_trickle(gpointer user) {
  Trickle *trickle = user;
  test_client_take(trickle->client);
  trickle->over = trickle->client->ended;
  if (!trickle->over && *trickle->next)
    test_client_send(trickle->client, trickle->next++, 1);
  return trickle->over ? G_SOURCE_REMOVE : G_SOURCE_CONTINUE;
}

/* One byte every 10 ms, for ever or until the server ends it. */
static void trickle_until_end(TestClient *client, const char *text) {
  Trickle trickle = {.client = client, .next = text};
  g_timeout_add(10, on_trickle, &trickle);
  while (!trickle.over)
    g_main_context_iteration(NULL, TRUE);
}

static void test_slow_head(void) {
  MnkHttpConfig config = impatient();
  config.body_idle_timeout_ms = 60000;
  g_autoptr(TestServer) test = test_server_new(&config, NULL, NULL);
  g_autoptr(TestClient) client = test_client_new(test);
  g_autofree char *endless = g_strnfill(8000, 'x');
  g_autofree char *head = g_strconcat("GET /", endless, NULL);
  trickle_until_end(client, head);
  g_assert_cmpuint(test_client_answer(client, FALSE, NULL, NULL), ==, 408);
  g_assert_cmpuint(test->seen->len, ==, 0);
}

static void test_slow_fields(void) {
  MnkHttpConfig config = impatient();
  g_autoptr(TestServer) test = test_server_new(&config, NULL, NULL);
  g_autoptr(TestClient) client = test_client_new(test);
  test_client_send_text(client, "GET / HTTP/1.1\r\nHost: a\r\n");
  GString *fields = g_string_new(NULL);
  for (guint i = 0; i < 1000; i++)
    g_string_append_printf(fields, "x%u: y\r\n", i);
  trickle_until_end(client, fields->str);
  g_assert_cmpuint(test_client_answer(client, FALSE, NULL, NULL), ==, 408);
  g_string_free(fields, TRUE);
}

/* A second head on the connection has its deadline too, from its first byte. */
static void test_slow_second_head(void) {
  MnkHttpConfig config = impatient();
  config.keep_alive_ms = 60000;
  g_autoptr(TestServer) test = test_server_new(&config, NULL, NULL);
  g_autoptr(TestClient) client = test_client_new(test);
  g_autofree char *endless = g_strnfill(8000, 'x');
  g_autofree char *head = g_strconcat(GET "GET /", endless, NULL);
  trickle_until_end(client, head);
  g_assert_cmpuint(test_client_answer(client, FALSE, NULL, NULL), ==, 408);
}

static void test_nothing_comes(void) {
  MnkHttpConfig config = impatient();
  g_autoptr(TestServer) test = test_server_new(&config, NULL, NULL);
  g_autoptr(TestClient) client = test_client_new(test);
  test_client_wait_end(client);
  g_assert_cmpuint(client->got->len, ==, 0);
}

static void test_keep_alive(void) {
  MnkHttpConfig config = impatient();
  config.header_timeout_ms = 60000;
  g_autoptr(TestServer) test = test_server_new(&config, NULL, NULL);
  g_autoptr(TestClient) client = test_client_new(test);
  test_client_send_text(client, GET);
  test_client_wait_end(client);
  g_assert_cmpuint(test_client_answer(client, FALSE, NULL, NULL), ==, 200);
  g_assert_cmpuint(client->got->len, ==, 0);
}

static void test_no_keep_alive(void) {
  MnkHttpConfig config = test_config;
  config.keep_alive_ms = 0;
  g_autoptr(TestServer) test = test_server_new(&config, NULL, NULL);
  g_autoptr(TestClient) client = test_client_new(test);
  test_client_send_text(client, GET GET);
  test_client_wait_end(client);
  g_autofree char *headers = NULL;
  g_assert_cmpuint(test_client_answer(client, FALSE, &headers, NULL), ==, 200);
  g_assert_nonnull(strstr(headers, "Connection: close"));
  g_assert_cmpuint(client->got->len, ==, 0);
}

static void test_body_stops(void) {
  MnkHttpConfig config = impatient();
  g_autoptr(TestServer) test = test_server_new(&config, NULL, NULL);
  g_autoptr(TestClient) client = test_client_new(test);
  test_client_send_text(client, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nabc");
  test_client_wait_end(client);
  g_assert_cmpuint(test_client_answer(client, FALSE, NULL, NULL), ==, 408);
}

/* A body that is kept whole cannot be drawn out by a byte now and then. */
static void test_body_trickles(void) {
  MnkHttpConfig config = impatient();
  g_autoptr(TestServer) test = test_server_new(&config, NULL, NULL);
  g_autoptr(TestClient) client = test_client_new(test);
  test_client_send_text(client, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 60000\r\n\r\n");
  g_autofree char *endless = g_strnfill(8000, 'x');
  trickle_until_end(client, endless);
  g_assert_cmpuint(test_client_answer(client, FALSE, NULL, NULL), ==, 408);
}

static void on_nothing(MnkRequest *request, gpointer user) {
}

static gboolean on_flag(gpointer user) {
  *(gboolean *)user = TRUE;
  return G_SOURCE_REMOVE;
}

/* What waits for a handler has no deadline. */
static void test_handler_takes_its_time(void) {
  MnkHttpConfig config = impatient();
  g_autoptr(TestServer) test = test_server_new(&config, on_nothing, NULL);
  g_autoptr(TestClient) client = test_client_new(test);
  test_client_send_text(client, GET);
  gboolean waited = FALSE;
  g_timeout_add(600, on_flag, &waited);
  test_turn_until(&waited);
  test_client_take(client);
  g_assert_false(client->ended);
  g_assert_cmpuint(mnk_http_server_connections(test->server), ==, 1);
}

/* ---- The end of a connection ---- */

/* Our half is closed first, and the client's waited for, so that no reset overtakes the answer. */
static void test_lingers(void) {
  g_autoptr(TestServer) test = test_server_new(NULL, NULL, NULL);
  TestClient *client = test_client_new(test);
  test_client_send_text(client, "nonsense\n");
  test_client_wait_end(client);
  g_assert_cmpuint(test_client_answer(client, FALSE, NULL, NULL), ==, 400);
  g_assert_cmpuint(mnk_http_server_connections(test->server), ==, 1);
  test_client_free(client);
  while (mnk_http_server_connections(test->server) > 0)
    test_turn(1);
}

/* What a refused client goes on sending is not read for ever. */
static void test_lingers_not_for_ever(void) {
  enum { PIECE = 65536, MOST = 1 << 30 };
  g_autoptr(TestServer) test = test_server_new(NULL, NULL, NULL);
  g_autoptr(TestClient) client = test_client_new(test);
  test_client_send_text(client, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 99999999\r\n\r\n");
  g_autofree char *piece = g_strnfill(PIECE, 'x');
  gsize sent = 0;
  while (sent < MOST && test_client_send(client, piece, PIECE))
    sent += PIECE;
  g_assert_cmpuint(sent, <, 64 << 20);
}

/* ---- Numbers of connections ---- */

static void expect_refused(TestClient *client, const char *what) {
  g_autofree char *headers = NULL, *body = NULL;
  test_client_wait_end(client);
  g_assert_cmpuint(test_client_answer(client, FALSE, &headers, &body), ==, 503);
  g_assert_nonnull(strstr(headers, "Retry-After: 1"));
  g_assert_nonnull(strstr(body, what));
}

static void test_connections_max(void) {
  enum { MAX = 5 };
  MnkHttpConfig config = test_config;
  config.connections_max = MAX;
  g_autoptr(TestServer) test = test_server_new(&config, NULL, NULL);
  TestClient *clients[MAX];
  for (guint i = 0; i < MAX; i++) {
    clients[i] = test_client_new(test);
    test_client_send_text(clients[i], GET);
    test_client_wait_for(clients[i], "200 OK");
  }
  g_assert_cmpuint(mnk_http_server_connections(test->server), ==, MAX);
  g_autoptr(TestClient) more = test_client_new(test);
  test_client_send(more, GET, strlen(GET));
  expect_refused(more, "connections_max");
  g_assert_cmpuint(test->seen->len, ==, MAX);
  test_client_free(clients[0]);
  while (mnk_http_server_connections(test->server) == MAX)
    test_turn(1);
  g_autoptr(TestClient) again = test_client_new(test);
  test_client_send_text(again, GET);
  test_client_wait_for(again, "200 OK");
  for (guint i = 1; i < MAX; i++)
    test_client_free(clients[i]);
}

/* A flood beyond the limit is closed without much ado, and does not hold descriptors. */
static void test_connections_flood(void) {
  enum { FLOOD = 200 };
  MnkMetric *refused = mnk_counter("http_refused_total", "", "status=\"503\"");
  double before = mnk_metric_value(refused);
  MnkHttpConfig config = test_config;
  config.connections_max = 1;
  g_autoptr(TestServer) test = test_server_new(&config, NULL, NULL);
  g_autoptr(TestClient) first = test_client_new(test);
  test_client_send_text(first, GET);
  test_client_wait_for(first, "200 OK");
  TestClient *clients[FLOOD];
  for (guint i = 0; i < FLOOD; i++)
    clients[i] = test_client_new(test);
  guint answered = 0;
  for (guint i = 0; i < FLOOD; i++) {
    test_client_wait_end(clients[i]);
    answered += clients[i]->got->len > 0;
    test_client_free(clients[i]);
  }
  g_assert_cmpuint(answered, >, 0);
  g_assert_cmpuint(answered, <, FLOOD);
  g_assert_cmpfloat(mnk_metric_value(refused) - before, ==, FLOOD);
  test_client_send_text(first, GET);
  test_client_wait_for(first, "200 OK");
}

/* An address of this machine that is not loopback, or NULL. */
static char *other_address(void) {
  struct ifaddrs *list = NULL;
  char *found = NULL;
  if (getifaddrs(&list) != 0)
    return NULL;
  for (struct ifaddrs *i = list; i && !found; i = i->ifa_next) {
    if (!i->ifa_addr || i->ifa_addr->sa_family != AF_INET)
      continue;
    struct sockaddr_in in;
    memcpy(&in, i->ifa_addr, sizeof in);
    char text[INET_ADDRSTRLEN];
    if ((ntohl(in.sin_addr.s_addr) >> 24) != 127)
      found = g_strdup(inet_ntop(AF_INET, &in.sin_addr, text, sizeof text));
  }
  freeifaddrs(list);
  return found;
}

static void test_per_address(void) {
  enum { MAX = 3 };
  MnkHttpConfig config = test_config;
  config.host = "0.0.0.0";
  config.connections_per_address = MAX;
  g_autofree char *address = other_address();
  if (!address) {
    g_test_skip("this machine has only loopback addresses");
    return;
  }
  g_autoptr(TestServer) test = test_server_new(&config, NULL, NULL);
  TestClient *clients[MAX], *locals[2 * MAX];
  for (guint i = 0; i < MAX; i++) {
    clients[i] = test_client_new_to(test, address);
    test_client_send_text(clients[i], GET);
    test_client_wait_for(clients[i], "200 OK");
  }
  for (guint i = 0; i < 2 * MAX; i++) { /* loopback is exempt */
    locals[i] = test_client_new(test);
    test_client_send_text(locals[i], GET);
    test_client_wait_for(locals[i], "200 OK");
  }
  g_autoptr(TestClient) more = test_client_new_to(test, address);
  expect_refused(more, "connections_per_address");
  test_client_free(clients[0]);
  while (mnk_http_server_connections(test->server) == 3 * MAX)
    test_turn(1);
  g_autoptr(TestClient) again = test_client_new_to(test, address);
  test_client_send_text(again, GET);
  test_client_wait_for(again, "200 OK");
  for (guint i = 1; i < MAX; i++)
    test_client_free(clients[i]);
  for (guint i = 0; i < 2 * MAX; i++)
    test_client_free(locals[i]);
}

/* ---- The graceful end ---- */

static void on_hold(MnkRequest *request, gpointer user) {
  *(MnkRequest **)user = request;
}

static void test_drain(void) {
  MnkRequest *held = NULL;
  g_autoptr(TestServer) test = test_server_new(NULL, NULL, NULL);
  g_autoptr(TestClient) idle = test_client_new(test);
  test_client_send_text(idle, GET);
  test_client_wait_for(idle, "200 OK");
  test->func = on_hold;
  test->user = &held;
  g_autoptr(TestClient) busy = test_client_new(test);
  test_client_send_text(busy, GET);
  while (!held)
    test_turn(1);
  mnk_http_server_drain(test->server);
  test_client_wait_end(idle);
  test_answer_text(held, 200, "last words");
  test_client_wait_end(busy);
  g_autofree char *headers = NULL, *body = NULL;
  g_assert_cmpuint(test_client_answer(busy, FALSE, &headers, &body), ==, 200);
  g_assert_nonnull(strstr(headers, "Connection: close"));
  g_assert_cmpstr(body, ==, "last words");
  g_autoptr(TestClient) late = test_client_new(test);
  test_client_wait_end(late);
  g_assert_cmpuint(late->got->len, ==, 0);
}

/* ---- What is left behind ---- */

/* 500 connections that end in every way there is. */
static void test_nothing_leaks(void) {
  static const char *const ways[] = {
      GET,
      "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
      "GET / HTT",
      "",
      "nonsense\n",
      "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nabc",
      "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nzz",
      "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 99999999\r\n\r\nabc",
  };
  g_autoptr(TestServer) test = test_server_new(NULL, NULL, NULL);
  guint fds = test_count_fds();
  for (guint i = 0; i < 500; i++) {
    TestClient *client = test_client_new(test);
    const char *bytes = ways[i % G_N_ELEMENTS(ways)];
    test_client_send(client, bytes, strlen(bytes));
    if (i % 3 == 0)
      test_turn(4);
    if (i % 5 == 0)
      setsockopt(client->fd, SOL_SOCKET, SO_LINGER, &(struct linger){1, 0},
                 sizeof(struct linger)); /* a reset instead of an end */
    if (i % 7 == 0)
      test_client_finish_sending(client);
    if (i % 11 == 0)
      test_turn(4);
    test_client_free(client);
  }
  while (mnk_http_server_connections(test->server) > 0)
    g_main_context_iteration(NULL, TRUE);
  while (test_count_fds() > fds)
    g_main_context_iteration(NULL, TRUE);
  g_assert_cmpuint(test_count_fds(), ==, fds);
}

static void ignore_line(const char *line, gpointer user) {
}

/* Out of descriptors: what is open is served on, and new connections come in when there is room. */
static void test_out_of_descriptors(void) {
  g_autoptr(TestServer) test = test_server_new(NULL, NULL, NULL);
  g_autoptr(TestClient) open = test_client_new(test);
  test_client_send_text(open, GET);
  test_client_wait_for(open, "200 OK");
  g_autoptr(TestClient) waiting = test_client_new(test);
  struct rlimit before, none;
  g_assert_cmpint(getrlimit(RLIMIT_NOFILE, &before), ==, 0);
  none = before;
  none.rlim_cur = (rlim_t)waiting->fd + 1;
  g_assert_cmpint(setrlimit(RLIMIT_NOFILE, &none), ==, 0);
  mnk_log_set_sink(ignore_line, NULL);
  g_string_truncate(open->got, 0);
  test_turn(20);
  test_client_send_text(open, GET);
  test_client_wait_for(open, "200 OK");
  g_assert_cmpuint(mnk_http_server_connections(test->server), ==, 1);
  g_assert_cmpint(setrlimit(RLIMIT_NOFILE, &before), ==, 0);
  mnk_log_set_sink(NULL, NULL);
  test_client_send_text(waiting, GET);
  test_client_wait_for(waiting, "200 OK");
}

/* ---- Connections that change their protocol ---- */

typedef struct {
  MnkTaken *taken;
  guint cut;
} Other;

static void on_cut(gpointer user) {
  Other *other = user;
  other->cut++;
  mnk_taken_free(other->taken);
}

static void on_take(MnkRequest *request, gpointer user) {
  static const char *const headers[] = {"Connection: Upgrade", "Upgrade: echo", NULL};
  Other *other = user;
  other->taken = mnk_request_take_over(request, headers, on_cut, other);
  g_assert_nonnull(other->taken);
  g_assert_null(mnk_request_take_over(request, headers, on_cut, other));
  g_assert_cmpuint(mnk_request_status(request), ==, 101);
  g_assert_cmpstr(mnk_request_path(request), ==, "/"); /* good until the handler returns */
}

static TestClient *take_over(TestServer *test, Other *other, const char *address) {
  TestClient *client = test_client_new_to(test, address);
  test_client_send_text(client, GET "behind it");
  test_client_wait_for(client, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\n"
                               "Upgrade: echo\r\n\r\n");
  g_assert_cmpuint(test->closed, ==, 1);
  g_autoptr(GBytes) input = mnk_taken_steal_input(other->taken);
  g_assert_cmpmem(g_bytes_get_data(input, NULL), g_bytes_get_size(input), "behind it", 9);
  g_assert_null(mnk_taken_steal_input(other->taken));
  g_assert_cmpuint(mnk_http_server_connections(test->server), ==, 1);
  return client;
}

static void test_taken(void) {
  Other other = {0};
  g_autoptr(TestServer) test = test_server_new(NULL, on_take, &other);
  g_autoptr(TestClient) client = take_over(test, &other, "127.0.0.1");
  g_assert_cmpint(send(mnk_taken_fd(other.taken), "hello", 5, MSG_NOSIGNAL), ==, 5);
  test_client_wait_for(client, "\r\n\r\nhello");
  mnk_http_server_drain(test->server);
  test_turn(10);
  g_assert_cmpuint(mnk_http_server_connections(test->server), ==, 1);
  mnk_taken_free(other.taken);
  g_assert_cmpuint(mnk_http_server_connections(test->server), ==, 0);
  test_client_wait_end(client);
  g_assert_cmpuint(other.cut, ==, 0);
}

static void test_taken_cut(void) {
  Other other = {0};
  TestServer *test = test_server_new(NULL, on_take, &other);
  g_autoptr(TestClient) client = take_over(test, &other, "127.0.0.1");
  test_server_free(test);
  g_assert_cmpuint(other.cut, ==, 1);
  test_client_wait_end(client);
}

/* It counts for its address until it is let go of. */
static void test_taken_counts(void) {
  Other other = {0};
  MnkHttpConfig config = test_config;
  config.host = "0.0.0.0";
  config.connections_per_address = 1;
  g_autofree char *address = other_address();
  if (!address) {
    g_test_skip("this machine has only loopback addresses");
    return;
  }
  g_autoptr(TestServer) test = test_server_new(&config, on_take, &other);
  g_autoptr(TestClient) client = take_over(test, &other, address);
  g_autoptr(TestClient) more = test_client_new_to(test, address);
  expect_refused(more, "connections_per_address");
  mnk_taken_free(other.taken);
  test->func = NULL;
  g_autoptr(TestClient) again = test_client_new_to(test, address);
  test_client_send_text(again, GET);
  test_client_wait_for(again, "200 OK");
}

int main(int argc, char **argv) {
  g_test_init(&argc, &argv, NULL);
  g_test_add_func("/net/http-limits/slow-head", test_slow_head);
  g_test_add_func("/net/http-limits/slow-fields", test_slow_fields);
  g_test_add_func("/net/http-limits/slow-second-head", test_slow_second_head);
  g_test_add_func("/net/http-limits/nothing-comes", test_nothing_comes);
  g_test_add_func("/net/http-limits/keep-alive", test_keep_alive);
  g_test_add_func("/net/http-limits/no-keep-alive", test_no_keep_alive);
  g_test_add_func("/net/http-limits/body-stops", test_body_stops);
  g_test_add_func("/net/http-limits/body-trickles", test_body_trickles);
  g_test_add_func("/net/http-limits/handler-takes-its-time", test_handler_takes_its_time);
  g_test_add_func("/net/http-limits/lingers", test_lingers);
  g_test_add_func("/net/http-limits/lingers-not-for-ever", test_lingers_not_for_ever);
  g_test_add_func("/net/http-limits/connections-max", test_connections_max);
  g_test_add_func("/net/http-limits/connections-flood", test_connections_flood);
  g_test_add_func("/net/http-limits/per-address", test_per_address);
  g_test_add_func("/net/http-limits/drain", test_drain);
  g_test_add_func("/net/http-limits/nothing-leaks", test_nothing_leaks);
  g_test_add_func("/net/http-limits/out-of-descriptors", test_out_of_descriptors);
  g_test_add_func("/net/http-limits/taken", test_taken);
  g_test_add_func("/net/http-limits/taken-cut", test_taken_cut);
  g_test_add_func("/net/http-limits/taken-counts", test_taken_counts);
  return g_test_run();
}
