/* Where libav may connect to: nothing that a source says, a playlist or a redirect, leads to an
 * address that the operator has not listed. The canary listens beside the server; lists allow the
 * server's port only. */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/base.h"
#include "media/connect_priv.h"
#include "servers.h"

static MnkSourceConfig config_for(MnkSourceKind kind, const char *address, const char *list) {
  return (MnkSourceConfig){
      .kind = kind,
      .address = address,
      .fd = -1,
      .fps = 1,
      .to_ms = -1,
      .every_frame = TRUE,
      .timeout_ms = 2000,
      .outbound_allow = list,
      .max_pixels = 36000000,
  };
}

/* Opens and reads all; the error, or NULL when it went well. */
static GError *try(const MnkSourceConfig *config) {
  GError *error = NULL;
  g_autoptr(MnkSource) source = mnk_source_open(config, &error);
  if (source) {
    g_autoptr(ClipRead) read = clip_read(source, G_MAXUINT);
    error = g_steal_pointer(&read->error);
  }
  if (error)
    g_test_message("%s", error->message);
  return error;
}

static char *only(const Server *server) {
  return g_strdup_printf("127.0.0.1:%u", server->port);
}

/* ---- Refused by default ---- */

static void test_default(gconstpointer data) {
  static const char *const hosts[] = {"127.0.0.1",
                                      "127.1",
                                      "2130706433",
                                      "0x7f000001",
                                      "017700000001",

                                      "localhost",
                                      "[::1]",
                                      "[::]",
                                      "[::ffff:127.0.0.1]",
                                      "0.0.0.0",
                                      "[2002:7f00:1::]",
                                      "[64:ff9b::7f00:1]",
                                      "0"};
  gboolean http = GPOINTER_TO_INT(data);
  g_autoptr(Canary) canary = canary_new();
  for (guint i = 0; i < G_N_ELEMENTS(hosts); i++) {
    g_autofree char *address =
        g_strdup_printf("%s://%s:%u/x.mp4", http ? "http" : "rtsp", hosts[i], canary_port(canary));
    MnkSourceConfig config = config_for(http ? MNK_SOURCE_HTTP : MNK_SOURCE_RTSP, address, NULL);
    g_autoptr(GError) error = try(&config);
    g_assert_error(error, MNK_ERROR, MNK_ERROR_LIMIT);
    g_assert_nonnull(strstr(error->message, "outbound_allow does not list it"));
  }
  g_assert_cmpuint(canary_sings(canary), ==, 0);
}

static void test_https_by_default(void) {
  g_autoptr(Canary) canary = canary_new();
  g_autofree char *address = g_strdup_printf("https://127.0.0.1:%u/x.mp4", canary_port(canary));
  MnkSourceConfig config = config_for(MNK_SOURCE_HTTP, address, NULL);
  g_autoptr(GError) error = try(&config);
  g_assert_error(error, MNK_ERROR, MNK_ERROR_LIMIT);
  g_assert_cmpuint(canary_sings(canary), ==, 0);
}

/* ---- Playlists ---- */

/* leads: would come to the canary if its port were listed, too. */
static const struct {
  const char *name;
  gboolean leads;
} playlists[] = {
    {"http", TRUE},         {"localhost", TRUE},  {"decimal", TRUE},      {"short", TRUE},
    {"mapped", TRUE},       {"v6", TRUE},         {"relative", TRUE},     {"https", TRUE},
    {"redirect", FALSE},    {"key", TRUE},        {"map", TRUE},          {"variant", TRUE},
    {"media", TRUE},        {"crypto", FALSE},    {"crypto-plus", FALSE}, {"tcp", FALSE},
    {"httpproxy", FALSE},   {"hls-plus", FALSE},  {"async", FALSE},       {"cache", FALSE},
    {"ftp", FALSE},         {"gopher", FALSE},    {"rtmp", FALSE},        {"rtsp", FALSE},
    {"file", FALSE},        {"file-bare", FALSE}, {"crypto-file", FALSE}, {"concat", FALSE},
    {"concat-http", FALSE}, {"concatf", FALSE},   {"subfile", FALSE},     {"data", FALSE},
    {"pipe", FALSE},        {"fd", FALSE},        {"unix", FALSE},        {"map-file", FALSE},
    {"passwd", FALSE},
};

static void test_playlist(gconstpointer data) {
  guint i = GPOINTER_TO_UINT(data);
  g_autoptr(Canary) canary = canary_new();
  g_autoptr(Server) server = http_server_start(canary);
  if (!server)
    return;
  g_autofree char *address =
      g_strdup_printf("http://127.0.0.1:%u/bad/%s.m3u8", server->port, playlists[i].name);
  g_autofree char *list = only(server);
  MnkSourceConfig config = config_for(MNK_SOURCE_HTTP, address, list);
  config.timeout_ms = 1000;
  g_autoptr(GError) error = try(&config);
  g_assert_nonnull(error);
  g_assert_cmpuint(canary_sings(canary), ==, 0);
  /* The other way round, to know that the canary would have heard it. */
  config.outbound_allow = "loopback";
  g_autoptr(GError) other = try(&config);
  if (playlists[i].leads) {
    g_assert_error(error, MNK_ERROR, MNK_ERROR_LIMIT);
    g_assert_cmpuint(canary_sings(canary), >, 0);
  } else {
    g_assert_nonnull(other);
    g_assert_cmpuint(canary_sings(canary), ==, 0);
  }
}

/* ---- The environment ---- */

/* A proxy would see every address, and connect to whatever it likes. */
static void test_proxies(void) {
  g_autoptr(Canary) canary = canary_new();
  g_autoptr(Server) server = http_server_start(NULL);
  if (!server)
    return;
  g_autofree char *proxy = g_strdup_printf("http://127.0.0.1:%u", canary_port(canary));
  g_setenv("http_proxy", proxy, TRUE);
  g_setenv("https_proxy", proxy, TRUE);
  static const char *const paths[] = {"http://127.0.0.1:%u/plain/mp4",
                                      "http://127.0.0.1:%u/all.m3u8", "https://127.0.0.1:%u/x"};
  for (guint i = 0; i < G_N_ELEMENTS(paths); i++) {
    g_auto(GStrv) parts = g_strsplit(paths[i], "%u", 2);
    g_autofree char *address = g_strdup_printf("%s%u%s", parts[0], server->port, parts[1]);
    MnkSourceConfig config = config_for(MNK_SOURCE_HTTP, address, "loopback");
    g_autoptr(GError) error = try(&config);
    if (i < 2)
      g_assert_no_error(error);
    g_assert_cmpuint(canary_sings(canary), ==, 0);
  }
  g_unsetenv("http_proxy");
  g_unsetenv("https_proxy");
}

/* ---- Redirects ---- */

static void test_http_redirect(gconstpointer path) {
  g_autoptr(Canary) canary = canary_new();
  g_autoptr(Server) server = http_server_start(canary);
  if (!server)
    return;
  g_autofree char *address =
      g_strdup_printf("http://127.0.0.1:%u%s", server->port, (const char *)path);
  const char *const lists[] = {NULL, "loopback", "any"};
  for (guint i = 0; i < G_N_ELEMENTS(lists); i++) {
    g_autofree char *list = lists[i] ? g_strdup(lists[i]) : only(server);
    MnkSourceConfig config = config_for(MNK_SOURCE_HTTP, address, list);
    g_autoptr(GError) error = try(&config);
    g_assert_error(error, MNK_ERROR, MNK_ERROR_SOURCE);
    g_assert_cmpuint(canary_sings(canary), ==, 0);
  }
}

static void test_rtsp_redirect(gconstpointer udp) {
  g_autoptr(Canary) canary = canary_new();
  g_autofree char *options =
      g_strdup_printf("--redirect rtsp://127.0.0.1:%u/x", canary_port(canary));
  g_autoptr(Server) server = rtsp_server_start(options);
  if (!server)
    return;
  g_autofree char *address = g_strdup_printf("rtsp://127.0.0.1:%u/camera", server->port);
  g_autofree char *list = only(server);
  MnkSourceConfig config = config_for(MNK_SOURCE_RTSP, address, list);
  config.rtsp_udp = GPOINTER_TO_INT(udp);
  g_autoptr(GError) error = try(&config);
  g_assert_nonnull(error);
  g_assert_cmpuint(canary_sings(canary), ==, 0);
  config.outbound_allow = "loopback";
  g_autoptr(GError) other = try(&config);
  g_assert_nonnull(other);
  g_assert_cmpuint(canary_sings(canary), >, 0);
}

/* A redirect to a server that would do: it is followed to an address that is listed, and what comes
 * from there is not taken. */
static void test_rtsp_redirect_to_good(void) {
  g_autoptr(Server) good = rtsp_server_start("");
  if (!good)
    return;
  g_autofree char *options = g_strdup_printf("--redirect rtsp://127.0.0.1:%u/camera", good->port);
  g_autoptr(Server) server = rtsp_server_start(options);
  g_autofree char *address = g_strdup_printf("rtsp://127.0.0.1:%u/camera", server->port);
  MnkSourceConfig config = config_for(MNK_SOURCE_RTSP, address, "loopback");
  g_autoptr(GError) error = try(&config);
  g_assert_error(error, MNK_ERROR, MNK_ERROR_SOURCE);
  g_assert_nonnull(strstr(error->message, "redirect, which is not followed"));
}

/* Datagrams go to the address that the server names: here the port of the canary's kind. */
static void test_rtsp_datagrams(void) {
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = g_htonl(INADDR_LOOPBACK)};
  socklen_t length = sizeof address;
  int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  g_assert_cmpint(bind(fd, (struct sockaddr *)&address, length), ==, 0);
  g_assert_cmpint(getsockname(fd, (struct sockaddr *)&address, &length), ==, 0);
  g_autofree char *options = g_strdup_printf("--server-port %u", g_ntohs(address.sin_port));
  g_autoptr(Server) server = rtsp_server_start(options);
  if (server) {
    g_autofree char *url = g_strdup_printf("rtsp://127.0.0.1:%u/camera", server->port);
    g_autofree char *list = only(server);
    MnkSourceConfig config = config_for(MNK_SOURCE_RTSP, url, list);
    char byte;
    config.rtsp_udp = TRUE;
    config.timeout_ms = 700;
    g_autoptr(GError) error = try(&config);
    g_assert_cmpint(recv(fd, &byte, 1, MSG_DONTWAIT), <, 0);
    config.outbound_allow = "loopback";
    g_autoptr(GError) other = try(&config);
    g_assert_cmpint(recv(fd, &byte, 1, MSG_DONTWAIT), >=, 0);
  }
  close(fd);
}

/* ---- The functions themselves ---- */

static void assert_refused(int fd, const void *address, socklen_t length) {
  char byte = 0;
  struct iovec part = {&byte, 1};
  struct mmsghdr message = {.msg_hdr = {.msg_name = (void *)(guintptr)address,
                                        .msg_namelen = length,
                                        .msg_iov = &part,
                                        .msg_iovlen = 1}};
  g_assert_cmpint(connect(fd, address, length), ==, -1);
  g_assert_cmpint(errno, ==, EACCES);
  g_assert_cmpint(sendto(fd, &byte, 1, 0, address, length), ==, -1);
  g_assert_cmpint(errno, ==, EACCES);
  g_assert_cmpint(sendmsg(fd, &message.msg_hdr, 0), ==, -1);
  g_assert_cmpint(errno, ==, EACCES);
  g_assert_cmpint(sendmmsg(fd, &message, 1, 0), ==, -1);
  g_assert_cmpint(errno, ==, EACCES);
}

static void assert_reached(int fd, const struct sockaddr_in *address) {
  char byte = 0;
  struct iovec part = {&byte, 1};
  struct sockaddr_in to = *address;
  struct mmsghdr message = {
      .msg_hdr = {.msg_name = &to, .msg_namelen = sizeof to, .msg_iov = &part, .msg_iovlen = 1}};
  g_assert_cmpint(sendto(fd, &byte, 1, 0, (struct sockaddr *)&to, sizeof to), ==, 1);
  g_assert_cmpint(sendmsg(fd, &message.msg_hdr, 0), ==, 1);
  g_assert_cmpint(sendmmsg(fd, &message, 1, 0), ==, 1);
  g_assert_cmpint(connect(fd, (struct sockaddr *)&to, sizeof to), ==, 0);
  g_assert_cmpint(sendto(fd, &byte, 1, 0, NULL, 0), ==, 1);
}

static void test_functions(void) {
  struct sockaddr_in v4 = {.sin_family = AF_INET, .sin_addr.s_addr = g_htonl(INADDR_LOOPBACK)};
  struct sockaddr_in none = v4;
  struct sockaddr_in6 v6 = {.sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT};
  socklen_t length = sizeof v4;
  int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  int listening = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  g_assert_cmpint(bind(listening, (struct sockaddr *)&v4, length), ==, 0);
  g_assert_cmpint(getsockname(listening, (struct sockaddr *)&v4, &length), ==, 0);
  mnk_outbound_arm();
  assert_refused(fd, &v4, sizeof v4);
  assert_refused(fd, &v6, sizeof v6);

  g_autoptr(MnkAddressPolicy) nothing = mnk_address_policy_new(NULL, NULL);
  g_autoptr(MnkAddressPolicy) loopback = mnk_address_policy_new("loopback", NULL);
  MnkOutbound refusing = {.policy = nothing}, allowing = {.policy = loopback};
  g_assert_null(mnk_outbound_set(&refusing));
  assert_refused(fd, &v4, sizeof v4);
  g_assert_error(refusing.refused, MNK_ERROR, MNK_ERROR_LIMIT);
  g_assert_cmpuint(refusing.allowed, ==, 0);
  g_clear_error(&refusing.refused);

  g_assert_true(mnk_outbound_set(&allowing) == &refusing);
  /* The kernel would send it to IPv4. */
  none.sin_family = AF_UNSPEC;
  g_assert_cmpint(sendto(fd, "x", 1, 0, (struct sockaddr *)&none, sizeof none), ==, -1);
  g_assert_cmpint(errno, ==, EACCES);
  assert_reached(fd, &v4);
  g_assert_cmpuint(allowing.allowed, ==, 4);
  g_assert_no_error(allowing.refused);
  g_assert_true(mnk_outbound_set(NULL) == &allowing);
  close(fd);
  close(listening);
}

/* Another thread has no policy of its own, and none is no permission. */
static gpointer connect_elsewhere(gpointer data) {
  int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  assert_refused(fd, data, sizeof(struct sockaddr_in));
  close(fd);
  return NULL;
}

static void test_threads(void) {
  struct sockaddr_in v4 = {
      .sin_family = AF_INET, .sin_port = g_htons(9), .sin_addr.s_addr = g_htonl(INADDR_LOOPBACK)};
  g_autoptr(MnkAddressPolicy) loopback = mnk_address_policy_new("loopback", NULL);
  MnkOutbound allowing = {.policy = loopback};
  mnk_outbound_arm();
  mnk_outbound_set(&allowing);
  g_thread_join(g_thread_new("elsewhere", connect_elsewhere, &v4));
  mnk_outbound_set(NULL);
}

int main(int argc, char **argv) {
  g_test_init(&argc, &argv, NULL);
  g_test_add_func("/media/outbound/functions", test_functions);
  g_test_add_func("/media/outbound/threads", test_threads);
  g_test_add_data_func("/media/outbound/default/http", GINT_TO_POINTER(TRUE), test_default);
  g_test_add_data_func("/media/outbound/default/rtsp", GINT_TO_POINTER(FALSE), test_default);
  g_test_add_func("/media/outbound/default/https", test_https_by_default);
  for (guint i = 0; i < G_N_ELEMENTS(playlists); i++) {
    g_autofree char *path = g_strdup_printf("/media/outbound/playlist/%s", playlists[i].name);
    g_test_add_data_func(path, GUINT_TO_POINTER(i), test_playlist);
  }
  g_test_add_func("/media/outbound/proxies", test_proxies);
  g_test_add_data_func("/media/outbound/redirect/http", "/away", test_http_redirect);
  g_test_add_data_func("/media/outbound/redirect/http-later", "/later/tail", test_http_redirect);
  g_test_add_data_func("/media/outbound/redirect/rtsp", GINT_TO_POINTER(FALSE), test_rtsp_redirect);
  g_test_add_data_func("/media/outbound/redirect/rtsp-udp", GINT_TO_POINTER(TRUE),
                       test_rtsp_redirect);
  g_test_add_func("/media/outbound/redirect/rtsp-to-good", test_rtsp_redirect_to_good);
  g_test_add_func("/media/outbound/rtsp-datagrams", test_rtsp_datagrams);
  return g_test_run();
}
