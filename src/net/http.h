/* HTTP/1.1 server: one listening address, requests as objects, bodies whole or streamed both ways.
 *
 * A request is answered exactly once, now or later (a long poll answers when it has something).
 * Limits and deadlines hold before a handler sees anything; what breaks them is answered 400, 408,
 * 413, 414, 417, 431, 501, 503 or 505 as fits, in the shape of docs/api.md, and closed where the
 * framing can no longer be trusted.
 *
 * Calls note and queue; bytes move, and callbacks come, from the main loop. No callback comes from
 * within a call of this interface, but for mnk_http_server_free, which must not be called from a
 * callback itself. */
#ifndef MNK_NET_HTTP_H
#define MNK_NET_HTTP_H

#include "wire/wire.h"

typedef struct {
  const char *host; /* an address to bind: "127.0.0.1", "::1", "0.0.0.0" */
  guint16 port;     /* 0: any */
  guint connections_max;
  guint connections_per_address; /* loopback is exempt: a proxy there speaks for many */
  gsize header_max;              /* request line and header fields together, bytes */
  gint64 header_timeout_ms;      /* a head must be whole by then, however slowly it trickles */
  gint64 body_idle_timeout_ms;   /* longest pause within a body, and of a reader of an answer */
  gint64 keep_alive_ms;          /* between requests; 0: one request for each connection */
} MnkHttpConfig;

typedef struct _MnkHttpServer MnkHttpServer;
typedef struct _MnkRequest MnkRequest;

/* The head of a request has come; borrowed until it is answered and closed (see
 * mnk_request_on_closed). The handler answers or reads the body, at once or later. */
typedef void (*MnkRequestFunc)(MnkRequest *request, gpointer user);

/* MNK_ERROR_SOURCE when the address cannot be bound, with its reason. */
MnkHttpServer *mnk_http_server_new(const MnkHttpConfig *config, MnkRequestFunc func, gpointer user,
                                   GError **error);
guint16 mnk_http_server_port(const MnkHttpServer *server);
/* Graceful end, first half: accepts no more connections, answers with Connection: close. Running
 * answers and WebSockets go on until they end by themselves or the server is freed. */
void mnk_http_server_drain(MnkHttpServer *server);
/* Connections that are open (WebSockets counted). */
guint mnk_http_server_connections(const MnkHttpServer *server);
/* Cuts what is open; closed-calls come from within. */
void mnk_http_server_free(MnkHttpServer *server);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(MnkHttpServer, mnk_http_server_free)

/* ---- The head; strings are borrowed ---- */

const char *mnk_request_method(const MnkRequest *request); /* as sent */
/* Percent-decoded, begins with '/', valid UTF-8, no NUL, no "." or ".." segment (400 before the
 * handler). */
const char *mnk_request_path(const MnkRequest *request);
/* A query member, decoded; NULL when absent. "" when it has no value. */
const char *mnk_request_query(const MnkRequest *request, const char *name);
/* The query's members in turn: the name, NULL beyond the last. value may be NULL. */
const char *mnk_request_query_at(const MnkRequest *request, guint index, const char **value);
/* Case-insensitive; NULL when absent. A field that comes twice where only one makes sense (Host,
 * Content-Length, Authorization, Origin) was refused with 400. */
const char *mnk_request_header(const MnkRequest *request, const char *name);
/* Peer's IP address as text. */
const char *mnk_request_address(const MnkRequest *request);
gboolean mnk_request_is_loopback(const MnkRequest *request);

void mnk_request_set_user(MnkRequest *request, gpointer user, GDestroyNotify free_user);
gpointer mnk_request_user(const MnkRequest *request);
/* Called once when the request is over: its answer has gone, or the client has (a client that
 * closes its half while it waits counts as gone). Nothing may be done with the request afterwards.
 */
void mnk_request_on_closed(MnkRequest *request, void (*func)(MnkRequest *request, gpointer user),
                           gpointer user);

/* The status that was answered (101 after an upgrade); 0: none yet. */
guint mnk_request_status(const MnkRequest *request);

/* ---- The body ---- */

/* Reads it whole. Over max: 413 is answered and done never comes (on_closed does); so with a body
 * that is malformed (400) or brings less than 1 KiB in each body_idle_timeout_ms (408). */
typedef void (*MnkBodyFunc)(MnkRequest *request, GBytes *body, gpointer user);
void mnk_request_read_body(MnkRequest *request, gsize max, MnkBodyFunc done, gpointer user);

/* Reads it piece by piece; the answer may begin before the body ends. chunk returns FALSE to pause
 * (the piece counts as taken); mnk_request_resume_body goes on. done comes once: complete TRUE at
 * the end of the body, FALSE when the client went away or broke a limit (which is then answered, if
 * done did not) or when a whole answer went before the body's end, which breaks it off. */
typedef struct {
  gboolean (*chunk)(MnkRequest *request, const guint8 *bytes, gsize length, gpointer user);
  void (*done)(MnkRequest *request, gboolean complete, gpointer user);
} MnkBodyEvents;
void mnk_request_stream_body(MnkRequest *request, guint64 max, const MnkBodyEvents *events,
                             gpointer user);
void mnk_request_resume_body(MnkRequest *request);

/* ---- The answer ---- */

/* Adds a header field to the answer, before it. A name or value with CR, LF or NUL is a fault of
 * the caller: it is left out and logged. */
void mnk_request_set_answer_header(MnkRequest *request, const char *name, const char *value);
/* Whole. body NULL: none. HEAD leaves the body away by itself. */
void mnk_request_answer(MnkRequest *request, guint status, const char *content_type, GBytes *body);
/* A file: Range (one range, 206 or 416), If-None-Match and If-Range with the given entity tag (with
 * or without quotes; NULL: none). Takes fd. */
void mnk_request_answer_file(MnkRequest *request, int fd, guint64 size, const char *content_type,
                             const char *etag);

/* A body that grows: chunked. The writer is owned by the caller until mnk_writer_end or until
 * closed came. NULL: there was an answer already, or the client has gone. */
typedef struct _MnkWriter MnkWriter;
typedef struct {
  /* The backlog is empty again after a write was refused. */
  void (*writable)(MnkWriter *writer, gpointer user);
  /* The client has gone or was cut; the writer is gone with it. Not after mnk_writer_end. */
  void (*closed)(gpointer user);
} MnkWriterEvents;
MnkWriter *mnk_request_answer_stream(MnkRequest *request, guint status, const char *content_type,
                                     gsize backlog_max, const MnkWriterEvents *events,
                                     gpointer user);
/* All or nothing: FALSE when the backlog would pass its maximum; each write counts 64 bytes more
 * than it has. The bytes are shared, not copied: one event to a thousand readers is one GBytes. */
gboolean mnk_writer_write(MnkWriter *writer, GBytes *bytes);
gsize mnk_writer_backlog(const MnkWriter *writer);
void mnk_writer_end(MnkWriter *writer); /* after the backlog has gone */
void mnk_writer_cut(MnkWriter *writer); /* closes the connection at once; no closed comes */

#endif
