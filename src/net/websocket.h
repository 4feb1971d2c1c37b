/* WebSocket, RFC 6455, both ends. Fragments are joined, control frames between them handled, text
 * checked as UTF-8 while it comes, close codes as the RFC has them. No extensions. */
#ifndef MNK_NET_WEBSOCKET_H
#define MNK_NET_WEBSOCKET_H

#include "net/http.h"

#include <gio/gio.h>

typedef struct _MnkWebSocket MnkWebSocket;

enum {
  MNK_WS_NORMAL = 1000,
  MNK_WS_GOING_AWAY = 1001,
  MNK_WS_PROTOCOL_ERROR = 1002,
  MNK_WS_UNSUPPORTED = 1003,
  MNK_WS_NO_STATUS = 1005, /* never on the wire */
  MNK_WS_ABNORMAL = 1006,  /* never on the wire: the connection was lost */
  MNK_WS_BAD_TEXT = 1007,
  MNK_WS_POLICY = 1008,
  MNK_WS_TOO_BIG = 1009,
  MNK_WS_INTERNAL = 1011,
  MNK_WS_TRY_LATER = 1013,
};

typedef struct {
  gsize message_max;  /* bytes of one message; more: 1009, before the payload is read */
  gsize backlog_max;  /* bytes that wait to be sent; a control frame always finds room */
  gint64 ping_ms;     /* a ping when nothing has come for this long; 0: never */
  guint pongs_missed; /* this many pings without any answer: the connection counts as lost */
  gint64 close_ms;    /* longest wait for the peer's close frame; begins anew when the peer has read
                       * some of a backlog, 15 times at most */
} MnkWebSocketConfig;
extern const MnkWebSocketConfig mnk_websocket_config_default; /* 8 MiB, 256 KiB, 15 s, 2, 2 s */

typedef struct {
  /* A whole message; bytes are borrowed. Text is valid UTF-8, with a NUL behind its end. */
  void (*message)(MnkWebSocket *ws, gboolean text, const guint8 *bytes, gsize length,
                  gpointer user);
  /* The backlog is empty again after a send was refused; may be NULL. */
  void (*writable)(MnkWebSocket *ws, gpointer user);
  /* It is over; comes once, last, also after mnk_websocket_close; the object is freed after it.
   * code: the peer's, or ours if we closed first. */
  void (*closed)(MnkWebSocket *ws, guint code, const char *reason, gpointer user);
} MnkWebSocketEvents;

/* Server: checks the handshake (400, 405, 426 with Sec-WebSocket-Version, answered by itself) and
 * takes the connection over; the request is over then. NULL: refused and answered. protocol: the
 * subprotocol to name in the answer, or NULL. */
MnkWebSocket *mnk_request_upgrade(MnkRequest *request, const char *protocol,
                                  const MnkWebSocketConfig *config,
                                  const MnkWebSocketEvents *events, gpointer user);

/* Client: ws:// or wss://, certificates checked. headers: "Name: value" lines, NULL-terminated, or
 * NULL. opened comes with the socket (the events follow), or with NULL and an error:
 * MNK_ERROR_SOURCE may pass, MNK_ERROR_USAGE (a wrong key, another path) and a bad URL will not.
 * cancellable may be NULL. */
typedef void (*MnkWebSocketOpened)(MnkWebSocket *ws, const GError *error, gpointer user);
void mnk_websocket_connect(const char *url, const char *const *headers,
                           const MnkWebSocketConfig *config, const MnkWebSocketEvents *events,
                           GCancellable *cancellable, MnkWebSocketOpened opened, gpointer user);

/* All or nothing: FALSE when the backlog would pass its maximum or the socket is closing. text must
 * be UTF-8. */
gboolean mnk_websocket_send_text(MnkWebSocket *ws, const char *text, gsize length);
gboolean mnk_websocket_send_binary(MnkWebSocket *ws, const guint8 *bytes, gsize length);
gsize mnk_websocket_backlog(const MnkWebSocket *ws);
/* Stops and resumes reading: the peer is held by TCP. */
void mnk_websocket_pause(MnkWebSocket *ws, gboolean pause);
/* Sends a close frame after the backlog and waits for the peer's. reason: at most 123 bytes. */
void mnk_websocket_close(MnkWebSocket *ws, guint code, const char *reason);
/* Drops the connection without a word. */
void mnk_websocket_cut(MnkWebSocket *ws);
const char *mnk_websocket_address(const MnkWebSocket *ws); /* the peer's IP address */
/* Bytes received since the start, for quotas. */
guint64 mnk_websocket_received(const MnkWebSocket *ws);

#endif
