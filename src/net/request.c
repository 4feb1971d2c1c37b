#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "net/conn_priv.h"

struct _MnkTaken {
  MnkHttpServer *server;
  GList link;
  int fd;
  MnkPeer peer;
  GBytes *input;
  void (*cut)(gpointer user);
  gpointer user;
};

/* ---- The head ---- */

const char *mnk_request_method(const MnkRequest *request) {
  return request->head.method;
}

const char *mnk_request_path(const MnkRequest *request) {
  return request->head.path;
}

const char *mnk_request_query(const MnkRequest *request, const char *name) {
  for (guint i = 0; i < request->head.query_n; i++)
    if (strcmp(request->head.query[i].name, name) == 0)
      return request->head.query[i].value;
  return NULL;
}

const char *mnk_request_query_at(const MnkRequest *request, guint index, const char **value) {
  if (index >= request->head.query_n)
    return NULL;
  if (value)
    *value = request->head.query[index].value;
  return request->head.query[index].name;
}

const char *mnk_request_header(const MnkRequest *request, const char *name) {
  return mnk_http_head_field(&request->head, name);
}

const char *mnk_request_address(const MnkRequest *request) {
  return request->conn->peer.text;
}

gboolean mnk_request_is_loopback(const MnkRequest *request) {
  return request->conn->peer.loopback;
}

guint mnk_request_status(const MnkRequest *request) {
  return request->status;
}

/* ---- Its owner ---- */

void mnk_request_set_user(MnkRequest *request, gpointer user, GDestroyNotify free_user) {
  if (request->free_user && request->user != user)
    request->free_user(request->user);
  request->user = user;
  request->free_user = free_user;
}

gpointer mnk_request_user(const MnkRequest *request) {
  return request->user;
}

void mnk_request_on_closed(MnkRequest *request, void (*func)(MnkRequest *request, gpointer user),
                           gpointer user) {
  request->closed = func;
  request->closed_user = user;
}

void mnk_request_close(MnkRequest *request) {
  request->answer_complete = TRUE; /* what its owner answers from here on goes nowhere */
  if (request->body_mode == BODY_STREAM && request->stream.done)
    request->stream.done(request, FALSE, request->body_user);
  request->body_mode = BODY_DROPPED;
  if (request->writer)
    mnk_writer_close(g_steal_pointer(&request->writer));
  if (request->closed)
    request->closed(request, request->closed_user);
  if (request->free_user)
    request->free_user(request->user);
  mnk_http_head_clear(&request->head);
  g_clear_pointer(&request->whole, g_byte_array_unref);
  if (request->answer_headers)
    g_string_free(request->answer_headers, TRUE);
  g_free(request);
}

/* ---- Another protocol ---- */

static gboolean taken_greet(int fd, const char *const *headers) {
  g_autoptr(GString) head = g_string_new("HTTP/1.1 101 Switching Protocols\r\n");
  for (; *headers; headers++)
    g_string_append_printf(head, "%s\r\n", *headers);
  g_string_append(head, "\r\n");
  /* Nothing was sent before it that is not with the kernel already: it fits, or the client reads
   * nothing at all. */
  return send(fd, head->str, head->len, MSG_NOSIGNAL) == (gssize)head->len;
}

static GBytes *conn_steal_input(MnkConn *conn) {
  gsize length;
  const guint8 *input = mnk_conn_input(conn, &length);
  GBytes *bytes = length > 0 ? g_bytes_new(input, length) : NULL;
  mnk_conn_consume(conn, length);
  return bytes;
}

MnkTaken *mnk_request_take_over(MnkRequest *request, const char *const *headers,
                                void (*cut)(gpointer user), gpointer user) {
  MnkConn *conn = request->conn;
  if (conn->state != CONN_REQUEST || request->status || !request->body_over || conn->out.first)
    return NULL;
  if (!taken_greet(conn->fd, headers)) {
    mnk_conn_die(conn);
    return NULL;
  }
  MnkTaken *taken = g_new0(MnkTaken, 1);
  taken->server = conn->server;
  taken->link.data = taken;
  taken->peer = conn->peer;
  taken->input = conn_steal_input(conn);
  taken->cut = cut;
  taken->user = user;
  g_queue_push_tail_link(&conn->server->taken, &taken->link);
  mnk_loop_watch_clear(&conn->watch);
  taken->fd = conn->fd;
  conn->fd = -1;
  conn->counted = FALSE; /* its place is the taken one's now */
  request->status = 101;
  request->answer_complete = TRUE;
  mnk_conn_die(conn);
  return taken;
}

int mnk_taken_fd(const MnkTaken *taken) {
  return taken->fd;
}

GBytes *mnk_taken_steal_input(MnkTaken *taken) {
  return g_steal_pointer(&taken->input);
}

void mnk_taken_free(MnkTaken *taken) {
  g_queue_unlink(&taken->server->taken, &taken->link);
  mnk_server_forget_peer(taken->server, &taken->peer);
  close(taken->fd);
  if (taken->input)
    g_bytes_unref(taken->input);
  g_free(taken);
}

void mnk_taken_cut(MnkTaken *taken) {
  taken->cut(taken->user);
}
