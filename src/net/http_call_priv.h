/* One call of the HTTP client: its transfer in libcurl, what came of it, its deadlines. */
#ifndef MNK_NET_HTTP_CALL_PRIV_H
#define MNK_NET_HTTP_CALL_PRIV_H

#include <curl/curl.h>

#include "base/base.h"
#include "net/http_client.h"

typedef enum {
  MNK_CALL_WAITING,    /* for a place among the connections */
  MNK_CALL_CONNECTING, /* name, address, TLS */
  MNK_CALL_ASKED,      /* the request is going out, or an answer is awaited */
  MNK_CALL_ANSWERED,   /* the answer is coming */
} MnkCallStage;

struct _MnkHttpCall {
  MnkHttpReply reply; /* first: the reply that done is given */
  MnkHttpClient *client;
  MnkHttpDone done;
  MnkHttpPart part;
  gpointer user;
  CURL *easy;
  struct curl_slist *headers;
  GBytes *sent;
  const MnkAddressPolicy *policy;
  char *origin; /* scheme, host and port, for messages */
  char detail[CURL_ERROR_SIZE];

  MnkCallStage stage;
  gint64 started_us, stage_us; /* monotonic; stage_us: when the last sign of progress came */
  gint64 connect_ms, first_byte_ms, idle_ms, total_ms;

  guint opened;    /* sockets that the policy let through */
  GError *refused; /* the last address that it did not */
  GError *broken;  /* why the transfer was given up from within */
  gsize head_bytes;
  gsize response_max;
  MnkBuffer *body;
  gsize told; /* bytes of it that part has had */
};

/* Ready to be run; broken is set when the configuration cannot be. */
MnkHttpCall *mnk_http_call_new(const MnkHttpCallConfig *config, MnkHttpDone done, gpointer user);
/* The transfer must have been taken out of its multi handle. */
void mnk_http_call_free(MnkHttpCall *call);

/* Whether there is something to tell. */
gboolean mnk_http_call_has_part(const MnkHttpCall *call);
/* Tells it. The call may be gone afterwards. */
void mnk_http_call_tell_part(MnkHttpCall *call);

/* When the next deadline passes; G_MAXINT64: never. */
gint64 mnk_http_call_due_us(const MnkHttpCall *call);
/* What to say about the deadline that has passed. Caller frees. */
GError *mnk_http_call_late(const MnkHttpCall *call);
/* Fills in the reply, or gives the error. */
GError *mnk_http_call_conclude(MnkHttpCall *call, CURLcode code);

#endif
