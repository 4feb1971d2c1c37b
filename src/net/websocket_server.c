/* From a request to a WebSocket. */
#include "net/net_priv.h"
#include "net/websocket_priv.h"

/* A taken connection must know its socket, to end it with the server. */
typedef struct {
  MnkTaken *taken;
  MnkWebSocket *ws;
} Lent;

static void release(gpointer user) {
  Lent *lent = user;
  mnk_taken_free(lent->taken);
  g_free(lent);
}

static void on_cut(gpointer user) {
  Lent *lent = user;
  mnk_ws_end(lent->ws, MNK_WS_GOING_AWAY, "the server ends");
}

static void refuse(MnkRequest *request, guint status, const char *problem) {
  if (status == 405)
    mnk_request_set_answer_header(request, "Allow", "GET");
  if (status == 426) {
    mnk_request_set_answer_header(request, "Upgrade", "websocket");
    mnk_request_set_answer_header(request, "Sec-WebSocket-Version", "13");
  }
  mnk_request_refuse(request, status, problem, NULL);
}

MnkWebSocket *mnk_request_upgrade(MnkRequest *request, const char *protocol,
                                  const MnkWebSocketConfig *config,
                                  const MnkWebSocketEvents *events, gpointer user) {
  MnkWsUpgrade upgrade = {
      .method = mnk_request_method(request),
      .upgrade = mnk_request_header(request, "Upgrade"),
      .connection = mnk_request_header(request, "Connection"),
      .version = mnk_request_header(request, "Sec-WebSocket-Version"),
      .key = mnk_request_header(request, "Sec-WebSocket-Key"),
      .content_length = mnk_request_header(request, "Content-Length"),
      .transfer_encoding = mnk_request_header(request, "Transfer-Encoding"),
  };
  const char *problem;
  guint status = mnk_ws_check_upgrade(&upgrade, &problem);
  if (status) {
    refuse(request, status, problem);
    return NULL;
  }
  const char *offered = mnk_request_header(request, "Sec-WebSocket-Protocol");
  gboolean named = protocol && mnk_ws_list_has(offered, protocol, TRUE);
  g_autofree char *key = mnk_ws_accept(upgrade.key);
  g_autofree char *accept = g_strconcat("Sec-WebSocket-Accept: ", key, NULL);
  g_autofree char *chosen = named ? g_strconcat("Sec-WebSocket-Protocol: ", protocol, NULL) : NULL;
  const char *const headers[] = {"Connection: Upgrade", "Upgrade: websocket", accept, chosen, NULL};
  g_autofree char *address = g_strdup(mnk_request_address(request));
  Lent *lent = g_new0(Lent, 1);
  lent->taken = mnk_request_take_over(request, headers, on_cut, lent);
  if (!lent->taken) {
    g_free(lent);
    return NULL;
  }
  g_autoptr(GBytes) early = mnk_taken_steal_input(lent->taken);
  MnkWsStream *stream = mnk_ws_fd_stream_new(mnk_taken_fd(lent->taken), release, lent);
  lent->ws = mnk_ws_new(TRUE, stream, early, address, config, events, user);
  return lent->ws;
}
