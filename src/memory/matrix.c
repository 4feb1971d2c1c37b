#include "memory/matrix_priv.h"

#include <cblas.h>
#include <math.h>
#include <string.h>

/* The serial OpenBLAS has no threads. Where the one with threads is installed in its place, they
 * must not run: each memory has one thread of its own, and in the sandbox none can be made. */
static void one_thread(void) {
  static gsize done;
  if (g_once_init_enter(&done)) {
    openblas_set_num_threads(1);
    g_once_init_leave(&done, 1);
  }
}

void mnk_matrix_dots(const float *a, guint m, const float *b, guint n, guint k, float *out,
                     guint stride) {
  one_thread();
  cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasTrans, (int)m, (int)n, (int)k, 1, a, (int)k, b,
              (int)k, 0, out, (int)stride);
}

void mnk_matrix_times(const float *a, guint m, const float *b, guint n, guint k, float *out,
                      gboolean add) {
  one_thread();
  cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, (int)m, (int)n, (int)k, 1, a, (int)k, b,
              (int)n, add ? 1 : 0, out, (int)n);
}

void mnk_matrix_turned_times(const float *a, guint m, const float *b, guint n, guint k, float *out,
                             gboolean add) {
  one_thread();
  cblas_sgemm(CblasRowMajor, CblasTrans, CblasNoTrans, (int)k, (int)n, (int)m, 1, a, (int)k, b,
              (int)n, add ? 1 : 0, out, (int)n);
}

/* Sums side by side, so that the compiler may use vectors without reordering anything. */
enum { LANES = 16 };

float mnk_vector_dot(const float *a, const float *b, guint n) {
  float lanes[LANES] = {0};
  guint i = 0;
  for (; i + LANES <= n; i += LANES)
    for (guint lane = 0; lane < LANES; lane++)
      lanes[lane] += a[i + lane] * b[i + lane];
  float sum = 0;
  for (; i < n; i++)
    sum += a[i] * b[i];
  for (guint lane = 0; lane < LANES; lane++)
    sum += lanes[lane];
  return sum;
}

float mnk_vector_distance(const float *a, const float *b, guint n) {
  float lanes[LANES] = {0};
  guint i = 0;
  for (; i + LANES <= n; i += LANES) {
    for (guint lane = 0; lane < LANES; lane++) {
      float apart = a[i + lane] - b[i + lane];
      lanes[lane] += apart * apart;
    }
  }
  float sum = 0;
  for (; i < n; i++)
    sum += (a[i] - b[i]) * (a[i] - b[i]);
  for (guint lane = 0; lane < LANES; lane++)
    sum += lanes[lane];
  return sum;
}

void mnk_vector_add(float *out, float scale, const float *a, guint n) {
  for (guint i = 0; i < n; i++)
    out[i] += scale * a[i];
}

void mnk_matrix_normalise(const float *in, guint rows, guint dim, float *out) {
  for (guint row = 0; row < rows; row++, in += dim, out += dim) {
    float length = sqrtf(mnk_vector_dot(in, in, dim));
    float scale = length > 0 ? 1 / length : 0;
    for (guint i = 0; i < dim; i++)
      out[i] = in[i] * scale;
  }
}

void mnk_matrix_mean(const float *rows, guint n, guint dim, float *out) {
  memset(out, 0, dim * sizeof *out);
  for (guint row = 0; row < n; row++)
    mnk_vector_add(out, 1, rows + (gsize)row * dim, dim);
  for (guint i = 0; i < dim; i++)
    out[i] /= (float)n;
}
