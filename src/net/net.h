/* net: HTTP/1.1 and WebSocket server, WebSocket and HTTP clients. libcurl, behind the
 * HTTP client, is seen by this folder alone; HTTP/1.1 and WebSocket are the project's own.
 *
 * Everything lives in the thread-default main context of the thread that made it, is called from
 * there, and calls back from there; nothing in it blocks. */
#ifndef MNK_NET_H
#define MNK_NET_H

#include "net/http.h"
#include "net/http_client.h"
#include "net/websocket.h"

#endif
