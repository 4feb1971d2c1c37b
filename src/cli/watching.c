#include "cli/watching_priv.h"

#include <signal.h>
#include <stdio.h>
#include <sys/resource.h>

void mnk_watching_init(MnkWatching *watching, const MnkSettings *settings) {
  signal(SIGPIPE, SIG_IGN);
  signal(SIGXFSZ, SIG_IGN); /* a full file is an error, not an end */
  *watching = (MnkWatching){
      .settings = settings,
      .loop = g_main_loop_new(NULL, FALSE),
      .client = mnk_http_client_new(4),
  };
}

static void put_record(const MnkWatching *watching, const char *source) {
  g_autofree char *shown = mnk_url_redacted(source);
  MnkStreamRecord record = {.id = mnk_stream_id(watching->stream),
                            .source = shown,
                            .spec = "",
                            .created_us = mnk_clock_wall_us(mnk_clock_system())};
  mnk_store_put_stream(watching->store, &record, TRUE, NULL, NULL);
}

gboolean mnk_watching_prepare(MnkWatching *watching, MnkStreamConfig *config,
                              const MnkStreamEvents *events, gpointer user, GError **error) {
  watching->workers = mnk_workers_new(watching->settings);
  config->workers = watching->workers;
  config->id = mnk_settings_string(watching->settings, MNK_OPT_STREAM);
  config->store = watching->store;
  config->trusted = TRUE;
  watching->stream = mnk_stream_new(config, events, user, error);
  if (watching->stream == NULL)
    return FALSE;
  if (watching->store != NULL)
    put_record(watching, config->source);
  return TRUE;
}

void mnk_watching_fail(MnkWatching *watching, GError *error) {
  if (watching->failure == NULL)
    watching->failure = error;
  else
    g_error_free(error);
  mnk_stream_stop(watching->stream);
}

void mnk_watching_opened(MnkWatching *watching, const char *info_json, gint64 duration_ms) {
  watching->duration_ms = mnk_settings_bool(watching->settings, MNK_OPT_LOOP) ? -1 : duration_ms;
  mnk_info("cli", mnk_stream_id(watching->stream), "event=opened source=%s", info_json);
}

char *mnk_watching_where(const MnkWatching *watching, gint64 pts_ms) {
  double wall_s = (double)(mnk_clock_mono_us(mnk_clock_system()) - watching->started_us) / 1e6;
  double speed = wall_s > 0.5 ? (double)pts_ms / 1000.0 / wall_s : 0;
  g_autofree char *at = mnk_format_time_ms(pts_ms / 1000 * 1000);
  if (mnk_settings_bool(watching->settings, MNK_OPT_REALTIME) || watching->duration_ms <= 0)
    return g_strdup_printf("%s  watching", at);
  g_autofree char *of = mnk_format_time_ms(watching->duration_ms / 1000 * 1000);
  return g_strdup_printf("%s of %s, %d %%, %.1f x", at, of,
                         (int)MIN(100 * pts_ms / watching->duration_ms, 100), speed);
}

/* ---- the end ---- */

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

static void write_counters(MnkJsonWriter *w, const MnkStreamCounters *counters) {
  mnk_json_add_int(w, "received", (gint64)counters->received);
  mnk_json_add_int(w, "encoded", (gint64)counters->encoded);
  mnk_json_add_int(w, "gated", (gint64)counters->gated);
  mnk_json_add_int(w, "late", (gint64)counters->late);
  mnk_json_add_int(w, "dropped", (gint64)counters->dropped);
  mnk_json_add_int(w, "queued", (gint64)counters->queued);
  mnk_json_add_int(w, "decoded", (gint64)counters->decoded);
  mnk_json_add_int(w, "worker_deaths", (gint64)counters->worker_deaths);
  mnk_json_add_int(w, "gaps", (gint64)counters->gaps);
  mnk_json_add_int(w, "captions", (gint64)counters->captions);
  mnk_json_add_double(w, "decode_ms", counters->decode_ms, 1);
  mnk_json_add_double(w, "look_ms", counters->look_ms, 1);
  write_parts(w, counters);
}

static void write_stats(const MnkWatching *watching, const char *id,
                        const MnkStreamCounters *counters,
                        void (*more)(MnkJsonWriter *w, gpointer user), gpointer user) {
  g_autoptr(GString) text = g_string_new(NULL);
  MnkJsonWriter w;
  gint64 now_us = mnk_clock_mono_us(mnk_clock_system());
  mnk_json_writer_init(&w, text);
  mnk_json_begin_object(&w, NULL);
  mnk_json_add_string(&w, "type", "stats");
  mnk_json_add_string(&w, "stream", id);
  write_counters(&w, counters);
  mnk_json_add_double(&w, "wall_s", (double)(now_us - watching->started_us) / 1e6, 3);
  if (watching->first_caption_us > 0)
    mnk_json_add_double(&w, "first_caption_s",
                        (double)(watching->first_caption_us - watching->started_us) / 1e6, 3);
  if (more != NULL)
    more(&w, user);
  mnk_json_add_int(&w, "server_peak_kib", (gint64)peak_memory_kib(RUSAGE_SELF));
  mnk_json_add_int(&w, "worker_peak_kib", (gint64)peak_memory_kib(RUSAGE_CHILDREN));
  mnk_json_end_object(&w);
  fprintf(stderr, "%s\n", text->str);
}

void mnk_watching_end(MnkWatching *watching, void (*more)(MnkJsonWriter *w, gpointer user),
                      gpointer user) {
  MnkStreamCounters counters = {0};
  g_clear_pointer(&watching->progress, mnk_progress_free);
  if (watching->stream != NULL)
    mnk_stream_counters(watching->stream, &counters);
  g_autofree char *id = watching->stream != NULL ? g_strdup(mnk_stream_id(watching->stream)) : NULL;
  g_clear_pointer(&watching->stream, mnk_stream_free);
  /* reaps the worker, so that its memory can be told */
  g_clear_pointer(&watching->workers, mnk_workers_free);
  if (watching->started_us > 0 && mnk_settings_bool(watching->settings, MNK_OPT_STATS))
    write_stats(watching, id, &counters, more, user);
  g_clear_pointer(&watching->store, mnk_store_close);
  g_clear_pointer(&watching->backend, mnk_backend_free);
  g_clear_pointer(&watching->client, mnk_http_client_free);
  g_clear_pointer(&watching->loop, g_main_loop_unref);
}
