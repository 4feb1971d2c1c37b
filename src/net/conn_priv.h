/* One HTTP connection: what server, requests and answers share of it.
 *
 * Calls of http.h only note and queue; reading, writing and calling back happen in
 * mnk_conn_advance, from the loop. So no callback ever comes from within a call of its receiver,
 * and a connection is destroyed in one place. */
#ifndef MNK_NET_CONN_PRIV_H
#define MNK_NET_CONN_PRIV_H

#include <netinet/in.h>

#include "net/http_head_priv.h"
#include "net/net_priv.h"

typedef struct _MnkConn MnkConn;

/* ---- Bytes on their way out (output.c) ---- */

typedef struct _MnkOutItem MnkOutItem;
typedef struct {
  MnkOutItem *first, *last;
  gsize pending; /* bytes in memory, and a charge for each item */
} MnkOutput;
typedef enum { MNK_SEND_ALL, MNK_SEND_BLOCKED, MNK_SEND_TURN, MNK_SEND_FAILED } MnkSendResult;

enum { MNK_OUT_CHARGE = 64 }; /* of an item: tiny chunks must not pass as free */

void mnk_output_add_bytes(MnkOutput *out, GBytes *bytes);
void mnk_output_add_chunk(MnkOutput *out, GBytes *bytes);
/* Takes file. */
void mnk_output_add_file(MnkOutput *out, int file, guint64 offset, guint64 length);
/* TURN: more could go, but others have theirs now. *sent: bytes that the kernel took. */
MnkSendResult mnk_output_send(MnkOutput *out, int fd, guint64 *sent);
void mnk_output_clear(MnkOutput *out);

/* ---- Requests ---- */

typedef enum {
  BODY_UNREAD, /* nobody has asked for it */
  BODY_WHOLE,
  BODY_STREAM,
  BODY_DROPPED, /* what still comes is thrown away */
} MnkBodyMode;

struct _MnkRequest {
  MnkConn *conn;
  MnkHttpHead head;
  gpointer user;
  GDestroyNotify free_user;
  void (*closed)(MnkRequest *request, gpointer user);
  gpointer closed_user;

  MnkBodyMode body_mode;
  gboolean body_over, body_paused;
  MnkHttpChunks chunks;
  guint64 body_got, body_max, body_mark; /* mark: got at the last look of the deadline */
  GByteArray *whole;
  MnkBodyFunc whole_done;
  MnkBodyEvents stream;
  gpointer body_user;

  GString *answer_headers;
  guint status;
  gboolean answer_complete; /* all of it is queued */
  MnkWriter *writer;
};

/* Tells the owner that it is over, and frees it. */
void mnk_request_close(MnkRequest *request);

/* One piece of the body, or its end; TRUE when something was done (body.c). */
gboolean mnk_body_step(MnkConn *conn);
/* Throws away what of an unread body has come already. */
void mnk_body_drop_buffered(MnkRequest *request);
/* Tells whoever reads that the body does not come to its end; answers with status if nothing was
 * answered. */
void mnk_body_fail(MnkRequest *request, guint status, const char *message);
gboolean mnk_body_is_waited_for(const MnkRequest *request);

MnkWriter *mnk_answer_writer_new(MnkRequest *request, gsize backlog_max,
                                 const MnkWriterEvents *events, gpointer user);
/* The writer goes with its request; its owner hears of it, unless it has let go. */
void mnk_writer_close(MnkWriter *writer);
/* The backlog is empty. TRUE when somebody was called. */
gboolean mnk_writer_on_empty(MnkWriter *writer);

/* The server goes: whoever has taken a connection lets go of it now. */
void mnk_taken_cut(MnkTaken *taken);

/* ---- Heads of answers (answer.c) ---- */

enum { MNK_LENGTH_NONE = -1, MNK_LENGTH_CHUNKED = -2, MNK_LENGTH_UNTIL_CLOSE = -3 };
/* Appends a head with its empty line. headers: lines with CR LF, or NULL. */
void mnk_answer_write_head(GString *out, MnkConn *conn, guint status, const char *content_type,
                           gint64 length, const char *headers);
/* The body of an error, as docs/api.md has it. */
void mnk_answer_write_error(GString *out, guint status, const char *message, const char *field);

/* ---- Connections (conn.c) ---- */

typedef enum {
  CONN_HEAD,    /* waits for a request, or for the rest of its head */
  CONN_REQUEST, /* there is one */
  CONN_CLOSING, /* an answer goes out, then the connection ends */
  CONN_LINGER,  /* our half is closed; what the client still sends is thrown away, so that the
                   kernel does not answer it with a reset that overtakes our answer */
  CONN_DEAD,
} MnkConnState;

typedef struct {
  char text[INET6_ADDRSTRLEN];
  char key[INET6_ADDRSTRLEN]; /* what is counted: the address, or an IPv6 /64 */
  gboolean loopback;
} MnkPeer;

struct _MnkConn {
  MnkHttpServer *server;
  MnkWatch watch;
  MnkTimer timer;
  GList link, touched; /* in the server's queues */
  gboolean is_touched, busy, counted;
  int fd;
  MnkConnState state;
  gboolean close; /* after this answer */
  gboolean readable, blocked;
  gboolean served;       /* a request has been answered */
  gboolean skipped_line; /* before this request */
  GByteArray *in;        /* NULL: empty */
  gsize in_start, scanned;
  guint64 lingered;
  gint64 head_due, body_due, out_due;
  MnkOutput out;
  MnkRequest *request;
  MnkPeer peer;
};

/* refuse: the reason why nothing is served on it, or NULL. Takes fd. */
void mnk_conn_new(MnkHttpServer *server, int fd, const MnkPeer *peer, const char *refuse);
/* To be looked at in this turn of the loop, or the next. */
void mnk_conn_touch(MnkConn *conn);
void mnk_conn_advance(MnkConn *conn, guint32 events);
void mnk_conn_die(MnkConn *conn);
void mnk_conn_destroy(MnkConn *conn);
/* Sends what goes, without calling anybody. */
void mnk_conn_flush(MnkConn *conn);
/* Buffered input. */
const guint8 *mnk_conn_input(const MnkConn *conn, gsize *length);
void mnk_conn_consume(MnkConn *conn, gsize length);
void mnk_conn_keep(MnkConn *conn, const guint8 *bytes, gsize length);
/* Bytes received into the server's scratch; 0: none now; -1: the client has closed, or the
 * connection broke (then it is dead). */
gssize mnk_conn_receive(MnkConn *conn, gsize max);

/* ---- The server (http_server.c) ---- */

enum { MNK_HTTP_SCRATCH = 65536 };

struct _MnkHttpServer {
  MnkHttpConfig config;
  MnkRequestFunc func;
  gpointer user;
  int fd;
  guint16 port;
  MnkWatch watch;
  MnkTimer again; /* listening goes on after descriptors had run out */
  MnkTimer wake;  /* for touched connections */
  gboolean draining;
  GQueue conns, touched, taken; /* of embedded links */
  guint refused;                /* connections that are only there to be told so */
  GHashTable *per_address;      /* key: number of connections */
  char date[32];
  gint64 date_s;
  guint8 scratch[MNK_HTTP_SCRATCH]; /* for what is used up before anybody is called */
};

/* "Sun, 06 Nov 1994 08:49:37 GMT" */
const char *mnk_server_date(MnkHttpServer *server);
/* In the metrics: what was turned away before it became a request. */
void mnk_server_count_refused(guint status);
void mnk_server_forget_peer(MnkHttpServer *server, const MnkPeer *peer);

#endif
