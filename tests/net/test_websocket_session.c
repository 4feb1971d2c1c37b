/* What a session does with time, with slow peers and with its own end. */
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "net/websocket_priv.h"
#include "websocket_peer.h"

static gboolean has_closed(gpointer user) {
  return ((Peer *)user)->closed > 0;
}

static gboolean has_ended(gpointer user) {
  return ((Peer *)user)->ended;
}

static void turns(Peer *peer, guint n) {
  while (n--)
    peer_turn(peer);
}

/* ---- Closing ---- */

static void test_we_close(void) {
  g_autoptr(Peer) peer = peer_new(TRUE, &quiet_config);
  mnk_websocket_close(peer->ws, 4001, "bye");
  g_assert_cmpuint(peer->closed, ==, 0);
  peer_expect(peer, "close:4001");
  g_assert_cmpmem(peer->in->data, peer->in->len,
                  "\x88\x05\x0f\xa1"
                  "bye",
                  7);
  g_assert_false(mnk_websocket_send_text(peer->ws, "x", 1));
  mnk_websocket_close(peer->ws, 1000, NULL); /* nothing more */
  peer_send(peer, "close:1000", 0);
  peer_expect(peer, "close:4001 eof");
  peer_send(peer, "cut:", 0);
  peer_expect_closed(peer, 4001);
  g_assert_cmpstr(peer->closed_reason, ==, "bye");
}

/* What the peer had sent before it heard of the end is not told; its pings are not answered. */
static void test_late_messages(void) {
  g_autoptr(Peer) peer = peer_new(TRUE, &quiet_config);
  mnk_websocket_close(peer->ws, 1000, NULL);
  peer_send(peer, "text:late ping:x bin-:late close:1001 cut:", 0);
  peer_expect(peer, "close:1000 eof");
  peer_expect_closed(peer, 1000);
  g_assert_cmpuint(peer->messages, ==, 0);
}

static void test_close_after_backlog(void) {
  g_autoptr(Peer) peer = peer_new(TRUE, &quiet_config);
  g_autofree guint8 *bytes = g_malloc0(2 << 20);
  memset(bytes, '*', 2 << 20);
  g_assert_true(mnk_websocket_send_binary(peer->ws, bytes, 2 << 20));
  g_assert_cmpuint(mnk_websocket_backlog(peer->ws), >, 0);
  mnk_websocket_close(peer->ws, 1001, "drained");
  peer_expect(peer, "bin:#2097152 close:1001");
  peer_send(peer, "close:1001 cut:", 0);
  peer_expect_closed(peer, 1001);
}

static void test_reasons(void) {
  g_autofree char *ascii = g_strnfill(200, 'x');
  g_autoptr(GString) wide = g_string_new("a");
  for (guint i = 0; i < 60; i++)
    g_string_append(wide, "\xe3\x81\x82");
  const struct {
    const char *reason;
    gsize length;
  } reasons[] = {{"", 0}, {ascii, 123}, {ascii + 77, 123}, {ascii + 78, 122}, {wide->str, 121}};
  for (guint i = 0; i < G_N_ELEMENTS(reasons); i++) {
    g_autoptr(Peer) peer = peer_new(TRUE, &quiet_config);
    mnk_websocket_close(peer->ws, 1008, reasons[i].reason);
    peer_expect(peer, "close:1008");
    g_assert_cmpuint(peer->in->len, ==, 4 + reasons[i].length);
    g_assert_cmpmem(peer->in->data + 4, reasons[i].length, reasons[i].reason, reasons[i].length);
  }
}

static void test_close_deadline(void) {
  MnkWebSocketConfig config = quiet_config;
  config.close_ms = 30;
  g_autoptr(Peer) peer = peer_new(TRUE, &config);
  mnk_websocket_close(peer->ws, 1000, NULL);
  peer_expect_closed(peer, 1000); /* though the peer says nothing */
  peer_expect(peer, "close:1000 eof");
}

/* A peer that goes on reading gets all that waited, though it takes longer than the deadline. */
static void test_close_behind_backlog(void) {
  enum { LENGTH = 4 << 20, PIECE = 128 << 10, PAUSE_US = 40000 };
  MnkWebSocketConfig config = quiet_config;
  config.close_ms = 600;
  g_autoptr(Peer) peer = peer_new(TRUE, &config);
  g_autofree guint8 *bytes = g_malloc0(LENGTH);
  g_assert_true(mnk_websocket_send_binary(peer->ws, bytes, LENGTH));
  mnk_websocket_close(peer->ws, 1000, NULL);
  gsize total = 0;
  for (gssize n = 1; n != 0;) {
    while (g_main_context_iteration(NULL, FALSE))
      ;
    n = read(peer->fd, bytes, PIECE);
    total += n > 0 ? (gsize)n : 0;
    g_usleep(PAUSE_US);
  }
  g_assert_cmpuint(total, ==, LENGTH + 10 + 4); /* with the heads, and the close frame */
  peer_expect_closed(peer, 1000);
}

/* Nor does a peer hold the connection by not closing its side, nor by going on to send. */
static void test_linger_deadline(void) {
  MnkWebSocketConfig config = quiet_config;
  config.close_ms = 30;
  g_autoptr(Peer) peer = peer_new(TRUE, &config);
  peer_send(peer, "close:1000", 0);
  peer_expect(peer, "close:1000 eof");
  while (!peer->closed)
    peer_send(peer, "text:more", 0);
  g_assert_cmpuint(peer->closed_code, ==, 1000);
  g_assert_cmpuint(peer->messages, ==, 0);
}

static void test_peers_reason(void) {
  g_autoptr(Peer) peer = peer_new(TRUE, &quiet_config);
  peer_send(peer, "close:4100,see%20you cut:", 0);
  peer_expect_closed(peer, 4100);
  g_assert_cmpstr(peer->closed_reason, ==, "see you");
}

static void test_no_status(void) {
  g_autoptr(Peer) peer = peer_new(TRUE, &quiet_config);
  peer_send(peer, "close: cut:", 0);
  peer_expect_closed(peer, MNK_WS_NO_STATUS);
  g_assert_cmpstr(peer->closed_reason, ==, "");
}

/* ---- Lost peers ---- */

static void test_lost(void) {
  static const char *const lost[] = {
      "cut:", "text:a cut:", "text-:a cut:", "text+9:a cut:", "ping:a cut:"};
  for (guint i = 0; i < G_N_ELEMENTS(lost); i++) {
    g_autoptr(Peer) peer = peer_new(TRUE, &quiet_config);
    peer_send(peer, lost[i], 0);
    peer_expect_closed(peer, MNK_WS_ABNORMAL);
    g_assert_cmpstr(peer->closed_reason, ==, "the peer closed the connection without a word");
  }
}

/* The peer's receiving side is gone: found when something is sent. */
static void test_half_open(void) {
  g_autoptr(Peer) peer = peer_new(TRUE, &quiet_config);
  shutdown(peer->fd, SHUT_RD);
  mnk_websocket_send_text(peer->ws, "x", 1);
  peer_expect_closed(peer, MNK_WS_ABNORMAL);
}

static void test_cut(void) {
  g_autoptr(Peer) peer = peer_new(TRUE, &quiet_config);
  mnk_websocket_cut(peer->ws);
  g_assert_cmpuint(peer->closed, ==, 0); /* never from within */
  g_assert_false(mnk_websocket_send_text(peer->ws, "x", 1));
  mnk_websocket_close(peer->ws, 1000, NULL);
  mnk_websocket_pause(peer->ws, TRUE);
  mnk_websocket_cut(peer->ws);
  peer_expect_closed(peer, MNK_WS_ABNORMAL);
  peer_expect(peer, "eof");
}

/* ---- Pings ---- */

static gboolean has_pinged(gpointer user) {
  return ((Peer *)user)->in->len >= 2;
}

static void test_pings(void) {
  MnkWebSocketConfig config = quiet_config;
  config.ping_ms = 20;
  g_autoptr(Peer) peer = peer_new(TRUE, &config);
  for (guint i = 0; i < 5; i++) { /* more than pongs_missed: each was answered */
    run_until(peer, has_pinged, peer, "a ping");
    g_assert_cmpmem(peer->in->data, 2, "\x89\x00", 2);
    g_byte_array_set_size(peer->in, 0);
    peer_send(peer, i % 2 ? "pong:" : "text:anything", 0);
    while (i % 2 == 0 && peer->messages <= i / 2)
      peer_turn(peer);
    g_byte_array_set_size(peer->in, 0);
  }
  g_assert_cmpuint(peer->closed, ==, 0);
  run_until(peer, has_closed, peer, "the loss");
  g_assert_cmpuint(peer->closed_code, ==, MNK_WS_ABNORMAL);
  g_assert_cmpstr(peer->closed_reason, ==, "the peer does not answer");
  peer_expect(peer, "ping: ping: eof");
}

/* A peer that neither reads nor writes, with a backlog before it. */
static void test_pings_behind_backlog(void) {
  MnkWebSocketConfig config = quiet_config;
  config.ping_ms = 20;
  g_autoptr(Peer) peer = peer_new(TRUE, &config);
  g_autofree guint8 *bytes = g_malloc0(4 << 20);
  g_assert_true(mnk_websocket_send_binary(peer->ws, bytes, 4 << 20));
  while (!peer->closed)
    g_main_context_iteration(NULL, TRUE);
  g_assert_cmpuint(peer->closed_code, ==, MNK_WS_ABNORMAL);
}

/* A paused session hears no answers and does not hold that against the peer. */
static void test_pings_while_paused(void) {
  MnkWebSocketConfig config = quiet_config;
  config.ping_ms = 10;
  g_autoptr(Peer) peer = peer_new(TRUE, &config);
  mnk_websocket_pause(peer->ws, TRUE);
  while (peer->in->len < 5 * 2)
    peer_turn(peer);
  g_assert_cmpuint(peer->closed, ==, 0);
}

/* Every ping of a flood that is read is answered; of those that wait behind a peer that does not
 * read, the last; and what waits stays small. */
static void test_ping_flood(void) {
  g_autoptr(Peer) peer = peer_new(TRUE, &quiet_config);
  g_autofree guint8 *bytes = g_malloc0(4 << 20);
  g_assert_true(mnk_websocket_send_binary(peer->ws, bytes, 4 << 20));
  gsize before = mnk_websocket_backlog(peer->ws);
  g_assert_cmpuint(before, >, 0);
  for (guint i = 0; i < 20000; i++) {
    char script[32];
    g_snprintf(script, sizeof script, "ping:flood-%u", i);
    g_autoptr(GByteArray) ping = script_bytes(script, TRUE);
    while (send(peer->fd, ping->data, ping->len, MSG_NOSIGNAL) < 0)
      g_main_context_iteration(NULL, FALSE);
  }
  while (g_main_context_iteration(NULL, FALSE))
    continue;
  g_assert_cmpuint(mnk_websocket_backlog(peer->ws), <, before + 8192);
  peer_send(peer, "text:done", 0);
  while (peer->messages < 1)
    peer_turn(peer);
  for (guint i = 0; i < 10000 && mnk_websocket_backlog(peer->ws); i++)
    peer_turn(peer);
  turns(peer, 10);
  g_autofree char *seen = peer_seen(peer);
  g_assert_true(g_str_has_suffix(seen, "pong:flood-19999 text:done") ||
                g_str_has_suffix(seen, "text:done pong:flood-19999"));
}

/* ---- Back-pressure ---- */

static void test_backlog(void) {
  MnkWebSocketConfig config = quiet_config;
  config.backlog_max = 100000;
  g_autoptr(Peer) peer = peer_new(TRUE, &config);
  g_autofree guint8 *bytes = g_malloc0(60000);
  guint sent = 0;
  while (mnk_websocket_send_binary(peer->ws, bytes, 60000))
    sent++;
  gsize waiting = mnk_websocket_backlog(peer->ws);
  g_assert_cmpuint(waiting, >, 40000 - 14);
  g_assert_cmpuint(waiting, <=, 100000);
  g_assert_false(mnk_websocket_send_binary(peer->ws, bytes, 60000));
  g_assert_cmpuint(mnk_websocket_backlog(peer->ws), ==, waiting); /* nothing of it */
  g_assert_true(waiting + 14 + 10 > 100000 || mnk_websocket_send_binary(peer->ws, bytes, 10));
  peer_send(peer, "ping:still", 0); /* a control frame finds room */
  g_assert_cmpuint(peer->writable, ==, 0);
  while (!peer->writable)
    peer_turn(peer);
  turns(peer, 10);
  g_assert_cmpuint(peer->writable, ==, 1);
  g_assert_cmpuint(mnk_websocket_backlog(peer->ws), ==, 0);
  g_assert_cmpuint(peer->in->len, >=, sent * 60000 + 7);
  g_autofree char *seen = peer_seen(peer);
  g_assert_nonnull(strstr(seen, "pong:still"));
}

/* What can never go is refused, and no event promises otherwise. */
static void test_larger_than_backlog(void) {
  MnkWebSocketConfig config = quiet_config;
  config.backlog_max = 1000;
  g_autoptr(Peer) peer = peer_new(TRUE, &config);
  g_autofree guint8 *bytes = g_malloc0(1001);
  g_assert_false(mnk_websocket_send_binary(peer->ws, bytes, 1001));
  g_assert_false(mnk_websocket_send_binary(peer->ws, bytes, 1000));
  g_assert_true(mnk_websocket_send_binary(peer->ws, bytes, 900));
  turns(peer, 10);
  g_assert_cmpuint(peer->writable, ==, 0);
}

static void test_pause(void) {
  g_autoptr(Peer) peer = peer_new(TRUE, &quiet_config);
  peer->pause_after_message = TRUE;
  peer_send(peer, "text:a text:b ping:p text:c", 0); /* in one piece */
  while (peer->messages < 1)
    peer_turn(peer);
  for (guint i = 1; i <= 3; i++) {
    turns(peer, 10);
    g_assert_cmpuint(peer->messages, ==, i);
    mnk_websocket_pause(peer->ws, FALSE);
    g_assert_cmpuint(peer->messages, ==, i); /* never from within */
    turns(peer, 10);
  }
  peer_expect(peer, "text:a text:b pong:p text:c");
  peer->pause_after_message = FALSE;
  peer_send(peer, "text:d", 0);
  peer_expect(peer, "text:a text:b pong:p text:c text:d");
}

/* The kernel's buffers hold the peer while nothing is read; then everything arrives. */
static void test_pause_holds_the_peer(void) {
  g_autoptr(Peer) peer = peer_new(TRUE, &quiet_config);
  peer->silent = TRUE;
  mnk_websocket_pause(peer->ws, TRUE);
  g_autoptr(GByteArray) bytes = script_bytes("bin:#8000000", TRUE);
  gsize at = 0;
  for (guint i = 0; i < 1000; i++) {
    gssize n = send(peer->fd, bytes->data + at, bytes->len - at, MSG_NOSIGNAL);
    at += n > 0 ? (gsize)n : 0;
    peer_turn(peer);
  }
  g_assert_cmpuint(at, <, bytes->len);
  g_assert_cmpuint(mnk_websocket_received(peer->ws), ==, 0);
  mnk_websocket_pause(peer->ws, FALSE);
  peer_send_bytes(peer, bytes->data + at, bytes->len - at, 0);
  while (peer->messages < 1)
    peer_turn(peer);
  g_assert_cmpuint(mnk_websocket_received(peer->ws), ==, bytes->len);
}

/* What a lost peer sent before is told when the pause ends, and only then that it is lost. */
static void test_pause_and_loss(void) {
  g_autoptr(Peer) peer = peer_new(TRUE, &quiet_config);
  peer->silent = TRUE;
  mnk_websocket_pause(peer->ws, TRUE);
  peer_send(peer, "text:a text:b", 0);
  shutdown(peer->fd, SHUT_RDWR);
  turns(peer, 10);
  g_assert_false(g_main_context_pending(NULL)); /* the loss does not keep the loop busy */
  g_assert_cmpuint(peer->closed, ==, 0);
  mnk_websocket_pause(peer->ws, FALSE);
  peer_expect_closed(peer, MNK_WS_ABNORMAL);
  g_assert_cmpuint(peer->messages, ==, 2);
}

static void test_close_while_paused(void) {
  g_autoptr(Peer) peer = peer_new(TRUE, &quiet_config);
  peer->pause_after_message = TRUE;
  peer_send(peer, "text:a text:b close:4000", 0);
  while (peer->messages < 1)
    peer_turn(peer);
  mnk_websocket_close(peer->ws, 1001, NULL); /* the rest is still read, for the close frame in it */
  peer_expect(peer, "text:a close:1001 eof");
  peer_send(peer, "cut:", 0);
  peer_expect_closed(peer, 1001);
  g_assert_cmpuint(peer->messages, ==, 1);
}

/* ---- From within events ---- */

static void test_close_from_within(void) {
  g_autoptr(Peer) peer = peer_new(TRUE, &quiet_config);
  peer->close_in_message = 1008;
  peer_send(peer, "text:a text:b", 0);
  peer_expect(peer, "text:a close:1008");
  peer_send(peer, "close:1008 cut:", 0);
  peer_expect_closed(peer, 1008);
  g_assert_cmpuint(peer->messages, ==, 1);
}

static void test_end_from_within(void) {
  g_autoptr(Peer) peer = peer_new(TRUE, &quiet_config);
  peer->end_in_message = TRUE;
  peer->silent = TRUE;
  peer_send(peer, "text:a text:b", 0);
  run_until(peer, has_ended, peer, "the end");
  g_assert_cmpuint(peer->closed, ==, 1);
  g_assert_cmpuint(peer->closed_code, ==, MNK_WS_GOING_AWAY);
  g_assert_cmpuint(peer->messages, ==, 1);
}

static void test_end(void) {
  for (guint i = 0; i < 3; i++) {
    g_autoptr(Peer) peer = peer_new(TRUE, &quiet_config);
    if (i == 1)
      mnk_websocket_close(peer->ws, 4000, "first");
    if (i == 2)
      mnk_websocket_cut(peer->ws);
    mnk_ws_end(peer->ws, MNK_WS_GOING_AWAY, "the end");
    g_assert_cmpuint(peer->closed, ==, 1);
    g_assert_cmpuint(peer->closed_code, ==, i == 0 ? 1001 : i == 1 ? 4000 : 1006);
  }
}

/* ---- The rest ---- */

static void test_numbers(void) {
  g_autoptr(Peer) peer = peer_new(TRUE, &quiet_config);
  g_assert_cmpstr(mnk_websocket_address(peer->ws), ==, "192.0.2.1");
  g_assert_cmpuint(mnk_websocket_received(peer->ws), ==, 0);
  peer_send(peer, "text:12345 ping:", 0);
  peer_expect(peer, "text:12345 pong:");
  g_assert_cmpuint(mnk_websocket_received(peer->ws), ==, 6 + 5 + 6);
}

/* Each frame of a client has its own mask. */
static void test_client_masks(void) {
  g_autoptr(Peer) peer = peer_new(FALSE, &quiet_config);
  g_assert_true(mnk_websocket_send_text(peer->ws, "aaaaaaaa", 8));
  g_assert_true(mnk_websocket_send_text(peer->ws, "aaaaaaaa", 8));
  g_assert_true(mnk_websocket_send_binary(peer->ws, (const guint8 *)"", 0));
  peer_expect(peer, "text:aaaaaaaa text:aaaaaaaa bin:");
  g_assert_true(memcmp(peer->in->data + 2, peer->in->data + 16, 4) != 0);
}

/* Many sends, many partial writes. */
static void test_many_sends(void) {
  g_autoptr(Peer) peer = peer_new(TRUE, &quiet_config);
  g_autoptr(GString) expected = g_string_new(NULL);
  g_autofree char *stars = g_strnfill(5000, '*');
  for (guint i = 0; i < 500; i++) {
    g_assert_true(mnk_websocket_send_text(peer->ws, stars, i * 10));
    g_string_append_printf(expected, " text:#%u", i * 10);
  }
  peer_expect(peer, expected->str);
}

static const struct {
  const char *path;
  void (*func)(void);
} tests[] = {
    {"close/we-close", test_we_close},
    {"close/late-messages", test_late_messages},
    {"close/after-backlog", test_close_after_backlog},
    {"close/reasons", test_reasons},
    {"close/deadline", test_close_deadline},
    {"close/behind-backlog", test_close_behind_backlog},
    {"close/linger-deadline", test_linger_deadline},
    {"close/peers-reason", test_peers_reason},
    {"close/no-status", test_no_status},
    {"lost/without-a-word", test_lost},
    {"lost/half-open", test_half_open},
    {"lost/cut", test_cut},
    {"pings/answered-or-lost", test_pings},
    {"pings/behind-backlog", test_pings_behind_backlog},
    {"pings/while-paused", test_pings_while_paused},
    {"pings/flood", test_ping_flood},
    {"backlog/all-or-nothing", test_backlog},
    {"backlog/larger-than-it", test_larger_than_backlog},
    {"pause/one-message-at-a-time", test_pause},
    {"pause/holds-the-peer", test_pause_holds_the_peer},
    {"pause/and-loss", test_pause_and_loss},
    {"pause/and-close", test_close_while_paused},
    {"within/close", test_close_from_within},
    {"within/end", test_end_from_within},
    {"end", test_end},
    {"numbers", test_numbers},
    {"client-masks", test_client_masks},
    {"many-sends", test_many_sends},
};

int main(int argc, char **argv) {
  g_test_init(&argc, &argv, NULL);
  for (guint i = 0; i < G_N_ELEMENTS(tests); i++) {
    g_autofree char *path = g_strconcat("/websocket/session/", tests[i].path, NULL);
    g_test_add_func(path, tests[i].func);
  }
  return g_test_run();
}
