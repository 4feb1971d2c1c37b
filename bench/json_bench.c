/* Parses three messages with the library that this program is linked with, and prints one JSON line
 * for each: the median, least and greatest of the runs, in nanoseconds per message. */
#include "json_bench.h"

#include <glib.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum { RUNS = 15, IMAGE_BYTES = 45000 };
static const double run_ns = 1e8;

static char *make_ack(void) {
  return g_strdup("{\"type\":\"ack\",\"frame_index\":1234,\"timestamp\":51.433,\"queued\":2,"
                  "\"dropped\":0}");
}

static char *make_frame(void) {
  g_autofree guint8 *image = g_malloc(IMAGE_BYTES);
  g_autoptr(GRand) rand = g_rand_new_with_seed(7);
  for (gsize i = 0; i < IMAGE_BYTES; i++)
    image[i] = (guint8)g_rand_int_range(rand, 0, 256);
  g_autofree char *text = g_base64_encode(image, IMAGE_BYTES);
  return g_strdup_printf("{\"type\":\"frame\",\"frame_index\":1234,\"timestamp\":51.433,"
                         "\"image_base64\":\"%s\"}",
                         text);
}

static char *make_observation(void) {
  GString *out = g_string_new("{\"type\":\"frame\",\"seq\":1234,\"epoch\":0,\"pts_ms\":51433,"
                              "\"arrival_us\":1735689600123456,\"step_ms\":1000,"
                              "\"change\":0.0312,\"luma\":0.4711,\"contrast\":0.2203,"
                              "\"motion\":{\"dx\":0.0125,\"dy\":-0.0031,\"zoom\":0.0004,"
                              "\"rotation\":0.0001,\"inliers\":0.93},\"objects\":[");
  static const char *const names[] = {"person", "bicycle", "car", "dog", "traffic light", "bench"};
  for (guint i = 0; i < 18; i++)
    g_string_append_printf(out,
                           "%s{\"name\":\"%s\",\"score\":0.%03u,\"box\":[0.%04u,0.%04u,0.%04u,"
                           "0.%04u]}",
                           i ? "," : "", names[i % G_N_ELEMENTS(names)], 500 + i * 13,
                           1000 + i * 97, 2000 + i * 31, 1500 + i * 11, 3100 + i * 7);
  g_string_append(out, "]}");
  return g_string_free(out, FALSE);
}

static int compare(const void *a, const void *b) {
  double x = *(const double *)a, y = *(const double *)b;
  return (x > y) - (x < y);
}

/* Processor time of this thread, so that other work on the machine counts little. */
static double now_ns(void) {
  struct timespec now;
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return (double)now.tv_sec * 1e9 + (double)now.tv_nsec;
}

/* Nanoseconds per message over one run. */
static double run(const char *text, gsize length) {
  double start = now_ns(), spent = 0;
  guint64 n = 0;
  while (spent < run_ns) {
    for (guint i = 0; i < 64; i++)
      if (!json_bench_parse(text, length))
        g_error("%s does not parse: %.60s", json_bench_library, text);
    n += 64;
    spent = now_ns() - start;
  }
  return spent / (double)n;
}

int main(void) {
  static const struct {
    const char *name;
    char *(*make)(void);
  } messages[] = {{"ack", make_ack}, {"observation", make_observation}, {"frame", make_frame}};
  for (guint m = 0; m < G_N_ELEMENTS(messages); m++) {
    g_autofree char *text = messages[m].make();
    gsize length = strlen(text);
    double ns[RUNS];
    run(text, length);
    for (guint i = 0; i < RUNS; i++)
      ns[i] = run(text, length);
    qsort(ns, RUNS, sizeof ns[0], compare);
    printf("{\"bench\":\"json\",\"library\":\"%s\",\"message\":\"%s\",\"bytes\":%zu,"
           "\"median_ns\":%.0f,\"min_ns\":%.0f,\"max_ns\":%.0f}\n",
           json_bench_library, messages[m].name, length, ns[RUNS / 2], ns[0], ns[RUNS - 1]);
  }
  return 0;
}
