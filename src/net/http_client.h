/* HTTP client over libcurl's multi interface: deadlines, size caps, no redirects, and an address
 * policy that is applied to the address that is really connected to. */
#ifndef MNK_NET_HTTP_CLIENT_H
#define MNK_NET_HTTP_CLIENT_H

#include "wire/wire.h"

typedef struct _MnkHttpClient MnkHttpClient;
typedef struct _MnkHttpCall MnkHttpCall;

typedef struct {
  guint status;
  GBytes *body;
  gint64 first_byte_us, total_us;
} MnkHttpReply;
/* A header field of the reply, NULL when absent; within done and part only. */
const char *mnk_http_reply_header(const MnkHttpReply *reply, const char *name);

/* What has come of the body since the last time; head: the reply without its body. The call may be
 * cancelled from within. The reply that done gets has the whole body none the less. */
typedef void (*MnkHttpPart)(const MnkHttpReply *head, const char *bytes, gsize length,
                            gpointer user);

typedef struct {
  const char *method;         /* "GET", "POST", "PUT", "DELETE" */
  const char *url;            /* http or https */
  const char *const *headers; /* "Name: value", NULL-terminated, or NULL. A header with a secret is
                                 never logged: none is */
  GBytes *body;               /* NULL: none */
  gint64 connect_ms, first_byte_ms, total_ms; /* from one stage to the next; 0: no limit */
  gint64 idle_ms;                             /* longest pause within the answer */
  gsize response_max;                         /* bytes; more: MNK_ERROR_LIMIT */
  const MnkAddressPolicy *policy;             /* borrowed until done */
  MnkHttpPart part;                           /* before done; NULL: the whole body alone */
} MnkHttpCallConfig;

/* Once: reply for any status that came whole, else an error that says what failed: refused by the
 * policy (MNK_ERROR_LIMIT), name not found, refused, time-out (which), cut, too large, certificate
 * (MNK_ERROR_SOURCE). A redirect is a reply with its 3xx status. */
typedef void (*MnkHttpDone)(const MnkHttpReply *reply, const GError *error, gpointer user);

MnkHttpClient *mnk_http_client_new(guint connections_max);
/* Calls that run are cancelled: their done comes with MNK_ERROR_CANCELLED. */
void mnk_http_client_free(MnkHttpClient *client);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(MnkHttpClient, mnk_http_client_free)
/* The call is borrowed until done; done never comes from within. NULL, and no done, while the
 * client is being freed. More calls than connections wait; total_ms counts from here. */
MnkHttpCall *mnk_http_client_call(MnkHttpClient *client, const MnkHttpCallConfig *config,
                                  MnkHttpDone done, gpointer user);
/* No done comes. */
void mnk_http_call_cancel(MnkHttpCall *call);

#endif
