/* The other end of a WebSocket, byte by byte, and scripts of frames.
 *
 * A script is a list of frames between blanks: text:Hello, bin:, cont:, ping:, pong:, close:1000 or
 * close:1000,reason, op3: ... with these marks in front of the colon: "-" without FIN, "!" with the
 * mask bit the wrong way round, "1" "2" "3" with that reserved bit, "+N" announcing N bytes more
 * than are given, "w" the length in 16 bits and "W" in 64, whatever it is. In a payload %xx is a
 * byte and #N stands for N stars. raw:81ff is bytes in hex, cut: ends the sending side. */
#ifndef MNK_TEST_WEBSOCKET_PEER_H
#define MNK_TEST_WEBSOCKET_PEER_H

#include "net/websocket.h"

typedef struct {
  guint opcode;
  gboolean fin;
  GByteArray *payload;
} Frame;
void frame_free(Frame *frame);

/* A session that echoes messages, in this thread's loop, and the raw end of its connection. */
typedef struct {
  gboolean server; /* the session's role */
  int fd;
  MnkWebSocket *ws; /* NULL when closed */
  GByteArray *in;   /* what came from the session */
  gboolean ended;   /* and its end */
  guint messages, closed, writable;
  guint closed_code;
  char *closed_reason;
  gboolean silent; /* does not echo */
  gboolean pause_after_message;
  guint close_in_message;
  gboolean end_in_message;
} Peer;

extern const MnkWebSocketConfig quiet_config; /* no pings */
Peer *peer_new(gboolean server, const MnkWebSocketConfig *config);
/* One whose session comes from elsewhere: made with peer_events and the peer as user. Takes fd. */
Peer *peer_around(gboolean server, int fd);
extern const MnkWebSocketEvents peer_events;
void peer_free(Peer *peer);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Peer, peer_free)

/* The script's bytes as the peer of such a session sends them. */
GByteArray *script_bytes(const char *script, gboolean masked);
/* Sends while the loop runs, so that nothing is stuck; piece 0: all at once. */
void peer_send(Peer *peer, const char *script, gsize piece);
void peer_send_bytes(Peer *peer, const guint8 *bytes, gsize length, gsize piece);
/* What has come so far as frames, in a form to compare; close frames without their reasons, "eof"
 * at the end where it has come. */
char *peer_seen(const Peer *peer);
char *script_expected(const char *script);
/* Runs the loop until the condition holds; aborts after a long time. */
typedef gboolean (*Condition)(gpointer user);
void run_until(Peer *peer, Condition condition, gpointer user, const char *what);
/* Until what has come is this script. */
void peer_expect(Peer *peer, const char *script);
void peer_expect_closed(Peer *peer, guint code);
/* One turn of the loop without waiting, and what came is taken in. */
void peer_turn(Peer *peer);

#endif
