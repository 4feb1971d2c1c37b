#include "cli/watching_priv.h"

#include <errno.h>
#include <glib-unix.h>
#include <signal.h>

#include "local/local.h"

typedef struct {
  MnkWatching watching;
  MnkLocal *local;        /* NULL: no local model */
  MnkLocalStream *memory; /* NULL without it */
  gboolean started;
  MnkOutput *output;
  const char *keyframes;
  guint interrupts;
} Job;

/* ---- events of the stream ---- */

static void on_caption(const MnkCaption *caption, gboolean durable, gpointer user) {
  Job *job = user;
  GError *error = NULL;
  if (job->watching.first_caption_us == 0)
    job->watching.first_caption_us = mnk_clock_mono_us(mnk_clock_system());
  mnk_progress_hide(job->watching.progress);
  if (!mnk_output_write(job->output, caption, &error))
    mnk_watching_fail(&job->watching, error);
}

static void on_picture(const MnkCaption *caption, gint64 pts_ms, GBytes *jpeg, gpointer user) {
  Job *job = user;
  g_autofree char *name = g_strdup_printf("%s-%s.jpg", caption->stream, caption->id);
  g_autofree char *path = g_build_filename(job->keyframes, name, NULL);
  g_autoptr(GError) error = NULL;
  gsize length;
  const char *bytes = g_bytes_get_data(jpeg, &length);
  if (!g_file_set_contents(path, bytes, (gssize)length, &error))
    mnk_watching_fail(&job->watching,
                      g_error_new(MNK_ERROR, MNK_ERROR_OUTPUT, "%s", error->message));
}

static void on_opened(const char *info_json, gint64 duration_ms, gpointer user) {
  Job *job = user;
  mnk_watching_opened(&job->watching, info_json, duration_ms);
}

static void on_progress(gint64 pts_ms, gpointer user) {
  Job *job = user;
  g_autofree char *where = mnk_watching_where(&job->watching, pts_ms);
  mnk_progress_show(job->watching.progress, "%s", where);
}

static void on_ended(const GError *error, gpointer user) {
  Job *job = user;
  if (error != NULL && job->watching.failure == NULL)
    job->watching.failure = g_error_copy(error);
  g_main_loop_quit(job->watching.loop);
}

static void on_frame(gint64 pts_ms, GBytes *jpeg, float importance, gboolean cut, gpointer user) {
  mnk_local_frame(((Job *)user)->memory, jpeg, pts_ms, importance, cut);
}

/* ---- the local model ---- */

static void start(Job *job) {
  job->started = TRUE;
  mnk_progress_show(job->watching.progress, "Starting");
  if (!mnk_stream_start(job->watching.stream, &job->watching.failure))
    g_main_loop_quit(job->watching.loop);
}

/* The source waits for the model: what it cannot look at would be told by the template. */
static void on_model_changed(gpointer user) {
  Job *job = user;
  MnkLocalState state = mnk_local_state(job->local);
  if (job->started)
    return;
  mnk_progress_show(job->watching.progress, "The model: %s", mnk_local_state_name(state));
  if (state == MNK_LOCAL_READY) {
    start(job);
  } else if (state == MNK_LOCAL_FAILED) {
    job->watching.failure =
        g_error_new(MNK_ERROR, MNK_ERROR_MODEL, "%s", mnk_local_detail(job->local));
    g_main_loop_quit(job->watching.loop);
  }
}

/* The first Ctrl-C ends cleanly, the second at once. */
static gboolean on_signal(gpointer user) {
  Job *job = user;
  if (job->interrupts++ == 0 && job->started) {
    mnk_stream_stop(job->watching.stream);
    return G_SOURCE_CONTINUE;
  }
  if (job->watching.failure == NULL)
    job->watching.failure = g_error_new_literal(MNK_ERROR, MNK_ERROR_CANCELLED, "stopped");
  g_main_loop_quit(job->watching.loop);
  return G_SOURCE_CONTINUE;
}

/* ---- the command ---- */

static gboolean prepare_store(Job *job, GError **error) {
  if (!mnk_settings_bool(job->watching.settings, MNK_OPT_USE_DB))
    return TRUE;
  g_autofree char *path = mnk_cli_db_path(job->watching.settings);
  job->watching.store = mnk_store_open(path, MNK_STORE_WRITE, error);
  return job->watching.store != NULL;
}

static gboolean prepare_stream(Job *job, const char *source, GError **error) {
  MnkStreamEvents events = {.caption = on_caption,
                            .picture = job->keyframes != NULL ? on_picture : NULL,
                            .opened = on_opened,
                            .progress = on_progress,
                            .frame = job->local != NULL ? on_frame : NULL,
                            .ended = on_ended};
  MnkStreamConfig config = {
      .source = source,
      .settings = job->watching.settings,
      .backend = job->watching.backend,
  };
  if (!mnk_watching_prepare(&job->watching, &config, &events, job, error))
    return FALSE;
  if (job->local == NULL)
    return TRUE;
  job->memory = mnk_local_open(job->local, mnk_stream_id(job->watching.stream),
                               job->watching.settings, NULL, error);
  return job->memory != NULL;
}

static gboolean prepare(Job *job, const char *source, GError **error) {
  const MnkSettings *settings = job->watching.settings;
  job->keyframes = mnk_settings_string(settings, MNK_OPT_KEYFRAMES);
  if (job->keyframes != NULL && g_mkdir_with_parents(job->keyframes, 0777) < 0) {
    g_set_error(error, MNK_ERROR, MNK_ERROR_OUTPUT, "the folder %s cannot be made: %s",
                job->keyframes, g_strerror(errno));
    return FALSE;
  }
  return mnk_local_choose(settings, job->watching.client, on_model_changed, job, &job->local,
                          &job->watching.backend, error) &&
         prepare_store(job, error) && prepare_stream(job, source, error) &&
         (job->output = mnk_output_open(settings, error)) != NULL;
}

/* The memory goes before the model, and the backend, which stands on it, too. */
static void finish(Job *job) {
  g_clear_pointer(&job->memory, mnk_local_close);
  mnk_watching_end(&job->watching, NULL, NULL);
  g_clear_pointer(&job->local, mnk_local_free);
  mnk_output_free(job->output);
}

static gboolean run(const MnkSettings *settings, char **rest, GError **error) {
  Job job = {0};
  MnkWatching *watching = &job.watching;
  mnk_watching_init(watching, settings);
  if (!prepare(&job, rest[0], error)) {
    finish(&job);
    return FALSE;
  }
  watching->progress = mnk_progress_new(mnk_settings_bool(settings, MNK_OPT_PROGRESS));
  watching->started_us = mnk_clock_mono_us(mnk_clock_system());
  guint on_int = g_unix_signal_add(SIGINT, on_signal, &job);
  guint on_term = g_unix_signal_add(SIGTERM, on_signal, &job);
  if (job.local == NULL || mnk_local_state(job.local) == MNK_LOCAL_READY)
    start(&job);
  else
    on_model_changed(&job);
  if (watching->failure == NULL)
    g_main_loop_run(watching->loop);
  g_source_remove(on_int);
  g_source_remove(on_term);
  /* What was captioned is kept whatever ended it. */
  GError *closing = NULL;
  if (!mnk_output_close(job.output, &closing) && watching->failure == NULL)
    watching->failure = g_steal_pointer(&closing);
  g_clear_error(&closing);
  finish(&job);
  if (watching->failure == NULL)
    return TRUE;
  g_propagate_error(error, watching->failure);
  return FALSE;
}

const MnkCommand mnk_command_caption = {
    .name = "caption",
    .set = MNK_COMMAND_CAPTION,
    .arguments = "SOURCE",
    .summary = "Caption a video: each caption with its interval",
    .details =
        "SOURCE is a video file, - for standard input, camera, camera:N or /dev/videoN, or an "
        "rtsp:// address. Captions are kept in the timeline, where `manako captions` and `manako "
        "search` find them; a second run with the same stream id replaces the first. Ctrl-C ends "
        "cleanly and keeps what was captioned.",
    .min_rest = 1,
    .max_rest = 1,
    .run = run,
};
