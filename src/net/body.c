#include "net/conn_priv.h"

enum {
  BODY_PIECE = 65536,
  WHOLE_PACE = 1024, /* bytes within each pause that a body which is kept in memory must bring */
};

gboolean mnk_body_is_waited_for(const MnkRequest *request) {
  return (request->body_mode == BODY_WHOLE || request->body_mode == BODY_STREAM) &&
         !request->body_over && !request->body_paused && !request->answer_complete;
}

static void body_end(MnkRequest *request, gboolean complete) {
  MnkBodyMode mode = request->body_mode;
  request->body_mode = BODY_DROPPED;
  if (mode == BODY_STREAM && request->stream.done)
    request->stream.done(request, complete, request->body_user);
  if (mode == BODY_WHOLE && complete && request->whole_done) {
    g_autoptr(GBytes) body = request->whole
                                 ? g_byte_array_free_to_bytes(g_steal_pointer(&request->whole))
                                 : g_bytes_new_static("", 0);
    request->whole_done(request, body, request->body_user);
  }
  g_clear_pointer(&request->whole, g_byte_array_unref);
}

void mnk_body_fail(MnkRequest *request, guint status, const char *message) {
  request->conn->close = TRUE;
  body_end(request, FALSE);
  if (request->status == 0)
    mnk_request_refuse(request, status, message, NULL);
  else if (!request->answer_complete)
    mnk_conn_die(request->conn); /* an answer that began can only be broken off */
}

/* A piece for whoever reads; FALSE when the body is over its maximum. */
static gboolean body_deliver(MnkRequest *request, const guint8 *bytes, gsize length) {
  request->body_got += length;
  gboolean wanted = request->body_mode == BODY_WHOLE || request->body_mode == BODY_STREAM;
  if (!wanted || request->answer_complete)
    return TRUE;
  if (request->body_got > request->body_max)
    return FALSE;
  if (request->body_mode == BODY_STREAM) {
    request->body_paused = !request->stream.chunk(request, bytes, length, request->body_user);
    return TRUE;
  }
  if (!request->whole)
    request->whole = g_byte_array_new();
  g_byte_array_append(request->whole, bytes, (guint)length);
  return TRUE;
}

typedef enum { TAKE_ON, TAKE_TOO_LARGE, TAKE_BAD } TakeResult;

static TakeResult body_take_chunks(MnkRequest *request, const guint8 *bytes, gsize length,
                                   gsize *used) {
  while (*used < length && !request->body_over && !request->body_paused) {
    gsize taken, n = 0;
    const guint8 *data = NULL;
    MnkChunksResult result =
        mnk_http_chunks_next(&request->chunks, bytes + *used, length - *used, &taken, &data, &n);
    *used += taken;
    if (result == MNK_CHUNKS_BAD)
      return TAKE_BAD;
    request->body_over = result == MNK_CHUNKS_END;
    if (result == MNK_CHUNKS_DATA && !body_deliver(request, data, n))
      return TAKE_TOO_LARGE;
  }
  return TAKE_ON;
}

static TakeResult body_take(MnkRequest *request, const guint8 *bytes, gsize length, gsize *used) {
  *used = 0;
  if (request->head.chunked)
    return body_take_chunks(request, bytes, length, used);
  *used = (gsize)MIN(length, request->head.length - request->body_got);
  gboolean fits = body_deliver(request, bytes, *used);
  request->body_over = request->body_got == request->head.length;
  return fits ? TAKE_ON : TAKE_TOO_LARGE;
}

static void body_judge(MnkRequest *request, TakeResult result) {
  if (result == TAKE_TOO_LARGE)
    mnk_body_fail(request, 413, "the request's body is over its maximum");
  else if (result == TAKE_BAD)
    mnk_body_fail(request, 400, "the request's body is not in well-formed chunks");
}

/* A body that is kept whole must come at some pace; one that is streamed must only come. */
static void body_look_at_pace(MnkConn *conn, const MnkRequest *request) {
  guint64 since = request->body_got - request->body_mark;
  if (request->body_mode == BODY_WHOLE && since < WHOLE_PACE)
    return;
  conn->request->body_mark = request->body_got;
  conn->body_due = 0;
}

static gboolean body_read(MnkConn *conn, MnkRequest *request) {
  gsize length, used;
  const guint8 *buffered = mnk_conn_input(conn, &length);
  if (length > 0) {
    /* The buffer is taken out while callbacks run, and what is left of it put back. */
    g_autoptr(GByteArray) hold = g_steal_pointer(&conn->in);
    conn->in_start = 0;
    TakeResult result = body_take(request, buffered, length, &used);
    mnk_conn_keep(conn, buffered + used, length - used);
    body_look_at_pace(conn, request);
    body_judge(request, result);
    return TRUE;
  }
  guint64 left = request->head.length - request->body_got;
  gssize n =
      mnk_conn_receive(conn, request->head.chunked ? BODY_PIECE : (gsize)MIN(left, BODY_PIECE));
  if (n <= 0)
    return FALSE;
  const guint8 *bytes = conn->server->scratch;
  TakeResult result = body_take(request, bytes, (gsize)n, &used);
  mnk_conn_keep(conn, bytes + used, (gsize)n - used);
  body_look_at_pace(conn, request);
  body_judge(request, result);
  return TRUE;
}

gboolean mnk_body_step(MnkConn *conn) {
  MnkRequest *request = conn->request;
  if (request->body_mode != BODY_WHOLE && request->body_mode != BODY_STREAM)
    return FALSE;
  if (request->answer_complete || request->body_paused)
    return FALSE;
  if (request->body_over) {
    body_end(request, TRUE);
    return TRUE;
  }
  if (request->head.length > request->body_max) {
    body_judge(request, TAKE_TOO_LARGE);
    return TRUE;
  }
  return body_read(conn, request);
}

void mnk_body_drop_buffered(MnkRequest *request) {
  gsize length, used;
  const guint8 *buffered = mnk_conn_input(request->conn, &length);
  if (request->body_over || request->body_mode != BODY_UNREAD || length == 0)
    return;
  if (body_take(request, buffered, length, &used) == TAKE_ON)
    mnk_conn_consume(request->conn, used);
}

/* ---- http.h ---- */

static gboolean body_begin(MnkRequest *request, MnkBodyMode mode, guint64 max, gpointer user) {
  if (request->body_mode != BODY_UNREAD || request->answer_complete ||
      request->conn->state == CONN_DEAD)
    return FALSE;
  request->body_mode = mode;
  request->body_max = max;
  request->body_user = user;
  if (request->head.expects_continue && !request->conn->in && request->status == 0 &&
      request->head.length <= max) {
    static const char go_on[] = "HTTP/1.1 100 Continue\r\n\r\n";
    g_autoptr(GBytes) line = g_bytes_new_static(go_on, sizeof go_on - 1);
    mnk_output_add_bytes(&request->conn->out, line);
  }
  mnk_conn_touch(request->conn);
  return TRUE;
}

void mnk_request_read_body(MnkRequest *request, gsize max, MnkBodyFunc done, gpointer user) {
  if (body_begin(request, BODY_WHOLE, max, user))
    request->whole_done = done;
}

void mnk_request_stream_body(MnkRequest *request, guint64 max, const MnkBodyEvents *events,
                             gpointer user) {
  if (body_begin(request, BODY_STREAM, max, user))
    request->stream = *events;
}

void mnk_request_resume_body(MnkRequest *request) {
  if (!request->body_paused)
    return;
  request->body_paused = FALSE;
  mnk_conn_touch(request->conn);
}
