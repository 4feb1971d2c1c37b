#include "memory/late_fast_priv.h"
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
  /* For the fast kinds. */
  MnkLateKind kind;
  guint width;
  MnkFastPair *pairs;  /* of rows */
  MnkFastPair *panels; /* of a cluster's keys */
  gsize panels_size;
  gint32 *products;
  gsize products_size;
  float *dither; /* of keys */
};

static void prepare_fast(MnkLateQuery *late) {
  enum { FOR_QUERY = 1, FOR_KEYS = 2 };
  late->width = mnk_fast_width(late->dim);
  late->pairs = g_new(MnkFastPair, (gsize)late->n * late->width / 2);
  late->dither = g_new(float, late->width);
  mnk_fast_dither(FOR_QUERY, late->dim, late->width, late->dither);
  mnk_fast_query(late->rows, late->n, late->dim, late->dither, late->pairs);
  mnk_fast_dither(FOR_KEYS, late->dim, late->width, late->dither);
}

MnkLateQuery *mnk_late_query_new(const float *query, guint n, guint dim, MnkLateKind kind) {
  MnkLateQuery *late = g_new0(MnkLateQuery, 1);
  late->kind = kind;
  late->n = n;
  late->dim = dim;
  late->block = CLAMP(BLOCK_VALUES / dim, 8, (guint)BLOCK_KEYS);
  late->rows = g_new(float, (gsize)n *dim);
  late->keys = g_new(float, (gsize)late->block *dim);
  mnk_matrix_normalise(query, n, dim, late->rows);
  if (kind != MNK_LATE_PLAIN)
    prepare_fast(late);
  return late;
}

void mnk_late_query_free(MnkLateQuery *query) {
  if (query == NULL)
    return;
  g_free(query->rows);
  g_free(query->keys);
  g_free(query->found);
  g_free(query->pairs);
  g_free(query->panels);
  g_free(query->products);
  g_free(query->dither);
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

static void best_in_float(MnkLateQuery *query, const guint16 *keys, const float *inverse_lengths,
                          guint n_keys, float *best) {
  float *found = found_for(query, n_keys);
  mnk_late_cosines(query, keys, inverse_lengths, n_keys, found);
  for (guint s = 0; s < query->n; s++)
    best[s] = largest(found + (gsize)s * n_keys, n_keys);
}

/* ---- A first look in 16 bits ---- */

static void look(MnkLateQuery *query, const guint16 *keys, const float *inverse_lengths,
                 guint n_keys) {
  guint panels = mnk_fast_panels(n_keys);
  gsize keys_size = (gsize)panels * MNK_PANEL * query->width / 2;
  gsize size = (gsize)panels * MNK_PANEL * query->n;
  if (keys_size > query->panels_size) {
    query->panels = g_renew(MnkFastPair, query->panels, keys_size);
    query->panels_size = keys_size;
  }
  if (size > query->products_size) {
    query->products = g_renew(gint32, query->products, size);
    query->products_size = size;
  }
  mnk_fast_keys(keys, inverse_lengths, n_keys, query->dim, query->dither, query->panels);
  mnk_fast_products(query->kind, query->pairs, query->n, query->panels, panels, query->width,
                    query->products);
}

static gint32 largest_product(const gint32 *products, guint n) {
  gint32 most = products[0];
  for (guint i = 1; i < n; i++)
    most = products[i] > most ? products[i] : most;
  return most;
}

/* The least product that a key may have to be the best after all. */
static gint32 least_of(const gint32 *products, guint n) {
  static const gint32 MARGIN = (gint32)(MNK_FAST_MARGIN * MNK_FAST_ONE * MNK_FAST_ONE);
  return largest_product(products, n) - MARGIN;
}

static guint count_from(const gint32 *products, guint n, gint32 least) {
  guint count = 0;
  for (guint i = 0; i < n; i++)
    count += products[i] >= least;
  return count;
}

/* Where so many keys may be the best, all are computed at once instead. */
enum { CANDIDATES = 4 }; /* per query row */

void mnk_late_best(MnkLateQuery *query, const guint16 *keys, const float *inverse_lengths,
                   guint n_keys, float *best) {
  if (query->kind == MNK_LATE_PLAIN) {
    best_in_float(query, keys, inverse_lengths, n_keys, best);
    return;
  }
  look(query, keys, inverse_lengths, n_keys);
  guint stride = mnk_fast_panels(n_keys) * MNK_PANEL, candidates = 0;
  for (guint s = 0; s < query->n; s++) {
    const gint32 *products = query->products + (gsize)s * stride;
    candidates += count_from(products, n_keys, least_of(products, n_keys));
  }
  if (candidates > CANDIDATES * query->n) {
    best_in_float(query, keys, inverse_lengths, n_keys, best);
    return;
  }
  for (guint s = 0; s < query->n; s++) {
    const gint32 *products = query->products + (gsize)s * stride;
    gint32 least = least_of(products, n_keys);
    best[s] = -INFINITY;
    for (guint i = 0; i < n_keys; i++) {
      if (products[i] < least)
        continue;
      const guint16 *key = keys + (gsize)i * query->dim;
      float row = mnk_fast_dot(key, query->rows + (gsize)s * query->dim, query->dim);
      best[s] = MAX(best[s], row * inverse_lengths[i]);
    }
  }
}
