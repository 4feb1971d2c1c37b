/* Bodies and answers piece by piece: pausing, slow and absent readers, both ways at once. */
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "http_support.h"

#define GET "GET / HTTP/1.1\r\nHost: a\r\n\r\n"
#define CHUNKED_POST "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"

/* ---- Answers ---- */

typedef struct {
  MnkWriter *writer;
  guint writable, closed;
  MnkBodyEvents body;
  GString *got;
  guint pause_after; /* pieces; 0: never */
  guint pieces, done;
  gboolean complete;
  MnkRequest *request;
  gsize backlog_max;
  guint64 body_max;
} Talk;

static void on_writable(MnkWriter *writer, gpointer user) {
  Talk *talk = user;
  g_assert_true(writer == talk->writer);
  talk->writable++;
}

static void on_writer_closed(gpointer user) {
  Talk *talk = user;
  talk->writer = NULL;
  talk->closed++;
}

static const MnkWriterEvents writer_events = {.writable = on_writable, .closed = on_writer_closed};

static void on_stream(MnkRequest *request, gpointer user) {
  Talk *talk = user;
  talk->request = request;
  talk->writer = mnk_request_answer_stream(request, 200, "text/plain", talk->backlog_max,
                                           &writer_events, talk);
  g_assert_nonnull(talk->writer);
}

static gboolean write_text(Talk *talk, const char *text) {
  g_autoptr(GBytes) bytes = g_bytes_new(text, strlen(text));
  return mnk_writer_write(talk->writer, bytes);
}

static TestClient *start_stream(TestServer *test, Talk *talk, const char *request) {
  TestClient *client = test_client_new(test);
  test_client_send_text(client, request);
  while (!talk->writer)
    test_turn(1);
  return client;
}

static void test_stream(void) {
  Talk talk = {.backlog_max = 1000};
  g_autoptr(TestServer) test = test_server_new(NULL, on_stream, &talk);
  g_autoptr(TestClient) client = start_stream(test, &talk, GET GET);
  g_assert_true(write_text(&talk, "one"));
  g_assert_true(write_text(&talk, ""));
  g_assert_true(write_text(&talk, "two two two two two"));
  g_assert_cmpuint(mnk_writer_backlog(talk.writer), >, 0);
  test_client_wait_for(client, "\r\n\r\n3\r\none\r\n13\r\ntwo two two two two\r\n");
  g_assert_cmpuint(mnk_writer_backlog(talk.writer), ==, 0);
  g_assert_nonnull(strstr(client->got->str, "\r\nTransfer-Encoding: chunked\r\n"));
  mnk_writer_end(g_steal_pointer(&talk.writer));
  test_client_wait_for(client, "\r\n0\r\n\r\n");
  while (!talk.writer) /* the second request, on the same connection */
    test_turn(1);
  g_assert_cmpuint(talk.closed, ==, 0);
  mnk_writer_end(talk.writer);
}

static void test_stream_1_0(void) {
  Talk talk = {.backlog_max = 1000};
  g_autoptr(TestServer) test = test_server_new(NULL, on_stream, &talk);
  g_autoptr(TestClient) client = start_stream(test, &talk, "GET / HTTP/1.0\r\n\r\n");
  g_assert_true(write_text(&talk, "one"));
  g_assert_true(write_text(&talk, "two"));
  mnk_writer_end(talk.writer);
  test_client_wait_end(client);
  g_assert_true(g_str_has_suffix(client->got->str, "\r\n\r\nonetwo"));
  g_assert_null(strstr(client->got->str, "chunked"));
  g_assert_nonnull(strstr(client->got->str, "Connection: close"));
}

static void on_stream_head(MnkRequest *request, gpointer user) {
  on_stream(request, user);
  Talk *talk = user;
  g_assert_true(write_text(talk, "nobody sees it"));
}

static void test_stream_head_method(void) {
  Talk talk = {.backlog_max = 1000};
  g_autoptr(TestServer) test = test_server_new(NULL, on_stream_head, &talk);
  g_autoptr(TestClient) client = test_client_new(test);
  test_client_send_text(client, "HEAD / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
  test_client_wait_end(client);
  g_assert_true(g_str_has_suffix(client->got->str, "\r\n\r\n"));
  g_assert_cmpuint(talk.closed, ==, 1);
}

/* A client that never reads: writes are refused at the backlog's maximum, writable comes when it
 * reads at last, and nothing that was taken is lost. */
static void test_backlog(void) {
  enum { PIECE = 32768, MAX = 256 * 1024 };
  Talk talk = {.backlog_max = MAX};
  g_autoptr(TestServer) test = test_server_new(NULL, on_stream, &talk);
  g_autoptr(TestClient) client = start_stream(test, &talk, GET);
  g_autofree char *data = g_malloc(PIECE);
  memset(data, 'x', PIECE);
  g_autoptr(GBytes) piece = g_bytes_new_static(data, PIECE);
  gsize taken = 0;
  while (mnk_writer_write(talk.writer, piece)) {
    taken += PIECE;
    g_assert_cmpuint(mnk_writer_backlog(talk.writer), <=, MAX);
    g_assert_cmpuint(taken, <, 64 << 20); /* the kernel's buffers have an end */
    test_turn(1);
  }
  g_assert_cmpuint(talk.writable, ==, 0);
  while (talk.writable == 0) {
    test_turn(1);
    test_client_take(client);
  }
  g_assert_cmpuint(mnk_writer_backlog(talk.writer), ==, 0);
  g_assert_true(write_text(&talk, "end"));
  mnk_writer_end(talk.writer);
  test_client_wait_for(client, "\r\n3\r\nend\r\n0\r\n\r\n");
  gsize seen = 0;
  for (gsize i = 0; i < client->got->len; i++)
    seen += client->got->str[i] == 'x';
  g_assert_cmpuint(seen, ==, taken + 1); /* and the one in "text/plain" */
}

static void test_backlog_never_fits(void) {
  Talk talk = {.backlog_max = 1000};
  g_autoptr(TestServer) test = test_server_new(NULL, on_stream, &talk);
  g_autoptr(TestClient) client = start_stream(test, &talk, GET);
  g_autofree char *text = g_strnfill(2000, 'x');
  g_assert_false(write_text(&talk, text));
  g_assert_true(write_text(&talk, "small"));
  test_client_wait_for(client, "small");
  mnk_writer_end(talk.writer);
}

static void note_let_go(gpointer flag) {
  *(gboolean *)flag = TRUE;
}

/* The same bytes for many readers: shared, and let go when the last has them. */
static void test_shared(void) {
  enum { READERS = 50, SIZE = 20000 };
  Talk talks[READERS];
  TestClient *clients[READERS];
  g_autoptr(TestServer) test = test_server_new(NULL, on_stream, NULL);
  for (guint i = 0; i < READERS; i++) {
    talks[i] = (Talk){.backlog_max = 100000};
    test->user = &talks[i];
    clients[i] = start_stream(test, &talks[i], GET);
  }
  gboolean let_go = FALSE;
  g_autofree char *text = g_strnfill(SIZE, 'y');
  GBytes *bytes = g_bytes_new_with_free_func(text, SIZE, note_let_go, &let_go);
  for (guint i = 0; i < READERS; i++)
    g_assert_true(mnk_writer_write(talks[i].writer, bytes));
  g_bytes_unref(bytes);
  g_assert_false(let_go); /* no copies were made: the readers hold it */
  for (guint i = 0; i < READERS; i++) {
    test_client_wait_for(clients[i], text);
    test_client_free(clients[i]);
  }
  g_assert_true(let_go);
  for (guint i = 0; i < READERS; i++)
    while (talks[i].closed == 0)
      test_turn(1);
}

static void test_reader_leaves(void) {
  Talk talk = {.backlog_max = 1000};
  g_autoptr(TestServer) test = test_server_new(NULL, on_stream, &talk);
  TestClient *client = start_stream(test, &talk, GET);
  test_client_free(client);
  while (talk.closed == 0)
    test_turn(1);
  while (test->closed == 0)
    test_turn(1);
  g_assert_cmpuint(mnk_http_server_connections(test->server), ==, 0);
}

static void test_cut(void) {
  Talk talk = {.backlog_max = 1000};
  g_autoptr(TestServer) test = test_server_new(NULL, on_stream, &talk);
  g_autoptr(TestClient) client = start_stream(test, &talk, GET);
  mnk_writer_cut(g_steal_pointer(&talk.writer));
  test_client_wait_end(client);
  g_assert_cmpuint(talk.closed, ==, 0);
  g_assert_cmpuint(test->closed, ==, 1);
  g_assert_null(strstr(client->got->str, "\r\n0\r\n"));
}

/* A reader that stops for longer than the deadline is cut. */
static void test_reader_stops(void) {
  Talk talk = {.backlog_max = 1 << 20};
  MnkHttpConfig config = test_config;
  config.body_idle_timeout_ms = 200;
  g_autoptr(TestServer) test = test_server_new(&config, on_stream, &talk);
  g_autoptr(TestClient) client = start_stream(test, &talk, GET);
  g_autofree char *text = g_strnfill(100000, 'z');
  while (write_text(&talk, text))
    test_turn(1);
  while (talk.closed == 0)
    g_main_context_iteration(NULL, TRUE);
  g_assert_cmpuint(mnk_http_server_connections(test->server), ==, 0);
}

/* ---- Bodies ---- */

static gboolean on_piece(MnkRequest *request, const guint8 *bytes, gsize length, gpointer user) {
  Talk *talk = user;
  g_string_append_len(talk->got, (const char *)bytes, (gssize)length);
  talk->pieces++;
  return talk->pause_after == 0 || talk->pieces < talk->pause_after;
}

static void on_done(MnkRequest *request, gboolean complete, gpointer user) {
  Talk *talk = user;
  talk->done++;
  talk->complete = complete;
  if (complete && mnk_request_status(request) == 0)
    test_answer_text(request, 200, "got it");
}

static const MnkBodyEvents body_events = {.chunk = on_piece, .done = on_done};

static void on_upload(MnkRequest *request, gpointer user) {
  Talk *talk = user;
  talk->request = request;
  mnk_request_stream_body(request, talk->body_max, &body_events, talk);
}

static void talk_clear(Talk *talk) {
  g_string_free(talk->got, TRUE);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Talk, talk_clear)

static Talk talk_new(void) {
  return (Talk){.got = g_string_new(NULL), .body_max = 1 << 30, .backlog_max = 100000};
}

static void test_upload(void) {
  g_auto(Talk) talk = talk_new();
  g_autoptr(TestServer) test = test_server_new(NULL, on_upload, &talk);
  g_autoptr(TestClient) client = test_client_new(test);
  test_client_send_text(client, CHUNKED_POST "3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n"
                                             "POST / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n"
                                             "Content-Length: 1\r\n\r\nf");
  test_client_wait_end(client);
  g_assert_cmpuint(test_client_answer(client, FALSE, NULL, NULL), ==, 200);
  g_assert_cmpuint(test_client_answer(client, FALSE, NULL, NULL), ==, 200);
  g_assert_cmpuint(talk.done, ==, 2);
  g_assert_cmpstr(talk.got->str, ==, "abcdef");
}

/* A paused body is held by TCP: the client cannot send on, nothing piles up here, and nothing is
 * lost when it goes on. */
static void test_upload_paused(void) {
  enum { SIZE = 32 << 20 };
  g_auto(Talk) talk = talk_new();
  talk.pause_after = 1;
  g_autoptr(TestServer) test = test_server_new(NULL, on_upload, &talk);
  g_autoptr(TestClient) client = test_client_new(test);
  g_autofree char *head =
      g_strdup_printf("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n", SIZE);
  test_client_send_text(client, head);
  g_autofree char *data = g_malloc(SIZE);
  for (guint i = 0; i < SIZE; i++)
    data[i] = (char)('a' + i % 21);
  gsize sent = 0;
  guint refused = 0;
  while (refused < 100) {
    ssize_t n = send(client->fd, data + sent, MIN(SIZE - sent, 100000), MSG_NOSIGNAL);
    refused = n > 0 ? 0 : refused + 1;
    sent += n > 0 ? (gsize)n : 0;
    g_assert_cmpuint(sent, <, SIZE);
    test_turn(2);
  }
  g_assert_cmpuint(talk.pieces, ==, 1);
  g_assert_cmpuint(talk.got->len, <=, 65536);
  talk.pause_after = 0;
  mnk_request_resume_body(talk.request);
  g_assert_true(test_client_send(client, data + sent, SIZE - sent));
  test_client_wait_for(client, "got it");
  g_assert_cmpuint(talk.got->len, ==, SIZE);
  g_assert_cmpint(memcmp(talk.got->str, data, SIZE), ==, 0);
}

/* Small chunks that came together: a pause between them holds the rest back. */
static void test_upload_paused_between_chunks(void) {
  g_auto(Talk) talk = talk_new();
  talk.pause_after = 1;
  g_autoptr(TestServer) test = test_server_new(NULL, on_upload, &talk);
  g_autoptr(TestClient) client = test_client_new(test);
  test_client_send_text(client, CHUNKED_POST "1\r\na\r\n1\r\nb\r\n1\r\nc\r\n0\r\n\r\n");
  for (guint i = 1; i <= 3; i++) {
    while (talk.pieces < i)
      test_turn(1);
    test_turn(20);
    g_assert_cmpuint(talk.pieces, ==, i);
    talk.pause_after = i + 1;
    mnk_request_resume_body(talk.request);
  }
  test_client_wait_for(client, "got it");
  g_assert_cmpstr(talk.got->str, ==, "abc");
}

static void test_upload_cut(void) {
  g_auto(Talk) talk = talk_new();
  g_autoptr(TestServer) test = test_server_new(NULL, on_upload, &talk);
  TestClient *client = test_client_new(test);
  test_client_send_text(client, CHUNKED_POST "3\r\nabc\r\n");
  while (talk.pieces == 0)
    test_turn(1);
  test_client_free(client);
  while (talk.done == 0)
    test_turn(1);
  g_assert_false(talk.complete);
  while (test->closed == 0)
    test_turn(1);
  g_assert_cmpuint(talk.done, ==, 1);
}

static void upload_is_refused(const char *request, guint64 max, guint status) {
  g_auto(Talk) talk = talk_new();
  talk.body_max = max;
  g_autoptr(TestServer) test = test_server_new(NULL, on_upload, &talk);
  g_autoptr(TestClient) client = test_client_new(test);
  test_client_send_text(client, request);
  test_client_wait_end(client);
  g_assert_cmpuint(test_client_answer(client, FALSE, NULL, NULL), ==, status);
  g_assert_cmpuint(talk.done, ==, 1);
  g_assert_false(talk.complete);
}

static void test_upload_too_large(void) {
  upload_is_refused(CHUNKED_POST "3\r\nabc\r\n3\r\nabc\r\n0\r\n\r\n", 5, 413);
  upload_is_refused("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 6\r\n\r\nabcabc", 5, 413);
}

static void test_upload_bad(void) {
  upload_is_refused(CHUNKED_POST "3\r\nabc\r\nX", 1000, 400);
}

/* Both ways at once: the answer begins before the body ends, and echoes it. */
static gboolean on_echo_piece(MnkRequest *request, const guint8 *bytes, gsize length,
                              gpointer user) {
  Talk *talk = user;
  g_autoptr(GBytes) copy = g_bytes_new(bytes, length);
  g_assert_true(mnk_writer_write(talk->writer, copy));
  return TRUE;
}

static void on_echo_done(MnkRequest *request, gboolean complete, gpointer user) {
  Talk *talk = user;
  talk->done++;
  g_assert_true(complete);
  mnk_writer_end(talk->writer);
}

static void on_echo(MnkRequest *request, gpointer user) {
  static const MnkBodyEvents echo_events = {.chunk = on_echo_piece, .done = on_echo_done};
  Talk *talk = user;
  on_stream(request, user);
  mnk_request_stream_body(request, talk->body_max, &echo_events, talk);
}

static void test_both_ways(void) {
  g_auto(Talk) talk = talk_new();
  g_autoptr(TestServer) test = test_server_new(NULL, on_echo, &talk);
  g_autoptr(TestClient) client = test_client_new(test);
  test_client_send_text(client, CHUNKED_POST);
  test_client_wait_for(client, "HTTP/1.1 200 OK");
  test_client_send_text(client, "3\r\nabc\r\n");
  test_client_wait_for(client, "\r\n3\r\nabc\r\n");
  test_client_send_text(client, "2\r\nde\r\n");
  test_client_wait_for(client, "\r\n2\r\nde\r\n");
  test_client_send_text(client, "0\r\n\r\n" CHUNKED_POST "0\r\n\r\n");
  test_client_wait_for(client, "\r\n0\r\n\r\nHTTP/1.1 200 OK");
  while (talk.done < 2)
    test_turn(1);
}

/* A body that nobody asked for is not the next request when the answer has gone. */
static void on_stream_at_once(MnkRequest *request, gpointer user) {
  on_stream(request, user);
  mnk_writer_end(((Talk *)user)->writer);
}

static void test_body_not_read(void) {
  Talk talk = {.backlog_max = 1000};
  g_autoptr(TestServer) test = test_server_new(NULL, on_stream_at_once, &talk);
  g_autoptr(TestClient) client = test_client_new(test);
  test_client_send_text(client, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 28\r\n\r\n"
                                "GET / HTTP/1.1\r\nHost: a\r\n\r\n");
  test_client_wait_end(client);
  g_assert_true(g_str_has_suffix(client->got->str, "\r\n\r\n0\r\n\r\n"));
  g_assert_cmpuint(test->seen->len, ==, 1);
}

/* A whole answer in the middle of a body breaks the body off. */
static gboolean on_enough(MnkRequest *request, const guint8 *bytes, gsize length, gpointer user) {
  Talk *talk = user;
  talk->pieces++;
  test_answer_text(request, 409, "enough");
  return TRUE;
}

static void on_upload_enough(MnkRequest *request, gpointer user) {
  static const MnkBodyEvents enough_events = {.chunk = on_enough, .done = on_done};
  mnk_request_stream_body(request, 1 << 20, &enough_events, user);
}

static void test_answer_in_body(void) {
  g_auto(Talk) talk = talk_new();
  g_autoptr(TestServer) test = test_server_new(NULL, on_upload_enough, &talk);
  g_autoptr(TestClient) client = test_client_new(test);
  test_client_send_text(client, CHUNKED_POST "3\r\nabc\r\n3\r\ndef\r\n");
  test_client_wait_end(client);
  g_assert_cmpuint(test_client_answer(client, FALSE, NULL, NULL), ==, 409);
  g_assert_cmpuint(talk.pieces, ==, 1);
  g_assert_cmpuint(talk.done, ==, 1);
  g_assert_false(talk.complete);
}

/* The server goes while all kinds of things are under way; everybody is told once. */
static void test_free_under_way(void) {
  g_auto(Talk) stream = talk_new();
  g_auto(Talk) upload = talk_new();
  TestServer *test = test_server_new(NULL, on_stream, &stream);
  g_autoptr(TestClient) reader = start_stream(test, &stream, GET);
  test->func = on_upload;
  test->user = &upload;
  g_autoptr(TestClient) sender = test_client_new(test);
  test_client_send_text(sender, CHUNKED_POST "3\r\nabc\r\n");
  g_autoptr(TestClient) idle = test_client_new(test);
  test_client_send_text(idle, "GET");
  while (upload.pieces == 0 || mnk_http_server_connections(test->server) < 3)
    test_turn(1);
  g_assert_true(write_text(&stream, "queued"));
  test_server_free(test);
  g_assert_cmpuint(stream.closed, ==, 1);
  g_assert_cmpuint(upload.done, ==, 1);
  g_assert_false(upload.complete);
}

int main(int argc, char **argv) {
  g_test_init(&argc, &argv, NULL);
  g_test_add_func("/net/http-stream/stream", test_stream);
  g_test_add_func("/net/http-stream/stream-1.0", test_stream_1_0);
  g_test_add_func("/net/http-stream/stream-head-method", test_stream_head_method);
  g_test_add_func("/net/http-stream/backlog", test_backlog);
  g_test_add_func("/net/http-stream/backlog-never-fits", test_backlog_never_fits);
  g_test_add_func("/net/http-stream/shared", test_shared);
  g_test_add_func("/net/http-stream/reader-leaves", test_reader_leaves);
  g_test_add_func("/net/http-stream/cut", test_cut);
  g_test_add_func("/net/http-stream/reader-stops", test_reader_stops);
  g_test_add_func("/net/http-stream/upload", test_upload);
  g_test_add_func("/net/http-stream/upload-paused", test_upload_paused);
  g_test_add_func("/net/http-stream/upload-paused-between-chunks",
                  test_upload_paused_between_chunks);
  g_test_add_func("/net/http-stream/upload-cut", test_upload_cut);
  g_test_add_func("/net/http-stream/upload-too-large", test_upload_too_large);
  g_test_add_func("/net/http-stream/upload-bad", test_upload_bad);
  g_test_add_func("/net/http-stream/both-ways", test_both_ways);
  g_test_add_func("/net/http-stream/body-not-read", test_body_not_read);
  g_test_add_func("/net/http-stream/answer-in-body", test_answer_in_body);
  g_test_add_func("/net/http-stream/free-under-way", test_free_under_way);
  return g_test_run();
}
