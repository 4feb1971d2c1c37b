#include "bench.h"

#include <math.h>
#include <string.h>
#include <unistd.h>

enum { PATIENCE_S = 60, SIDE = 112 };

/* ---- As the worker ---- */

static const char *argument(int argc, char **argv, const char *name) {
  gsize length = strlen(name);
  for (int i = 1; i < argc; i++) {
    if (strncmp(argv[i], name, length) != 0)
      continue;
    if (argv[i][length] == '=')
      return argv[i] + length + 1;
    if (argv[i][length] == '\0' && i + 1 < argc)
      return argv[i + 1];
  }
  return NULL;
}

static int run_probe(int argc, char **argv) {
  const char *model = argument(argc, argv, "--model-path");
  MnkVlmConfig config;
  if (model != NULL && strstr(model, "hang") != NULL)
    pause();
  if (model != NULL && strstr(model, "abort") != NULL)
    abort();
  mnk_vlm_config_init(&config);
  config.model = argument(argc, argv, "--model-path");
  config.mmproj = argument(argc, argv, "--mmproj");
  config.threads = config.threads_batch = 1;
  config.context = 1024;
  return mnk_local_probe_run(&config);
}

int bench_main(int argc, char **argv, void (*add_tests)(void)) {
  const char *kind = argument(argc, argv, "--kind"), *fd = argument(argc, argv, "--fd");
  if (kind != NULL && g_str_equal(kind, "probe"))
    return run_probe(argc, argv);
  if (kind != NULL && fd != NULL)
    return mnk_local_worker_run((int)g_ascii_strtoll(fd, NULL, 10));
  g_test_init(&argc, &argv, NULL);
  add_tests();
  return g_test_run();
}

/* ---- The model ---- */

gboolean bench_begin(Bench *bench, const char *family) {
  const char *models = g_getenv("MANAKO_TINY_MODELS");
  *bench = (Bench){0};
  if (!mnk_vlm_is_built() || models == NULL) {
    g_test_skip("this build has no library for local models");
    return FALSE;
  }
  g_autofree char *folder = g_build_filename(models, family, NULL);
  bench->settings = mnk_settings_new();
  bench_set(bench, MNK_OPT_MODEL_PATH, folder);
  bench_set(bench, MNK_OPT_MODEL_THREADS, "1");
  bench_set(bench, MNK_OPT_MODEL_THREADS_BATCH, "1");
  bench_set(bench, MNK_OPT_MODEL_CONTEXT, "4096");
  bench_set(bench, MNK_OPT_VISION_BUDGET, "1");
  bench_set(bench, MNK_OPT_VISION_QUEUE, "100");
  bench_set(bench, MNK_OPT_TEMPERATURE, "0");
  return TRUE;
}

void bench_set(Bench *bench, MnkOptionId id, const char *value) {
  g_autoptr(GError) error = NULL;
  mnk_settings_set(bench->settings, id, value, &error);
  g_assert_no_error(error);
}

static void on_changed(gpointer user) {
  ((Bench *)user)->changes++;
}

void bench_start(Bench *bench) {
  g_autoptr(GError) error = NULL;
  mnk_local_new(bench->settings, on_changed, bench, &bench->local, &error);
  g_assert_no_error(error);
  g_assert_nonnull(bench->local);
}

void bench_start_ready(Bench *bench) {
  bench_start(bench);
  bench_wait_state(bench, MNK_LOCAL_READY);
}

void bench_end(Bench *bench) {
  mnk_local_free(bench->local);
  mnk_settings_free(bench->settings);
}

MnkLocalStream *bench_open(Bench *bench, const char *id, GBytes *snapshot) {
  g_autoptr(GError) error = NULL;
  MnkLocalStream *stream = mnk_local_open(bench->local, id, bench->settings, snapshot, &error);
  g_assert_no_error(error);
  g_assert_true(mnk_local_find_stream(bench->local, id) == stream);
  return stream;
}

/* ---- Waiting ---- */

static gboolean on_pass(gpointer user) {
  *(gboolean *)user = TRUE;
  return G_SOURCE_REMOVE;
}

void bench_wait(const gboolean *flag) {
  gboolean late = FALSE;
  guint timer = g_timeout_add_seconds(PATIENCE_S, on_pass, &late);
  while (!*flag && !late)
    g_main_context_iteration(NULL, TRUE);
  g_assert_false(late);
  g_source_remove(timer);
}

void bench_wait_state(Bench *bench, MnkLocalState state) {
  gboolean late = FALSE;
  guint timer = g_timeout_add_seconds(PATIENCE_S, on_pass, &late);
  while (mnk_local_state(bench->local) != state && !late) {
    if (mnk_local_state(bench->local) == MNK_LOCAL_FAILED)
      g_error("the model failed: %s", mnk_local_detail(bench->local));
    g_main_context_iteration(NULL, TRUE);
  }
  g_assert_false(late);
  g_source_remove(timer);
}

static void on_idle(gpointer user) {
  *(gboolean *)user = TRUE;
}

void bench_wait_idle(MnkLocalStream *stream) {
  gboolean idle = FALSE;
  mnk_local_when_idle(stream, on_idle, &idle);
  bench_wait(&idle);
}

void bench_pass(guint ms) {
  gboolean over = FALSE;
  g_timeout_add(ms, on_pass, &over);
  bench_wait(&over);
}

/* ---- Frames ---- */

GBytes *bench_picture(const char *colour) {
  static const struct {
    const char *name;
    guint8 rgb[3];
  } COLOURS[] = {{"red", {255, 0, 0}},      {"green", {0, 255, 0}},     {"blue", {0, 0, 255}},
                 {"yellow", {255, 255, 0}}, {"white", {255, 255, 255}}, {"black", {0, 0, 0}}};
  g_autofree guint8 *rgb = g_malloc(SIDE * SIDE * 3);
  g_autoptr(GError) error = NULL;
  guint k = 0;
  while (k < G_N_ELEMENTS(COLOURS) - 1 && !g_str_equal(COLOURS[k].name, colour))
    k++;
  for (gsize i = 0; i < SIDE * SIDE; i++)
    memcpy(rgb + 3 * i, COLOURS[k].rgb, 3);
  g_autoptr(MnkFrame) frame = mnk_frame_new_rgb(rgb, SIDE, SIDE, SIDE * 3, 0);
  GBytes *jpeg = mnk_frame_to_jpeg(frame, 95, &error);
  g_assert_no_error(error);
  return jpeg;
}

void bench_show(MnkLocalStream *stream, const char *colour, guint from, guint n) {
  g_autoptr(GBytes) jpeg = bench_picture(colour);
  for (guint i = 0; i < n; i++)
    mnk_local_frame(stream, jpeg, (gint64)(from + i) * 1000, i == 0 ? 1 : 0.5F, i == 0);
}

/* ---- Questions ---- */

void bench_question_init(MnkLocalQuestion *question, const char *text) {
  *question = (MnkLocalQuestion){
      .question = text,
      .log = "",
      .lang = "en",
      .router = MNK_ROUTER_COS_SIM_FINE,
      .topk = 1,
      .recent = 2,
      .tokens_max = 16,
      .history = MNK_HISTORY_ALWAYS,
      .margin = 0.02F,
      .deadline_us = g_get_monotonic_time() + PATIENCE_S * G_USEC_PER_SEC,
  };
}

static void on_piece(const char *text, gpointer user) {
  g_string_append(((Answer *)user)->heard, text);
}

static void on_answer(const MnkLocalAnswer *told, const GError *error, gpointer user) {
  Answer *answer = user;
  g_assert_false(answer->done);
  g_assert_true((told != NULL) != (error != NULL));
  answer->done = TRUE;
  answer->error = error != NULL ? g_error_copy(error) : NULL;
  if (told == NULL)
    return;
  answer->text = g_strdup(told->text);
  answer->finish = g_strdup(told->finish);
  answer->evidence = g_array_copy(told->evidence);
  answer->history = told->history;
  answer->prompt_tokens = told->prompt_tokens;
  answer->visual_tokens = told->visual_tokens;
  answer->cached_tokens = told->cached_tokens;
  answer->answer_tokens = told->answer_tokens;
  g_assert_cmpstr(answer->heard->str, ==, told->text);
}

MnkLocalAsk *bench_ask_later(MnkLocalStream *stream, const MnkLocalQuestion *question,
                             Answer *answer) {
  const MnkLocalEvents events = {on_piece, on_answer};
  *answer = (Answer){.heard = g_string_new(NULL)};
  return mnk_local_ask(stream, question, &events, answer);
}

void bench_ask(MnkLocalStream *stream, const MnkLocalQuestion *question, Answer *answer) {
  bench_ask_later(stream, question, answer);
  g_assert_false(answer->done);
  bench_wait(&answer->done);
}

void bench_answer_clear(Answer *answer) {
  g_free(answer->text);
  g_free(answer->finish);
  g_clear_pointer(&answer->evidence, g_array_unref);
  g_clear_error(&answer->error);
  g_string_free(answer->heard, TRUE);
}

typedef struct {
  gboolean done;
  GBytes *bytes;
  GError *error;
  float probability;
  gint64 pts_ms;
} Told;

static void on_saved(GBytes *snapshot, const GError *error, gpointer user) {
  Told *told = user;
  told->done = TRUE;
  told->bytes = snapshot != NULL ? g_bytes_ref(snapshot) : NULL;
  told->error = error != NULL ? g_error_copy(error) : NULL;
}

GBytes *bench_save(MnkLocalStream *stream, GError **error) {
  Told told = {0};
  mnk_local_save(stream, on_saved, &told);
  bench_wait(&told.done);
  if (told.error != NULL)
    g_propagate_error(error, told.error);
  return told.bytes;
}

static void on_likely(float probability, gint64 pts_ms, const GError *error, gpointer user) {
  Told *told = user;
  told->done = TRUE;
  told->probability = probability;
  told->pts_ms = pts_ms;
  told->error = error != NULL ? g_error_copy(error) : NULL;
}

float bench_likely(MnkLocalStream *stream, const char *question, gint64 *pts_ms) {
  Told told = {0};
  mnk_local_likely(stream, question, "en", on_likely, &told);
  bench_wait(&told.done);
  g_assert_no_error(told.error);
  *pts_ms = told.pts_ms;
  return told.probability;
}

void bench_check_counts(Bench *bench, MnkLocalStream *stream) {
  MnkLocalCounters all;
  MnkLocalMemory memory;
  mnk_local_counters(bench->local, &all);
  g_assert_cmpuint(all.frames, ==, all.encoded + all.left_out + all.waiting);
  if (stream == NULL)
    return;
  mnk_local_memory(stream, &memory);
  g_assert_cmpuint(memory.frames, ==, memory.encoded + memory.left_out + memory.waiting);
  g_assert_cmpuint(memory.bytes, <=, memory.bytes_max);
}
