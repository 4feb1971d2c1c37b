#include "memory/late_priv.h"
#include "support.h"

#include <math.h>
#include <string.h>

typedef enum { RANDOM, CONSTANT, ONE_LARGE, NEARLY_ALIKE, ZEROS, KINDS } Numbers;

static void make(GRand *rand, Numbers numbers, guint n, guint dim, float *out) {
  g_autofree float *noise = random_floats(rand, (gsize)n * dim);
  for (guint row = 0; row < n; row++) {
    for (guint i = 0; i < dim; i++) {
      float value = noise[(gsize)row * dim + i];
      if (numbers == CONSTANT)
        value = 0.01F * (float)(1 + row % 5);
      else if (numbers == ONE_LARGE && i == row % dim)
        value = 4000;
      else if (numbers == NEARLY_ALIKE)
        value = noise[i] + 0.001F * value;
      else if (numbers == ZEROS && row % 3 != 0)
        value = 0;
      out[(gsize)row * dim + i] = value;
    }
  }
}

static gboolean has(MnkLateKind kind) {
  return kind <= mnk_late_kind();
}

static void check_kind(MnkLateKind kind, Numbers numbers, guint words, guint n_keys, guint dim) {
  g_autoptr(GRand) rand = g_rand_new_with_seed(words + 100 * n_keys + dim);
  g_autofree float *query = g_new(float, (gsize)words *dim);
  g_autofree float *keys = g_new(float, (gsize)n_keys *dim);
  g_autofree guint16 *halves = g_new(guint16, (gsize)n_keys * dim);
  g_autofree float *inverse = g_new(float, n_keys), *best = g_new(float, words);
  make(rand, numbers, words, dim, query);
  make(rand, numbers, n_keys, dim, keys);
  mnk_half_from_float(keys, halves, (gsize)n_keys * dim);
  mnk_half_to_float(halves, keys, (gsize)n_keys * dim);
  for (guint i = 0; i < n_keys; i++) {
    double square = 0;
    for (guint j = 0; j < dim; j++)
      square += (double)keys[(gsize)i * dim + j] * (double)keys[(gsize)i * dim + j];
    inverse[i] = square > 0 ? (float)(1 / sqrt(square)) : 0;
  }
  g_autoptr(MnkLateQuery) late = mnk_late_query_new(query, words, dim, kind);
  mnk_late_best(late, halves, inverse, n_keys, best);
  for (guint s = 0; s < words; s++) {
    double most = -INFINITY, square = 0;
    const float *word = query + (gsize)s * dim;
    for (guint j = 0; j < dim; j++)
      square += (double)word[j] * (double)word[j];
    for (guint i = 0; i < n_keys; i++) {
      double sum = 0;
      for (guint j = 0; j < dim; j++)
        sum += (double)word[j] * (double)keys[(gsize)i * dim + j];
      most = MAX(most, square > 0 ? sum * (double)inverse[i] / sqrt(square) : 0);
    }
    g_assert_cmpfloat_with_epsilon((double)best[s], most, 3e-6);
  }
}

static void check_all(gconstpointer data) {
  MnkLateKind kind = (MnkLateKind)GPOINTER_TO_INT(data);
  static const guint SIZES[][3] = {{1, 1, 1},    {3, 5, 7},      {8, 16, 16},   {4, 17, 33},
                                   {24, 64, 64}, {25, 31, 100},  {9, 65, 255},  {6, 32, 576},
                                   {7, 40, 577}, {2, 108, 2048}, {11, 20, 3584}};
  if (!has(kind)) {
    g_test_skip("this CPU has no such instructions");
    return;
  }
  for (guint numbers = 0; numbers < KINDS; numbers++)
    for (guint i = 0; i < G_N_ELEMENTS(SIZES); i++)
      check_kind(kind, (Numbers)numbers, SIZES[i][0], SIZES[i][1], SIZES[i][2]);
}

/* The same question gives the same bits, also after other ones. */
static void test_repeats(void) {
  g_autoptr(GRand) rand = g_rand_new_with_seed(1);
  g_autofree float *query = random_floats(rand, 5 * 96), *keys = random_floats(rand, 70 * 96);
  guint16 halves[70 * 96];
  float inverse[70], first[5], again[5], between[5];
  mnk_half_from_float(keys, halves, G_N_ELEMENTS(halves));
  for (guint i = 0; i < 70; i++)
    inverse[i] = 0.1F;
  g_autoptr(MnkLateQuery) late = mnk_late_query_new(query, 5, 96, mnk_late_kind());
  mnk_late_best(late, halves, inverse, 33, first);
  mnk_late_best(late, halves, inverse, 70, between);
  mnk_late_best(late, halves, inverse, 33, again);
  g_assert_cmpmem(first, sizeof first, again, sizeof again);
}

static void check_panels(guint n, guint dim, guint words) {
  g_autoptr(GRand) rand = g_rand_new_with_seed(n + dim);
  g_autofree float *keys = random_floats(rand, (gsize)n * dim);
  g_autofree float *query = random_floats(rand, (gsize)words * dim);
  g_autofree float *panels = g_new(float, mnk_panels_size(n, dim)), *best = g_new(float, words);
  mnk_panels_fill(keys, n, dim, panels);
  mnk_panels_best(panels, n, dim, query, words, best);
  for (guint s = 0; s < words; s++) {
    double most = -INFINITY;
    for (guint i = 0; i < n; i++) {
      double sum = 0;
      for (guint j = 0; j < dim; j++)
        sum += (double)query[s * dim + j] * (double)keys[i * dim + j];
      most = MAX(most, sum);
    }
    g_assert_cmpfloat_with_epsilon((double)best[s], most, 1e-5);
  }
}

static void test_panels(void) {
  check_panels(1, 1, 1);
  check_panels(15, 4, 7);
  check_panels(16, 32, 6);
  check_panels(17, 48, 13);
  check_panels(64, 64, 96);
}

int main(int argc, char **argv) {
  g_test_init(&argc, &argv, NULL);
  g_test_add_data_func("/late/plain", GINT_TO_POINTER(MNK_LATE_PLAIN), check_all);
  g_test_add_data_func("/late/avx2", GINT_TO_POINTER(MNK_LATE_AVX2), check_all);
  g_test_add_data_func("/late/vnni", GINT_TO_POINTER(MNK_LATE_VNNI), check_all);
  g_test_add_func("/late/repeats", test_repeats);
  g_test_add_func("/late/panels", test_panels);
  return g_test_run();
}
