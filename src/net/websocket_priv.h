/* WebSocket from the inside: frames as bytes (pure), the handshake's rules (pure), what carries the
 * bytes, and the session that joins them. */
#ifndef MNK_NET_WEBSOCKET_PRIV_H
#define MNK_NET_WEBSOCKET_PRIV_H

#include <gio/gio.h>

#include "net/websocket.h"

/* ---- Frames: websocket_frame.c ---- */

enum {
  MNK_WS_CONTINUATION = 0x0,
  MNK_WS_TEXT = 0x1,
  MNK_WS_BINARY = 0x2,
  MNK_WS_CLOSE = 0x8,
  MNK_WS_PING = 0x9,
  MNK_WS_PONG = 0xa,

  MNK_WS_HEAD_MAX = 14,
  MNK_WS_CONTROL_MAX = 125,
  MNK_WS_REASON_MAX = MNK_WS_CONTROL_MAX - 2,
};

/* Why a connection must be failed; reason is constant text. code 0: no fault. */
typedef struct {
  guint code;
  const char *reason;
} MnkWsFault;

/* A whole frame's head; mask NULL: unmasked. Returns its length. */
gsize mnk_ws_write_head(guint opcode, gsize length, const guint8 *mask,
                        guint8 out[MNK_WS_HEAD_MAX]);
/* to[i] = from[i] ^ mask[(phase + i) % 4]; to may be from. */
void mnk_ws_mask(guint8 *to, const guint8 *from, gsize length, const guint8 mask[4], gsize phase);
/* Bytes that nobody can foretell, as masks and keys must be. */
void mnk_ws_random(guint8 *out, gsize length);
/* A close frame's body: its code (MNK_WS_NO_STATUS when empty) or what is wrong with it. The reason
 * is what follows the two bytes of the code. */
MnkWsFault mnk_ws_read_close(const guint8 *body, gsize length, guint *code);

/* ---- Reading: websocket_reader.c ---- */

typedef struct {
  /* FALSE: stop behind this message or frame. Bytes have a NUL behind their end. */
  gboolean (*message)(gboolean text, const guint8 *bytes, gsize length, gpointer user);
  gboolean (*control)(guint opcode, const guint8 *bytes, gsize length, gpointer user);
} MnkWsReaderEvents;

typedef struct _MnkWsReader MnkWsReader;
/* masked: frames must be masked, else must not be. */
MnkWsReader *mnk_ws_reader_new(gboolean masked, gsize message_max, const MnkWsReaderEvents *events,
                               gpointer user);
void mnk_ws_reader_free(MnkWsReader *reader);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(MnkWsReader, mnk_ws_reader_free)
/* Reads on; returns how many bytes were taken: all, or fewer when an event said stop or a fault was
 * found. Bytes are changed (unmasked where they lie), and there must be room for one more behind
 * them. After a fault the reader must not be used. */
gsize mnk_ws_reader_take(MnkWsReader *reader, guint8 *bytes, gsize length, MnkWsFault *fault);

/* ---- Handshake: websocket_handshake.c ---- */

/* Header values as sent, NULL where absent. */
typedef struct {
  const char *method, *upgrade, *connection, *version, *key;
  const char *content_length, *transfer_encoding;
} MnkWsUpgrade;
/* 0 when the server may switch, else the status of its refusal and a sentence. */
guint mnk_ws_check_upgrade(const MnkWsUpgrade *upgrade, const char **problem);
/* Whether a comma-separated list has the token; ASCII case is ignored unless exact. */
gboolean mnk_ws_list_has(const char *list, const char *token, gboolean exact);
/* Sec-WebSocket-Accept for a key. */
char *mnk_ws_accept(const char *key);
/* A client's key; caller frees. */
char *mnk_ws_new_key(void);
/* The head of a server's answer, up to and with the empty line. offered: the client's
 * Sec-WebSocket-Protocol or NULL. FALSE with MNK_ERROR_SOURCE. */
gboolean mnk_ws_check_answer(const char *head, gsize length, const char *key, const char *offered,
                             GError **error);

/* ---- What carries the bytes: websocket_stream.c ---- */

/* Nothing of it blocks. An error is a negative errno; -EAGAIN: nothing now. */
typedef struct _MnkWsStream MnkWsStream;
struct _MnkWsStream {
  gssize (*read)(MnkWsStream *stream, guint8 *to, gsize room); /* 0: the end */
  gssize (*write)(MnkWsStream *stream, const guint8 *bytes, gsize length);
  void (*watch)(MnkWsStream *stream, gboolean in, gboolean out);
  void (*end_output)(MnkWsStream *stream);
  void (*free)(MnkWsStream *stream);
  /* Set by the session. Of a lost peer only what was watched for is told; reading or writing then
   * says what happened. */
  void (*ready)(gboolean in, gboolean out, gpointer user);
  gpointer user;
};
/* fd must not block. release closes it; NULL: close. */
MnkWsStream *mnk_ws_fd_stream_new(int fd, void (*release)(gpointer lender), gpointer lender);
/* Both of its streams must be pollable; takes a reference. */
MnkWsStream *mnk_ws_io_stream_new(GIOStream *io);

/* ---- The session: websocket.c ---- */

/* Takes the stream, which is left (freed) when the socket is over. early: bytes that came with the
 * handshake. Events come from the main loop, never from within. config NULL: the default. */
MnkWebSocket *mnk_ws_new(gboolean server, MnkWsStream *stream, GBytes *early, const char *address,
                         const MnkWebSocketConfig *config, const MnkWebSocketEvents *events,
                         gpointer user);
/* Cuts it and calls closed from within, unless that has come. */
void mnk_ws_end(MnkWebSocket *ws, guint code, const char *reason);

#endif
