#include "net/conn_priv.h"

struct _MnkWriter {
  MnkRequest *request;
  gsize backlog_max;
  MnkWriterEvents events;
  gpointer user;
  gboolean refused; /* a write, since the backlog was last empty */
  gboolean ended;   /* or cut: the owner has let go */
};

MnkWriter *mnk_answer_writer_new(MnkRequest *request, gsize backlog_max,
                                 const MnkWriterEvents *events, gpointer user) {
  MnkWriter *writer = g_new0(MnkWriter, 1);
  writer->request = request;
  writer->backlog_max = backlog_max;
  writer->user = user;
  if (events)
    writer->events = *events;
  return writer;
}

void mnk_writer_close(MnkWriter *writer) {
  if (!writer->ended && writer->events.closed)
    writer->events.closed(writer->user);
  g_free(writer);
}

gboolean mnk_writer_on_empty(MnkWriter *writer) {
  if (!writer->refused || writer->ended)
    return FALSE;
  writer->refused = FALSE;
  if (!writer->events.writable)
    return FALSE;
  writer->events.writable(writer, writer->user);
  return TRUE;
}

static gboolean writer_fits(const MnkWriter *writer, gsize length) {
  gsize pending = writer->request->conn->out.pending, need;
  return g_size_checked_add(&need, pending, length) && need <= writer->backlog_max;
}

gboolean mnk_writer_write(MnkWriter *writer, GBytes *bytes) {
  MnkRequest *request = writer->request;
  MnkConn *conn = request->conn;
  gsize length = g_bytes_get_size(bytes);
  if (conn->state != CONN_REQUEST || writer->ended)
    return FALSE;
  if (length == 0 || request->answer_complete)
    return TRUE; /* an empty chunk would be the end; HEAD has no body */
  if (!writer_fits(writer, length))
    mnk_conn_flush(conn);
  if (!writer_fits(writer, length)) {
    writer->refused = TRUE;
    mnk_conn_touch(conn);
    return FALSE;
  }
  if (request->head.http_1_0)
    mnk_output_add_bytes(&conn->out, bytes);
  else
    mnk_output_add_chunk(&conn->out, bytes);
  mnk_conn_touch(conn);
  return TRUE;
}

gsize mnk_writer_backlog(const MnkWriter *writer) {
  return writer->request->conn->out.pending;
}

void mnk_writer_end(MnkWriter *writer) {
  static const char last_chunk[] = "0\r\n\r\n";
  MnkRequest *request = writer->request;
  if (writer->ended)
    return;
  writer->ended = TRUE;
  if (!request->head.http_1_0 && !request->answer_complete) {
    g_autoptr(GBytes) bytes = g_bytes_new_static(last_chunk, sizeof last_chunk - 1);
    mnk_output_add_bytes(&request->conn->out, bytes);
  }
  request->answer_complete = TRUE;
  mnk_conn_touch(request->conn);
}

void mnk_writer_cut(MnkWriter *writer) {
  writer->ended = TRUE;
  mnk_conn_die(writer->request->conn);
}
