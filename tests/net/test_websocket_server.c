/* The cases and more against an HTTP server, over TCP. */
#include <string.h>
#include <unistd.h>

#include "http_support.h"
#include "websocket_cases.h"
#include "websocket_peer.h"

#define KEY "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
#define HANDSHAKE(method, fields)                                                                  \
  method " /ws HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"       \
         "Sec-WebSocket-Version: 13\r\n" KEY fields "\r\n"

/* Whoever connects next. */
typedef struct {
  Peer *peer;
  guint refused;
} Next;

static void on_request(MnkRequest *request, gpointer user) {
  Next *next = user;
  next->peer->ws =
      mnk_request_upgrade(request, "captions", &quiet_config, &peer_events, next->peer);
  if (!next->peer->ws)
    next->refused++;
}

/* The bytes are a handshake, and perhaps more; what follows the answer's head is left to the peer.
 */
static Peer *connect_with(const TestServer *test, Next *next, const char *bytes, gsize length) {
  TestClient *client = test_client_new(test);
  Peer *peer = next->peer = peer_around(TRUE, client->fd);
  g_assert_true(test_client_send(client, bytes, length));
  test_client_wait_for(client, "\r\n\r\n");
  const char *end = strstr(client->got->str, "\r\n\r\n") + 4;
  g_assert_true(g_str_has_prefix(client->got->str, "HTTP/1.1 101 "));
  g_assert_nonnull(
      strstr(client->got->str, "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"));
  g_assert_true(strstr(client->got->str, "\r\nSec-WebSocket-Protocol: captions\r\n") ||
                !strstr(bytes, "captions"));
  g_byte_array_append(peer->in, (const guint8 *)end,
                      (guint)(client->got->len - (gsize)(end - client->got->str)));
  client->fd = -1;
  test_client_free(client);
  return peer;
}

static Peer *connect_peer(const TestServer *test, Next *next) {
  static const char handshake[] = HANDSHAKE("GET", "");
  return connect_with(test, next, handshake, sizeof handshake - 1);
}

/* ---- The cases ---- */

static guint last_code(const char *script) {
  const char *close = g_strrstr(script, "close:");
  guint code = (guint)g_ascii_strtoull(close + strlen("close:"), NULL, 10);
  return code ? code : MNK_WS_NO_STATUS;
}

/* A case that ends the connection is over with its answer; to others a close frame is added. */
static void run_case(gconstpointer data) {
  const WebSocketCase *which = data;
  gboolean ends = g_str_has_suffix(which->expect, "eof");
  g_autofree char *expect = g_strconcat(which->expect, ends ? "" : " close:1000 eof", NULL);
  Next next = {0};
  g_autoptr(TestServer) test = test_server_new(NULL, on_request, &next);
  g_autoptr(Peer) peer = connect_peer(test, &next);
  peer_send(peer, which->send, 0);
  if (!ends)
    peer_send(peer, "close:1000", 0);
  peer_expect(peer, expect);
  peer_send(peer, "cut:", 0);
  peer_expect_closed(peer, last_code(expect));
}

/* ---- Handshakes ---- */

static const struct {
  guint status;
  const char *request, *field;
} refused[] = {
    {405, HANDSHAKE("POST", "Content-Length: 0\r\n"), "\r\nAllow: GET\r\n"},
    {405, HANDSHAKE("PUT", "Content-Length: 0\r\n"), "\r\nAllow: GET\r\n"},
    {426, "GET /ws HTTP/1.1\r\nHost: a\r\n\r\n", "\r\nSec-WebSocket-Version: 13\r\n"},
    {426, "GET /ws HTTP/1.1\r\nHost: a\r\n" KEY "Upgrade: websocket\r\nConnection: Upgrade\r\n\r\n",
     "\r\nSec-WebSocket-Version: 13\r\n"},
    {426,
     "GET /ws HTTP/1.1\r\nHost: a\r\n" KEY "Upgrade: websocket\r\nConnection: Upgrade\r\n"
     "Sec-WebSocket-Version: 8\r\n\r\n",
     "\r\nSec-WebSocket-Version: 13\r\n"},
    {400,
     "GET /ws HTTP/1.1\r\nHost: a\r\nSec-WebSocket-Key: short\r\nUpgrade: websocket\r\n"
     "Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n\r\n",
     "Sec-WebSocket-Key must be 16 bytes in base64"},
    {400,
     "GET /ws HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
     "Sec-WebSocket-Version: 13\r\n\r\n",
     "Sec-WebSocket-Key must be 16 bytes in base64"},
    {400, HANDSHAKE("GET", KEY), "sec-websocket-key"},
    {400, HANDSHAKE("GET", "Content-Length: 3\r\n") "abc", "has no body"},
    {400, HANDSHAKE("GET", "Transfer-Encoding: chunked\r\n") "0\r\n\r\n", "has no body"},
};

static void test_refused(void) {
  for (guint i = 0; i < G_N_ELEMENTS(refused); i++) {
    Peer nobody = {0};
    Next next = {.peer = &nobody};
    g_autoptr(TestServer) test = test_server_new(NULL, on_request, &next);
    g_autoptr(TestClient) client = test_client_new(test);
    g_autofree char *headers = NULL, *body = NULL;
    test_client_send_text(client, refused[i].request);
    test_client_wait_for(client, "}}");
    g_autofree char *got = g_strdup(client->got->str);
    g_assert_cmpuint(test_client_answer(client, FALSE, &headers, &body), ==, refused[i].status);
    if (!strstr(got, refused[i].field))
      g_error("%s is not in %s", refused[i].field, got);
  }
}

/* The connection of a refused handshake may go on with HTTP. */
static void test_refused_goes_on(void) {
  Peer nobody = {0};
  Next next = {.peer = &nobody};
  g_autoptr(TestServer) test = test_server_new(NULL, on_request, &next);
  g_autoptr(TestClient) client = test_client_new(test);
  for (guint i = 1; i <= 3; i++) {
    test_client_send_text(client, "GET /ws HTTP/1.1\r\nHost: a\r\n\r\n");
    test_client_wait_for(client, "}}");
    g_assert_cmpuint(test_client_answer(client, FALSE, NULL, NULL), ==, 426);
    g_assert_cmpuint(next.refused, ==, i);
  }
}

static void test_protocol(void) {
  static const char handshake[] = HANDSHAKE("GET", "Sec-WebSocket-Protocol: other, captions\r\n");
  Next next = {0};
  g_autoptr(TestServer) test = test_server_new(NULL, on_request, &next);
  g_autoptr(Peer) peer = connect_with(test, &next, handshake, sizeof handshake - 1);
  peer_send(peer, "text:a", 0);
  peer_expect(peer, "text:a");
  g_assert_cmpstr(mnk_websocket_address(peer->ws), ==, "127.0.0.1");
}

/* Frames that came in one piece with the request are not lost. */
static void test_early_frames(void) {
  g_autoptr(GByteArray) frames = script_bytes("text:early ping:bird text-:no", TRUE);
  g_autoptr(GString) bytes = g_string_new(HANDSHAKE("GET", ""));
  g_string_append_len(bytes, (const char *)frames->data, frames->len);
  Next next = {0};
  g_autoptr(TestServer) test = test_server_new(NULL, on_request, &next);
  g_autoptr(Peer) peer = connect_with(test, &next, bytes->str, bytes->len);
  peer_send(peer, "cont:w", 0);
  peer_expect(peer, "text:early pong:bird text:now");
}

/* ---- With the server ---- */

static void test_server_ends(void) {
  Next next = {0};
  Peer *peers[4];
  TestServer *test = test_server_new(NULL, on_request, &next);
  for (guint i = 0; i < G_N_ELEMENTS(peers); i++)
    peers[i] = connect_peer(test, &next);
  g_assert_cmpuint(mnk_http_server_connections(test->server), ==, 4);
  mnk_websocket_cut(peers[1]->ws);               /* over, and not told yet */
  mnk_websocket_close(peers[2]->ws, 4000, "ok"); /* waits for the peer */
  test_server_free(test);
  static const guint codes[] = {MNK_WS_GOING_AWAY, MNK_WS_ABNORMAL, 4000, MNK_WS_GOING_AWAY};
  for (guint i = 0; i < G_N_ELEMENTS(peers); i++) {
    g_assert_cmpuint(peers[i]->closed, ==, 1); /* from within */
    g_assert_cmpuint(peers[i]->closed_code, ==, codes[i]);
    peer_free(peers[i]);
  }
}

static void test_drain_lets_them_be(void) {
  Next next = {0};
  g_autoptr(TestServer) test = test_server_new(NULL, on_request, &next);
  g_autoptr(Peer) peer = connect_peer(test, &next);
  mnk_http_server_drain(test->server);
  peer_send(peer, "text:a", 0);
  peer_expect(peer, "text:a");
}

static void test_counted_until_closed(void) {
  Next next = {0};
  g_autoptr(TestServer) test = test_server_new(NULL, on_request, &next);
  guint fds = test_count_fds();
  for (guint i = 0; i < 20; i++) {
    g_autoptr(Peer) peer = connect_peer(test, &next);
    g_assert_cmpuint(mnk_http_server_connections(test->server), ==, 1);
    peer_send(peer, i % 2 ? "close:1000 cut:" : "cut:", 0);
    peer_expect_closed(peer, i % 2 ? MNK_WS_NORMAL : MNK_WS_ABNORMAL);
    g_assert_cmpuint(mnk_http_server_connections(test->server), ==, 0);
  }
  test_turn(10);
  g_assert_cmpuint(test_count_fds(), ==, fds);
}

/* A reset instead of an end. */
static void test_reset(void) {
  Next next = {0};
  g_autoptr(TestServer) test = test_server_new(NULL, on_request, &next);
  g_autoptr(Peer) peer = connect_peer(test, &next);
  struct linger hard = {.l_onoff = 1};
  g_assert_no_errno(setsockopt(peer->fd, SOL_SOCKET, SO_LINGER, &hard, sizeof hard));
  close(peer->fd);
  peer->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0); /* nothing comes from it */
  peer_expect_closed(peer, MNK_WS_ABNORMAL);
}

int main(int argc, char **argv) {
  g_test_init(&argc, &argv, NULL);
  g_test_add_func("/websocket/server/refused", test_refused);
  g_test_add_func("/websocket/server/refused-goes-on", test_refused_goes_on);
  g_test_add_func("/websocket/server/protocol", test_protocol);
  g_test_add_func("/websocket/server/early-frames", test_early_frames);
  g_test_add_func("/websocket/server/ends", test_server_ends);
  g_test_add_func("/websocket/server/drains", test_drain_lets_them_be);
  g_test_add_func("/websocket/server/counted-until-closed", test_counted_until_closed);
  g_test_add_func("/websocket/server/reset", test_reset);
  for (guint i = 0; i < websocket_cases_n; i++) {
    g_autofree char *path = g_strconcat("/websocket/tcp/", websocket_cases[i].name, NULL);
    g_test_add_data_func(path, &websocket_cases[i], run_case);
  }
  return g_test_run();
}
