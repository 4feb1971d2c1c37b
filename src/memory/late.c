#include "memory/late_fast_priv.h"
#include "memory/matrix_priv.h"
#include "memory/memory.h"

#include <math.h>

/* Keys are made float32 so many at a time: a block of them stays in the second-level cache between
 * being made and being multiplied. */
enum { BLOCK_VALUES = 131072, BLOCK_KEYS = 64 };

/* So many keys at a time, that their panels, they themselves and what is fetched ahead stay in the
 * second-level cache. */
enum { LOOK_PANELS = 2, LOOK_KEYS = LOOK_PANELS * MNK_PANEL };

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
  MnkFastPair *panels; /* of some keys */
  gint32 *products;
  gsize products_size;
  float *dither;       /* of keys */
  const guint16 *next; /* keys that are looked at next */
  gsize n_next;
};

static void prepare_fast(MnkLateQuery *late) {
  enum { FOR_QUERY = 1, FOR_KEYS = 2 };
  late->width = mnk_fast_width(late->dim);
  late->pairs = g_new(MnkFastPair, (gsize)late->n * late->width / 2);
  late->panels = g_new(MnkFastPair, (gsize)LOOK_KEYS * late->width / 2);
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

void mnk_late_expect(MnkLateQuery *query, const guint16 *keys, guint n_keys) {
  query->next = keys;
  query->n_next = (gsize)n_keys * query->dim;
}

/* ---- A first look in 16 bits ---- */

static void look(MnkLateQuery *query, const guint16 *keys, const float *inverse_lengths,
                 guint n_keys) {
  gsize stride = (gsize)mnk_fast_panels(n_keys) * MNK_PANEL;
  gsize share = query->n_next / (stride / LOOK_KEYS);
  if (stride * query->n > query->products_size) {
    query->products_size = stride * query->n;
    query->products = g_renew(gint32, query->products, query->products_size);
  }
  MnkFastTask task = {.query = query->pairs,
                      .panels = query->panels,
                      .n = query->n,
                      .n_panels = LOOK_PANELS,
                      .width = query->width,
                      .stride = stride,
                      .ahead = query->next,
                      .n_ahead = share};
  for (guint at = 0; at < n_keys; at += LOOK_KEYS) {
    mnk_fast_keys(keys + (gsize)at * query->dim, inverse_lengths + at,
                  MIN(n_keys - at, (guint)LOOK_KEYS), query->dim, query->dither, query->panels);
    mnk_fast_products(query->kind, &task, query->products + at);
    task.ahead = task.ahead != NULL ? task.ahead + share : NULL;
  }
}

static float best_of(const MnkLateQuery *query, guint s, const guint16 *keys,
                     const float *inverse_lengths, const guint16 *candidates, guint n) {
  const float *row = query->rows + (gsize)s * query->dim;
  float best = -INFINITY;
  for (guint i = 0; i < n; i++) {
    const guint16 *key = keys + (gsize)candidates[i] * query->dim;
    float cosine = mnk_fast_dot(key, row, query->dim) * inverse_lengths[candidates[i]];
    best = MAX(best, cosine);
  }
  return best;
}

/* Where so many keys of a cluster may be the best, all are computed at once instead. */
enum { CANDIDATES = 4 }; /* per query row */

void mnk_late_best(MnkLateQuery *query, const guint16 *keys, const float *inverse_lengths,
                   guint n_keys, float *best) {
  g_assert(n_keys <= MNK_TOKENS_MAX);
  if (query->kind == MNK_LATE_PLAIN) {
    best_in_float(query, keys, inverse_lengths, n_keys, best);
    return;
  }
  guint16 candidates[MNK_TOKENS_MAX];
  guint stride = mnk_fast_panels(n_keys) * MNK_PANEL, sum = 0;
  look(query, keys, inverse_lengths, n_keys);
  for (guint s = 0; s < query->n; s++) {
    guint n = mnk_fast_candidates(query->products + (gsize)s * stride, n_keys, candidates);
    sum += n;
    if (sum > CANDIDATES * query->n) {
      best_in_float(query, keys, inverse_lengths, n_keys, best);
      return;
    }
    best[s] = best_of(query, s, keys, inverse_lengths, candidates, n);
  }
}
