#include "memory/late_priv.h"
#include "memory/matrix_priv.h"
#include "memory/memory.h"

#include <math.h>

/* Keys are made float32 so many at a time: a block of them stays in the second-level cache between
 * being made and being multiplied. */
enum { BLOCK_VALUES = 131072, BLOCK_KEYS = 64 };

struct _MnkLateQuery {
  guint n, dim, block;
  float *rows;  /* n x dim, of length 1 */
  float *keys;  /* block x dim */
  float *found; /* cosines of all rows with some keys */
  gsize found_size;
};

MnkLateQuery *mnk_late_query_new(const float *query, guint n, guint dim) {
  MnkLateQuery *late = g_new0(MnkLateQuery, 1);
  late->n = n;
  late->dim = dim;
  late->block = CLAMP(BLOCK_VALUES / dim, 8, (guint)BLOCK_KEYS);
  late->rows = g_new(float, (gsize)n *dim);
  late->keys = g_new(float, (gsize)late->block *dim);
  mnk_matrix_normalise(query, n, dim, late->rows);
  return late;
}

void mnk_late_query_free(MnkLateQuery *query) {
  if (query == NULL)
    return;
  g_free(query->rows);
  g_free(query->keys);
  g_free(query->found);
  g_free(query);
}

void mnk_late_cosines(MnkLateQuery *query, const guint16 *keys, const float *inverse_lengths,
                      guint n_keys, float *out) {
  for (guint at = 0; at < n_keys; at += query->block) {
    guint some = MIN(query->block, n_keys - at);
    mnk_half_to_float(keys + (gsize)at * query->dim, query->keys, (gsize)some * query->dim);
    mnk_matrix_dots(query->rows, query->n, query->keys, some, query->dim, out + at, n_keys);
  }
  for (guint s = 0; s < query->n; s++)
    for (guint i = 0; i < n_keys; i++)
      out[(gsize)s * n_keys + i] *= inverse_lengths[i];
}

static float *found_for(MnkLateQuery *query, guint n_keys) {
  gsize size = (gsize)query->n * n_keys;
  if (size > query->found_size) {
    query->found = g_renew(float, query->found, size);
    query->found_size = size;
  }
  return query->found;
}

static float largest(const float *values, guint n) {
  float most = -INFINITY;
  for (guint i = 0; i < n; i++)
    most = values[i] > most ? values[i] : most;
  return most;
}

void mnk_late_best(MnkLateQuery *query, const guint16 *keys, const float *inverse_lengths,
                   guint n_keys, float *best) {
  float *found = found_for(query, n_keys);
  mnk_late_cosines(query, keys, inverse_lengths, n_keys, found);
  for (guint s = 0; s < query->n; s++)
    best[s] = largest(found + (gsize)s * n_keys, n_keys);
}
