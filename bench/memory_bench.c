/* The memory at work, one thread. memory.py runs it and compares.
 *
 *   memory_bench kmeans FILE K P D FRAMES   updates over the frames in FILE (floats), and what the
 *                                           plain loops and the products alone take
 *   memory_bench halves                     float16 <-> float32
 *   memory_bench drop D P                   token dropping
 *   memory_bench day D K P SECONDS          frames of a synthetic stream, one a second: what is
 *                                           held each hour, and the snapshot
 *
 * Prints one JSON line. */
#include <cblas.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "memory/memory.h"

static double now_ms(void) {
  return (double)g_get_monotonic_time() / 1e3;
}

static gint compare_doubles(gconstpointer a, gconstpointer b) {
  double x = *(const double *)a, y = *(const double *)b;
  return x < y ? -1 : x > y;
}

static double median(GArray *times) {
  g_array_sort(times, compare_doubles);
  return g_array_index(times, double, times->len / 2);
}

/* ---- K-means ---- */

typedef struct {
  guint k, p, d;
  float *centres;
  double *counts;
  guint *labels; /* k + p */
} Plain;

static guint plain_nearest(const Plain *plain, const float *row) {
  guint best = 0;
  float least = INFINITY;
  for (guint i = 0; i < plain->k; i++) {
    const float *centre = plain->centres + (gsize)i * plain->d;
    float sum = 0;
    for (guint j = 0; j < plain->d; j++)
      sum += (row[j] - centre[j]) * (row[j] - centre[j]);
    if (sum < least) {
      least = sum;
      best = i;
    }
  }
  return best;
}

/* The update as one would write it down. shortcut: in the first iteration the centres keep their
 * labels. Returns how many centres the first iteration changes. */
static guint plain_update(Plain *plain, const float *rows, gboolean shortcut) {
  guint n = plain->k + plain->p, d = plain->d, changed = 0;
  gsize centres = (gsize)plain->k * d;
  g_autofree float *data = g_new(float, (gsize)n *d);
  g_autofree double *weights = g_new(double, n), *counts = g_new(double, plain->k);
  g_autofree double *sums = g_new(double, centres);
  memcpy(data, plain->centres, centres * sizeof(float));
  memcpy(data + centres, rows, (gsize)plain->p * d * sizeof(float));
  for (guint i = 0; i < n; i++)
    weights[i] = i < plain->k ? plain->counts[i] : 1;
  for (guint iteration = 0; iteration < 2; iteration++) {
    for (guint i = 0; i < n; i++)
      plain->labels[i] = shortcut && iteration == 0 && i < plain->k
                             ? i
                             : plain_nearest(plain, data + (gsize)i * d);
    memset(sums, 0, centres * sizeof *sums);
    memset(counts, 0, plain->k * sizeof *counts);
    for (guint i = 0; i < n; i++) {
      double *sum = sums + (gsize)plain->labels[i] * d;
      for (guint j = 0; j < d; j++)
        sum[j] += weights[i] * data[(gsize)i * d + j];
      counts[plain->labels[i]] += weights[i];
    }
    for (guint i = 0; i < plain->k; i++) {
      changed += iteration == 0 && counts[i] != weights[i];
      for (guint j = 0; j < d && counts[i] > 0; j++)
        plain->centres[(gsize)i * d + j] = (float)(sums[(gsize)i * d + j] / counts[i]);
    }
  }
  memcpy(plain->counts, counts, plain->k * sizeof *counts);
  return changed;
}

static void product(const float *a, guint m, const float *b, guint n, guint d, float *out) {
  cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasTrans, (int)m, (int)n, (int)d, 1, a, (int)d, b,
              (int)d, 0, out, (int)n);
}

typedef struct {
  guint k, p, d, frames;
  float *rows;
} KmeansWork;

static const float *frame_rows(const KmeansWork *work, guint frame) {
  return work->rows + (gsize)frame * work->p * work->d;
}

/* The products of one update that changes so many centres: new rows with all centres, and once
 * more with the changed ones; the rows that those were, with all. */
static double time_products(const KmeansWork *work, const float *centres, const float *rows,
                            guint changed, float *out) {
  double start = now_ms();
  product(rows, work->p, centres, work->k, work->d, out);
  product(rows, work->p, centres, changed, work->d, out);
  product(centres, changed, centres, work->k, work->d, out);
  return now_ms() - start;
}

static void report_kmeans(const KmeansWork *work) {
  MnkTokenMemoryConfig config = {
      .tokens = work->k, .dim = work->d, .iterations = 2, .mode = MNK_TOKEN_MEMORY_KMEANS};
  g_autoptr(GError) error = NULL;
  g_autoptr(MnkTokenMemory) memory = mnk_token_memory_new(&config, &error);
  if (memory == NULL)
    g_error("%s", error->message);
  g_autoptr(GArray) ours = g_array_new(FALSE, FALSE, sizeof(double));
  g_autoptr(GArray) products = g_array_new(FALSE, FALSE, sizeof(double));
  gsize floats = (gsize)work->k * work->d;
  Plain plain = {work->k,
                 work->p,
                 work->d,
                 g_new(float, floats),
                 g_new(double, work->k),
                 g_new(guint, work->k + work->p)};
  g_autofree float *out = g_new(float, (gsize)work->k *MAX(work->k, work->p));
  guint fill = work->k / work->p, changed = 0, labels_apart = 0, n;
  double plain_ms = 0, shortcut_ms = 0;
  float apart = 0;
  for (guint i = 0; i < work->frames; i++) {
    const float *rows = frame_rows(work, i);
    gboolean last = i + 1 == work->frames;
    if (last) { /* from the same state, the plain loops: with the shortcut last, for comparison */
      for (guint way = 0; way < 2; way++) {
        memcpy(plain.centres, mnk_token_memory_centres(memory), floats * sizeof(float));
        for (guint c = 0; c < work->k; c++)
          plain.counts[c] = mnk_token_memory_stats(memory)[c].count;
        double start = now_ms();
        changed = plain_update(&plain, rows, way == 1);
        *(way == 1 ? &shortcut_ms : &plain_ms) = now_ms() - start;
      }
    }
    double start = now_ms();
    mnk_token_memory_add_rows(memory, rows, work->p, 0, (gint64)i * 1000);
    double took = now_ms() - start;
    if (i < fill)
      continue;
    g_array_append_val(ours, took);
    took = time_products(work, mnk_token_memory_centres(memory), rows, work->p, out);
    g_array_append_val(products, took);
  }
  const guint32 *labels = mnk_token_memory_labels(memory, &n);
  for (guint i = 0; i < work->p; i++)
    labels_apart += labels[i] != plain.labels[work->k + i];
  for (gsize i = 0; i < floats; i++)
    apart = MAX(apart, fabsf(plain.centres[i] - mnk_token_memory_centres(memory)[i]));
  double ms = median(ours), products_ms = median(products);
  printf("{\"ms\":%.3f,\"sgemm_ms\":%.3f,\"of_sgemm\":%.2f,\"plain_ms\":%.1f,"
         "\"plain_shortcut_ms\":%.1f,\"times_plain\":%.1f,\"times_plain_shortcut\":%.1f,"
         "\"changed\":%u,\"labels_apart\":%u,\"centres_apart\":%.2g,\"bytes\":%zu}\n",
         ms, products_ms, ms / products_ms, plain_ms, shortcut_ms, plain_ms / ms, shortcut_ms / ms,
         changed, labels_apart, (double)apart, mnk_token_memory_bytes(memory));
  g_free(plain.centres);
  g_free(plain.counts);
  g_free(plain.labels);
}

static guint number(const char *text) {
  guint64 value;
  if (!g_ascii_string_to_unsigned(text, 10, 1, 1 << 24, &value, NULL))
    g_error("%s is no number", text);
  return (guint)value;
}

static void measure_kmeans(char **arguments) {
  KmeansWork work = {number(arguments[1]), number(arguments[2]), number(arguments[3]),
                     number(arguments[4]), NULL};
  g_autofree char *bytes = NULL;
  gsize length;
  if (!g_file_get_contents(arguments[0], &bytes, &length, NULL) ||
      length != (gsize)work.frames * work.p * work.d * sizeof(float))
    g_error("%s is not of this shape", arguments[0]);
  work.rows = (float *)(void *)bytes;
  report_kmeans(&work);
}

/* ---- float16 ---- */

static double best_ms(double ms, double took) {
  return ms <= 0 || took < ms ? took : ms;
}

static void measure_halves(void) {
  enum { VALUES = 512 * 2048, ROUNDS = 50 };
  g_autofree float *floats = g_new(float, VALUES);
  g_autofree guint16 *halves = g_new(guint16, VALUES);
  for (guint i = 0; i < VALUES; i++)
    floats[i] = (float)(i % 4001) / 1000 - 2;
  double there = 0, back = 0, copy = 0;
  for (guint i = 0; i < ROUNDS; i++) {
    double start = now_ms();
    mnk_half_from_float(floats, halves, VALUES);
    double between = now_ms();
    mnk_half_to_float(halves, floats, VALUES);
    double end = now_ms();
    there = best_ms(there, between - start);
    back = best_ms(back, end - between);
    memcpy(halves, floats, VALUES * sizeof *halves);
    copy = best_ms(copy, now_ms() - end);
  }
  const double values_in_g = VALUES / 1e6; /* per millisecond */
  printf("{\"values\":%d,\"to_half_g_per_s\":%.2f,\"to_float_g_per_s\":%.2f,"
         "\"copy_of_halves_g_per_s\":%.2f}\n",
         VALUES, values_in_g / there, values_in_g / back, values_in_g / copy);
}

/* ---- A synthetic stream: scenes that last, with noise in some of their tokens ---- */

typedef struct {
  guint d, p;
  guint64 state; /* of the generator */
  float *scene, *rows;
} Stream;

static float noise(Stream *stream) { /* even in -1 to 1 */
  stream->state = stream->state * 6364136223846793005U + 1442695040888963407U;
  return (float)(gint32)(stream->state >> 32) / 2147483648.0F;
}

static MnkTokens *next_frame(Stream *stream, guint second) {
  enum { SCENE_S = 20, NOISY = 3 };
  gsize values = (gsize)stream->p * stream->d;
  for (gsize i = 0; i < values && second % SCENE_S == 0; i++)
    stream->scene[i] = noise(stream);
  for (guint token = 0; token < stream->p; token++) {
    gboolean noisy = token % NOISY == second % NOISY;
    for (gsize i = (gsize)token * stream->d; i < (gsize)(token + 1) * stream->d; i++)
      stream->rows[i] = stream->scene[i] + (noisy ? noise(stream) : 0);
  }
  g_autoptr(GError) error = NULL;
  MnkTokens *tokens =
      mnk_tokens_new(stream->rows, stream->p, stream->d, 0, (gint64)second * 1000, &error);
  if (tokens == NULL)
    g_error("%s", error->message);
  return tokens;
}

static void begin_stream(Stream *stream, guint d, guint p) {
  *stream = (Stream){.d = d, .p = p, .state = 1};
  stream->scene = g_new(float, (gsize)p *d);
  stream->rows = g_new(float, (gsize)p *d);
}

static void end_stream(Stream *stream) {
  g_free(stream->scene);
  g_free(stream->rows);
}

/* ---- Token dropping ---- */

static void measure_drop(char **arguments) {
  enum { FRAMES = 200 };
  Stream stream;
  begin_stream(&stream, number(arguments[0]), number(arguments[1]));
  MnkTokenDropConfig config = {.threshold = 0.5F, .refresh = 16, .window = 32, .deviations = 2};
  g_autoptr(MnkTokenDrop) drop = mnk_token_drop_new(&config);
  g_autofree guint8 *keep = g_malloc(stream.p);
  double ms = 0;
  guint kept = 0, boundaries = 0;
  for (guint i = 0; i < FRAMES; i++) {
    g_autoptr(MnkTokens) frame = next_frame(&stream, i);
    float score;
    gboolean boundary;
    double start = now_ms();
    kept += mnk_token_drop_add(drop, frame, keep, &score, &boundary);
    ms += now_ms() - start;
    boundaries += boundary != FALSE;
  }
  printf("{\"ms\":%.3f,\"kept\":%.3f,\"boundaries\":%u,\"scenes\":%d}\n", ms / FRAMES,
         (double)kept / (FRAMES * stream.p), boundaries, FRAMES / 20);
  end_stream(&stream);
}

/* ---- A day ---- */

static gsize resident_bytes(void) {
  g_autofree char *text = NULL;
  if (!g_file_get_contents("/proc/self/statm", &text, NULL, NULL))
    return 0;
  char **words = g_strsplit(text, " ", 3);
  gsize pages = words[0] != NULL && words[1] != NULL ? g_ascii_strtoull(words[1], NULL, 10) : 0;
  g_strfreev(words);
  return pages * (gsize)sysconf(_SC_PAGESIZE);
}

typedef struct {
  GArray *held, *resident; /* of gsize: each hour */
} Day;

static void look(Day *day, const MnkTokenMemory *memory, const MnkKeyframes *keyframes) {
  gsize held = mnk_token_memory_bytes(memory) + mnk_keyframes_bytes(keyframes);
  gsize resident = resident_bytes();
  g_array_append_val(day->held, held);
  g_array_append_val(day->resident, resident);
}

static void print_megabytes(const char *name, const GArray *bytes) {
  printf("\"%s\":[", name);
  for (guint i = 0; i < bytes->len; i++)
    printf("%s%.2f", i > 0 ? "," : "", (double)g_array_index(bytes, gsize, i) / 1e6);
  printf("],");
}

/* Save and restore of both, the best of a few; what is restored must save the same bytes. */
static void report_snapshot(const MnkTokenMemory *memory, const MnkKeyframes *keyframes) {
  enum { ROUNDS = 5 };
  g_autoptr(GByteArray) first = g_byte_array_new();
  double save = 0, restore = 0;
  gboolean same = TRUE;
  mnk_token_memory_save(memory, first);
  guint at = first->len;
  mnk_keyframes_save(keyframes, first);
  for (guint i = 0; i < ROUNDS; i++) {
    g_autoptr(GError) error = NULL;
    g_autoptr(GByteArray) bytes = g_byte_array_new();
    double start = now_ms();
    g_autoptr(MnkTokenMemory) memory_2 = mnk_token_memory_restore(first->data, at, &error);
    g_autoptr(MnkKeyframes) keyframes_2 =
        memory_2 == NULL ? NULL : mnk_keyframes_restore(first->data + at, first->len - at, &error);
    if (keyframes_2 == NULL)
      g_error("%s", error->message);
    double between = now_ms();
    mnk_token_memory_save(memory_2, bytes);
    mnk_keyframes_save(keyframes_2, bytes);
    save = best_ms(save, now_ms() - between);
    restore = best_ms(restore, between - start);
    same = same && bytes->len == first->len && memcmp(bytes->data, first->data, first->len) == 0;
  }
  printf("\"snapshot_mb\":%.2f,\"save_ms\":%.1f,\"restore_ms\":%.1f,\"same\":%s", first->len / 1e6,
         save, restore, same ? "true" : "false");
}

static void measure_day(char **arguments) {
  guint k = number(arguments[1]), seconds = number(arguments[3]);
  Stream stream;
  begin_stream(&stream, number(arguments[0]), number(arguments[2]));
  MnkTokenMemoryConfig config = {.tokens = k, .dim = stream.d, .iterations = 2};
  MnkKeyframesConfig keyframes_config;
  mnk_keyframes_config_init(&keyframes_config);
  g_autoptr(GError) error = NULL;
  g_autoptr(MnkTokenMemory) memory = mnk_token_memory_new(&config, &error);
  if (memory == NULL)
    g_error("%s", error->message);
  g_autoptr(MnkKeyframes) keyframes = mnk_keyframes_new(&keyframes_config);
  g_autoptr(GArray) held = g_array_new(FALSE, FALSE, sizeof(gsize));
  g_autoptr(GArray) resident = g_array_new(FALSE, FALSE, sizeof(gsize));
  Day day = {held, resident};
  double memory_ms = 0, keyframes_ms = 0;
  for (guint i = 0; i < seconds; i++) {
    g_autoptr(MnkTokens) frame = next_frame(&stream, i);
    gboolean is_new;
    double start = now_ms();
    mnk_token_memory_add(memory, frame);
    double between = now_ms();
    mnk_keyframes_add(keyframes, frame, &is_new);
    memory_ms += between - start;
    keyframes_ms += now_ms() - between;
    if (i % 3600 == 3599)
      look(&day, memory, keyframes);
  }
  printf("{");
  print_megabytes("held_mb", held);
  print_megabytes("resident_mb", resident);
  printf("\"bound_mb\":%.2f,\"clusters\":%u,\"token_memory_ms\":%.3f,\"keyframes_ms\":%.3f,",
         (double)(mnk_keyframes_bytes_max(&keyframes_config, stream.p, stream.d)) / 1e6,
         mnk_keyframes_count(keyframes), memory_ms / seconds, keyframes_ms / seconds);
  report_snapshot(memory, keyframes);
  printf("}\n");
  end_stream(&stream);
}

int main(int argc, char **argv) {
  openblas_set_num_threads(1);
  if (argc == 7 && strcmp(argv[1], "kmeans") == 0)
    measure_kmeans(argv + 2);
  else if (argc == 2 && strcmp(argv[1], "halves") == 0)
    measure_halves();
  else if (argc == 4 && strcmp(argv[1], "drop") == 0)
    measure_drop(argv + 2);
  else if (argc == 6 && strcmp(argv[1], "day") == 0)
    measure_day(argv + 2);
  else
    g_error("usage: see the beginning of memory_bench.c");
  return 0;
}
