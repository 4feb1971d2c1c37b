/* Routers over synthetic clusters, one thread.
 *
 *   router_bench score CLUSTERS TOKENS D WORDS PREFILTER   each router: scores of all clusters
 *   router_bench stream SECONDS TOKENS D                   an hour and the like: adding, saving,
 *                                                          restoring, what is held
 *
 * One JSON line per figure: ms is the median, cpu_ms the least time of the CPU, which a busy
 * machine does not lengthen as much. */
#include <cblas.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "memory/memory.h"

enum { ROUNDS = 9 };

static double clock_ms(clockid_t clock) {
  struct timespec now;
  clock_gettime(clock, &now);
  return (double)now.tv_sec * 1e3 + (double)now.tv_nsec / 1e6;
}

typedef struct {
  double wall[ROUNDS], cpu, wall_from, cpu_from;
  guint n;
} Timer;

static void timer_start(Timer *timer) {
  timer->wall_from = clock_ms(CLOCK_MONOTONIC);
  timer->cpu_from = clock_ms(CLOCK_THREAD_CPUTIME_ID);
}

static void timer_stop(Timer *timer) {
  double cpu = clock_ms(CLOCK_THREAD_CPUTIME_ID) - timer->cpu_from;
  timer->wall[timer->n] = clock_ms(CLOCK_MONOTONIC) - timer->wall_from;
  timer->cpu = timer->n == 0 ? cpu : MIN(timer->cpu, cpu);
  timer->n++;
}

static int by_size(const void *a, const void *b) {
  double x = *(const double *)a, y = *(const double *)b;
  return x < y ? -1 : x > y;
}

static double median(Timer *timer) {
  qsort(timer->wall, timer->n, sizeof *timer->wall, by_size);
  return timer->wall[timer->n / 2];
}

/* Even in -1 to 1, fast. */
static void fill(guint64 *state, float *out, gsize n) {
  for (gsize i = 0; i < n; i++) {
    *state = *state * G_GUINT64_CONSTANT(6364136223846793005) + 1442695040888963407;
    out[i] = (float)(gint32)(*state >> 32) * 0x1p-31F;
  }
}

static guint number(const char *text) {
  return (guint)g_ascii_strtoull(text, NULL, 10);
}

/* ---- Scores ---- */

static MnkKeyframes *clusters(guint n, guint tokens, guint dim, guint64 *state) {
  MnkKeyframesConfig config;
  mnk_keyframes_config_init(&config);
  config.buffer_size = 1;
  config.match_ratio = 2;
  config.long_max = n;
  config.detail_bytes_max = 0;
  MnkKeyframes *keyframes = mnk_keyframes_new(&config);
  g_autofree float *rows = g_new(float, (gsize)tokens *dim);
  for (guint i = 0; i < n; i++) {
    gboolean is_new;
    fill(state, rows, (gsize)tokens * dim);
    g_autoptr(MnkTokens) frame = mnk_tokens_new(rows, tokens, dim, 0, (gint64)i * 1000, NULL);
    mnk_keyframes_add(keyframes, frame, &is_new);
  }
  return keyframes;
}

static void score(MnkKeyframes *keyframes, MnkRouterConfig *config, const float *query, guint words,
                  const char *sizes) {
  g_autofree float *scores = g_new(float, mnk_keyframes_count(keyframes));
  Timer timer = {0};
  mnk_route(keyframes, config, query, words, scores);
  while (timer.n < ROUNDS) {
    timer_start(&timer);
    mnk_route(keyframes, config, query, words, scores);
    timer_stop(&timer);
  }
  printf("{\"bench\":\"router\",\"what\":\"%s\",%s,\"prefilter\":%u,\"ms\":%.2f,\"cpu_ms\":%.2f}\n",
         mnk_router_name(config->router), sizes, config->prefilter, median(&timer), timer.cpu);
}

/* What OpenBLAS takes for the products of cos_sim_fine alone, over as many keys in float32. */
static void products_alone(guint keys, guint dim, const float *query, guint words,
                           const char *sizes) {
  enum { BLOCK = 1024 };
  guint64 state = 3;
  g_autofree float *block = g_new(float, (gsize)BLOCK *dim);
  g_autofree float *out = g_new(float, (gsize)BLOCK *words);
  fill(&state, block, (gsize)BLOCK * dim);
  Timer timer = {0};
  while (timer.n < ROUNDS) {
    timer_start(&timer);
    for (guint i = 0; i < keys; i += BLOCK)
      cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasTrans, (int)words, BLOCK, (int)dim, 1, query,
                  (int)dim, block, (int)dim, 0, out, BLOCK);
    timer_stop(&timer);
  }
  printf("{\"bench\":\"router\",\"what\":\"sgemm alone\",%s,\"ms\":%.2f,\"cpu_ms\":%.2f}\n", sizes,
         median(&timer), timer.cpu);
}

static void bench_scores(char **args) {
  guint n = number(args[0]), tokens = number(args[1]), dim = number(args[2]);
  guint words = number(args[3]), prefilter = number(args[4]);
  guint64 state = 1;
  g_autoptr(MnkKeyframes) keyframes = clusters(n, tokens, dim, &state);
  g_autofree float *query = g_new(float, (gsize)words *dim);
  fill(&state, query, (gsize)words * dim);
  MnkIndexerShape shape = {.dim = dim};
  g_autoptr(MnkIndexer) indexer = mnk_indexer_new(&shape, 1);
  g_autofree char *sizes = g_strdup_printf("\"clusters\":%u,\"tokens\":%u,\"dim\":%u,\"words\":%u",
                                           n, tokens, dim, words);
  for (guint router = 0; router < MNK_ROUTER_N; router++) {
    MnkRouterConfig config = {
        .router = (MnkRouter)router, .indexer = indexer, .tau = 0.07F, .prefilter = prefilter};
    score(keyframes, &config, query, words, sizes);
  }
  if (prefilter == 0)
    products_alone(n * tokens, dim, query, words, sizes);
}

/* ---- A stream ---- */

static void report(const char *what, Timer *timer, const char *sizes, double bytes) {
  printf("{\"bench\":\"router\",\"what\":\"%s\",%s,\"ms\":%.2f,\"cpu_ms\":%.2f,\"mb\":%.1f}\n",
         what, sizes, median(timer), timer->cpu, bytes / 1e6);
}

static void bench_snapshot(const MnkKeyframes *keyframes, const char *sizes) {
  Timer save = {0}, restore = {0};
  gsize bytes = 0;
  for (guint i = 0; i < 5; i++) {
    g_autoptr(GByteArray) out = g_byte_array_new();
    timer_start(&save);
    mnk_keyframes_save(keyframes, out);
    timer_stop(&save);
    bytes = out->len;
    timer_start(&restore);
    g_autoptr(MnkKeyframes) restored = mnk_keyframes_restore(out->data, out->len, NULL);
    timer_stop(&restore);
    g_assert_nonnull(restored);
  }
  report("save", &save, sizes, (double)bytes);
  report("restore", &restore, sizes, (double)bytes);
}

static void bench_stream(char **args) {
  guint seconds = number(args[0]), tokens = number(args[1]), dim = number(args[2]);
  gsize values = (gsize)tokens * dim;
  MnkKeyframesConfig config;
  mnk_keyframes_config_init(&config);
  g_autoptr(MnkKeyframes) keyframes = mnk_keyframes_new(&config);
  g_autofree float *scene = g_new(float, values), *rows = g_new(float, values);
  guint64 state = 1;
  gsize most = 0;
  double began = clock_ms(CLOCK_THREAD_CPUTIME_ID);
  for (guint i = 0; i < seconds; i++) {
    gboolean is_new;
    if (i % 5 == 0)
      fill(&state, scene, values);
    fill(&state, rows, values);
    for (gsize j = 0; j < values; j++)
      rows[j] = scene[j] + 0.3F * rows[j];
    g_autoptr(MnkTokens) frame = mnk_tokens_new(rows, tokens, dim, 0, (gint64)i * 1000, NULL);
    mnk_keyframes_add(keyframes, frame, &is_new);
    most = MAX(most, mnk_keyframes_bytes(keyframes));
  }
  double cpu = clock_ms(CLOCK_THREAD_CPUTIME_ID) - began;
  g_autofree char *sizes =
      g_strdup_printf("\"seconds\":%u,\"tokens\":%u,\"dim\":%u", seconds, tokens, dim);
  printf("{\"bench\":\"router\",\"what\":\"stream\",%s,\"cpu_ms_per_frame\":%.2f,\"mb\":%.1f,"
         "\"bound_mb\":%.1f}\n",
         sizes, cpu / seconds, (double)most / 1e6,
         (double)mnk_keyframes_bytes_max(&config, tokens, dim) / 1e6);
  bench_snapshot(keyframes, sizes);
}

int main(int argc, char **argv) {
  if (argc == 7 && g_str_equal(argv[1], "score"))
    bench_scores(argv + 2);
  else if (argc == 5 && g_str_equal(argv[1], "stream"))
    bench_stream(argv + 2);
  else
    g_printerr(
        "usage: router_bench score CLUSTERS TOKENS D WORDS PREFILTER | stream SECONDS TOKENS D\n");
  return argc != 7 && argc != 5;
}
