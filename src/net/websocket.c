/* The session: frames both ways over a stream, the close handshake, pings, and how much may wait.
 *
 * States go one way: OPEN; CLOSING, our close frame has been queued and the peer's is awaited;
 * LINGER, nothing more is said or listened to, what was queued still goes out and what comes is
 * thrown away, since closing a socket with unread bytes could destroy the close frame on its way;
 * OVER, the stream is not touched again and closed will be told from the loop. */
#include "net/websocket.h"

#include <errno.h>
#include <string.h>

#include "base/base.h"
#include "net/loop_priv.h"
#include "net/websocket_priv.h"

enum {
  SCRATCH = 65536,
  FIRST_ROOM = 512,
  PONGS_MAX = 4096, /* bytes of pongs that may wait; of further pings the last is answered */
  CLOSE_WAITS = 15, /* times close_ms, in all */
};

typedef enum { OPEN, CLOSING, LINGER, OVER } State;

/* Bytes that wait to be sent: [head, length) of room. */
typedef struct {
  guint8 *bytes;
  gsize head, length, room;
} Backlog;

struct _MnkWebSocket {
  gboolean server;
  State state;
  MnkWsStream *stream; /* until closed is told: whoever lent it may want to end it before */
  MnkWsReader *reader;
  MnkWebSocketConfig config;
  MnkWebSocketEvents events;
  gpointer user;
  char *address;
  guint busy;             /* events are running: freeing waits */
  gboolean told, reading; /* closed was called; sends wait for the end of what was read */
  gboolean paused, refused, input_ended, output_ended, failed;
  guint8 *held; /* read but not taken, because of a pause */
  gsize held_length;
  Backlog out;
  gsize pongs;        /* bytes of pongs in the backlog */
  GBytes *later_pong; /* what the last ping over that measure said */
  MnkTimer timer, turn;
  gint64 heard_us;
  gint64 close_by_us; /* a peer that reads its backlog, however slowly, has until then */
  guint unanswered;   /* pings since something was heard */
  guint64 received;
  guint code; /* for closed; 0: not known yet */
  char *reason;
};

const MnkWebSocketConfig mnk_websocket_config_default = {.message_max = 8 << 20,
                                                         .backlog_max = 256 << 10,
                                                         .ping_ms = 15000,
                                                         .pongs_missed = 2,
                                                         .close_ms = 2000};

static void settle(MnkWebSocket *ws);

/* ---- The end ---- */

/* The first word on why counts. */
static void set_outcome(MnkWebSocket *ws, guint code, const char *reason, gssize length) {
  if (ws->code)
    return;
  ws->code = code;
  ws->reason = length < 0 ? g_strdup(reason) : g_strndup(reason, (gsize)length);
}

static void go_over(MnkWebSocket *ws) {
  if (ws->state == OVER)
    return;
  ws->state = OVER;
  ws->stream->watch(ws->stream, FALSE, FALSE);
  g_clear_pointer(&ws->out.bytes, g_free);
  ws->out = (Backlog){0};
  g_clear_pointer(&ws->held, g_free);
  mnk_loop_timer_stop(&ws->timer);
  mnk_loop_timer_set(&ws->turn, 0);
}

static void lose(MnkWebSocket *ws, const char *why) {
  set_outcome(ws, MNK_WS_ABNORMAL, why, -1);
  go_over(ws);
}

static void tell_closed(MnkWebSocket *ws) {
  if (ws->told)
    return;
  ws->told = TRUE;
  mnk_loop_timer_clear(&ws->timer);
  mnk_loop_timer_clear(&ws->turn);
  ws->stream->free(g_steal_pointer(&ws->stream));
  ws->busy++;
  ws->events.closed(ws, ws->code, ws->reason, ws->user);
  ws->busy--;
}

static void free_told(MnkWebSocket *ws) {
  if (!ws->told || ws->busy)
    return;
  mnk_ws_reader_free(ws->reader);
  g_clear_pointer(&ws->later_pong, g_bytes_unref);
  g_free(ws->address);
  g_free(ws->reason);
  g_free(ws);
}

void mnk_ws_end(MnkWebSocket *ws, guint code, const char *reason) {
  set_outcome(ws, code, reason, -1);
  go_over(ws);
  tell_closed(ws);
  free_told(ws);
}

/* ---- Sending ---- */

static gsize waiting(const Backlog *out) {
  return out->length - out->head;
}

static gboolean backlog_reserve(Backlog *out, gsize more) {
  if (out->head > 0 && out->head >= out->length - out->head) {
    memmove(out->bytes, out->bytes + out->head, waiting(out));
    out->length -= out->head;
    out->head = 0;
  }
  if (out->room - out->length >= more)
    return TRUE;
  gsize room = MAX(out->length + more, MAX(out->room * 2, (gsize)FIRST_ROOM));
  guint8 *bytes = g_try_realloc(out->bytes, room);
  if (!bytes)
    return FALSE;
  out->bytes = bytes;
  out->room = room;
  return TRUE;
}

static gboolean queue_frame(MnkWebSocket *ws, guint opcode, const guint8 *bytes, gsize length) {
  guint8 mask[4];
  if (!ws->server)
    mnk_ws_random(mask, sizeof mask);
  if (!backlog_reserve(&ws->out, MNK_WS_HEAD_MAX + length))
    return FALSE;
  guint8 *to = ws->out.bytes + ws->out.length;
  gsize head = mnk_ws_write_head(opcode, length, ws->server ? NULL : mask, to);
  if (!ws->server)
    mnk_ws_mask(to + head, bytes, length, mask, 0);
  else if (length > 0)
    memcpy(to + head, bytes, length);
  ws->out.length += head + length;
  return TRUE;
}

static void queue_control(MnkWebSocket *ws, guint opcode, const guint8 *bytes, gsize length) {
  if (!queue_frame(ws, opcode, bytes, length))
    lose(ws, "no memory for a frame");
}

static void queue_close(MnkWebSocket *ws, guint code, const char *reason) {
  guint8 body[MNK_WS_CONTROL_MAX] = {(guint8)(code >> 8), (guint8)code};
  gsize length = strlen(reason);
  if (length > MNK_WS_REASON_MAX)
    length = (gsize)(g_utf8_find_prev_char(reason, reason + MNK_WS_REASON_MAX + 1) - reason);
  memcpy(body + 2, reason, length);
  queue_control(ws, MNK_WS_CLOSE, body, code == MNK_WS_NO_STATUS ? 0 : length + 2);
}

static void queue_pong(MnkWebSocket *ws, const guint8 *bytes, gsize length) {
  g_clear_pointer(&ws->later_pong, g_bytes_unref);
  if (ws->pongs + length + 2 > PONGS_MAX) {
    ws->later_pong = g_bytes_new(bytes, length);
    return;
  }
  ws->pongs += length + 2;
  queue_control(ws, MNK_WS_PONG, bytes, length);
}

/* All has gone. */
static void drained(MnkWebSocket *ws) {
  g_clear_pointer(&ws->out.bytes, g_free);
  ws->out = (Backlog){0};
  ws->pongs = 0;
  if (ws->later_pong && ws->state == OPEN) {
    g_autoptr(GBytes) pong = g_steal_pointer(&ws->later_pong);
    gsize length;
    const guint8 *bytes = g_bytes_get_data(pong, &length);
    queue_pong(ws, bytes, length);
  }
  if (ws->refused)
    mnk_loop_timer_set(&ws->turn, 0);
  if (ws->state == LINGER && ws->input_ended) {
    go_over(ws);
  } else if (ws->state == LINGER && (ws->server || ws->failed) && !ws->output_ended) {
    ws->output_ended = TRUE;
    ws->stream->end_output(ws->stream);
  }
}

/* The peer has close_ms to answer; again so long whenever it has read some of its backlog. */
static void arm_close(MnkWebSocket *ws) {
  gint64 now = g_get_monotonic_time(), wait_us = ws->config.close_ms * 1000;
  if (ws->close_by_us == 0)
    ws->close_by_us = now + wait_us * CLOSE_WAITS;
  mnk_loop_timer_set(&ws->timer, MIN(now + wait_us, ws->close_by_us));
}

static void flush(MnkWebSocket *ws) {
  while (ws->state != OVER && !ws->reading) {
    gsize length = waiting(&ws->out);
    gssize n = length ? ws->stream->write(ws->stream, ws->out.bytes + ws->out.head, length) : 0;
    if (n == -EAGAIN)
      return;
    if (n < 0) {
      lose(ws, "the connection was lost");
      return;
    }
    ws->out.head += (gsize)n;
    if (n > 0 && ws->state != OPEN)
      arm_close(ws);
    if (waiting(&ws->out) > 0)
      continue;
    drained(ws);
    if (ws->state == OVER || waiting(&ws->out) == 0)
      return;
  }
}

static gboolean send_message(MnkWebSocket *ws, guint opcode, const guint8 *bytes, gsize length) {
  if (ws->state != OPEN || length > ws->config.backlog_max)
    return FALSE;
  if (waiting(&ws->out) + MNK_WS_HEAD_MAX + length > ws->config.backlog_max ||
      !queue_frame(ws, opcode, bytes, length)) {
    ws->refused = waiting(&ws->out) > 0;
    return FALSE;
  }
  flush(ws);
  settle(ws);
  return TRUE;
}

gboolean mnk_websocket_send_text(MnkWebSocket *ws, const char *text, gsize length) {
  return send_message(ws, MNK_WS_TEXT, (const guint8 *)text, length);
}

gboolean mnk_websocket_send_binary(MnkWebSocket *ws, const guint8 *bytes, gsize length) {
  return send_message(ws, MNK_WS_BINARY, bytes, length);
}

gsize mnk_websocket_backlog(const MnkWebSocket *ws) {
  return waiting(&ws->out);
}

/* ---- Closing ---- */

static void linger(MnkWebSocket *ws) {
  if (ws->state >= LINGER)
    return;
  ws->state = LINGER;
  arm_close(ws);
}

static void fail(MnkWebSocket *ws, MnkWsFault fault) {
  if (ws->state == OPEN)
    queue_close(ws, fault.code, fault.reason);
  set_outcome(ws, fault.code, fault.reason, -1);
  ws->failed = TRUE;
  linger(ws);
}

void mnk_websocket_close(MnkWebSocket *ws, guint code, const char *reason) {
  if (ws->state != OPEN)
    return;
  reason = reason ? reason : "";
  queue_close(ws, code, reason);
  set_outcome(ws, code, reason, -1);
  if (ws->state == OPEN) {
    ws->state = CLOSING;
    arm_close(ws);
  }
  if (ws->held)
    mnk_loop_timer_set(&ws->turn, 0);
  flush(ws);
  settle(ws);
}

void mnk_websocket_cut(MnkWebSocket *ws) {
  lose(ws, "");
}

static gboolean on_close(MnkWebSocket *ws, const guint8 *body, gsize length) {
  guint code;
  MnkWsFault fault = mnk_ws_read_close(body, length, &code);
  if (fault.code) {
    fail(ws, fault);
    return FALSE;
  }
  if (ws->state == OPEN)
    queue_close(ws, code, "");
  set_outcome(ws, code, length > 2 ? (const char *)body + 2 : "",
              length > 2 ? (gssize)length - 2 : 0);
  linger(ws);
  return FALSE;
}

/* ---- Receiving ---- */

static gboolean takes_frames(const MnkWebSocket *ws) {
  return ws->state == CLOSING || (ws->state == OPEN && !ws->paused);
}

static gboolean on_message(gboolean text, const guint8 *bytes, gsize length, gpointer user) {
  MnkWebSocket *ws = user;
  if (ws->state == OPEN)
    ws->events.message(ws, text, bytes, length, ws->user);
  return takes_frames(ws);
}

static gboolean on_control(guint opcode, const guint8 *bytes, gsize length, gpointer user) {
  MnkWebSocket *ws = user;
  if (opcode == MNK_WS_CLOSE)
    return on_close(ws, bytes, length);
  if (opcode == MNK_WS_PING && ws->state == OPEN)
    queue_pong(ws, bytes, length);
  return takes_frames(ws);
}

static const MnkWsReaderEvents reader_events = {.message = on_message, .control = on_control};

/* Bytes have room for one more behind them. */
static void feed(MnkWebSocket *ws, guint8 *bytes, gsize length) {
  gsize at = 0;
  ws->reading = TRUE;
  while (at < length && takes_frames(ws)) {
    MnkWsFault fault;
    at += mnk_ws_reader_take(ws->reader, bytes + at, length - at, &fault);
    if (fault.code)
      fail(ws, fault);
  }
  ws->reading = FALSE;
  if (at < length && ws->state == OPEN) {
    ws->held = g_malloc(length - at + 1);
    ws->held_length = length - at;
    memcpy(ws->held, bytes + at, length - at);
  }
  flush(ws);
}

static void receive(MnkWebSocket *ws) {
  guint8 scratch[SCRATCH + 1];
  gssize n = ws->stream->read(ws->stream, scratch, SCRATCH);
  if (n == -EAGAIN)
    return;
  if (n == 0 && ws->state == LINGER && waiting(&ws->out) > 0)
    ws->input_ended = TRUE; /* it may still read */
  else if (n == 0)
    lose(ws, "the peer closed the connection without a word");
  else if (n < 0)
    lose(ws, "the connection was lost");
  if (n <= 0)
    return;
  ws->received += (guint64)n;
  ws->heard_us = g_get_monotonic_time();
  ws->unanswered = 0;
  if (ws->state != LINGER)
    feed(ws, scratch, (gsize)n);
}

static void on_ready(gboolean in, gboolean out, gpointer user) {
  MnkWebSocket *ws = user;
  ws->busy++;
  if (out)
    flush(ws);
  if (in && ws->state != OVER)
    receive(ws);
  ws->busy--;
  settle(ws);
}

void mnk_websocket_pause(MnkWebSocket *ws, gboolean pause) {
  ws->paused = pause;
  if (ws->held && !pause)
    mnk_loop_timer_set(&ws->turn, 0);
  settle(ws);
}

/* ---- The loop ---- */

/* Watches for what the state needs; frees what is over. */
static void settle(MnkWebSocket *ws) {
  if (ws->busy)
    return;
  if (ws->told) {
    free_told(ws);
    return;
  }
  if (ws->state == OVER)
    return;
  gboolean in = ws->state == LINGER ? !ws->input_ended : takes_frames(ws) && !ws->held;
  ws->stream->watch(ws->stream, in, waiting(&ws->out) > 0);
}

static void on_turn(gpointer user) {
  MnkWebSocket *ws = user;
  if (ws->state == OVER) {
    tell_closed(ws);
    free_told(ws);
    return;
  }
  ws->busy++;
  if (ws->held && takes_frames(ws)) {
    g_autofree guint8 *held = g_steal_pointer(&ws->held);
    feed(ws, held, ws->held_length);
  }
  if (ws->refused && ws->state == OPEN && waiting(&ws->out) == 0) {
    ws->refused = FALSE;
    if (ws->events.writable)
      ws->events.writable(ws, ws->user);
  }
  ws->busy--;
  settle(ws);
}

/* Silence is measured when the timer comes, so that what is heard need not move it. */
static void on_silence(MnkWebSocket *ws) {
  gint64 now = g_get_monotonic_time(), ping_us = ws->config.ping_ms * 1000;
  if (now >= ws->heard_us + ping_us * (ws->unanswered + 1)) {
    if (ws->unanswered >= ws->config.pongs_missed) {
      lose(ws, "the peer does not answer");
      return;
    }
    ws->unanswered++;
    queue_control(ws, MNK_WS_PING, NULL, 0);
    flush(ws);
  }
  if (ws->paused) { /* no answer can be heard; a ping still tells when the connection is gone */
    ws->heard_us = now;
    ws->unanswered = 0;
  }
  if (ws->state == OPEN)
    mnk_loop_timer_set(&ws->timer, ws->heard_us + ping_us * (ws->unanswered + 1));
}

static void on_timer(gpointer user) {
  MnkWebSocket *ws = user;
  ws->busy++;
  if (ws->state == OPEN)
    on_silence(ws);
  else
    go_over(ws);
  ws->busy--;
  settle(ws);
}

MnkWebSocket *mnk_ws_new(gboolean server, MnkWsStream *stream, GBytes *early, const char *address,
                         const MnkWebSocketConfig *config, const MnkWebSocketEvents *events,
                         gpointer user) {
  MnkWebSocket *ws = g_new0(MnkWebSocket, 1);
  ws->server = server;
  ws->config = config ? *config : mnk_websocket_config_default;
  ws->events = *events;
  ws->user = user;
  ws->address = g_strdup(address);
  ws->reader = mnk_ws_reader_new(server, ws->config.message_max, &reader_events, ws);
  ws->stream = stream;
  stream->ready = on_ready;
  stream->user = ws;
  mnk_loop_timer_init(&ws->timer, on_timer, ws);
  mnk_loop_timer_init(&ws->turn, on_turn, ws);
  ws->heard_us = g_get_monotonic_time();
  if (ws->config.ping_ms > 0)
    mnk_loop_timer_set(&ws->timer, ws->heard_us + ws->config.ping_ms * 1000);
  gsize length = early ? g_bytes_get_size(early) : 0;
  if (length > 0) {
    ws->held = g_malloc(length + 1);
    memcpy(ws->held, g_bytes_get_data(early, NULL), length);
    ws->held_length = length;
    ws->received = length;
    mnk_loop_timer_set(&ws->turn, 0);
  }
  settle(ws);
  return ws;
}

const char *mnk_websocket_address(const MnkWebSocket *ws) {
  return ws->address;
}

guint64 mnk_websocket_received(const MnkWebSocket *ws) {
  return ws->received;
}
