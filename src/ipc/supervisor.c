/* Supervisor: keeps one worker process alive.
 *
 * Every source holds a reference to the supervisor, so that its memory outlasts the callback in
 * which a user frees it. `run` changes whenever a worker begins or ends: a callback that finds
 * another number after an event returns at once, as all that it knew is gone. */
#include "ipc/backoff_priv.h"
#include "ipc/ipc.h"
#include "ipc/spawn_priv.h"

#include <errno.h>
#include <glib-unix.h>
#include <signal.h>
#include <sys/wait.h>

enum {
  BATCH = 16,          /* messages handed on before other sources get their turn */
  LAST_WORDS = 4096,   /* messages read from a worker that has ended */
  BEATS = 4,           /* pings unanswered in a row until a worker counts as hung */
  CLOSED_GRACE = 1000, /* ms between the end of the socket and the end of the process */
  TERM_GRACE = 200,    /* ms between SIGTERM and SIGKILL */
};

typedef enum {
  SOURCE_START,    /* a first start to announce, or a restart to come */
  SOURCE_MESSAGES, /* the socket */
  SOURCE_CHILD,    /* the process's end */
  SOURCE_BEAT,
  SOURCE_CLOSED, /* the socket has ended; the process should follow */
  N_SOURCES,
} SourceName;

struct _MnkSupervisor {
  guint refs;
  char **argv;
  gint64 hang_ms;
  MnkSupervisorEvents events;
  gpointer user;
  MnkBackoff *backoff;
  GMainContext *context;
  GSource *sources[N_SOURCES];

  guint run;
  guint attempt;
  GPid pid; /* 0: none, or reaped */
  MnkChannel *channel;
  gint64 started_us;
  guint silent_beats;
  char *verdict; /* why it was killed, if we did */
};

MnkSupervisor *mnk_supervisor_new(const MnkSupervisorConfig *config,
                                  const MnkSupervisorEvents *events, gpointer user) {
  MnkSupervisor *supervisor = g_new0(MnkSupervisor, 1);
  supervisor->refs = 1;
  supervisor->argv = g_strdupv((char **)config->argv);
  supervisor->hang_ms = config->hang_ms;
  supervisor->events = *events;
  supervisor->user = user;
  supervisor->context = g_main_context_ref_thread_default();
  supervisor->backoff =
      mnk_backoff_new(config->backoff_min_ms, config->backoff_max_ms, config->deaths_max);
  return supervisor;
}

static void supervisor_unref(gpointer data) {
  MnkSupervisor *supervisor = data;
  if (--supervisor->refs > 0)
    return;
  mnk_backoff_free(supervisor->backoff);
  g_main_context_unref(supervisor->context);
  g_strfreev(supervisor->argv);
  g_free(supervisor);
}

MnkChannel *mnk_supervisor_channel(MnkSupervisor *supervisor) {
  return supervisor->channel;
}

GPid mnk_supervisor_pid(MnkSupervisor *supervisor) {
  return supervisor->pid;
}

/* ---- Sources ---- */

static void drop(MnkSupervisor *supervisor, SourceName name) {
  GSource *source = g_steal_pointer(&supervisor->sources[name]);
  if (source) {
    g_source_destroy(source);
    g_source_unref(source);
  }
}

static void drop_all(MnkSupervisor *supervisor) {
  for (SourceName name = 0; name < N_SOURCES; name++)
    drop(supervisor, name);
}

/* Takes the source. */
static void attach(MnkSupervisor *supervisor, SourceName name, GSource *source,
                   GSourceFunc callback) {
  drop(supervisor, name);
  supervisor->refs++;
  g_source_set_callback(source, callback, supervisor, supervisor_unref);
  g_source_set_can_recurse(source, TRUE); /* none does; GLib has less to do for each dispatch */
  g_source_attach(source, supervisor->context);
  supervisor->sources[name] = source;
}

static void attach_timer(MnkSupervisor *supervisor, SourceName name, gint64 ms,
                         GSourceFunc callback) {
  attach(supervisor, name, g_timeout_source_new((guint)CLAMP(ms, 0, G_MAXINT)), callback);
}

/* ---- One worker's life ---- */

/* Kills the worker; its end is then seen by on_child. */
static void condemn(MnkSupervisor *supervisor, char *why) {
  drop(supervisor, SOURCE_MESSAGES);
  drop(supervisor, SOURCE_BEAT);
  drop(supervisor, SOURCE_CLOSED);
  g_free(supervisor->verdict);
  supervisor->verdict = why;
  if (supervisor->pid)
    kill(supervisor->pid, SIGKILL);
}

static void end_run(MnkSupervisor *supervisor) {
  drop_all(supervisor);
  supervisor->run++;
  supervisor->pid = 0;
  g_clear_pointer(&supervisor->channel, mnk_channel_free);
  g_clear_pointer(&supervisor->verdict, g_free);
}

static gboolean on_closed_grace_over(gpointer data) {
  condemn(data, g_strdup("closed its channel"));
  return G_SOURCE_REMOVE;
}

static void on_channel_fault(MnkSupervisor *supervisor, const GError *fault) {
  drop(supervisor, SOURCE_MESSAGES);
  if (g_error_matches(fault, MNK_ERROR, MNK_ERROR_CANCELLED))
    attach_timer(supervisor, SOURCE_CLOSED, CLOSED_GRACE, on_closed_grace_over);
  else
    condemn(supervisor, g_strdup_printf("broke the protocol: %s", fault->message));
}

/* Hands on at most max messages. */
static void hand_on(MnkSupervisor *supervisor, guint max) {
  guint run = supervisor->run;
  for (guint i = 0; i < max && run == supervisor->run; i++) {
    g_autoptr(GError) fault = NULL;
    g_autoptr(MnkMessage) message = mnk_channel_receive(supervisor->channel, 0, &fault);
    if (fault)
      on_channel_fault(supervisor, fault);
    if (!message)
      return;
    supervisor->silent_beats = 0;
    if (message->type < MNK_MSG_READY) {
      condemn(supervisor, g_strdup_printf("broke the protocol: message type %u is not a worker's",
                                          message->type));
      return;
    }
    if (message->type != MNK_MSG_PONG && supervisor->events.message)
      supervisor->events.message(message, supervisor->user);
  }
}

static gboolean on_readable(int fd, GIOCondition condition, gpointer data) {
  hand_on(data, BATCH);
  return G_SOURCE_CONTINUE;
}

/* Silence is counted in beats, not in time: a beat that comes late, because this process was
 * stopped or busy, then does not speak against the worker. */
static gboolean on_beat(gpointer data) {
  MnkSupervisor *supervisor = data;
  if (supervisor->silent_beats >= BEATS) {
    condemn(supervisor,
            g_strdup_printf("did not answer for %.3g s", (double)supervisor->hang_ms / 1000));
    return G_SOURCE_REMOVE;
  }
  supervisor->silent_beats++;
  /* A full socket is silence, too: no answer will come. */
  mnk_channel_send(supervisor->channel, MNK_MSG_PING, 0, NULL, 0, -1, 0, NULL);
  return G_SOURCE_CONTINUE;
}

static char *describe_status(int status) {
  if (WIFSIGNALED(status))
    return g_strdup_printf("killed by signal %d", WTERMSIG(status));
  return g_strdup_printf("exit status %d", WEXITSTATUS(status));
}

static gboolean on_restart(gpointer data);

/* Takes why. */
static void bury(MnkSupervisor *supervisor, char *why_taken) {
  g_autofree char *why = why_taken;
  gint64 started_us = supervisor->started_us, wait_ms;
  end_run(supervisor);
  gboolean again =
      mnk_backoff_after_death(supervisor->backoff, started_us, g_get_monotonic_time(), &wait_ms);
  mnk_metric_add(mnk_counter("worker_deaths_total", "Worker processes that died", NULL), 1);
  mnk_info("ipc", NULL, "event=worker-died why=\"%s\" attempt=%u restart_in_ms=%" G_GINT64_FORMAT,
           why, supervisor->attempt, again ? wait_ms : -1);
  supervisor->attempt++;
  if (again)
    attach_timer(supervisor, SOURCE_START, wait_ms, on_restart);
  if (supervisor->events.died)
    supervisor->events.died(why, !again, supervisor->user);
}

static void on_child(GPid pid, int status, gpointer data) {
  MnkSupervisor *supervisor = data;
  guint run = supervisor->run;
  supervisor->pid = 0; /* reaped: its number may be another's by now */
  drop(supervisor, SOURCE_CHILD);
  if (!supervisor->verdict)
    hand_on(supervisor, LAST_WORDS);
  if (run != supervisor->run)
    return;
  char *why = supervisor->verdict ? g_steal_pointer(&supervisor->verdict) : describe_status(status);
  bury(supervisor, why);
}

static gboolean spawn(MnkSupervisor *supervisor, GError **error) {
  int fd;
  supervisor->started_us = g_get_monotonic_time();
  supervisor->pid = mnk_spawn_worker((const char *const *)supervisor->argv, &fd, error);
  if (!supervisor->pid)
    return FALSE;
  supervisor->run++;
  supervisor->silent_beats = 0;
  supervisor->channel = mnk_channel_new(fd);
  return TRUE;
}

/* The worker's own sources are attached after the event, so that nothing comes before it. */
static void announce(MnkSupervisor *supervisor) {
  guint run = supervisor->run;
  if (supervisor->events.started)
    supervisor->events.started(supervisor->channel, supervisor->attempt, supervisor->user);
  if (run != supervisor->run)
    return;
  attach(supervisor, SOURCE_MESSAGES,
         g_unix_fd_source_new(mnk_channel_fd(supervisor->channel), G_IO_IN | G_IO_HUP | G_IO_ERR),
         G_SOURCE_FUNC(on_readable));
  attach(supervisor, SOURCE_CHILD, g_child_watch_source_new(supervisor->pid),
         G_SOURCE_FUNC(on_child));
  if (supervisor->hang_ms > 0)
    attach_timer(supervisor, SOURCE_BEAT, MAX(supervisor->hang_ms / BEATS, 1), on_beat);
}

static gboolean on_first_start(gpointer data) {
  MnkSupervisor *supervisor = data;
  drop(supervisor, SOURCE_START);
  announce(supervisor);
  return G_SOURCE_REMOVE;
}

static gboolean on_restart(gpointer data) {
  MnkSupervisor *supervisor = data;
  g_autoptr(GError) error = NULL;
  drop(supervisor, SOURCE_START);
  if (spawn(supervisor, &error))
    announce(supervisor);
  else
    bury(supervisor, g_strdup(error->message));
  return G_SOURCE_REMOVE;
}

gboolean mnk_supervisor_start(MnkSupervisor *supervisor, GError **error) {
  if (supervisor->channel || supervisor->sources[SOURCE_START])
    return TRUE; /* up, or about to be */
  mnk_backoff_reset(supervisor->backoff);
  if (!spawn(supervisor, error))
    return FALSE;
  attach_timer(supervisor, SOURCE_START, 0, on_first_start);
  return TRUE;
}

/* ---- Stopping ---- */

/* Waits up to ms for the process's end and reaps it; reads meanwhile, as a worker that blocks on a
 * full socket could not end. */
static gboolean reap(MnkSupervisor *supervisor, gint64 ms) {
  gint64 deadline_us = g_get_monotonic_time() + ms * 1000;
  do {
    /* ECHILD as well: GLib's child watch may have reaped it. */
    if (waitpid(supervisor->pid, NULL, WNOHANG) != 0)
      return TRUE;
    g_autoptr(GError) fault = NULL;
    g_autoptr(MnkMessage) unwanted = mnk_channel_receive(supervisor->channel, 2, &fault);
    if (fault)
      g_usleep(2000);
  } while (g_get_monotonic_time() < deadline_us);
  return FALSE;
}

static void end_process(MnkSupervisor *supervisor, gint64 timeout_ms) {
  if (timeout_ms > 0) {
    gboolean asked = mnk_channel_send(supervisor->channel, MNK_MSG_QUIT, 0, NULL, 0, -1, 0, NULL);
    if (asked && reap(supervisor, timeout_ms))
      return;
    kill(supervisor->pid, SIGTERM);
    if (reap(supervisor, TERM_GRACE))
      return;
  }
  kill(supervisor->pid, SIGKILL);
  while (waitpid(supervisor->pid, NULL, 0) < 0 && errno == EINTR)
    continue;
}

void mnk_supervisor_stop(MnkSupervisor *supervisor, gint64 timeout_ms) {
  drop_all(supervisor);
  if (supervisor->pid)
    end_process(supervisor, timeout_ms);
  end_run(supervisor);
  supervisor->attempt = 0;
}

void mnk_supervisor_free(MnkSupervisor *supervisor) {
  if (!supervisor)
    return;
  mnk_supervisor_stop(supervisor, 0);
  supervisor_unref(supervisor);
}
