/* `manako serve`: the server, from its settings to its last word. */
#include "api/api.h"
#include "cli/cli.h"

#include <errno.h>
#include <glib-unix.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>

/* Files besides connections: the timeline, uploads, workers with their memory. */
enum { OTHER_FILES = 1024 };

typedef struct {
  const MnkInvocation *invocation;
  const MnkSettings *settings;
  GMainLoop *loop;
  MnkApi *api;
  guint interrupts;
  GError *failure;
} Server;

/* ---- captions in the terminal ---- */

static void on_caption(const MnkCaption *caption, gpointer user) {
  g_autoptr(GString) line = g_string_new(NULL);
  if (!caption->final)
    return;
  g_string_append_printf(line, "%s  ", caption->stream);
  mnk_text_write_line(line, caption);
  fputs(line->str, stdout);
  fflush(stdout);
}

/* ---- start ---- */

/* A connection is a file: the soft limit of old is too low for thousands of them. */
static void raise_file_limit(const MnkSettings *settings) {
  struct rlimit limit;
  rlim_t wanted = (rlim_t)mnk_settings_int(settings, MNK_OPT_CONNECTIONS_MAX) + OTHER_FILES;
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur >= wanted)
    return;
  limit.rlim_cur = MIN(wanted, limit.rlim_max);
  if (setrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur < wanted)
    mnk_warning("cli", NULL, "event=few-files limit=%lu wanted=%lu note=\"see ulimit -n\"",
                (unsigned long)limit.rlim_cur, (unsigned long)wanted);
}

static void fail(Server *server, const GError *error) {
  if (server->failure == NULL)
    server->failure = g_error_copy(error);
  g_main_loop_quit(server->loop);
}

static void on_started(const GError *error, gpointer user) {
  Server *server = user;
  if (error != NULL) {
    fail(server, error);
    return;
  }
  g_autofree char *url = mnk_api_url(server->api);
  g_autofree char *state = g_strdup_printf("READY=1\nSTATUS=Serving at %s", url);
  fprintf(stderr, "Manako is at %s\n", url);
  mnk_notify_service(state);
}

static gboolean add_sources(Server *server, char **sources, GError **error) {
  for (; *sources != NULL; sources++)
    if (!mnk_api_add_stream(server->api, NULL, *sources, error)) {
      if (error != NULL && strstr((*error)->message, *sources) == NULL)
        g_prefix_error(error, "%s: ", *sources);
      return FALSE;
    }
  return TRUE;
}

/* ---- signals ---- */

static void on_drained(gpointer user) {
  Server *server = user;
  g_main_loop_quit(server->loop);
}

/* The first asks for a graceful end, the second ends at once; should that hang, the third is not
 * asked about. */
static gboolean on_stop(gpointer user) {
  Server *server = user;
  if (server->interrupts++ == 0) {
    mnk_notify_service("STOPPING=1\nSTATUS=Captioning what is known");
    mnk_api_drain(server->api, on_drained, server);
    return G_SOURCE_CONTINUE;
  }
  signal(SIGINT, SIG_DFL);
  signal(SIGTERM, SIG_DFL);
  g_autoptr(GError) error = g_error_new_literal(MNK_ERROR, MNK_ERROR_CANCELLED, "stopped");
  fail(server, error);
  return G_SOURCE_CONTINUE;
}

static gboolean reload(Server *server, GError **error) {
  g_autoptr(MnkSettings) settings = NULL;
  g_auto(GStrv) rest = NULL;
  return mnk_cli_load(server->invocation, &settings, &rest, error) &&
         mnk_api_reload(server->api, settings, error);
}

static gboolean on_reload(gpointer user) {
  Server *server = user;
  g_autoptr(GError) error = NULL;
  g_autofree char *state = g_strdup_printf("RELOADING=1\nMONOTONIC_USEC=%" G_GINT64_FORMAT,
                                           mnk_clock_mono_us(mnk_clock_system()));
  mnk_notify_service(state);
  if (reload(server, &error)) {
    fputs("manako: settings and keys were read again\n", stderr);
  } else {
    g_autofree char *message = mnk_text_escape(error->message);
    fprintf(stderr, "manako: nothing was changed: %s\n", message);
  }
  mnk_notify_service("READY=1");
  return G_SOURCE_CONTINUE;
}

/* As it comes from the main loop, a loop that hangs stops telling. */
static gboolean on_watchdog(gpointer user) {
  mnk_notify_service("WATCHDOG=1");
  return G_SOURCE_CONTINUE;
}

static void run_loop(Server *server) {
  guint sources[] = {
      g_unix_signal_add(SIGINT, on_stop, server),
      g_unix_signal_add(SIGTERM, on_stop, server),
      g_unix_signal_add(SIGHUP, on_reload, server),
      0,
  };
  gint64 watchdog_us = mnk_service_watchdog_us();
  if (watchdog_us > 0)
    sources[3] = g_timeout_add((guint)MAX(watchdog_us / 2000, 1), on_watchdog, server);
  g_main_loop_run(server->loop);
  for (guint i = 0; i < G_N_ELEMENTS(sources); i++)
    g_clear_handle_id(&sources[i], g_source_remove);
}

/* ---- the command ---- */

static gboolean check(const MnkSettings *settings, GError **error) {
  g_autoptr(GString) out = g_string_new(NULL);
  gboolean sound = mnk_api_check(settings, out, error);
  fputs(out->str, stdout);
  return sound;
}

static gboolean serve(const MnkSettings *settings, char **sources, const MnkInvocation *invocation,
                      GError **error) {
  Server server = {.invocation = invocation, .settings = settings};
  signal(SIGXFSZ, SIG_IGN); /* a full file is an error, not an end */
  if (mnk_settings_bool(settings, MNK_OPT_CHECK))
    return check(settings, error);
  raise_file_limit(settings);
  if ((server.api = mnk_api_new(settings, error)) == NULL)
    return FALSE;
  server.loop = g_main_loop_new(NULL, FALSE);
  mnk_api_on_started(server.api, on_started, &server);
  if (mnk_settings_bool(settings, MNK_OPT_PRINT_CAPTIONS))
    mnk_api_on_caption(server.api, on_caption, &server);
  if (add_sources(&server, sources, &server.failure))
    run_loop(&server);
  mnk_api_free(server.api);
  g_main_loop_unref(server.loop);
  if (server.failure == NULL)
    return TRUE;
  g_propagate_error(error, server.failure);
  return FALSE;
}

const MnkCommand mnk_command_serve = {
    .name = "serve",
    .set = MNK_COMMAND_SERVE,
    .arguments = "[SOURCE...]",
    .summary = "Serve streams, captions and the page",
    .details = "Each SOURCE becomes a stream: a video file, camera, camera:N or /dev/videoN, or an "
               "rtsp:// or http:// address. Further streams come over the interface (docs/api.md) "
               "or from the page. SIGHUP reads the configuration file and the keys again; SIGTERM "
               "and Ctrl-C caption what is known and end, a second time they end at once.",
    .min_rest = 0,
    .max_rest = 1000,
    .serve = serve,
};
