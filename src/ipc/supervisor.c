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
  MnkSupervisor *self = g_new0(MnkSupervisor, 1);
  self->refs = 1;
  self->argv = g_strdupv((char **)config->argv);
  self->hang_ms = config->hang_ms;
  self->events = *events;
  self->user = user;
  self->context = g_main_context_ref_thread_default();
  self->backoff =
      mnk_backoff_new(config->backoff_min_ms, config->backoff_max_ms, config->deaths_max);
  return self;
}

static void supervisor_unref(gpointer data) {
  MnkSupervisor *self = data;
  if (--self->refs > 0)
    return;
  mnk_backoff_free(self->backoff);
  g_main_context_unref(self->context);
  g_strfreev(self->argv);
  g_free(self);
}

MnkChannel *mnk_supervisor_channel(MnkSupervisor *self) {
  return self->channel;
}

GPid mnk_supervisor_pid(MnkSupervisor *self) {
  return self->pid;
}

/* ---- Sources ---- */

static void drop(MnkSupervisor *self, SourceName name) {
  GSource *source = g_steal_pointer(&self->sources[name]);
  if (source) {
    g_source_destroy(source);
    g_source_unref(source);
  }
}

static void drop_all(MnkSupervisor *self) {
  for (SourceName name = 0; name < N_SOURCES; name++)
    drop(self, name);
}

/* Takes the source. */
static void attach(MnkSupervisor *self, SourceName name, GSource *source, GSourceFunc callback) {
  drop(self, name);
  self->refs++;
  g_source_set_callback(source, callback, self, supervisor_unref);
  g_source_attach(source, self->context);
  self->sources[name] = source;
}

static void attach_timer(MnkSupervisor *self, SourceName name, gint64 ms, GSourceFunc callback) {
  attach(self, name, g_timeout_source_new((guint)CLAMP(ms, 0, G_MAXINT)), callback);
}

/* ---- One worker's life ---- */

/* Kills the worker; its end is then seen by on_child. */
static void condemn(MnkSupervisor *self, char *why) {
  drop(self, SOURCE_MESSAGES);
  drop(self, SOURCE_BEAT);
  drop(self, SOURCE_CLOSED);
  g_free(self->verdict);
  self->verdict = why;
  if (self->pid)
    kill(self->pid, SIGKILL);
}

static void end_run(MnkSupervisor *self) {
  drop_all(self);
  self->run++;
  self->pid = 0;
  g_clear_pointer(&self->channel, mnk_channel_free);
  g_clear_pointer(&self->verdict, g_free);
}

static gboolean on_closed_grace_over(gpointer data) {
  condemn(data, g_strdup("closed its channel"));
  return G_SOURCE_REMOVE;
}

static void on_channel_fault(MnkSupervisor *self, const GError *fault) {
  drop(self, SOURCE_MESSAGES);
  if (g_error_matches(fault, MNK_ERROR, MNK_ERROR_CANCELLED))
    attach_timer(self, SOURCE_CLOSED, CLOSED_GRACE, on_closed_grace_over);
  else
    condemn(self, g_strdup_printf("broke the protocol: %s", fault->message));
}

/* Hands on at most max messages. */
static void hand_on(MnkSupervisor *self, guint max) {
  guint run = self->run;
  for (guint i = 0; i < max && run == self->run; i++) {
    g_autoptr(GError) fault = NULL;
    g_autoptr(MnkMessage) message = mnk_channel_receive(self->channel, 0, &fault);
    if (fault)
      on_channel_fault(self, fault);
    if (!message)
      return;
    self->silent_beats = 0;
    if (message->type < MNK_MSG_READY) {
      condemn(self, g_strdup_printf("broke the protocol: message type %u is not a worker's",
                                    message->type));
      return;
    }
    if (message->type != MNK_MSG_PONG && self->events.message)
      self->events.message(message, self->user);
  }
}

static gboolean on_readable(int fd, GIOCondition condition, gpointer data) {
  hand_on(data, BATCH);
  return G_SOURCE_CONTINUE;
}

/* Silence is counted in beats, not in time: a beat that comes late, because this process was
 * stopped or busy, then does not speak against the worker. */
static gboolean on_beat(gpointer data) {
  MnkSupervisor *self = data;
  if (self->silent_beats >= BEATS) {
    condemn(self, g_strdup_printf("did not answer for %.3g s", (double)self->hang_ms / 1000));
    return G_SOURCE_REMOVE;
  }
  self->silent_beats++;
  /* A full socket is silence, too: no answer will come. */
  mnk_channel_send(self->channel, MNK_MSG_PING, 0, NULL, 0, -1, 0, NULL);
  return G_SOURCE_CONTINUE;
}

static char *describe_status(int status) {
  if (WIFSIGNALED(status))
    return g_strdup_printf("killed by signal %d", WTERMSIG(status));
  return g_strdup_printf("exit status %d", WEXITSTATUS(status));
}

static gboolean on_restart(gpointer data);

/* Takes why. */
static void bury(MnkSupervisor *self, char *why_taken) {
  g_autofree char *why = why_taken;
  gint64 started_us = self->started_us, wait_ms;
  end_run(self);
  gboolean again =
      mnk_backoff_after_death(self->backoff, started_us, g_get_monotonic_time(), &wait_ms);
  mnk_metric_add(mnk_counter("worker_deaths_total", "Worker processes that died", NULL), 1);
  mnk_warning("ipc", NULL,
              "event=worker-died why=\"%s\" attempt=%u restart_in_ms=%" G_GINT64_FORMAT, why,
              self->attempt, again ? wait_ms : -1);
  self->attempt++;
  if (again)
    attach_timer(self, SOURCE_START, wait_ms, on_restart);
  if (self->events.died)
    self->events.died(why, !again, self->user);
}

static void on_child(GPid pid, int status, gpointer data) {
  MnkSupervisor *self = data;
  guint run = self->run;
  self->pid = 0; /* reaped: its number may be another's by now */
  drop(self, SOURCE_CHILD);
  if (!self->verdict)
    hand_on(self, LAST_WORDS);
  if (run != self->run)
    return;
  char *why = self->verdict ? g_steal_pointer(&self->verdict) : describe_status(status);
  bury(self, why);
}

static gboolean spawn(MnkSupervisor *self, GError **error) {
  int fd;
  self->started_us = g_get_monotonic_time();
  self->pid = mnk_spawn_worker((const char *const *)self->argv, &fd, error);
  if (!self->pid)
    return FALSE;
  self->run++;
  self->silent_beats = 0;
  self->channel = mnk_channel_new(fd);
  return TRUE;
}

/* The worker's own sources are attached after the event, so that nothing comes before it. */
static void announce(MnkSupervisor *self) {
  guint run = self->run;
  if (self->events.started)
    self->events.started(self->channel, self->attempt, self->user);
  if (run != self->run)
    return;
  attach(self, SOURCE_MESSAGES,
         g_unix_fd_source_new(mnk_channel_fd(self->channel), G_IO_IN | G_IO_HUP | G_IO_ERR),
         G_SOURCE_FUNC(on_readable));
  attach(self, SOURCE_CHILD, g_child_watch_source_new(self->pid), G_SOURCE_FUNC(on_child));
  if (self->hang_ms > 0)
    attach_timer(self, SOURCE_BEAT, MAX(self->hang_ms / BEATS, 1), on_beat);
}

static gboolean on_first_start(gpointer data) {
  MnkSupervisor *self = data;
  drop(self, SOURCE_START);
  announce(self);
  return G_SOURCE_REMOVE;
}

static gboolean on_restart(gpointer data) {
  MnkSupervisor *self = data;
  g_autoptr(GError) error = NULL;
  drop(self, SOURCE_START);
  if (spawn(self, &error))
    announce(self);
  else
    bury(self, g_strdup(error->message));
  return G_SOURCE_REMOVE;
}

gboolean mnk_supervisor_start(MnkSupervisor *self, GError **error) {
  if (self->channel || self->sources[SOURCE_START])
    return TRUE; /* up, or about to be */
  mnk_backoff_reset(self->backoff);
  if (!spawn(self, error))
    return FALSE;
  attach_timer(self, SOURCE_START, 0, on_first_start);
  return TRUE;
}

/* ---- Stopping ---- */

/* Waits up to ms for the process's end and reaps it; reads meanwhile, as a worker that blocks on a
 * full socket could not end. */
static gboolean reap(MnkSupervisor *self, gint64 ms) {
  gint64 deadline_us = g_get_monotonic_time() + ms * 1000;
  do {
    /* ECHILD as well: GLib's child watch may have reaped it. */
    if (waitpid(self->pid, NULL, WNOHANG) != 0)
      return TRUE;
    g_autoptr(GError) fault = NULL;
    g_autoptr(MnkMessage) unwanted = mnk_channel_receive(self->channel, 2, &fault);
    if (fault)
      g_usleep(2000);
  } while (g_get_monotonic_time() < deadline_us);
  return FALSE;
}

static void end_process(MnkSupervisor *self, gint64 timeout_ms) {
  if (timeout_ms > 0) {
    gboolean asked = mnk_channel_send(self->channel, MNK_MSG_QUIT, 0, NULL, 0, -1, 0, NULL);
    if (asked && reap(self, timeout_ms))
      return;
    kill(self->pid, SIGTERM);
    if (reap(self, TERM_GRACE))
      return;
  }
  kill(self->pid, SIGKILL);
  while (waitpid(self->pid, NULL, 0) < 0 && errno == EINTR)
    continue;
}

void mnk_supervisor_stop(MnkSupervisor *self, gint64 timeout_ms) {
  drop_all(self);
  if (self->pid)
    end_process(self, timeout_ms);
  end_run(self);
  self->attempt = 0;
}

void mnk_supervisor_free(MnkSupervisor *self) {
  if (!self)
    return;
  mnk_supervisor_stop(self, 0);
  supervisor_unref(self);
}
