/* What the tests of the HTTP client share: a server as a child process, and calls that are waited
 * for. */
#ifndef MNK_TESTS_NET_CLIENT_H
#define MNK_TESTS_NET_CLIENT_H

#include <gio/gio.h>

#include "net/http_client.h"

typedef struct {
  GSubprocess *process;
  guint port;
} ClientServer;
/* options: of client_server.py */
ClientServer *client_server_new(const char *options);
void client_server_free(ClientServer *server);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(ClientServer, client_server_free)

typedef struct {
  guint calls; /* how often done came */
  guint status;
  GBytes *body;
  char *header; /* of the name that was asked for */
  const char *header_name;
  gint64 first_byte_us, total_us;
  GError *error;
} ClientResult;
void client_result_clear(ClientResult *result);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(ClientResult, client_result_clear)

/* GET, with deadlines of 20 s and at most 1 MiB. */
MnkHttpCallConfig client_config(const char *url, const MnkAddressPolicy *policy);
void client_start(MnkHttpClient *client, const MnkHttpCallConfig *config, ClientResult *result);
/* Runs the main loop until it has come. */
void client_wait(const ClientResult *result);

#endif
