/* An echo over WebSocket, as a program for peers of other make.
 *
 *   websocket_echo serve            prints its port; ends with its standard input
 *   websocket_echo connect URL [CA] echoes until the server closes, prints the code and the reason;
 *                                   CA: a file of certificates to trust */
#include <gio/gio.h>
#include <stdio.h>
#include <string.h>

#include "net/net.h"

typedef struct {
  GMainLoop *loop;
  int status;
} Program;

static const MnkWebSocketConfig config = {.message_max = 8 << 20,
                                          .backlog_max = 64 << 20,
                                          .ping_ms = 15000,
                                          .pongs_missed = 2,
                                          .close_ms = 10000};

static void on_message(MnkWebSocket *ws, gboolean text, const guint8 *bytes, gsize length,
                       gpointer user) {
  if (text)
    mnk_websocket_send_text(ws, (const char *)bytes, length);
  else
    mnk_websocket_send_binary(ws, bytes, length);
}

/* ---- serve ---- */

static void on_served(MnkWebSocket *ws, guint code, const char *reason, gpointer user) {
  printf("closed %u %s\n", code, reason);
  fflush(stdout);
}

static void on_request(MnkRequest *request, gpointer user) {
  static const MnkWebSocketEvents events = {.message = on_message, .closed = on_served};
  mnk_request_upgrade(request, "echo", &config, &events, NULL);
}

static gboolean on_input(GIOChannel *channel, GIOCondition condition, gpointer user) {
  g_main_loop_quit(((Program *)user)->loop);
  return G_SOURCE_REMOVE;
}

static int serve(Program *program) {
  MnkHttpConfig http = {.host = "127.0.0.1",
                        .connections_max = 1000,
                        .connections_per_address = 1000,
                        .header_max = 16384,
                        .header_timeout_ms = 10000,
                        .body_idle_timeout_ms = 10000,
                        .keep_alive_ms = 60000};
  g_autoptr(GError) error = NULL;
  g_autoptr(MnkHttpServer) server = mnk_http_server_new(&http, on_request, NULL, &error);
  if (!server) {
    fprintf(stderr, "%s\n", error->message);
    return 1;
  }
  printf("%u\n", mnk_http_server_port(server));
  fflush(stdout);
  g_autoptr(GIOChannel) input = g_io_channel_unix_new(0);
  g_io_add_watch(input, G_IO_IN | G_IO_HUP, on_input, program);
  g_main_loop_run(program->loop);
  return 0;
}

/* ---- connect ---- */

static void on_closed(MnkWebSocket *ws, guint code, const char *reason, gpointer user) {
  Program *program = user;
  printf("closed %u %s\n", code, reason);
  g_main_loop_quit(program->loop);
}

static void on_opened(MnkWebSocket *ws, const GError *error, gpointer user) {
  Program *program = user;
  if (ws)
    return;
  printf("refused %s\n", error->message);
  program->status = 1;
  g_main_loop_quit(program->loop);
}

static gboolean trust(const char *path) {
  g_autoptr(GError) error = NULL;
  g_autoptr(GTlsDatabase) database = g_tls_file_database_new(path, &error);
  if (!database)
    fprintf(stderr, "%s\n", error->message);
  else
    g_tls_backend_set_default_database(g_tls_backend_get_default(), database);
  return database != NULL;
}

static int connect_to(Program *program, const char *url, const char *authority) {
  static const MnkWebSocketEvents events = {.message = on_message, .closed = on_closed};
  static const char *const headers[] = {"X-Test: yes", "Sec-WebSocket-Protocol: echo", NULL};
  if (authority && !trust(authority))
    return 2;
  mnk_websocket_connect(url, headers, &config, &events, NULL, on_opened, program);
  g_main_loop_run(program->loop);
  return program->status;
}

int main(int argc, char **argv) {
  g_autoptr(GMainLoop) loop = g_main_loop_new(NULL, FALSE);
  Program program = {.loop = loop};
  if (argc == 2 && strcmp(argv[1], "serve") == 0)
    return serve(&program);
  if (argc >= 3 && strcmp(argv[1], "connect") == 0)
    return connect_to(&program, argv[2], argv[3]);
  fprintf(stderr, "usage: websocket_echo serve | connect URL [CA]\n");
  return 2;
}
