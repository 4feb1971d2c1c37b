/* What a peer sends and what it must get back, in the order of the Autobahn test suite. */
#ifndef MNK_TEST_WEBSOCKET_CASES_H
#define MNK_TEST_WEBSOCKET_CASES_H

#include <glib.h>

typedef struct {
  const char *name;
  const char *send;   /* a script of websocket_peer.h */
  const char *expect; /* "eof" at its end: closed; else the connection must still be good */
} WebSocketCase;

extern const WebSocketCase websocket_cases[];
extern const guint websocket_cases_n;

#endif
