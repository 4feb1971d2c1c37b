#include "memory/late_priv.h"

#include <math.h>
#include <string.h>

/* Sixteen numbers side by side: one register of AVX-512, two of AVX2, four of SSE. */
typedef float Lanes __attribute__((vector_size(MNK_PANEL * sizeof(float)), aligned(sizeof(float))));

enum { ROWS = 6 }; /* query rows that meet a panel at once: as many sums as registers hold */

static guint panels_of(guint n) {
  return n / MNK_PANEL + (n % MNK_PANEL > 0);
}

gsize mnk_panels_size(guint n, guint dim) {
  return (gsize)panels_of(n) * MNK_PANEL * dim;
}

void mnk_panels_fill(const float *keys, guint n, guint dim, float *panels) {
  for (guint i = 0; i < panels_of(n) * MNK_PANEL; i++) {
    const float *key = keys + (gsize)MIN(i, n - 1) * dim;
    float *panel = panels + (gsize)(i / MNK_PANEL) * MNK_PANEL * dim + i % MNK_PANEL;
    for (guint k = 0; k < dim; k++)
      panel[(gsize)k * MNK_PANEL] = key[k];
  }
}

/* The same for each kind of CPU, which the compiler makes it for. */
static inline __attribute__((always_inline)) void
best_of_rows(const float *panels, guint n, guint dim, const float *const *rows, float *best) {
  float most[ROWS][MNK_PANEL];
  for (guint r = 0; r < ROWS; r++)
    for (guint lane = 0; lane < MNK_PANEL; lane++)
      most[r][lane] = -INFINITY;
  for (guint panel = 0; panel < panels_of(n); panel++) {
    const float *keys = panels + (gsize)panel * MNK_PANEL * dim;
    Lanes sums[ROWS] = {0};
    for (guint k = 0; k < dim; k++) {
      Lanes key = *(const Lanes *)(const void *)(keys + (gsize)k * MNK_PANEL);
      for (guint r = 0; r < ROWS; r++)
        sums[r] += key * rows[r][k];
    }
    for (guint r = 0; r < ROWS; r++)
      for (guint lane = 0; lane < MNK_PANEL; lane++)
        most[r][lane] = sums[r][lane] > most[r][lane] ? sums[r][lane] : most[r][lane];
  }
  for (guint r = 0; r < ROWS; r++) {
    best[r] = most[r][0];
    for (guint lane = 1; lane < MNK_PANEL; lane++)
      best[r] = most[r][lane] > best[r] ? most[r][lane] : best[r];
  }
}

typedef void (*BestOfRows)(const float *panels, guint n, guint dim, const float *const *rows,
                           float *best);

static void best_of_rows_plain(const float *panels, guint n, guint dim, const float *const *rows,
                               float *best) {
  best_of_rows(panels, n, dim, rows, best);
}

#if defined(__x86_64__)

__attribute__((target("avx2,fma"))) static void
best_of_rows_avx2(const float *panels, guint n, guint dim, const float *const *rows, float *best) {
  best_of_rows(panels, n, dim, rows, best);
}

__attribute__((target("avx512f,avx512vl,fma"))) static void
best_of_rows_avx512(const float *panels, guint n, guint dim, const float *const *rows,
                    float *best) {
  best_of_rows(panels, n, dim, rows, best);
}

static BestOfRows choose(void) {
  if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512vl"))
    return best_of_rows_avx512;
  if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"))
    return best_of_rows_avx2;
  return best_of_rows_plain;
}

#else

static BestOfRows choose(void) {
  return best_of_rows_plain;
}

#endif

void mnk_panels_best(const float *panels, guint n, guint dim, const float *query, guint n_query,
                     float *best) {
  BestOfRows best_of = choose();
  for (guint at = 0; at < n_query; at += ROWS) {
    const float *rows[ROWS];
    float found[ROWS];
    for (guint r = 0; r < ROWS; r++)
      rows[r] = query + (gsize)MIN(at + r, n_query - 1) * dim;
    best_of(panels, n, dim, rows, found);
    memcpy(best + at, found, MIN(n_query - at, (guint)ROWS) * sizeof *found);
  }
}
