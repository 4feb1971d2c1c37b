/* Servers of videos as child processes, and a canary: a listener that nothing may connect to. */
#ifndef SERVERS_H
#define SERVERS_H

#include <gio/gio.h>

#include "clips.h"

typedef struct {
  GSubprocess *process;
  guint port;
} Server;
/* A script of this folder with its arguments, which prints its port. */
Server *server_start(const char *script, const char *arguments);
void server_free(Server *server);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Server, server_free)

/* On a port of every address of this machine. It answers with an empty 200 to whatever comes. */
typedef struct _Canary Canary;
Canary *canary_new(void);
guint canary_port(const Canary *canary);
/* Connections that have come until now. */
guint canary_sings(Canary *canary);
void canary_free(Canary *canary);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Canary, canary_free)

/* http_server.py with clips of the pattern; NULL after g_test_skip(). canary may be NULL. */
Server *http_server_start(const Canary *canary);
/* rtsp_server.py with a clip and further options; NULL after g_test_skip(). */
Server *rtsp_server_start(const char *options);

#endif
