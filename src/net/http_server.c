#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/base.h"
#include "net/conn_priv.h"

enum {
  BACKLOG = 1024,
  ACCEPTS_IN_TURN = 64,
  REFUSED_MAX = 64, /* connections that get an answer to their being too many; more are closed */
  UNSENT_MAX = 256 * 1024,
};
static const gint64 out_of_descriptors_us = 100 * 1000;

typedef union {
  struct sockaddr any;
  struct sockaddr_in in;
  struct sockaddr_in6 in6;
} Address;

/* ---- The time of day ---- */

const char *mnk_server_date(MnkHttpServer *server) {
  gint64 now = g_get_real_time() / G_USEC_PER_SEC;
  if (now == server->date_s)
    return server->date;
  static const char days[] = "SunMonTueWedThuFriSat";
  static const char months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
  time_t seconds = (time_t)now;
  struct tm tm;
  gmtime_r(&seconds, &tm);
  g_snprintf(server->date, sizeof server->date, "%.3s, %02d %.3s %04d %02d:%02d:%02d GMT",
             days + 3 * tm.tm_wday, tm.tm_mday, months + 3 * tm.tm_mon, tm.tm_year + 1900,
             tm.tm_hour, tm.tm_min, tm.tm_sec);
  server->date_s = now;
  return server->date;
}

/* ---- Who connects ---- */

void mnk_server_count_refused(guint status) {
  g_autofree char *label = g_strdup_printf("status=\"%u\"", status);
  mnk_metric_add(mnk_counter("http_refused_total",
                             "What was turned away before it became a request: broken, too slow, "
                             "too large, too many",
                             label),
                 1);
}

static void peer_init(MnkPeer *peer, const Address *address) {
  struct in_addr v4 = address->in.sin_addr;
  struct in6_addr v6 = address->in6.sin6_addr;
  gboolean is_v4 = address->any.sa_family == AF_INET;
  if (!is_v4 && IN6_IS_ADDR_V4MAPPED(&v6)) {
    memcpy(&v4, v6.s6_addr + 12, sizeof v4);
    is_v4 = TRUE;
  }
  if (is_v4) {
    inet_ntop(AF_INET, &v4, peer->text, sizeof peer->text);
    memcpy(peer->key, peer->text, sizeof peer->key);
    peer->loopback = (ntohl(v4.s_addr) >> 24) == 127;
    return;
  }
  inet_ntop(AF_INET6, &v6, peer->text, sizeof peer->text);
  peer->loopback = IN6_IS_ADDR_LOOPBACK(&v6);
  memset(v6.s6_addr + 8, 0, 8); /* one household has a /64 at least */
  inet_ntop(AF_INET6, &v6, peer->key, sizeof peer->key);
}

static gboolean server_count_peer(MnkHttpServer *server, const MnkPeer *peer) {
  if (peer->loopback)
    return TRUE;
  guint n = GPOINTER_TO_UINT(g_hash_table_lookup(server->per_address, peer->key));
  if (n >= server->config.connections_per_address)
    return FALSE;
  g_hash_table_insert(server->per_address, g_strdup(peer->key), GUINT_TO_POINTER(n + 1));
  return TRUE;
}

void mnk_server_forget_peer(MnkHttpServer *server, const MnkPeer *peer) {
  guint n = GPOINTER_TO_UINT(g_hash_table_lookup(server->per_address, peer->key));
  if (n > 1)
    g_hash_table_insert(server->per_address, g_strdup(peer->key), GUINT_TO_POINTER(n - 1));
  else
    g_hash_table_remove(server->per_address, peer->key);
}

static void server_take(MnkHttpServer *server, int fd, const Address *address) {
  int on = 1;
  setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  /* What a slow reader has not taken waits here, where it is counted, not in the kernel. */
  int unsent = UNSENT_MAX;
  setsockopt(fd, IPPROTO_TCP, TCP_NOTSENT_LOWAT, &unsent, sizeof unsent);
  MnkPeer peer = {0};
  peer_init(&peer, address);
  const char *refuse = NULL;
  if (mnk_http_server_connections(server) >= server->config.connections_max)
    refuse = "the server has as many connections as connections_max allows";
  else if (!server_count_peer(server, &peer))
    refuse = "this address has as many connections as connections_per_address allows";
  if (refuse)
    mnk_debug("net", NULL, "event=refused address=%s reason=\"%s\"", peer.text, refuse);
  if (refuse && server->refused >= REFUSED_MAX) {
    mnk_server_count_refused(503);
    close(fd);
    return;
  }
  mnk_conn_new(server, fd, &peer, refuse);
}

static void server_on_connection(guint32 events, gpointer user) {
  MnkHttpServer *server = user;
  for (guint n = 0; n < ACCEPTS_IN_TURN && server->fd >= 0; n++) {
    Address address = {0};
    socklen_t length = sizeof address;
    int fd = accept4(server->fd, &address.any, &length, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd >= 0) {
      server_take(server, fd, &address);
      continue;
    }
    if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) {
      mnk_warning("net", NULL, "event=accept reason=\"%s\"", g_strerror(errno));
      mnk_loop_watch_set(&server->watch, 0); /* it would be ready for ever */
      mnk_loop_timer_set(&server->again, g_get_monotonic_time() + out_of_descriptors_us);
    }
    if (errno != EINTR && errno != ECONNABORTED)
      return;
  }
}

static void server_on_again(gpointer user) {
  MnkHttpServer *server = user;
  mnk_loop_watch_set(&server->watch, EPOLLIN);
}

/* Those that were touched by now; what they touch is for the next turn. */
static void server_on_wake(gpointer user) {
  MnkHttpServer *server = user;
  for (guint n = server->touched.length; n > 0 && server->touched.head; n--) {
    MnkConn *conn = g_queue_pop_head_link(&server->touched)->data;
    conn->is_touched = FALSE;
    mnk_conn_advance(conn, 0);
  }
  if (server->touched.length)
    mnk_loop_timer_set(&server->wake, 0);
}

/* ---- Its life ---- */

static gboolean address_parse(const MnkHttpConfig *config, Address *address, socklen_t *length,
                              GError **error) {
  if (inet_pton(AF_INET, config->host, &address->in.sin_addr) == 1) {
    address->in.sin_family = AF_INET;
    address->in.sin_port = htons(config->port);
    *length = sizeof address->in;
    return TRUE;
  }
  if (inet_pton(AF_INET6, config->host, &address->in6.sin6_addr) == 1) {
    address->in6.sin6_family = AF_INET6;
    address->in6.sin6_port = htons(config->port);
    *length = sizeof address->in6;
    return TRUE;
  }
  g_set_error(error, MNK_ERROR, MNK_ERROR_SOURCE, "cannot listen on %s: it is no IP address",
              config->host);
  return FALSE;
}

static gboolean server_fail(const MnkHttpConfig *config, GError **error) {
  g_set_error(error, MNK_ERROR, MNK_ERROR_SOURCE, "cannot listen on %s, port %u: %s", config->host,
              config->port, g_strerror(errno));
  return FALSE;
}

static gboolean server_listen(MnkHttpServer *server, const MnkHttpConfig *config, GError **error) {
  Address address = {0};
  socklen_t length;
  int on = 1, off = 0;
  if (!address_parse(config, &address, &length, error))
    return FALSE;
  server->fd = socket(address.any.sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (server->fd < 0)
    return server_fail(config, error);
  setsockopt(server->fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  if (address.any.sa_family == AF_INET6)
    setsockopt(server->fd, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof off);
  if (bind(server->fd, &address.any, length) != 0 || listen(server->fd, BACKLOG) != 0 ||
      getsockname(server->fd, &address.any, &length) != 0)
    return server_fail(config, error);
  /* The port lies at the same place in both families. */
  server->port = ntohs(address.in.sin_port);
  if (!mnk_loop_watch_init(&server->watch, server->fd, EPOLLIN, server_on_connection, server))
    return server_fail(config, error);
  return TRUE;
}

MnkHttpServer *mnk_http_server_new(const MnkHttpConfig *config, MnkRequestFunc func, gpointer user,
                                   GError **error) {
  g_autoptr(MnkHttpServer) server = g_new0(MnkHttpServer, 1);
  server->config = *config;
  server->config.host = NULL; /* borrowed until here */
  server->func = func;
  server->user = user;
  server->fd = -1;
  server->per_address = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
  mnk_loop_timer_init(&server->again, server_on_again, server);
  mnk_loop_timer_init(&server->wake, server_on_wake, server);
  if (!server_listen(server, config, error))
    return NULL;
  return g_steal_pointer(&server);
}

guint16 mnk_http_server_port(const MnkHttpServer *server) {
  return server->port;
}

guint mnk_http_server_connections(const MnkHttpServer *server) {
  return server->conns.length + server->taken.length - server->refused;
}

static void server_stop_listening(MnkHttpServer *server) {
  mnk_loop_timer_stop(&server->again);
  mnk_loop_watch_clear(&server->watch);
  if (server->fd >= 0)
    close(server->fd);
  server->fd = -1;
}

void mnk_http_server_drain(MnkHttpServer *server) {
  server->draining = TRUE;
  server_stop_listening(server);
  for (GList *link = server->conns.head; link; link = link->next) {
    MnkConn *conn = link->data;
    if (conn->state == CONN_HEAD && !conn->in && conn->served)
      mnk_conn_die(conn);
  }
}

void mnk_http_server_free(MnkHttpServer *server) {
  server->draining = TRUE;
  server_stop_listening(server);
  while (server->conns.head)
    mnk_conn_destroy(server->conns.head->data);
  while (server->taken.head)
    mnk_taken_cut(server->taken.head->data);
  mnk_loop_timer_clear(&server->again);
  mnk_loop_timer_clear(&server->wake);
  g_hash_table_unref(server->per_address);
  g_free(server);
}
