#include "net/conn_priv.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/base.h"

enum {
  STEPS_IN_TURN = 32, /* of one connection before others have their turn */
  LINGER_BYTES_MAX = 1 << 20,
};
static const gint64 linger_us = 2 * G_USEC_PER_SEC;

static gint64 due_in_ms(gint64 ms) {
  return g_get_monotonic_time() + ms * 1000;
}

/* ---- Input ---- */

const guint8 *mnk_conn_input(const MnkConn *conn, gsize *length) {
  *length = conn->in ? conn->in->len - conn->in_start : 0;
  return conn->in ? conn->in->data + conn->in_start : NULL;
}

static void conn_drop_input(MnkConn *conn) {
  g_clear_pointer(&conn->in, g_byte_array_unref);
  conn->in_start = 0;
}

void mnk_conn_consume(MnkConn *conn, gsize length) {
  if (!conn->in)
    return;
  conn->in_start += length;
  if (conn->in_start >= conn->in->len)
    conn_drop_input(conn); /* an idle connection holds no buffer */
}

void mnk_conn_keep(MnkConn *conn, const guint8 *bytes, gsize length) {
  if (length == 0)
    return;
  if (!conn->in)
    conn->in = g_byte_array_new();
  g_byte_array_append(conn->in, bytes, (guint)length);
}

gssize mnk_conn_receive(MnkConn *conn, gsize max) {
  if (!conn->readable)
    return 0;
  gsize wanted = MIN(max, MNK_HTTP_SCRATCH);
  gssize n;
  do
    n = recv(conn->fd, conn->server->scratch, wanted, 0);
  while (n < 0 && errno == EINTR);
  if (n < (gssize)wanted)
    conn->readable = FALSE; /* the rest of what is there, if any, is announced again */
  if (n > 0)
    return n;
  if (n < 0 && errno == EAGAIN)
    return 0;
  mnk_conn_die(conn);
  return -1;
}

/* ---- The end of a connection ---- */

void mnk_conn_die(MnkConn *conn) {
  conn->state = CONN_DEAD;
  mnk_conn_touch(conn);
}

void mnk_conn_touch(MnkConn *conn) {
  if (conn->busy || conn->is_touched)
    return;
  conn->is_touched = TRUE;
  g_queue_push_tail_link(&conn->server->touched, &conn->touched);
  mnk_loop_timer_set(&conn->server->wake, 0);
}

static void conn_linger(MnkConn *conn) {
  shutdown(conn->fd, SHUT_WR);
  conn->state = CONN_LINGER;
  conn->head_due = g_get_monotonic_time() + linger_us;
  conn_drop_input(conn);
}

static void conn_end_request(MnkConn *conn) {
  gboolean whole = conn->request->body_over;
  conn->served = TRUE;
  conn->scanned = 0;
  conn->skipped_line = FALSE;
  mnk_request_close(g_steal_pointer(&conn->request));
  if (conn->state == CONN_DEAD)
    return;
  if (conn->close || !whole) {
    conn_linger(conn);
    return;
  }
  conn->state = CONN_HEAD;
  const MnkHttpConfig *config = &conn->server->config;
  conn->head_due = due_in_ms(conn->in ? config->header_timeout_ms : config->keep_alive_ms);
}

void mnk_conn_destroy(MnkConn *conn) {
  MnkHttpServer *server = conn->server;
  conn->state = CONN_DEAD;
  conn->busy = TRUE; /* whatever its owner does now, it is not touched again */
  if (conn->request)
    mnk_request_close(g_steal_pointer(&conn->request));
  if (conn->is_touched)
    g_queue_unlink(&server->touched, &conn->touched);
  g_queue_unlink(&server->conns, &conn->link);
  mnk_loop_watch_clear(&conn->watch);
  mnk_loop_timer_clear(&conn->timer);
  if (conn->fd >= 0)
    close(conn->fd);
  if (conn->counted)
    mnk_server_forget_peer(server, &conn->peer);
  else if (conn->fd >= 0)
    server->refused--;
  mnk_output_clear(&conn->out);
  g_clear_pointer(&conn->in, g_byte_array_unref);
  g_free(conn);
}

/* Answers what cannot become a request, and ends: the framing is not to be trusted any more. */
static void conn_refuse(MnkConn *conn, guint status, const char *message, const char *field) {
  mnk_server_count_refused(status);
  g_autoptr(GString) body = g_string_new(NULL);
  mnk_answer_write_error(body, status, message, field);
  g_autoptr(GString) answer = g_string_new(NULL);
  conn->close = TRUE;
  mnk_answer_write_head(answer, conn, status, "application/json", (gint64)body->len,
                        status == 503 ? "Retry-After: 1\r\n" : NULL);
  g_string_append_len(answer, body->str, (gssize)body->len);
  g_autoptr(GBytes) bytes = g_string_free_to_bytes(g_steal_pointer(&answer));
  mnk_output_add_bytes(&conn->out, bytes);
  conn_drop_input(conn);
  conn->state = CONN_CLOSING;
}

/* ---- Requests ---- */

static void conn_begin_request(MnkConn *conn, const char *head, gsize length) {
  MnkHttpServer *server = conn->server;
  MnkHttpHead parsed;
  MnkHttpFault fault;
  if (!mnk_http_head_parse(&parsed, head, length, &fault)) {
    mnk_debug("net", NULL, "event=refused address=%s status=%u reason=\"%s\"", conn->peer.text,
              fault.status, fault.message);
    conn_refuse(conn, fault.status, fault.message, fault.field);
    return;
  }
  mnk_conn_consume(conn, length);
  MnkRequest *request = g_new0(MnkRequest, 1);
  request->conn = conn;
  request->head = parsed;
  request->body_over = !parsed.chunked && parsed.length == 0;
  conn->request = request;
  conn->state = CONN_REQUEST;
  conn->close = !parsed.keep_alive || server->config.keep_alive_ms <= 0;
  if (strcmp(parsed.path, "*") == 0)
    mnk_request_answer(request, 204, NULL, NULL);
  else
    server->func(request, server->user);
}

/* A line that has no end may be a target that has none. */
static void conn_refuse_size(MnkConn *conn, const guint8 *in, gsize length) {
  if (memchr(in, '\n', length))
    conn_refuse(conn, 431, "the request's head is over header_max", NULL);
  else
    conn_refuse(conn, 414, "the request line is over header_max", NULL);
}

static gboolean conn_scan(MnkConn *conn) {
  gsize length, head = 0;
  const guint8 *in = mnk_conn_input(conn, &length);
  /* One empty line before a request is an old client's habit after a body. */
  gboolean may_skip = !conn->skipped_line && conn->scanned == 0;
  if (may_skip && length >= 2 && in[0] == '\r' && in[1] == '\n') {
    conn->skipped_line = TRUE;
    mnk_conn_consume(conn, 2);
    in = mnk_conn_input(conn, &length);
  }
  if (length == 0 || (may_skip && length == 1 && in[0] == '\r'))
    return FALSE;
  gsize max = conn->server->config.header_max;
  MnkHeadScan scan = mnk_http_head_scan((const char *)in, length, &conn->scanned, &head);
  if (scan == MNK_HEAD_BAD)
    conn_refuse(conn, 400, "the request's head is not lines that end with CR LF", NULL);
  else if (scan == MNK_HEAD_MORE ? length > max : head > max)
    conn_refuse_size(conn, in, MIN(length, max));
  else if (scan == MNK_HEAD_WHOLE)
    conn_begin_request(conn, (const char *)in, head);
  else
    return FALSE;
  return TRUE;
}

static gboolean conn_head_step(MnkConn *conn) {
  if (conn->out.first)
    return FALSE; /* the answer before goes first */
  if (conn->in && conn_scan(conn))
    return TRUE;
  gboolean idle = !conn->in;
  gssize n = mnk_conn_receive(conn, MNK_HTTP_SCRATCH);
  if (n <= 0)
    return FALSE;
  if (idle && conn->served)
    conn->head_due = due_in_ms(conn->server->config.header_timeout_ms);
  mnk_conn_keep(conn, conn->server->scratch, (gsize)n);
  return TRUE;
}

static gboolean conn_linger_step(MnkConn *conn) {
  gssize n = mnk_conn_receive(conn, MNK_HTTP_SCRATCH);
  if (n <= 0)
    return FALSE;
  conn->lingered += (guint64)n;
  if (conn->lingered > LINGER_BYTES_MAX)
    mnk_conn_die(conn);
  return TRUE;
}

static gboolean conn_input_step(MnkConn *conn) {
  switch (conn->state) {
  case CONN_HEAD:
    return conn_head_step(conn);
  case CONN_REQUEST:
    return mnk_body_step(conn);
  case CONN_LINGER:
    return conn_linger_step(conn);
  default:
    return FALSE;
  }
}

/* ---- Output ---- */

static gboolean conn_send(MnkConn *conn) {
  guint64 sent = 0;
  if (!conn->out.first || conn->blocked)
    return FALSE;
  if (conn->out_due == 0)
    conn->out_due = due_in_ms(conn->server->config.body_idle_timeout_ms);
  MnkSendResult result = mnk_output_send(&conn->out, conn->fd, &sent);
  if (result == MNK_SEND_FAILED) {
    mnk_conn_die(conn);
    return FALSE;
  }
  conn->blocked = result == MNK_SEND_BLOCKED;
  if (result == MNK_SEND_ALL)
    conn->out_due = 0;
  else if (sent > 0)
    conn->out_due = due_in_ms(conn->server->config.body_idle_timeout_ms);
  return sent > 0 && result != MNK_SEND_TURN;
}

void mnk_conn_flush(MnkConn *conn) {
  if (conn->state != CONN_DEAD)
    conn_send(conn);
}

static gboolean conn_output_step(MnkConn *conn) {
  if (conn->state == CONN_DEAD || conn->state == CONN_LINGER)
    return FALSE;
  gboolean progress = conn_send(conn);
  if (conn->out.first || conn->state == CONN_DEAD)
    return progress;
  if (conn->state == CONN_CLOSING) {
    conn_linger(conn);
    return TRUE;
  }
  if (!conn->request)
    return progress;
  if (conn->request->answer_complete) {
    conn_end_request(conn);
    return TRUE;
  }
  return (conn->request->writer && mnk_writer_on_empty(conn->request->writer)) || progress;
}

/* ---- Events ---- */

/* Nothing more is expected of the client but to wait: when it closes its side, it has gone. */
static gboolean conn_minds_hangup(const MnkConn *conn) {
  return conn->state == CONN_REQUEST && conn->request->body_over && !conn->request->answer_complete;
}

static guint32 conn_wanted(const MnkConn *conn) {
  guint32 events = conn->out.first ? EPOLLOUT : 0;
  gboolean reads = conn->state == CONN_LINGER || (conn->state == CONN_HEAD && !conn->out.first) ||
                   (conn->state == CONN_REQUEST && mnk_body_is_waited_for(conn->request));
  if (reads)
    events |= EPOLLIN;
  if (conn_minds_hangup(conn))
    events |= EPOLLRDHUP;
  return events;
}

static void conn_wait(MnkConn *conn) {
  gboolean body = conn->state == CONN_REQUEST && mnk_body_is_waited_for(conn->request);
  if (!body)
    conn->body_due = 0;
  else if (conn->body_due == 0)
    conn->body_due = due_in_ms(conn->server->config.body_idle_timeout_ms);
  gint64 due = G_MAXINT64;
  if (conn->state == CONN_HEAD || conn->state == CONN_LINGER)
    due = conn->head_due;
  if (conn->body_due)
    due = MIN(due, conn->body_due);
  if (conn->out.first && conn->out_due)
    due = MIN(due, conn->out_due);
  if (due == G_MAXINT64)
    mnk_loop_timer_stop(&conn->timer);
  else
    mnk_loop_timer_set(&conn->timer, due);
  mnk_loop_watch_set(&conn->watch, conn_wanted(conn));
}

void mnk_conn_advance(MnkConn *conn, guint32 events) {
  conn->busy = TRUE;
  if (events & EPOLLIN)
    conn->readable = TRUE;
  if (events & EPOLLOUT)
    conn->blocked = FALSE;
  if ((events & (EPOLLERR | EPOLLHUP)) || ((events & EPOLLRDHUP) && conn_minds_hangup(conn)))
    conn->state = CONN_DEAD;
  guint steps = 0;
  while (conn->state != CONN_DEAD && steps < STEPS_IN_TURN &&
         (conn_output_step(conn) | conn_input_step(conn)))
    steps++;
  conn->busy = FALSE;
  if (conn->state == CONN_DEAD) {
    mnk_conn_destroy(conn);
    return;
  }
  if (steps == STEPS_IN_TURN)
    mnk_conn_touch(conn);
  conn_wait(conn);
}

static void conn_on_events(guint32 events, gpointer user) {
  mnk_conn_advance(user, events);
}

static void conn_on_due(gpointer user) {
  MnkConn *conn = user;
  gint64 now = g_get_monotonic_time();
  conn->busy = TRUE;
  if (conn->out.first && conn->out_due && conn->out_due <= now) {
    conn->state = CONN_DEAD;
  } else if (conn->state == CONN_LINGER && conn->head_due <= now) {
    conn->state = CONN_DEAD;
  } else if (conn->state == CONN_HEAD && conn->head_due <= now) {
    if (conn->in)
      conn_refuse(conn, 408, "the request's head did not come within header_timeout", NULL);
    else
      conn->state = CONN_DEAD;
  } else if (conn->body_due && conn->body_due <= now) {
    mnk_body_fail(conn->request, 408, "the request's body paused longer than body_timeout");
  }
  mnk_conn_advance(conn, 0);
}

void mnk_conn_new(MnkHttpServer *server, int fd, const MnkPeer *peer, const char *refuse) {
  MnkConn *conn = g_new0(MnkConn, 1);
  conn->server = server;
  conn->fd = fd;
  conn->peer = *peer;
  conn->counted = refuse == NULL;
  conn->link.data = conn;
  conn->touched.data = conn;
  conn->state = CONN_HEAD;
  conn->head_due = due_in_ms(server->config.header_timeout_ms);
  g_queue_push_tail_link(&server->conns, &conn->link);
  mnk_loop_timer_init(&conn->timer, conn_on_due, conn);
  if (refuse) {
    server->refused++;
    conn_refuse(conn, 503, refuse, NULL);
  }
  if (!mnk_loop_watch_init(&conn->watch, fd, EPOLLIN, conn_on_events, conn)) {
    mnk_conn_destroy(conn);
    return;
  }
  /* What a client sends with its first packet is mostly there already. */
  mnk_conn_advance(conn, EPOLLIN);
}
