#include "servers.h"

#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

Server *server_start(const char *script, const char *arguments) {
  g_autofree char *path = g_test_build_filename(G_TEST_DIST, script, NULL);
  g_autofree char *line = g_strdup_printf("python3 %s %s", path, arguments);
  g_auto(GStrv) argv = NULL;
  g_assert_true(g_shell_parse_argv(line, NULL, &argv, NULL));
  g_autoptr(GError) error = NULL;
  GSubprocess *process =
      g_subprocess_newv((const char *const *)argv,
                        G_SUBPROCESS_FLAGS_STDIN_PIPE | G_SUBPROCESS_FLAGS_STDOUT_PIPE, &error);
  g_assert_no_error(error);
  g_autoptr(GDataInputStream) out = g_data_input_stream_new(g_subprocess_get_stdout_pipe(process));
  g_autofree char *port = g_data_input_stream_read_line(out, NULL, NULL, &error);
  g_assert_no_error(error);
  g_assert_nonnull(port);
  Server *server = g_new0(Server, 1);
  server->process = process;
  server->port = (guint)g_ascii_strtoull(port, NULL, 10);
  return server;
}

void server_free(Server *server) {
  g_subprocess_force_exit(server->process);
  g_subprocess_wait(server->process, NULL, NULL);
  g_object_unref(server->process);
  g_free(server);
}

/* ---- The canary ---- */

struct _Canary {
  guint port;
  int listening;
  gint sings;   /* atomic: connections */
  guint probes; /* those of canary_sings itself */
  GThread *thread;
};

static gpointer sing(gpointer data) {
  static const char answer[] = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
  Canary *canary = data;
  int peer;
  while ((peer = accept(canary->listening, NULL, NULL)) >= 0) {
    g_atomic_int_inc(&canary->sings);
    (void)!write(peer, answer, strlen(answer));
    close(peer);
  }
  return NULL;
}

Canary *canary_new(void) {
  Canary *canary = g_new0(Canary, 1);
  struct sockaddr_in6 all = {.sin6_family = AF_INET6};
  socklen_t length = sizeof all;
  canary->listening = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);
  g_assert_cmpint(bind(canary->listening, (struct sockaddr *)&all, sizeof all), ==, 0);
  g_assert_cmpint(listen(canary->listening, 64), ==, 0);
  g_assert_cmpint(getsockname(canary->listening, (struct sockaddr *)&all, &length), ==, 0);
  canary->port = g_ntohs(all.sin6_port);
  canary->thread = g_thread_new("canary", sing, canary);
  return canary;
}

guint canary_port(const Canary *canary) {
  return canary->port;
}

/* Connections are taken in their order: when the answer to this one has come, all before it were
 * counted. By the system call, for connect() itself is judged. */
guint canary_sings(Canary *canary) {
  struct sockaddr_in address = {.sin_family = AF_INET,
                                .sin_port = g_htons((guint16)canary->port),
                                .sin_addr.s_addr = g_htonl(INADDR_LOOPBACK)};
  char answer[256];
  int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  g_assert_cmpint(syscall(SYS_connect, fd, &address, sizeof address), ==, 0);
  while (read(fd, answer, sizeof answer) > 0)
    ;
  close(fd);
  return (guint)g_atomic_int_get(&canary->sings) - ++canary->probes;
}

void canary_free(Canary *canary) {
  shutdown(canary->listening, SHUT_RDWR);
  g_thread_join(canary->thread);
  close(canary->listening);
  g_free(canary);
}

/* ---- Videos ---- */

Server *http_server_start(const Canary *canary) {
  g_autofree char *mp4 = clip_coded("front.mp4", CLIP_H264 "-movflags +faststart");
  /* Large, so that its index is not in what was read ahead. */
  g_autofree char *tail = clip_coded("tail.mp4", "-vf noise=alls=16:allf=t " CLIP_H264 "-qp 10");
  g_autofree char *ts = clip_coded("http.ts", CLIP_H264);
  if (!mp4 || !tail || !ts)
    return NULL;
  g_autofree char *arguments =
      g_strdup_printf("%s %s %s --canary %u", mp4, tail, ts, canary ? canary_port(canary) : 9);
  return server_start("http_server.py", arguments);
}

Server *rtsp_server_start(const char *options) {
  g_autofree char *input = clip_pattern("25");
  g_autofree char *clip =
      clip_make("rtsp.h264", input,
                "-vf noise=alls=8:allf=t -c:v libx264 -bf 0 -g 25 -preset veryfast "
                "-x264-params aud=1:sliced-threads=0:slices=1 -bsf:v h264_mp4toannexb");
  if (!clip)
    return NULL;
  g_autofree char *arguments = g_strdup_printf("%s %s", clip, options);
  return server_start("rtsp_server.py", arguments);
}
