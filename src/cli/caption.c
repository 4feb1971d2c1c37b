#include "cli/cli.h"
#include "stream/stream.h"

#include <errno.h>
#include <glib-unix.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

typedef struct {
  const MnkSettings *settings;
  GMainLoop *loop;
  MnkHttpClient *client;
  MnkBackend *backend; /* NULL: the template tells */
  MnkWorkers *workers;
  MnkStore *store;
  MnkStream *stream;
  MnkOutput *output;
  MnkProgress *progress;
  const char *keyframes;
  gint64 duration_ms, started_us, first_caption_us;
  guint interrupts;
  GError *failure; /* the first one */
} Job;

/* ---- events of the stream ---- */

static void fail(Job *job, GError *error) {
  if (job->failure == NULL)
    job->failure = error;
  else
    g_error_free(error);
  mnk_stream_stop(job->stream);
}

static void on_caption(const MnkCaption *caption, gboolean durable, gpointer user) {
  Job *job = user;
  GError *error = NULL;
  if (job->first_caption_us == 0)
    job->first_caption_us = mnk_clock_mono_us(mnk_clock_system());
  mnk_progress_hide(job->progress);
  if (!mnk_output_write(job->output, caption, &error))
    fail(job, error);
}

static void on_picture(const MnkCaption *caption, gint64 pts_ms, GBytes *jpeg, gpointer user) {
  Job *job = user;
  g_autofree char *name = g_strdup_printf("%s-%s.jpg", caption->stream, caption->id);
  g_autofree char *path = g_build_filename(job->keyframes, name, NULL);
  g_autoptr(GError) error = NULL;
  gsize length;
  const char *bytes = g_bytes_get_data(jpeg, &length);
  if (!g_file_set_contents(path, bytes, (gssize)length, &error))
    fail(job, g_error_new(MNK_ERROR, MNK_ERROR_OUTPUT, "%s", error->message));
}

static void on_opened(const char *info_json, gint64 duration_ms, gpointer user) {
  Job *job = user;
  job->duration_ms = mnk_settings_bool(job->settings, MNK_OPT_LOOP) ? -1 : duration_ms;
  mnk_info("cli", mnk_stream_id(job->stream), "event=opened source=%s", info_json);
}

static void on_progress(gint64 pts_ms, gpointer user) {
  Job *job = user;
  double wall_s = (double)(mnk_clock_mono_us(mnk_clock_system()) - job->started_us) / 1e6;
  double speed = wall_s > 0.5 ? (double)pts_ms / 1000.0 / wall_s : 0;
  g_autofree char *at = mnk_format_time_ms(pts_ms / 1000 * 1000);
  if (mnk_settings_bool(job->settings, MNK_OPT_REALTIME) || job->duration_ms <= 0) {
    mnk_progress_show(job->progress, "%s  watching", at);
    return;
  }
  g_autofree char *of = mnk_format_time_ms(job->duration_ms / 1000 * 1000);
  mnk_progress_show(job->progress, "%s of %s, %d %%, %.1f x", at, of,
                    (int)MIN(100 * pts_ms / job->duration_ms, 100), speed);
}

static void on_ended(const GError *error, gpointer user) {
  Job *job = user;
  if (error != NULL && job->failure == NULL)
    job->failure = g_error_copy(error);
  g_main_loop_quit(job->loop);
}

/* The first Ctrl-C ends cleanly, the second at once. */
static gboolean on_signal(gpointer user) {
  Job *job = user;
  if (job->interrupts++ == 0) {
    mnk_stream_stop(job->stream);
    return G_SOURCE_CONTINUE;
  }
  if (job->failure == NULL)
    job->failure = g_error_new_literal(MNK_ERROR, MNK_ERROR_CANCELLED, "stopped");
  g_main_loop_quit(job->loop);
  return G_SOURCE_CONTINUE;
}

/* ---- statistics ---- */

static guint64 peak_memory_kib(int who) {
  struct rusage usage;
  return getrusage(who, &usage) == 0 ? (guint64)usage.ru_maxrss : 0;
}

static void write_parts(MnkJsonWriter *w, const MnkStreamCounters *counters) {
  static const char *const PARTS[] = {"scenes", "objects", "faces", "pose", "text"};
  mnk_json_begin_object(w, "parts");
  for (guint i = 0; i < G_N_ELEMENTS(PARTS); i++) {
    mnk_json_begin_object(w, PARTS[i]);
    mnk_json_add_double(w, "ms", counters->part_ms[i], 1);
    mnk_json_add_int(w, "runs", (gint64)counters->part_runs[i]);
    mnk_json_end_object(w);
  }
  mnk_json_end_object(w);
}

static void write_stats(const Job *job, const char *id, const MnkStreamCounters *counters) {
  g_autoptr(GString) text = g_string_new(NULL);
  MnkJsonWriter w;
  gint64 now_us = mnk_clock_mono_us(mnk_clock_system());
  mnk_json_writer_init(&w, text);
  mnk_json_begin_object(&w, NULL);
  mnk_json_add_string(&w, "type", "stats");
  mnk_json_add_string(&w, "stream", id);
  mnk_json_add_int(&w, "received", (gint64)counters->received);
  mnk_json_add_int(&w, "encoded", (gint64)counters->encoded);
  mnk_json_add_int(&w, "gated", (gint64)counters->gated);
  mnk_json_add_int(&w, "late", (gint64)counters->late);
  mnk_json_add_int(&w, "dropped", (gint64)counters->dropped);
  mnk_json_add_int(&w, "queued", (gint64)counters->queued);
  mnk_json_add_int(&w, "decoded", (gint64)counters->decoded);
  mnk_json_add_int(&w, "worker_deaths", (gint64)counters->worker_deaths);
  mnk_json_add_int(&w, "gaps", (gint64)counters->gaps);
  mnk_json_add_int(&w, "captions", (gint64)counters->captions);
  mnk_json_add_double(&w, "decode_ms", counters->decode_ms, 1);
  mnk_json_add_double(&w, "look_ms", counters->look_ms, 1);
  write_parts(&w, counters);
  mnk_json_add_double(&w, "wall_s", (double)(now_us - job->started_us) / 1e6, 3);
  if (job->first_caption_us > 0)
    mnk_json_add_double(&w, "first_caption_s",
                        (double)(job->first_caption_us - job->started_us) / 1e6, 3);
  mnk_json_add_int(&w, "server_peak_kib", (gint64)peak_memory_kib(RUSAGE_SELF));
  mnk_json_add_int(&w, "worker_peak_kib", (gint64)peak_memory_kib(RUSAGE_CHILDREN));
  mnk_json_end_object(&w);
  fprintf(stderr, "%s\n", text->str);
}

/* ---- the command ---- */

static gboolean prepare_store(Job *job, GError **error) {
  if (!mnk_settings_bool(job->settings, MNK_OPT_USE_DB))
    return TRUE;
  g_autofree char *path = mnk_cli_db_path(job->settings);
  job->store = mnk_store_open(path, MNK_STORE_WRITE, error);
  return job->store != NULL;
}

static gboolean prepare_stream(Job *job, const char *source, GError **error) {
  static const MnkStreamEvents EVENTS = {.caption = on_caption,
                                         .picture = on_picture,
                                         .opened = on_opened,
                                         .progress = on_progress,
                                         .ended = on_ended};
  MnkStreamEvents events = EVENTS;
  if (job->keyframes == NULL)
    events.picture = NULL;
  job->workers = mnk_workers_new(job->settings);
  MnkStreamConfig config = {
      .workers = job->workers,
      .id = mnk_settings_string(job->settings, MNK_OPT_STREAM),
      .source = source,
      .settings = job->settings,
      .store = job->store,
      .backend = job->backend,
      .trusted = TRUE,
  };
  job->stream = mnk_stream_new(&config, &events, job, error);
  if (job->stream == NULL || job->store == NULL)
    return job->stream != NULL;
  g_autofree char *shown = mnk_url_redacted(source);
  MnkStreamRecord record = {.id = mnk_stream_id(job->stream),
                            .source = shown,
                            .spec = "",
                            .created_us = mnk_clock_wall_us(mnk_clock_system())};
  mnk_store_put_stream(job->store, &record, TRUE, NULL, NULL);
  return TRUE;
}

static gboolean prepare(Job *job, const char *source, GError **error) {
  job->keyframes = mnk_settings_string(job->settings, MNK_OPT_KEYFRAMES);
  if (job->keyframes != NULL && g_mkdir_with_parents(job->keyframes, 0777) < 0) {
    g_set_error(error, MNK_ERROR, MNK_ERROR_OUTPUT, "the folder %s cannot be made: %s",
                job->keyframes, g_strerror(errno));
    return FALSE;
  }
  job->client = mnk_http_client_new(4);
  return mnk_backend_new(job->settings, job->client, &job->backend, error) &&
         prepare_store(job, error) && prepare_stream(job, source, error) &&
         (job->output = mnk_output_open(job->settings, error)) != NULL;
}

static void tidy_up(Job *job) {
  MnkStreamCounters counters = {0};
  mnk_progress_free(job->progress);
  job->progress = NULL;
  if (job->stream != NULL)
    mnk_stream_counters(job->stream, &counters);
  g_autofree char *id = job->stream != NULL ? g_strdup(mnk_stream_id(job->stream)) : NULL;
  mnk_stream_free(job->stream);
  mnk_workers_free(job->workers); /* reaps the worker, so that its memory can be told */
  if (job->started_us > 0 && mnk_settings_bool(job->settings, MNK_OPT_STATS))
    write_stats(job, id, &counters);
  mnk_store_close(job->store);
  mnk_backend_free(job->backend);
  mnk_http_client_free(job->client);
  mnk_output_free(job->output);
  g_main_loop_unref(job->loop);
}

static gboolean run(const MnkSettings *settings, char **rest, GError **error) {
  Job job = {.settings = settings, .loop = g_main_loop_new(NULL, FALSE)};
  signal(SIGPIPE, SIG_IGN);
  signal(SIGXFSZ, SIG_IGN); /* a full file is an error, not an end */
  if (!prepare(&job, rest[0], error)) {
    tidy_up(&job);
    return FALSE;
  }
  job.progress = mnk_progress_new(mnk_settings_bool(settings, MNK_OPT_PROGRESS));
  job.started_us = mnk_clock_mono_us(mnk_clock_system());
  guint on_int = g_unix_signal_add(SIGINT, on_signal, &job);
  guint on_term = g_unix_signal_add(SIGTERM, on_signal, &job);
  mnk_progress_show(job.progress, "Starting");
  if (mnk_stream_start(job.stream, &job.failure))
    g_main_loop_run(job.loop);
  g_source_remove(on_int);
  g_source_remove(on_term);
  /* What was captioned is kept whatever ended it. */
  GError *closing = NULL;
  if (!mnk_output_close(job.output, &closing) && job.failure == NULL)
    job.failure = g_steal_pointer(&closing);
  g_clear_error(&closing);
  GError *failure = g_steal_pointer(&job.failure);
  tidy_up(&job);
  if (failure == NULL)
    return TRUE;
  g_propagate_error(error, failure);
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
