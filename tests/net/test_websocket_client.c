/* Connecting out, to a listener that answers byte by byte, in the same thread. */
#include <arpa/inet.h>
#include <errno.h>
#include <gio/gio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/error.h"
#include "http_support.h"
#include "net/websocket_priv.h"
#include "websocket_peer.h"

#define SWITCH                                                                                     \
  "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"              \
  "Sec-WebSocket-Accept: %s\r\n"

typedef struct {
  int listener, fd;
  char *url;
  GString *request;
  Peer *peer; /* the other end of the session, once it is open */
} Server;

static Server *server_new(void) {
  Server *server = g_new0(Server, 1);
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  socklen_t length = sizeof address;
  server->listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  g_assert_no_errno(bind(server->listener, (struct sockaddr *)&address, length));
  g_assert_no_errno(listen(server->listener, 5));
  g_assert_no_errno(getsockname(server->listener, (struct sockaddr *)&address, &length));
  server->url = g_strdup_printf("ws://127.0.0.1:%u/ws/stream?a=b", ntohs(address.sin_port));
  server->request = g_string_new(NULL);
  server->fd = -1;
  return server;
}

static void server_free(Server *server) {
  close(server->listener);
  peer_free(server->peer);
  g_string_free(server->request, TRUE);
  g_free(server->url);
  g_free(server);
}
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Server, server_free)

static void on_opened(MnkWebSocket *ws, const GError *error, gpointer user) {
  Peer *peer = user;
  g_assert_true((ws == NULL) == (error != NULL));
  peer->ws = ws;
  peer->writable++; /* not told otherwise in these tests */
  if (error)
    peer->closed_reason =
        g_strdup_printf("%s: %s", mnk_error_code_name((MnkErrorCode)error->code), error->message);
}

/* The peer's fd comes when the connection has been accepted. */
static void start(Server *server, const char *url, const char *const *headers,
                  GCancellable *cancellable) {
  server->peer = peer_around(FALSE, -1);
  mnk_websocket_connect(url ? url : server->url, headers, &quiet_config, &peer_events, cancellable,
                        on_opened, server->peer);
  g_assert_cmpuint(server->peer->writable, ==, 0); /* never from within */
}

static void accept_request(Server *server) {
  while (server->fd < 0) {
    g_main_context_iteration(NULL, FALSE);
    server->fd = accept4(server->listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
  }
  server->peer->fd = server->fd;
  while (!g_str_has_suffix(server->request->str, "\r\n\r\n")) {
    char bytes[4096];
    g_main_context_iteration(NULL, FALSE);
    gssize n = recv(server->fd, bytes, sizeof bytes, 0);
    g_assert_true(n > 0 || (n < 0 && errno == EAGAIN));
    g_string_append_len(server->request, bytes, MAX(n, 0));
  }
}

static char *accept_key(const Server *server) {
  static const char name[] = "Sec-WebSocket-Key: ";
  const char *key = strstr(server->request->str, name);
  g_assert_nonnull(key);
  g_autofree char *value = g_strndup(key + strlen(name), 24);
  return mnk_ws_accept(value);
}

static void wait_opened(Server *server) {
  while (!server->peer->writable)
    g_main_context_iteration(NULL, TRUE);
  g_assert_cmpuint(server->peer->writable, ==, 1);
}

/* piece 0: all at once. */
static void answer(Server *server, const char *head, const GByteArray *frames, gsize piece) {
  g_autofree char *accept = accept_key(server);
  g_autoptr(GString) text = g_string_new(head);
  g_string_replace(text, "%s", accept, 1);
  g_autoptr(GByteArray) bytes = g_byte_array_new();
  g_byte_array_append(bytes, (const guint8 *)text->str, (guint)text->len);
  if (frames)
    g_byte_array_append(bytes, frames->data, frames->len);
  for (gsize at = 0; at < bytes->len;) {
    gssize n = send(server->fd, bytes->data + at, MIN(piece ? piece : bytes->len, bytes->len - at),
                    MSG_NOSIGNAL);
    at += n > 0 ? (gsize)n : bytes->len;
    g_main_context_iteration(NULL, FALSE);
  }
}

/* A refused connection has no session that closed could come for. */
static void expect_refused(Server *server, const char *reason) {
  wait_opened(server);
  g_assert_null(server->peer->ws);
  g_assert_cmpstr(server->peer->closed_reason, ==, reason);
  server->peer->closed = 1;
  if (server->peer->fd < 0)
    server->peer->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
}

/* ---- Good ones ---- */

static void test_request(void) {
  static const char *const headers[] = {"Authorization: Bearer k", "Sec-WebSocket-Protocol: a, b",
                                        NULL};
  g_autoptr(Server) server = server_new();
  start(server, NULL, headers, NULL);
  accept_request(server);
  g_autofree char *first = g_strndup(server->request->str, strcspn(server->request->str, "\r"));
  g_assert_cmpstr(first, ==, "GET /ws/stream?a=b HTTP/1.1");
  static const char *const lines[] = {"Host: 127.0.0.1:",
                                      "Upgrade: websocket\r\n",
                                      "Connection: Upgrade\r\n",
                                      "Sec-WebSocket-Version: 13\r\n",
                                      "Authorization: Bearer k\r\n",
                                      "Sec-WebSocket-Protocol: a, b\r\n"};
  for (guint i = 0; i < G_N_ELEMENTS(lines); i++)
    g_assert_nonnull(strstr(server->request->str, lines[i]));
  answer(server, SWITCH "Sec-WebSocket-Protocol: b\r\n\r\n", NULL, 0);
  wait_opened(server);
  g_assert_nonnull(server->peer->ws);
  g_assert_cmpstr(mnk_websocket_address(server->peer->ws), ==, "127.0.0.1");
  peer_send(server->peer, "text:a", 0);
  peer_expect(server->peer, "text:a");
  mnk_websocket_close(server->peer->ws, 1000, "done");
  peer_expect(server->peer, "text:a close:1000");
  peer_send(server->peer, "close:1000 cut:", 0);
  peer_expect_closed(server->peer, 1000);
}

/* Frames right behind the answer, in pieces of all sizes. */
static void test_early_frames(void) {
  for (gsize piece = 0; piece < 8; piece++) {
    g_autoptr(Server) server = server_new();
    g_autoptr(GByteArray) frames = script_bytes("text:early ping:bird text-:no", FALSE);
    start(server, NULL, NULL, NULL);
    accept_request(server);
    answer(server, SWITCH "\r\n", frames, piece);
    wait_opened(server);
    peer_send(server->peer, "cont:w", 0);
    peer_expect(server->peer, "text:early pong:bird text:now");
  }
}

/* ---- Refused ---- */

static void test_refused(void) {
  g_autofree char *long_value = g_strnfill(17000, 'x');
  g_autofree char *long_head = g_strconcat("HTTP/1.1 101 x\r\nX: ", long_value, NULL);
  const struct {
    const char *head, *reason;
  } answers[] = {
      {"HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\n\r\n",
       "usage: the server refuses the WebSocket: 401 Unauthorized"},
      {"HTTP/1.1 301 Moved\r\nLocation: ws://127.0.0.1:9/\r\n\r\n",
       "source: the server refuses the WebSocket: 301 Moved"},
      {SWITCH "Sec-WebSocket-Extensions: x\r\n\r\n",
       "source: the server uses an extension that was not offered"},
      {"HTTP/1.1 101 x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
       "Sec-WebSocket-Accept: AAAAAAAAAAAAAAAAAAAAAAAAAAA=\r\n\r\n",
       "source: the server's Sec-WebSocket-Accept does not fit the key"},
      {"\x15\x03\x01\r\n\r\n", "source: the server does not answer in HTTP/1.1"},
      {long_head, "source: the server's answer has a head of more than 16 KiB"},
  };
  for (guint i = 0; i < G_N_ELEMENTS(answers); i++) {
    g_autoptr(Server) server = server_new();
    start(server, NULL, NULL, NULL);
    accept_request(server);
    answer(server, answers[i].head, NULL, 0);
    expect_refused(server, answers[i].reason);
  }
}

static void test_ends_early(void) {
  static const char *const heads[] = {"", "HTTP/1.1 101", SWITCH};
  for (guint i = 0; i < G_N_ELEMENTS(heads); i++) {
    g_autoptr(Server) server = server_new();
    start(server, NULL, NULL, NULL);
    accept_request(server);
    answer(server, heads[i], NULL, 0);
    shutdown(server->fd, SHUT_RDWR);
    expect_refused(server, "source: the server closed the connection instead of answering");
  }
}

static void test_nobody_listens(void) {
  g_autoptr(Server) server = server_new();
  close(server->listener);
  server->listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  start(server, NULL, NULL, NULL);
  wait_opened(server);
  g_assert_true(g_str_has_prefix(server->peer->closed_reason, "source: 127.0.0.1 port "));
  g_autofree char *reason = g_strdup(server->peer->closed_reason);
  expect_refused(server, reason);
}

static void test_bad_arguments(void) {
  static const char *const split[] = {"X: y\r\nZ: w", NULL};
  static const char *const no_colon[] = {"Xy", NULL};
  const struct {
    const char *url;
    const char *const *headers;
    const char *prefix;
  } bad[] = {
      {"http://127.0.0.1/", NULL, "usage: a WebSocket's URL begins with ws:// or wss:// and not"},
      {"ws://", NULL, ""},
      {"ws://exa mple/", NULL, ""},
      {NULL, split, "usage: a header must be one line of the form \"Name: value\""},
      {NULL, no_colon, "usage: a header must be one line of the form \"Name: value\""},
  };
  for (guint i = 0; i < G_N_ELEMENTS(bad); i++) {
    g_autoptr(Server) server = server_new();
    start(server, bad[i].url, bad[i].headers, NULL);
    wait_opened(server);
    g_assert_true(g_str_has_prefix(server->peer->closed_reason, bad[i].prefix));
    g_autofree char *reason = g_strdup(server->peer->closed_reason);
    expect_refused(server, reason);
  }
}

static void test_cancelled(void) {
  for (guint when = 0; when < 3; when++) {
    g_autoptr(Server) server = server_new();
    g_autoptr(GCancellable) cancellable = g_cancellable_new();
    if (when == 0)
      g_cancellable_cancel(cancellable);
    start(server, NULL, NULL, cancellable);
    if (when == 2)
      accept_request(server);
    g_cancellable_cancel(cancellable);
    expect_refused(server, "cancelled: connecting was cancelled");
  }
}

/* Once it is open, the cancellable has no say. */
static void test_cancelled_too_late(void) {
  g_autoptr(Server) server = server_new();
  g_autoptr(GCancellable) cancellable = g_cancellable_new();
  start(server, NULL, NULL, cancellable);
  accept_request(server);
  answer(server, SWITCH "\r\n", NULL, 0);
  wait_opened(server);
  g_cancellable_cancel(cancellable);
  peer_send(server->peer, "text:a", 0);
  peer_expect(server->peer, "text:a");
}

/* A server that accepts and says nothing. */
static void test_no_answer(void) {
  if (!g_getenv("MANAKO_TEST_LONG")) {
    g_test_skip("takes ten seconds: MANAKO_TEST_LONG is not set");
    return;
  }
  g_autoptr(Server) server = server_new();
  start(server, NULL, NULL, NULL);
  accept_request(server);
  expect_refused(server, "source: 127.0.0.1 did not answer within 10 s");
}

/* ---- Both ends ours ---- */

typedef struct {
  GString *seen;
  guint closed;
  guint codes[2];
} Both;

static void on_echo(MnkWebSocket *ws, gboolean text, const guint8 *bytes, gsize length,
                    gpointer user) {
  g_assert_true(mnk_websocket_send_binary(ws, bytes, length));
}

static void on_counted(MnkWebSocket *ws, gboolean text, const guint8 *bytes, gsize length,
                       gpointer user) {
  Both *both = user;
  g_string_append_printf(both->seen, "%" G_GSIZE_FORMAT " ", length);
  for (gsize i = 0; i < length; i++)
    g_assert_cmpuint(bytes[i], ==, (guint8)(i * 31));
  if (length >= 100000)
    mnk_websocket_close(ws, 4002, "far enough");
}

static void on_server_closed(MnkWebSocket *ws, guint code, const char *reason, gpointer user) {
  Both *both = user;
  g_assert_cmpstr(reason, ==, "far enough");
  both->codes[0] = code;
  both->closed++;
}

static void on_client_closed(MnkWebSocket *ws, guint code, const char *reason, gpointer user) {
  Both *both = user;
  both->codes[1] = code;
  both->closed++;
}

static void on_request(MnkRequest *request, gpointer user) {
  static const MnkWebSocketEvents events = {.message = on_echo, .closed = on_server_closed};
  g_assert_nonnull(mnk_request_upgrade(request, NULL, &quiet_config, &events, user));
}

static void send_all_sizes(MnkWebSocket *ws, const GError *error, gpointer user) {
  g_autofree guint8 *bytes = g_malloc(100000);
  g_assert_no_error(error);
  for (gsize i = 0; i < 100000; i++)
    bytes[i] = (guint8)(i * 31);
  for (gsize length = 1; length <= 100000; length *= 10)
    g_assert_true(mnk_websocket_send_binary(ws, bytes, length));
}

static void test_both_ends(void) {
  static const MnkWebSocketEvents events = {.message = on_counted, .closed = on_client_closed};
  g_autoptr(GString) seen = g_string_new(NULL);
  Both both = {.seen = seen};
  g_autoptr(TestServer) test = test_server_new(NULL, on_request, &both);
  g_autofree char *url = g_strdup_printf("ws://127.0.0.1:%u/", mnk_http_server_port(test->server));
  mnk_websocket_connect(url, NULL, &quiet_config, &events, NULL, send_all_sizes, &both);
  while (both.closed < 2)
    g_main_context_iteration(NULL, TRUE);
  g_assert_cmpstr(seen->str, ==, "1 10 100 1000 10000 100000 ");
  g_assert_cmpuint(both.codes[0], ==, 4002);
  g_assert_cmpuint(both.codes[1], ==, 4002);
}

int main(int argc, char **argv) {
  g_test_init(&argc, &argv, NULL);
  g_test_add_func("/websocket/client/request", test_request);
  g_test_add_func("/websocket/client/early-frames", test_early_frames);
  g_test_add_func("/websocket/client/refused", test_refused);
  g_test_add_func("/websocket/client/ends-early", test_ends_early);
  g_test_add_func("/websocket/client/nobody-listens", test_nobody_listens);
  g_test_add_func("/websocket/client/bad-arguments", test_bad_arguments);
  g_test_add_func("/websocket/client/cancelled", test_cancelled);
  g_test_add_func("/websocket/client/cancelled-too-late", test_cancelled_too_late);
  g_test_add_func("/websocket/client/no-answer", test_no_answer);
  g_test_add_func("/websocket/client/both-ends", test_both_ends);
  return g_test_run();
}
