#include "http_support.h"

#include <arpa/inet.h>
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

const MnkHttpConfig test_config = {
    .host = "127.0.0.1",
    .connections_max = 1000,
    .connections_per_address = 64,
    .header_max = 8192,
    .header_timeout_ms = 60000,
    .body_idle_timeout_ms = 60000,
    .keep_alive_ms = 60000,
};

/* ---- Server ---- */

void test_answer_text(MnkRequest *request, guint status, const char *text) {
  g_autoptr(GBytes) body = g_bytes_new(text, strlen(text));
  mnk_request_answer(request, status, "text/plain", body);
}

static void on_body(MnkRequest *request, GBytes *body, gpointer user) {
  mnk_request_answer(request, 200, "text/plain", body);
}

static void on_closed(MnkRequest *request, gpointer user) {
  TestServer *test = user;
  test->closed++;
}

TestServer *test_server_of(MnkRequest *request) {
  return mnk_request_user(request);
}

static void on_request(MnkRequest *request, gpointer user) {
  TestServer *test = user;
  g_ptr_array_add(test->seen,
                  g_strdup_printf("%s %s", mnk_request_method(request), mnk_request_path(request)));
  mnk_request_set_user(request, test, NULL);
  mnk_request_on_closed(request, on_closed, test);
  if (test->func)
    test->func(request, test->user);
  else
    mnk_request_read_body(request, 65536, on_body, test);
}

TestServer *test_server_new(const MnkHttpConfig *config, MnkRequestFunc func, gpointer user) {
  g_autoptr(GError) error = NULL;
  TestServer *test = g_new0(TestServer, 1);
  test->seen = g_ptr_array_new_with_free_func(g_free);
  test->func = func;
  test->user = user;
  test->server = mnk_http_server_new(config ? config : &test_config, on_request, test, &error);
  g_assert_no_error(error);
  return test;
}

void test_server_free(TestServer *test) {
  mnk_http_server_free(test->server);
  g_assert_cmpuint(test->closed, ==, test->seen->len);
  g_ptr_array_unref(test->seen);
  g_free(test);
}

/* ---- Client ---- */

TestClient *test_client_new_to(const TestServer *test, const char *address) {
  struct sockaddr_in to = {.sin_family = AF_INET,
                           .sin_port = htons(mnk_http_server_port(test->server))};
  g_assert_cmpint(inet_pton(AF_INET, address, &to.sin_addr), ==, 1);
  TestClient *client = g_new0(TestClient, 1);
  client->got = g_string_new(NULL);
  client->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  g_assert_cmpint(client->fd, >=, 0);
  int result = connect(client->fd, (struct sockaddr *)&to, sizeof to);
  g_assert_true(result == 0 || errno == EINPROGRESS);
  return client;
}

TestClient *test_client_new(const TestServer *test) {
  return test_client_new_to(test, "127.0.0.1");
}

void test_client_free(TestClient *client) {
  if (client->fd >= 0)
    close(client->fd);
  g_string_free(client->got, TRUE);
  g_free(client);
}

void test_turn(guint times) {
  while (times-- > 0)
    g_main_context_iteration(NULL, FALSE);
}

static gboolean on_tick(gpointer user) {
  return G_SOURCE_REMOVE;
}

/* One turn of the loop; it does not block for longer than the client can wait to look again. */
static void turn_and_wait(void) {
  guint tick = g_timeout_add(2, on_tick, NULL);
  g_main_context_iteration(NULL, TRUE);
  GSource *source = g_main_context_find_source_by_id(NULL, tick);
  if (source)
    g_source_destroy(source);
}

void test_turn_until(const gboolean *flag) {
  while (!*flag)
    turn_and_wait();
}

void test_client_take(TestClient *client) {
  char bytes[65536];
  ssize_t n;
  while ((n = recv(client->fd, bytes, sizeof bytes, 0)) > 0)
    g_string_append_len(client->got, bytes, n);
  if (n == 0 || (errno != EAGAIN && errno != EINTR && errno != ENOTCONN))
    client->ended = TRUE;
}

gboolean test_client_send(TestClient *client, const char *bytes, gsize length) {
  while (length > 0) {
    ssize_t n = send(client->fd, bytes, length, MSG_NOSIGNAL);
    if (n > 0) {
      bytes += n;
      length -= (gsize)n;
    } else if (errno == EAGAIN || errno == ENOTCONN) {
      turn_and_wait();
    } else {
      return FALSE;
    }
  }
  return TRUE;
}

void test_client_send_text(TestClient *client, const char *text) {
  g_assert_true(test_client_send(client, text, strlen(text)));
}

void test_client_finish_sending(TestClient *client) {
  shutdown(client->fd, SHUT_WR);
}

void test_client_wait_for(TestClient *client, const char *text) {
  for (;;) {
    test_client_take(client);
    if (strstr(client->got->str, text))
      return;
    if (client->ended)
      g_error("the connection ended before \"%s\" came; there was:\n%s", text, client->got->str);
    turn_and_wait();
  }
}

void test_client_wait_end(TestClient *client) {
  for (;;) {
    test_client_take(client);
    if (client->ended)
      return;
    turn_and_wait();
  }
}

static const char *find_header(const char *headers, const char *name) {
  for (const char *line = headers; line; line = strstr(line, "\r\n")) {
    line += *line == '\r' ? 2 : 0;
    gsize length = strlen(name);
    if (g_ascii_strncasecmp(line, name, length) == 0 && line[length] == ':')
      return line + length + 2;
  }
  return NULL;
}

guint test_client_answer(TestClient *client, gboolean to_head, char **headers, char **body) {
  if (client->got->len == 0)
    return 0;
  const char *text = client->got->str;
  if (!g_str_has_prefix(text, "HTTP/1.1 "))
    g_error("what came is no answer:\n%s", text);
  const char *end = strstr(text, "\r\n\r\n");
  if (!end)
    g_error("a head is not whole:\n%s", text);
  g_autofree char *head = g_strndup(text, (gsize)(end + 2 - text));
  guint status = (guint)g_ascii_strtoull(text + strlen("HTTP/1.1 "), NULL, 10);
  const char *length_text = find_header(head, "Content-Length");
  gsize length = length_text && !to_head ? (gsize)g_ascii_strtoull(length_text, NULL, 10) : 0;
  gsize head_length = (gsize)(end + 4 - text);
  g_assert_cmpuint(client->got->len, >=, head_length + length);
  if (headers)
    *headers = g_strdup(head);
  if (body)
    *body = g_strndup(text + head_length, length);
  g_string_erase(client->got, 0, (gssize)(head_length + length));
  return status;
}

guint test_count_fds(void) {
  guint n = 0;
  g_autoptr(GDir) dir = g_dir_open("/proc/self/fd", 0, NULL);
  while (dir && g_dir_read_name(dir))
    n++;
  return n;
}
