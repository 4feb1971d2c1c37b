/* Connecting out: GIO finds, connects and secures; the handshake is ours. */
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>

#include "base/base.h"
#include "net/loop_priv.h"
#include "net/websocket_priv.h"
#include "wire/wire.h"

enum { HEAD_MAX = 16384, CHUNK = 2048, HANDSHAKE_MS = 10000 };

typedef struct {
  MnkUrl *url;
  char *key, *offered;
  GString *request, *answer;
  guint8 *chunk;
  MnkWebSocketConfig config;
  MnkWebSocketEvents events;
  MnkWebSocketOpened opened;
  gpointer user;
  GCancellable *cancellable, *callers;
  gulong callers_id;
  MnkTimer timer;
  GError *refused; /* before anything was tried; told from the loop */
  gboolean timed_out;
  GSocketConnection *connection;
} Connect;

static void connect_free(Connect *c) {
  if (c->callers_id)
    g_cancellable_disconnect(c->callers, c->callers_id);
  g_clear_object(&c->callers);
  g_clear_object(&c->cancellable);
  g_clear_object(&c->connection);
  mnk_loop_timer_clear(&c->timer);
  g_clear_pointer(&c->url, mnk_url_free);
  g_clear_error(&c->refused);
  g_free(c->key);
  g_free(c->offered);
  g_free(c->chunk);
  g_string_free(c->request, TRUE);
  g_string_free(c->answer, TRUE);
  g_free(c);
}

/* ---- The end of it ---- */

static void fail_as(Connect *c, const GError *error) {
  c->opened(NULL, error, c->user);
  connect_free(c);
}

static void fail_with(Connect *c, MnkErrorCode code, const char *what) {
  g_autoptr(GError) error = g_error_new_literal(MNK_ERROR, (gint)code, what);
  fail_as(c, error);
}

/* Takes the error of GIO. */
static void fail(Connect *c, GError *cause) {
  g_autoptr(GError) error = cause;
  if (c->timed_out) {
    g_autofree char *what =
        g_strdup_printf("%s did not answer within %d s", c->url->host, HANDSHAKE_MS / 1000);
    fail_with(c, MNK_ERROR_SOURCE, what);
  } else if (g_error_matches(error, G_IO_ERROR, G_IO_ERROR_CANCELLED)) {
    fail_with(c, MNK_ERROR_CANCELLED, "connecting was cancelled");
  } else {
    g_autofree char *what = g_strdup_printf("%s port %u cannot be reached: %s", c->url->host,
                                            c->url->port, error->message);
    fail_with(c, MNK_ERROR_SOURCE, what);
  }
}

static char *peer_address(GSocketConnection *connection) {
  g_autoptr(GSocketAddress) address = g_socket_connection_get_remote_address(connection, NULL);
  if (!G_IS_INET_SOCKET_ADDRESS(address))
    return g_strdup("");
  return g_inet_address_to_string(
      g_inet_socket_address_get_address(G_INET_SOCKET_ADDRESS(address)));
}

/* Without TLS the descriptor alone is kept: GIO's objects would cost memory and time. */
static MnkWsStream *make_stream(const Connect *c) {
  GSocket *socket = g_socket_connection_get_socket(c->connection);
  g_socket_set_option(socket, IPPROTO_TCP, TCP_NODELAY, 1, NULL);
  if (strcmp(c->url->scheme, "wss") == 0)
    return mnk_ws_io_stream_new(G_IO_STREAM(c->connection));
  int fd = fcntl(g_socket_get_fd(socket), F_DUPFD_CLOEXEC, 3);
  return fd < 0 ? NULL : mnk_ws_fd_stream_new(fd, NULL, NULL);
}

static void open_socket(Connect *c, gsize head_length) {
  MnkWsStream *stream = make_stream(c);
  if (!stream) {
    fail_with(c, MNK_ERROR_SOURCE, "no descriptor is left for a connection");
    return;
  }
  g_autofree char *address = peer_address(c->connection);
  g_autoptr(GBytes) early = g_bytes_new(c->answer->str + head_length, c->answer->len - head_length);
  MnkWebSocket *ws = mnk_ws_new(FALSE, stream, early, address, &c->config, &c->events, c->user);
  c->opened(ws, NULL, c->user);
  connect_free(c);
}

/* ---- The handshake ---- */

static void read_answer(Connect *c);

static void on_answer(GObject *source, GAsyncResult *result, gpointer user) {
  Connect *c = user;
  GError *error = NULL;
  gssize n = g_input_stream_read_finish(G_INPUT_STREAM(source), result, &error);
  if (n < 0) {
    fail(c, error);
    return;
  }
  if (n == 0) {
    fail_with(c, MNK_ERROR_SOURCE, "the server closed the connection instead of answering");
    return;
  }
  gsize seen = MAX(c->answer->len, 3) - 3; /* the end may straddle */
  g_string_append_len(c->answer, (const char *)c->chunk, n);
  const char *end =
      g_strstr_len(c->answer->str + seen, (gssize)(c->answer->len - seen), "\r\n\r\n");
  if (!end && c->answer->len <= HEAD_MAX) {
    read_answer(c);
    return;
  }
  if (!end) {
    fail_with(c, MNK_ERROR_SOURCE, "the server's answer has a head of more than 16 KiB");
    return;
  }
  gsize head_length = (gsize)(end - c->answer->str) + 4;
  if (mnk_ws_check_answer(c->answer->str, head_length, c->key, c->offered, &error)) {
    open_socket(c, head_length);
    return;
  }
  fail_as(c, error);
  g_error_free(error);
}

static void read_answer(Connect *c) {
  GInputStream *in = g_io_stream_get_input_stream(G_IO_STREAM(c->connection));
  g_input_stream_read_async(in, c->chunk, CHUNK, G_PRIORITY_DEFAULT, c->cancellable, on_answer, c);
}

static void on_request_sent(GObject *source, GAsyncResult *result, gpointer user) {
  Connect *c = user;
  GError *error = NULL;
  if (g_output_stream_write_all_finish(G_OUTPUT_STREAM(source), result, NULL, &error))
    read_answer(c);
  else
    fail(c, error);
}

static void on_connected(GObject *source, GAsyncResult *result, gpointer user) {
  Connect *c = user;
  GError *error = NULL;
  c->connection = g_socket_client_connect_finish(G_SOCKET_CLIENT(source), result, &error);
  if (!c->connection) {
    fail(c, error);
    return;
  }
  GOutputStream *out = g_io_stream_get_output_stream(G_IO_STREAM(c->connection));
  g_output_stream_write_all_async(out, c->request->str, c->request->len, G_PRIORITY_DEFAULT,
                                  c->cancellable, on_request_sent, c);
}

static gboolean write_request(Connect *c, const char *const *headers, GError **error) {
  const MnkUrl *url = c->url;
  gboolean bracket = strchr(url->host, ':') != NULL;
  g_string_append_printf(c->request,
                         "GET %s HTTP/1.1\r\nHost: %s%s%s:%u\r\nUpgrade: websocket\r\n"
                         "Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
                         "Sec-WebSocket-Key: %s\r\n",
                         url->path, bracket ? "[" : "", url->host, bracket ? "]" : "", url->port,
                         c->key);
  for (; headers && *headers; headers++) {
    static const char offer[] = "Sec-WebSocket-Protocol:";
    if (strpbrk(*headers, "\r\n") || !strchr(*headers, ':')) {
      g_set_error_literal(error, MNK_ERROR, MNK_ERROR_USAGE,
                          "a header must be one line of the form \"Name: value\"");
      return FALSE;
    }
    if (g_ascii_strncasecmp(*headers, offer, strlen(offer)) == 0) {
      g_free(c->offered);
      c->offered = g_strdup(*headers + strlen(offer));
    }
    g_string_append_printf(c->request, "%s\r\n", *headers);
  }
  g_string_append(c->request, "\r\n");
  return TRUE;
}

/* ---- The beginning ---- */

static void on_timer(gpointer user) {
  Connect *c = user;
  if (c->refused) {
    fail_as(c, c->refused);
    return;
  }
  c->timed_out = TRUE;
  g_cancellable_cancel(c->cancellable);
}

/* May come from any thread. */
static void on_cancelled(GCancellable *callers, gpointer own) {
  g_cancellable_cancel(own);
}

static gboolean prepare(Connect *c, const char *url, const char *const *headers, GError **error) {
  c->url = mnk_url_parse(url, error);
  if (!c->url)
    return FALSE;
  if (strcmp(c->url->scheme, "ws") != 0 && strcmp(c->url->scheme, "wss") != 0) {
    g_set_error(error, MNK_ERROR, MNK_ERROR_USAGE,
                "a WebSocket's URL begins with ws:// or wss:// and not with %s://", c->url->scheme);
    return FALSE;
  }
  return write_request(c, headers, error);
}

void mnk_websocket_connect(const char *url, const char *const *headers,
                           const MnkWebSocketConfig *config, const MnkWebSocketEvents *events,
                           GCancellable *cancellable, MnkWebSocketOpened opened, gpointer user) {
  Connect *c = g_new0(Connect, 1);
  c->config = config ? *config : mnk_websocket_config_default;
  c->events = *events;
  c->opened = opened;
  c->user = user;
  c->key = mnk_ws_new_key();
  c->request = g_string_new(NULL);
  c->answer = g_string_new(NULL);
  c->chunk = g_malloc(CHUNK);
  c->cancellable = g_cancellable_new();
  mnk_loop_timer_init(&c->timer, on_timer, c);
  if (!prepare(c, url, headers, &c->refused)) {
    mnk_loop_timer_set(&c->timer, 0);
    return;
  }
  mnk_loop_timer_set(&c->timer, g_get_monotonic_time() + HANDSHAKE_MS * G_TIME_SPAN_MILLISECOND);
  if (cancellable) {
    c->callers = g_object_ref(cancellable);
    c->callers_id =
        g_cancellable_connect(cancellable, G_CALLBACK(on_cancelled), c->cancellable, NULL);
  }
  g_autoptr(GSocketClient) client = g_socket_client_new();
  g_autoptr(GSocketConnectable) host = g_network_address_new(c->url->host, c->url->port);
  g_socket_client_set_tls(client, strcmp(c->url->scheme, "wss") == 0);
  g_socket_client_set_enable_proxy(client, FALSE);
  g_socket_client_connect_async(client, host, c->cancellable, on_connected, c);
}
