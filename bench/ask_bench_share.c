/* One model, two streams; and a question while captions are being written. */
#include <stdio.h>

#include "ask_bench.h"

enum {
  FRAMES = 8,
  QUESTIONS = 4,
  WORDS = 12,
  VISUAL_FRAMES = 6,
  FRAME_TOKENS = 64,
  HEAD_START_MS = 25,
};

static MnkLocalStream *open_stream(Model *model, const char *id) {
  g_autoptr(GError) error = NULL;
  MnkLocalStream *stream = mnk_local_open(model->local, id, model->settings, NULL, &error);
  if (stream == NULL)
    g_printerr("ask_bench: %s\n", error->message);
  return stream;
}

static GBytes *jpeg_of(guint32 seed, gint64 pts_ms) {
  g_autoptr(MnkFrame) frame = bench_frame(seed, pts_ms);
  return mnk_frame_to_jpeg(frame, 85, NULL);
}

static void on_idle(gpointer user) {
  *(gboolean *)user = TRUE;
}

/* ---- Two streams against one ---- */

typedef struct {
  guint n_streams, seed;
  MnkLocalStream *streams[2];
} Load;

/* The same work, on one stream or on two: frames, then questions; seconds. */
static double work(Model *model, Load *load) {
  gboolean idle[2] = {FALSE, FALSE};
  Asked asked[QUESTIONS];
  gint64 start = g_get_monotonic_time();
  for (guint i = 0; i < FRAMES; i++) {
    g_autoptr(GBytes) jpeg = jpeg_of(load->seed, load->seed * 1000);
    mnk_local_frame(load->streams[i % load->n_streams], jpeg, load->seed * 1000, 0.5F, FALSE);
    load->seed++;
  }
  for (guint i = 0; i < load->n_streams; i++)
    mnk_local_when_idle(load->streams[i], on_idle, &idle[i]);
  for (guint i = 0; i < load->n_streams; i++)
    bench_wait(model, &idle[i]);
  for (guint i = 0; i < QUESTIONS; i++)
    bench_ask(model, load->streams[i % load->n_streams], "What is on the table now?",
              VISUAL_FRAMES * FRAME_TOKENS, WORDS, &asked[i]);
  for (guint i = 0; i < QUESTIONS; i++)
    bench_wait(model, &asked[i].done);
  return (double)(g_get_monotonic_time() - start) / 1e6;
}

static gboolean two_streams(const Bench *bench, Model *model) {
  g_autoptr(GArray) one_s = g_array_new(FALSE, FALSE, sizeof(double));
  g_autoptr(GArray) two_s = g_array_new(FALSE, FALSE, sizeof(double));
  Load one = {.n_streams = 1, .streams = {open_stream(model, "one")}};
  Load two = {.n_streams = 2,
              .streams = {open_stream(model, "two-a"), open_stream(model, "two-b")}};
  if (one.streams[0] == NULL || two.streams[0] == NULL || two.streams[1] == NULL)
    return FALSE;
  work(model, &one);
  work(model, &two);
  for (guint i = 0; i < bench->rounds; i++) {
    double a = work(model, &one), b = work(model, &two);
    g_array_append_val(one_s, a);
    g_array_append_val(two_s, b);
  }
  double a = bench_median(one_s), b = bench_median(two_s);
  printf("{\"bench\":\"ask\",\"what\":\"two streams against one\",\"shape\":\"%s\",\"frames\":%d,"
         "\"questions\":%d,\"one_s\":%.3f,\"two_s\":%.3f,\"throughput\":%.3f,\"rounds\":%u}\n",
         bench->shape, FRAMES, QUESTIONS, a, b, a / b, bench->rounds);
  mnk_local_close(one.streams[0]);
  mnk_local_close(two.streams[0]);
  mnk_local_close(two.streams[1]);
  return TRUE;
}

/* ---- A question beside captions ---- */

typedef struct {
  guint written;
} Captions;

static void on_caption(const MnkBackendAnswer *answer, const GError *error, gpointer user) {
  Captions *captions = user;
  if (error != NULL)
    g_printerr("ask_bench: no caption: %s\n", error->message);
  captions->written++;
}

static MnkBatch *batch_of(const char *stream) {
  MnkBatch *batch = mnk_batch_new();
  batch->stream = g_strdup(stream);
  batch->n_frames = FRAMES;
  batch->pts_ms = g_new(gint64, FRAMES);
  for (guint i = 0; i < FRAMES; i++) {
    MnkBatchFrame *frame = g_new0(MnkBatchFrame, 1);
    batch->pts_ms[i] = i * 1000;
    *frame = (MnkBatchFrame){i, i * 1000, 0.5F, jpeg_of(1000 + i, i * 1000)};
    g_ptr_array_add(batch->frames, frame);
  }
  batch->end_ms = FRAMES * 1000;
  batch->context = g_strdup("");
  batch->running = g_strdup("");
  batch->known = g_strdup("");
  batch->prompt = g_strdup("");
  batch->lang = g_strdup("en");
  batch->deadline_us = g_get_monotonic_time() + (gint64)3600 * G_USEC_PER_SEC;
  return batch;
}

static gboolean on_rested(gpointer user) {
  *(gboolean *)user = TRUE;
  return G_SOURCE_REMOVE;
}

static void rest(Model *model, guint ms) {
  gboolean rested = FALSE;
  g_timeout_add(ms, on_rested, &rested);
  bench_wait(model, &rested);
}

static double ask_once(Model *model, MnkLocalStream *stream) {
  Asked asked;
  bench_ask(model, stream, "What is on the table now?", VISUAL_FRAMES * FRAME_TOKENS, 1, &asked);
  bench_wait(model, &asked.done);
  return asked.first_ms;
}

/* In turns: a question alone, and one while a batch of captions is with the model. */
static void ask_in_turns(const Bench *bench, Model *model, MnkLocalStream *stream) {
  g_autoptr(GArray) alone_ms = g_array_new(FALSE, FALSE, sizeof(double));
  g_autoptr(GArray) beside_ms = g_array_new(FALSE, FALSE, sizeof(double));
  MnkBackend *backend = mnk_local_backend(model->local);
  MnkBatch *batch = batch_of("captioned");
  Captions captions = {0};
  for (guint round = 0; round <= bench->rounds; round++) {
    double alone = ask_once(model, stream);
    mnk_backend_caption(backend, batch, on_caption, &captions);
    rest(model, HEAD_START_MS);
    double beside = ask_once(model, stream);
    mnk_backend_cancel(backend, &captions);
    rest(model, HEAD_START_MS);
    if (round == 0) /* warms up */
      continue;
    g_array_append_val(alone_ms, alone);
    g_array_append_val(beside_ms, beside);
  }
  double alone = bench_median(alone_ms), beside = bench_median(beside_ms);
  printf("{\"bench\":\"ask\",\"what\":\"first word while captions are written\",\"shape\":\"%s\","
         "\"alone_ms\":%.1f,\"beside_ms\":%.1f,\"ratio\":%.3f,\"ended_before\":%u,\"rounds\":%u}\n",
         bench->shape, alone, beside, beside / alone, captions.written, bench->rounds);
  mnk_backend_free(backend);
  mnk_batch_free(batch);
}

static gboolean beside_captions(const Bench *bench, Model *model) {
  g_autoptr(MnkLocalStream) stream = open_stream(model, "captioned");
  gboolean idle = FALSE;
  if (stream == NULL)
    return FALSE;
  for (guint i = 0; i < FRAMES; i++) {
    g_autoptr(GBytes) jpeg = jpeg_of(1000 + i, i * 1000);
    mnk_local_frame(stream, jpeg, i * 1000, 0.5F, FALSE);
  }
  mnk_local_when_idle(stream, on_idle, &idle);
  bench_wait(model, &idle);
  ask_in_turns(bench, model, stream);
  return TRUE;
}

gboolean bench_streams(const Bench *bench) {
  g_autoptr(Model) model = bench_model_new(bench);
  gboolean ok = model != NULL && two_streams(bench, model);
  fflush(stdout);
  return ok;
}

gboolean bench_captions(const Bench *bench) {
  g_autoptr(Model) model = bench_model_new(bench);
  gboolean ok = model != NULL && beside_captions(bench, model);
  fflush(stdout);
  return ok;
}
