/* Probe: the files are tried in a child, since the library may crash on what its checks let pass.
 */
#include "local/client_priv.h"

#include <errno.h>
#include <glib-unix.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum { TEXT_MAX = 65536, KEPT = 4096 };

struct _MnkProbe {
  MnkProbed probed;
  gpointer user;
  GMainContext *context;
  gint64 limit_ms;
  GPid pid;
  int fd; /* its standard error */
  GString *text;
  GSource *child, *readable, *timer;
  gboolean too_long;
};

/* ---- What it said ---- */

static gboolean read_some(MnkProbe *probe) {
  char bytes[4096];
  gssize n = read(probe->fd, bytes, sizeof bytes);
  if (n > 0)
    g_string_append_len(probe->text, bytes, n);
  if (probe->text->len > TEXT_MAX) /* the end is what counts */
    g_string_erase(probe->text, 0, (gssize)(probe->text->len - KEPT));
  return n > 0 || (n < 0 && errno == EINTR);
}

static gboolean on_readable(int fd, GIOCondition condition, gpointer user) {
  MnkProbe *probe = user;
  if (read_some(probe))
    return G_SOURCE_CONTINUE;
  mnk_local_drop_source(&probe->readable);
  return G_SOURCE_REMOVE;
}

/* The last line that says something. Caller frees. */
static char *last_line(MnkProbe *probe) {
  g_autofree char *valid = g_utf8_make_valid(probe->text->str, (gssize)probe->text->len);
  g_auto(GStrv) lines = g_strsplit(valid, "\n", -1);
  for (guint i = g_strv_length(lines); i > 0; i--)
    if (*g_strstrip(lines[i - 1]) != '\0')
      return mnk_text_escape(lines[i - 1]);
  return g_strdup("");
}

static GError *verdict(MnkProbe *probe, int status) {
  g_autofree char *line = last_line(probe);
  if (probe->too_long)
    return g_error_new(MNK_ERROR, MNK_ERROR_MODEL,
                       "the trial of the model's files took longer than %" G_GINT64_FORMAT
                       " s (--model-probe)",
                       probe->limit_ms / 1000);
  if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
    return NULL;
  if (WIFEXITED(status) && *line != '\0')
    return g_error_new(MNK_ERROR, MNK_ERROR_MODEL, "%s", line);
  return g_error_new(MNK_ERROR, MNK_ERROR_MODEL, "the model's files crash the library (%s %d)%s%s",
                     WIFSIGNALED(status) ? "signal" : "exit status",
                     WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status),
                     *line != '\0' ? ": " : "", line);
}

static void on_end(GPid pid, int status, gpointer user) {
  MnkProbe *probe = user;
  probe->pid = 0;
  while (probe->readable != NULL && read_some(probe))
    continue;
  mnk_local_drop_source(&probe->readable);
  mnk_local_drop_source(&probe->timer);
  mnk_local_drop_source(&probe->child);
  g_autoptr(GError) error = verdict(probe, status);
  probe->probed(error, probe->user); /* frees the probe, as a rule */
}

static gboolean on_time(gpointer user) {
  MnkProbe *probe = user;
  probe->too_long = TRUE;
  kill(probe->pid, SIGKILL);
  mnk_local_drop_source(&probe->timer);
  return G_SOURCE_REMOVE;
}

/* ---- Its life ---- */

static void add_option(GPtrArray *argv, const MnkSettings *settings, MnkOptionId id) {
  g_ptr_array_add(argv, g_strdup_printf("--%s=%" G_GINT64_FORMAT, mnk_option(id)->name,
                                        mnk_settings_int(settings, id)));
}

static void add_flag(GPtrArray *argv, const MnkSettings *settings, MnkOptionId id) {
  g_ptr_array_add(argv, g_strdup_printf("--%s%s", mnk_settings_bool(settings, id) ? "" : "no-",
                                        mnk_option(id)->name));
}

static char **command(const MnkSettings *settings, const char *model, const char *mmproj,
                      GError **error) {
  char *self = mnk_path_self(error);
  if (self == NULL)
    return NULL;
  GPtrArray *argv = g_ptr_array_new();
  g_ptr_array_add(argv, self);
  g_ptr_array_add(argv, g_strdup("worker"));
  g_ptr_array_add(argv, g_strdup("--kind=probe"));
  g_ptr_array_add(argv, g_strdup_printf("--model-path=%s", model));
  g_ptr_array_add(argv, g_strdup_printf("--mmproj=%s", mmproj));
  add_option(argv, settings, MNK_OPT_MODEL_CONTEXT);
  add_option(argv, settings, MNK_OPT_MODEL_THREADS);
  add_option(argv, settings, MNK_OPT_MODEL_THREADS_BATCH);
  add_option(argv, settings, MNK_OPT_MODEL_MEMORY);
  add_option(argv, settings, MNK_OPT_IMAGE_TOKENS);
  add_flag(argv, settings, MNK_OPT_MODEL_GPU);
  add_flag(argv, settings, MNK_OPT_SANDBOX);
  g_ptr_array_add(argv, NULL);
  return (char **)g_ptr_array_free(argv, FALSE);
}

static void watch(MnkProbe *probe) {
  g_unix_set_fd_nonblocking(probe->fd, TRUE, NULL);
  probe->child = g_child_watch_source_new(probe->pid);
  g_source_set_callback(probe->child, G_SOURCE_FUNC(on_end), probe, NULL);
  g_source_attach(probe->child, probe->context);
  probe->readable = g_unix_fd_source_new(probe->fd, G_IO_IN | G_IO_HUP | G_IO_ERR);
  g_source_set_callback(probe->readable, G_SOURCE_FUNC(on_readable), probe, NULL);
  g_source_attach(probe->readable, probe->context);
  probe->timer = mnk_local_timer(probe->context, probe->limit_ms, on_time, probe);
}

MnkProbe *mnk_probe_new(const MnkSettings *settings, const char *model, const char *mmproj,
                        MnkProbed probed, gpointer user, GError **error) {
  g_auto(GStrv) argv = command(settings, model, mmproj, error);
  g_auto(GStrv) environment = mnk_worker_environment();
  g_autoptr(GError) fault = NULL;
  GPid pid;
  int fd;
  if (argv == NULL)
    return NULL;
  if (!g_spawn_async_with_pipes(NULL, argv, environment,
                                G_SPAWN_DO_NOT_REAP_CHILD | G_SPAWN_STDOUT_TO_DEV_NULL, NULL, NULL,
                                &pid, NULL, NULL, &fd, &fault)) {
    g_set_error(error, MNK_ERROR, MNK_ERROR_WORKER, "the model's trial cannot be started: %s",
                fault->message);
    return NULL;
  }
  MnkProbe *probe = g_new0(MnkProbe, 1);
  probe->probed = probed;
  probe->user = user;
  probe->context = g_main_context_ref_thread_default();
  probe->limit_ms = mnk_settings_int(settings, MNK_OPT_MODEL_PROBE);
  probe->pid = pid;
  probe->fd = fd;
  probe->text = g_string_new(NULL);
  watch(probe);
  return probe;
}

void mnk_probe_free(MnkProbe *probe) {
  if (probe == NULL)
    return;
  mnk_local_drop_source(&probe->child);
  mnk_local_drop_source(&probe->readable);
  mnk_local_drop_source(&probe->timer);
  if (probe->pid != 0) {
    kill(probe->pid, SIGKILL);
    while (waitpid(probe->pid, NULL, 0) < 0 && errno == EINTR)
      continue;
  }
  close(probe->fd);
  g_string_free(probe->text, TRUE);
  g_main_context_unref(probe->context);
  g_free(probe);
}

/* ---- The trial alone ---- */

typedef struct {
  gboolean done;
  GError *error;
} Trial;

static void on_tried(const GError *error, gpointer user) {
  Trial *trial = user;
  trial->done = TRUE;
  trial->error = error != NULL ? g_error_copy(error) : NULL;
}

gboolean mnk_local_try(const MnkSettings *settings, const char *model, const char *mmproj,
                       GError **error) {
  g_autoptr(GMainContext) context = g_main_context_new();
  Trial trial = {0};
  g_main_context_push_thread_default(context);
  MnkProbe *probe = mnk_probe_new(settings, model, mmproj, on_tried, &trial, &trial.error);
  while (probe != NULL && !trial.done)
    g_main_context_iteration(context, TRUE);
  mnk_probe_free(probe);
  g_main_context_pop_thread_default(context);
  if (trial.error == NULL)
    return TRUE;
  g_propagate_error(error, trial.error);
  return FALSE;
}
