/* The cases against a session: as they are, and cut into single bytes; as a server and, with the
 * masks the other way round, as a client. */
#include <string.h>

#include "websocket_cases.h"
#include "websocket_peer.h"

enum { SHORT = 3000 }; /* bytes of a script that is also sent one by one */

typedef struct {
  const WebSocketCase *which;
  gboolean server;
  gsize piece;
} Run;

/* The code of the last close frame in a script. */
static guint last_code(const char *script) {
  const char *close = g_strrstr(script, "close:");
  guint code = (guint)g_ascii_strtoull(close + strlen("close:"), NULL, 10);
  return code ? code : MNK_WS_NO_STATUS;
}

/* A client leaves it to the server to end the connection. */
static void run_as_client(Peer *peer, const char *expect) {
  gboolean ends = g_str_has_suffix(expect, "eof");
  g_autofree char *closing = g_strconcat(expect, ends ? "" : " close:1000 eof", NULL);
  peer_send(peer, ends ? "cut:" : "close:1000 cut:", 0);
  peer_expect(peer, closing);
  peer_expect_closed(peer, last_code(closing));
}

static void run_case(gconstpointer data) {
  const Run *run = data;
  g_autofree char *expect = g_strdup(run->which->expect);
  g_autoptr(Peer) peer = peer_new(run->server, &quiet_config);
  peer_send(peer, run->which->send, run->piece);
  if (!run->server) {
    run_as_client(peer, expect);
    return;
  }
  peer_expect(peer, expect);
  if (!g_str_has_suffix(expect, "eof")) {
    g_autofree char *before = expect;
    expect = g_strconcat(before, " close:1000 eof", NULL);
    g_assert_cmpuint(peer->closed, ==, 0);
    peer_send(peer, "close:1000", 0);
    peer_expect(peer, expect);
  }
  peer_send(peer, "cut:", 0);
  peer_expect_closed(peer, last_code(expect));
}

static void add(const char *group, const WebSocketCase *which, gboolean server, gsize piece) {
  Run *run = g_new(Run, 1);
  *run = (Run){.which = which, .server = server, .piece = piece};
  g_autofree char *path = g_strdup_printf("/websocket/%s/%s", group, which->name);
  g_test_add_data_func_full(path, run, run_case, g_free);
}

int main(int argc, char **argv) {
  g_test_init(&argc, &argv, NULL);
  for (guint i = 0; i < websocket_cases_n; i++) {
    const WebSocketCase *which = &websocket_cases[i];
    g_autoptr(GByteArray) bytes = script_bytes(which->send, TRUE);
    add("server", which, TRUE, 0);
    if (bytes->len <= SHORT)
      add("bytes", which, TRUE, 1);
    if (!strstr(which->send, "raw:"))
      add("client", which, FALSE, 0);
  }
  return g_test_run();
}
