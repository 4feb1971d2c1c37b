/* Requests and whole answers: every call of http.h but the streamed ones. */
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "base/base.h"
#include "http_support.h"

#define GET(path) "GET " path " HTTP/1.1\r\nHost: a\r\n\r\n"

/* Sends one request, and gives the answer. */
static guint exchange(TestServer *test, const char *request, char **headers, char **body) {
  g_autoptr(TestClient) client = test_client_new(test);
  test_client_send_text(client, request);
  test_client_finish_sending(client);
  test_client_wait_end(client);
  guint status = test_client_answer(client, g_str_has_prefix(request, "HEAD"), headers, body);
  g_assert_cmpuint(client->got->len, ==, 0);
  return status;
}

/* ---- The head ---- */

static void on_head(MnkRequest *request, gpointer user) {
  g_assert_cmpstr(mnk_request_method(request), ==, "GET");
  g_assert_cmpstr(mnk_request_path(request), ==, "/a b/\xe3\x81\x82");
  g_assert_cmpstr(mnk_request_query(request, "x"), ==, "1 2+3");
  g_assert_cmpstr(mnk_request_query(request, "empty"), ==, "");
  g_assert_cmpstr(mnk_request_query(request, "bare"), ==, "");
  g_assert_cmpstr(mnk_request_query(request, "a=b"), ==, "c=d");
  g_assert_null(mnk_request_query(request, "X"));
  const char *value = NULL;
  g_assert_cmpstr(mnk_request_query_at(request, 0, &value), ==, "x");
  g_assert_cmpstr(value, ==, "1 2+3");
  g_assert_cmpstr(mnk_request_query_at(request, 2, NULL), ==, "bare");
  g_assert_nonnull(mnk_request_query_at(request, 3, &value));
  g_assert_null(mnk_request_query_at(request, 4, &value));
  g_assert_cmpstr(mnk_request_header(request, "x-UPPER"), ==, "v w");
  g_assert_cmpstr(mnk_request_header(request, "Accept"), ==, "a, b, c");
  g_assert_null(mnk_request_header(request, "absent"));
  g_assert_cmpstr(mnk_request_address(request), ==, "127.0.0.1");
  g_assert_true(mnk_request_is_loopback(request));
  g_assert_cmpuint(mnk_request_status(request), ==, 0);
  test_answer_text(request, 201, "made");
  g_assert_cmpuint(mnk_request_status(request), ==, 201);
}

static void test_head(void) {
  g_autoptr(TestServer) test = test_server_new(NULL, on_head, NULL);
  g_autofree char *headers = NULL, *body = NULL;
  g_assert_cmpuint(exchange(test,
                            "GET /a%20b/%E3%81%82?x=1+2%2B3&empty=&&bare&a%3Db=c=d HTTP/1.1\r\n"
                            "Host: a\r\nX-Upper:  v w \r\nAccept: a\r\nAccept: b\r\naccept: c\r\n"
                            "\r\n",
                            &headers, &body),
                   ==, 201);
  g_assert_cmpstr(body, ==, "made");
  g_assert_nonnull(strstr(headers, "HTTP/1.1 201 Created\r\n"));
  g_assert_nonnull(strstr(headers, "\r\nContent-Type: text/plain\r\n"));
  g_assert_nonnull(strstr(headers, " GMT\r\n"));
  g_assert_null(strstr(headers, "Connection:"));
}

static void on_path(MnkRequest *request, gpointer user) {
  test_answer_text(request, 200, mnk_request_path(request));
}

static void test_absolute_target(void) {
  g_autoptr(TestServer) test = test_server_new(NULL, on_path, NULL);
  static const char *const targets[][2] = {
      {"http://a/x/y?z", "/x/y"}, {"HTTP://A", "/"}, {"https://a?q=/", "/"}, {"/", "/"}};
  for (gsize i = 0; i < G_N_ELEMENTS(targets); i++) {
    g_autofree char *request = g_strdup_printf("GET %s HTTP/1.1\r\nHost: a\r\n\r\n", targets[i][0]);
    g_autofree char *body = NULL;
    g_assert_cmpuint(exchange(test, request, NULL, &body), ==, 200);
    g_assert_cmpstr(body, ==, targets[i][1]);
  }
}

/* ---- Answers ---- */

static void on_answer_headers(MnkRequest *request, gpointer user) {
  mnk_request_set_answer_header(request, "X-One", "1");
  mnk_request_set_answer_header(request, "X-Two", "a\r\nX-Forged: 1");
  mnk_request_set_answer_header(request, "X Three", "1");
  mnk_request_set_answer_header(request, "X-Four\r\nX-Forged", "1");
  mnk_request_set_answer_header(request, "content-length", "7");
  mnk_request_answer(request, 204, "text/plain", NULL);
}

static void ignore_line(const char *line, gpointer user) {
}

static void test_answer_headers(void) {
  g_autoptr(TestServer) test = test_server_new(NULL, on_answer_headers, NULL);
  g_autofree char *headers = NULL;
  mnk_log_set_sink(ignore_line, NULL);
  g_assert_cmpuint(exchange(test, GET("/"), &headers, NULL), ==, 204);
  mnk_log_set_sink(NULL, NULL);
  g_assert_nonnull(strstr(headers, "\r\nX-One: 1\r\n"));
  g_assert_null(strstr(headers, "X-Two"));
  g_assert_null(strstr(headers, "Three"));
  g_assert_null(strstr(headers, "Forged"));
  g_assert_null(strstr(headers, "ontent-"));
}

static void on_large(MnkRequest *request, gpointer user) {
  mnk_request_answer(request, 200, "application/octet-stream", user);
}

/* Larger than what the kernel takes at once, and than what is joined to the head. */
static void test_large(void) {
  enum { SIZE = 20 << 20 };
  g_autofree char *data = g_malloc(SIZE);
  for (guint i = 0; i < SIZE; i++)
    data[i] = (char)('a' + i % 23);
  g_autoptr(GBytes) bytes = g_bytes_new(data, SIZE);
  g_autoptr(TestServer) test = test_server_new(NULL, on_large, bytes);
  g_autofree char *body = NULL;
  g_assert_cmpuint(exchange(test, GET("/"), NULL, &body), ==, 200);
  g_assert_cmpint(memcmp(body, data, SIZE), ==, 0);
}

static void test_head_method(void) {
  g_autoptr(GBytes) bytes = g_bytes_new_static("0123456789", 10);
  g_autoptr(TestServer) test = test_server_new(NULL, on_large, bytes);
  g_autofree char *headers = NULL;
  g_assert_cmpuint(exchange(test, "HEAD / HTTP/1.1\r\nHost: a\r\n\r\n", &headers, NULL), ==, 200);
  g_assert_nonnull(strstr(headers, "\r\nContent-Length: 10\r\n"));
}

static void on_second_answer(MnkRequest *request, gpointer user) {
  test_answer_text(request, 200, "first");
  test_answer_text(request, 500, "second");
  g_assert_null(mnk_request_answer_stream(request, 200, NULL, 1000, NULL, NULL));
  mnk_request_answer_file(request, open("/dev/null", O_RDONLY | O_CLOEXEC), 0, NULL, NULL);
}

static void test_second_answer(void) {
  g_autoptr(TestServer) test = test_server_new(NULL, on_second_answer, NULL);
  guint fds = test_count_fds();
  g_autofree char *body = NULL;
  g_assert_cmpuint(exchange(test, GET("/"), NULL, &body), ==, 200);
  g_assert_cmpstr(body, ==, "first");
  g_assert_cmpuint(test_count_fds(), ==, fds);
}

/* ---- Answers that come later ---- */

static void on_poll(MnkRequest *request, gpointer user) {
  *(MnkRequest **)user = request;
}

static void test_long_poll(void) {
  MnkRequest *waiting = NULL;
  g_autoptr(TestServer) test = test_server_new(NULL, on_poll, &waiting);
  g_autoptr(TestClient) client = test_client_new(test);
  test_client_send_text(client, GET("/1") GET("/2"));
  while (!waiting)
    test_turn(1);
  test_turn(20);
  test_client_take(client);
  g_assert_cmpuint(client->got->len, ==, 0);
  g_assert_cmpuint(test->seen->len, ==, 1);
  test_answer_text(g_steal_pointer(&waiting), 200, "one");
  g_assert_cmpuint(test->closed, ==, 0); /* not from within */
  test_client_wait_for(client, "one");
  while (!waiting)
    test_turn(1);
  g_assert_cmpuint(test->closed, ==, 1);
  test_answer_text(waiting, 200, "two");
  test_client_wait_for(client, "two");
}

static void count_free(gpointer data) {
  ++*(guint *)data;
}

static void on_counted(MnkRequest *request, gpointer user) {
  *(MnkRequest **)user = request;
  static guint freed;
  freed = 0;
  mnk_request_set_user(request, &freed, count_free);
}

/* A client that leaves is noticed while it waits, and what is answered afterwards goes nowhere. */
static void test_left(void) {
  MnkRequest *waiting = NULL;
  g_autoptr(TestServer) test = test_server_new(NULL, on_counted, &waiting);
  TestClient *client = test_client_new(test);
  test_client_send_text(client, GET("/"));
  while (!waiting)
    test_turn(1);
  const guint *freed = mnk_request_user(waiting);
  test_client_free(client);
  while (test->closed == 0)
    test_turn(1);
  g_assert_cmpuint(*freed, ==, 1);
  g_assert_cmpuint(mnk_http_server_connections(test->server), ==, 0);
}

/* ---- Bodies ---- */

static void test_body(void) {
  g_autoptr(TestServer) test = test_server_new(NULL, NULL, NULL);
  g_autofree char *body = NULL;
  g_assert_cmpuint(exchange(test,
                            "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
                            "3\r\nabc\r\n4;x=y\r\ndefg\r\n0\r\nA: b\r\n\r\n",
                            NULL, &body),
                   ==, 200);
  g_assert_cmpstr(body, ==, "abcdefg");
}

static void test_body_empty(void) {
  g_autoptr(TestServer) test = test_server_new(NULL, NULL, NULL);
  g_autofree char *body = NULL;
  g_assert_cmpuint(exchange(test, "POST / HTTP/1.1\r\nHost: a\r\n\r\n", NULL, &body), ==, 200);
  g_assert_cmpstr(body, ==, "");
}

static void test_continue(void) {
  g_autoptr(TestServer) test = test_server_new(NULL, NULL, NULL);
  g_autoptr(TestClient) client = test_client_new(test);
  test_client_send_text(client, "POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-Continue\r\n"
                                "Content-Length: 3\r\n\r\n");
  test_client_wait_for(client, "HTTP/1.1 100 Continue\r\n\r\n");
  g_string_truncate(client->got, 0);
  test_client_send_text(client, "abc");
  test_client_wait_for(client, "\r\n\r\nabc");
}

static void test_continue_refused(void) {
  g_autoptr(TestServer) test = test_server_new(NULL, NULL, NULL);
  g_autofree char *headers = NULL;
  g_assert_cmpuint(exchange(test,
                            "POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\n"
                            "Content-Length: 99999\r\n\r\n",
                            &headers, NULL),
                   ==, 413);
  g_assert_nonnull(strstr(headers, "Connection: close"));
}

static void on_no_body(MnkRequest *request, gpointer user) {
  test_answer_text(request, 401, "no");
}

/* A body that nobody reads does not become the next request; one that had come whole does not cost
 * the connection. */
static void test_body_not_read(void) {
  g_autoptr(TestServer) test = test_server_new(NULL, on_no_body, NULL);
  g_autoptr(TestClient) client = test_client_new(test);
  test_client_send_text(client, "POST /1 HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc"
                                "POST /2 HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
                                "1\r\nx\r\n0\r\n\r\n"
                                "POST /3 HTTP/1.1\r\nHost: a\r\nContent-Length: 300\r\n\r\n"
                                "GET /4 HTTP/1.1\r\nHost: a\r\n\r\n");
  test_client_wait_end(client);
  g_autofree char *first = NULL, *second = NULL, *third = NULL;
  g_assert_cmpuint(test_client_answer(client, FALSE, &first, NULL), ==, 401);
  g_assert_null(strstr(first, "Connection: close"));
  g_assert_cmpuint(test_client_answer(client, FALSE, &second, NULL), ==, 401);
  g_assert_null(strstr(second, "Connection: close"));
  g_assert_cmpuint(test_client_answer(client, FALSE, &third, NULL), ==, 401);
  g_assert_nonnull(strstr(third, "Connection: close"));
  g_assert_cmpuint(client->got->len, ==, 0);
  g_assert_cmpuint(test->seen->len, ==, 3);
}

/* ---- Files ---- */

static void on_file(MnkRequest *request, gpointer user) {
  int fd = open(user, O_RDONLY | O_CLOEXEC);
  g_assert_cmpint(fd, >=, 0);
  off_t size = lseek(fd, 0, SEEK_END);
  mnk_request_answer_file(request, fd, (guint64)size, "text/plain", "tag");
}

typedef struct {
  const char *headers;
  guint status;
  const char *body, *range;
} RangeCase;

static const RangeCase range_cases[] = {
    {"", 200, "0123456789", NULL},
    {"Range: bytes=0-3\r\n", 206, "0123", "bytes 0-3/10"},
    {"Range: bytes=4-\r\n", 206, "456789", "bytes 4-9/10"},
    {"Range: bytes=-3\r\n", 206, "789", "bytes 7-9/10"},
    {"Range: bytes=-30\r\n", 206, "0123456789", "bytes 0-9/10"},
    {"Range: bytes=9-9\r\n", 206, "9", "bytes 9-9/10"},
    {"Range: bytes=5-500\r\n", 206, "56789", "bytes 5-9/10"},
    {"Range: BYTES=0-0\r\n", 206, "0", "bytes 0-0/10"},
    {"Range: bytes=10-\r\n", 416, NULL, "bytes */10"},
    {"Range: bytes=-0\r\n", 416, NULL, "bytes */10"},
    {"Range: bytes=999999999999999999-\r\n", 416, NULL, "bytes */10"},
    {"Range: bytes=3-2\r\n", 200, "0123456789", NULL},
    {"Range: bytes=0-1,3-4\r\n", 200, "0123456789", NULL},
    {"Range: bytes=a-b\r\n", 200, "0123456789", NULL},
    {"Range: bytes=-\r\n", 200, "0123456789", NULL},
    {"Range: bytes=1-2-3\r\n", 200, "0123456789", NULL},
    {"Range: lines=1-2\r\n", 200, "0123456789", NULL},
    {"Range: bytes=9999999999999999999-\r\n", 200, "0123456789", NULL},
    {"Range: bytes=0-1\r\nIf-Range: \"tag\"\r\n", 206, "01", "bytes 0-1/10"},
    {"Range: bytes=0-1\r\nIf-Range: \"old\"\r\n", 200, "0123456789", NULL},
    {"If-None-Match: \"tag\"\r\n", 304, NULL, NULL},
    {"If-None-Match: \"x\", W/\"tag\"\r\n", 304, NULL, NULL},
    {"If-None-Match: *\r\n", 304, NULL, NULL},
    {"If-None-Match: \"tag\"\r\nRange: bytes=0-1\r\n", 304, NULL, NULL},
    {"If-None-Match: \"tag\r\n", 200, "0123456789", NULL},
    {"If-None-Match: tag\r\n", 200, "0123456789", NULL},
    {"If-None-Match: \"ta\", \"tags\"\r\n", 200, "0123456789", NULL},
};

typedef struct {
  char *path;
  TestServer *test;
} FileFixture;

static void file_set_up(FileFixture *f, gconstpointer content) {
  int fd = g_file_open_tmp("manako-http-XXXXXX", &f->path, NULL);
  g_assert_cmpint(fd, >=, 0);
  close(fd);
  g_assert_true(g_file_set_contents(f->path, content, -1, NULL));
  f->test = test_server_new(NULL, on_file, f->path);
}

static void file_tear_down(FileFixture *f, gconstpointer content) {
  test_server_free(f->test);
  unlink(f->path);
  g_free(f->path);
}

static void test_ranges(FileFixture *f, gconstpointer content) {
  guint fds = test_count_fds();
  for (gsize i = 0; i < G_N_ELEMENTS(range_cases); i++) {
    const RangeCase *c = &range_cases[i];
    g_test_message("%s", c->headers);
    g_autofree char *request = g_strdup_printf("GET / HTTP/1.1\r\nHost: a\r\n%s\r\n", c->headers);
    g_autofree char *headers = NULL, *body = NULL;
    g_assert_cmpuint(exchange(f->test, request, &headers, &body), ==, c->status);
    g_assert_nonnull(strstr(headers, "\r\nETag: \"tag\"\r\n"));
    if (c->body)
      g_assert_cmpstr(body, ==, c->body);
    g_autofree char *range = g_strdup_printf("\r\nContent-Range: %s\r\n", c->range);
    if (c->range)
      g_assert_nonnull(strstr(headers, range));
    else
      g_assert_null(strstr(headers, "Content-Range"));
  }
  g_assert_cmpuint(test_count_fds(), ==, fds);
}

static void test_file_head(FileFixture *f, gconstpointer content) {
  g_autofree char *headers = NULL;
  g_assert_cmpuint(
      exchange(f->test, "HEAD / HTTP/1.1\r\nHost: a\r\nRange: bytes=2-4\r\n\r\n", &headers, NULL),
      ==, 206);
  g_assert_nonnull(strstr(headers, "\r\nContent-Length: 3\r\n"));
}

static void test_file_empty(FileFixture *f, gconstpointer content) {
  g_autofree char *body = NULL;
  g_assert_cmpuint(exchange(f->test, GET("/"), NULL, &body), ==, 200);
  g_assert_cmpstr(body, ==, "");
  g_assert_cmpuint(
      exchange(f->test, "GET / HTTP/1.1\r\nHost: a\r\nRange: bytes=0-\r\n\r\n", NULL, NULL), ==,
      416);
}

/* Shorter than was announced: the connection ends, so that nobody takes the rest for the body. */
static void on_short_file(MnkRequest *request, gpointer user) {
  mnk_request_answer_file(request, open(user, O_RDONLY | O_CLOEXEC), 1000, NULL, NULL);
}

static void test_file_short(FileFixture *f, gconstpointer content) {
  f->test->func = on_short_file;
  g_autoptr(TestClient) client = test_client_new(f->test);
  test_client_send_text(client, GET("/"));
  test_client_wait_end(client);
  g_assert_nonnull(strstr(client->got->str, "Content-Length: 1000\r\n"));
  g_assert_true(g_str_has_suffix(client->got->str, "0123456789"));
}

static void test_file_large(FileFixture *f, gconstpointer content) {
  enum { SIZE = 9 << 20 };
  g_autofree char *data = g_malloc(SIZE);
  for (guint i = 0; i < SIZE; i++)
    data[i] = (char)('a' + i % 19);
  g_assert_true(g_file_set_contents(f->path, data, SIZE, NULL));
  g_autofree char *body = NULL;
  g_assert_cmpuint(exchange(f->test, GET("/"), NULL, &body), ==, 200);
  g_assert_cmpint(memcmp(body, data, SIZE), ==, 0);
}

/* ---- The server ---- */

static void test_bind(void) {
  g_autoptr(GError) error = NULL;
  g_autoptr(TestServer) test = test_server_new(NULL, NULL, NULL);
  MnkHttpConfig config = test_config;
  config.port = mnk_http_server_port(test->server);
  g_assert_null(mnk_http_server_new(&config, on_no_body, NULL, &error));
  g_assert_error(error, MNK_ERROR, MNK_ERROR_SOURCE);
  g_assert_nonnull(strstr(error->message, "cannot listen on 127.0.0.1, port "));
  g_clear_error(&error);
  config.host = "localhost";
  g_assert_null(mnk_http_server_new(&config, on_no_body, NULL, &error));
  g_assert_error(error, MNK_ERROR, MNK_ERROR_SOURCE);
  g_clear_error(&error);
  config.host = "192.0.2.77";
  g_assert_null(mnk_http_server_new(&config, on_no_body, NULL, &error));
  g_assert_error(error, MNK_ERROR, MNK_ERROR_SOURCE);
}

static void on_address(MnkRequest *request, gpointer user) {
  g_assert_true(mnk_request_is_loopback(request));
  test_answer_text(request, 200, mnk_request_address(request));
}

/* IPv4 that comes through an IPv6 socket is IPv4. */
static void test_both_families(void) {
  g_autoptr(GError) error = NULL;
  MnkHttpConfig config = test_config;
  config.host = "::";
  MnkHttpServer *probe = mnk_http_server_new(&config, on_address, NULL, &error);
  if (!probe) {
    g_test_skip("this machine has no IPv6");
    return;
  }
  mnk_http_server_free(probe);
  g_autoptr(TestServer) test = test_server_new(&config, on_address, NULL);
  g_autofree char *body = NULL;
  g_assert_cmpuint(exchange(test, GET("/"), NULL, &body), ==, 200);
  g_assert_cmpstr(body, ==, "127.0.0.1");
}

int main(int argc, char **argv) {
  g_test_init(&argc, &argv, NULL);
  g_test_add_func("/net/http/head", test_head);
  g_test_add_func("/net/http/absolute-target", test_absolute_target);
  g_test_add_func("/net/http/answer-headers", test_answer_headers);
  g_test_add_func("/net/http/large", test_large);
  g_test_add_func("/net/http/head-method", test_head_method);
  g_test_add_func("/net/http/second-answer", test_second_answer);
  g_test_add_func("/net/http/long-poll", test_long_poll);
  g_test_add_func("/net/http/left", test_left);
  g_test_add_func("/net/http/body", test_body);
  g_test_add_func("/net/http/body-empty", test_body_empty);
  g_test_add_func("/net/http/continue", test_continue);
  g_test_add_func("/net/http/continue-refused", test_continue_refused);
  g_test_add_func("/net/http/body-not-read", test_body_not_read);
#define FILE_TEST(name, content, func)                                                             \
  g_test_add("/net/http/" name, FileFixture, content, file_set_up, func, file_tear_down)
  FILE_TEST("ranges", "0123456789", test_ranges);
  FILE_TEST("file-head", "0123456789", test_file_head);
  FILE_TEST("file-empty", "", test_file_empty);
  FILE_TEST("file-short", "0123456789", test_file_short);
  FILE_TEST("file-large", "", test_file_large);
  g_test_add_func("/net/http/bind", test_bind);
  g_test_add_func("/net/http/both-families", test_both_families);
  return g_test_run();
}
