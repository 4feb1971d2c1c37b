/* What the files of net share: refusals in the API's shape, and connections that change their
 * protocol. */
#ifndef MNK_NET_PRIV_H
#define MNK_NET_PRIV_H

#include "net/http.h"
#include "net/loop_priv.h"

/* "Not Found" */
const char *mnk_http_status_reason(guint status);
/* The `code` of docs/api.md that goes with a status. */
const char *mnk_http_status_code(guint status);

/* Answers with the JSON error of docs/api.md; headers that were set before go with it. field: what
 * was wrong, or NULL. */
void mnk_request_refuse(MnkRequest *request, guint status, const char *message, const char *field);

/* ---- A connection that goes on with another protocol ---- */

typedef struct _MnkTaken MnkTaken;

/* Sends 101 with the given "Name: value" lines (NULL-terminated; Connection and Upgrade among them)
 * and takes the socket out of HTTP. The request is over: its closed-call comes later, from the
 * loop, so strings of it stay good until the caller returns. NULL: the client has gone, was
 * answered already, or its body has not been read; then the caller has nothing to undo.
 *
 * cut comes from within mnk_http_server_free: the owner lets go of everything and calls
 * mnk_taken_free before it returns. */
MnkTaken *mnk_request_take_over(MnkRequest *request, const char *const *headers,
                                void (*cut)(gpointer user), gpointer user);
/* Non-blocking, TCP_NODELAY. For waiting see loop_priv.h. */
int mnk_taken_fd(const MnkTaken *taken);
/* What the client sent behind its request, once; NULL when nothing. Caller unrefs. */
GBytes *mnk_taken_steal_input(MnkTaken *taken);
/* Closes the socket; until then the connection counts among the server's. */
void mnk_taken_free(MnkTaken *taken);

#endif
