#include "memory/indexer_priv.h"
#include "memory/late_priv.h"
#include "memory/route_priv.h"
#include "memory/tokens_priv.h"

#include <math.h>

/* The next cluster after one that is wanted; NULL: none. */
static const MnkClusterState *next_wanted(const MnkKeyframes *keyframes, const guint8 *wanted,
                                          guint after) {
  for (guint i = after + 1; i < mnk_keyframes_count(keyframes); i++)
    if (wanted[i])
      return mnk_keyframes_cluster(keyframes, i);
  return NULL;
}

void mnk_route_fine(MnkKeyframes *keyframes, const guint8 *wanted, const float *query, guint n,
                    float *out) {
  g_autoptr(MnkLateQuery) late = mnk_late_query_new(query, n, keyframes->dim, mnk_late_kind());
  g_autofree float *best = g_new(float, n);
  for (guint i = 0; i < mnk_keyframes_count(keyframes); i++) {
    const MnkClusterState *cluster = mnk_keyframes_cluster(keyframes, i);
    out[i] = -INFINITY;
    if (!wanted[i])
      continue;
    const MnkClusterState *next = next_wanted(keyframes, wanted, i);
    if (next != NULL)
      mnk_late_expect(late, mnk_tokens_rows(next->merged), next->n);
    else
      mnk_late_expect(late, NULL, 0);
    mnk_late_best(late, mnk_tokens_rows(cluster->merged), cluster->inverse_lengths, cluster->n,
                  best);
    double sum = 0;
    for (guint s = 0; s < n; s++)
      sum += (double)best[s];
    out[i] = (float)(sum / n);
  }
}

/* ---- Cross-attention ---- */

/* Of one query row and one cluster: the largest logit, and the sum of exp(logit - largest). */
typedef struct {
  float largest, sum;
} Mass;

static Mass mass_of(const float *cosines, guint n, float tau) {
  Mass mass = {-INFINITY, 0};
  for (guint i = 0; i < n; i++)
    mass.largest = MAX(mass.largest, cosines[i] / tau);
  for (guint i = 0; i < n; i++)
    mass.sum += expf(cosines[i] / tau - mass.largest);
  return mass;
}

/* masses: count x n. Adds each cluster's share of one query row's attention to sums. */
static void spread(const Mass *masses, const guint8 *wanted, guint count, guint n, double *sums) {
  double largest = -INFINITY, all = 0;
  for (guint i = 0; i < count; i++)
    if (wanted[i])
      largest = MAX(largest, (double)masses[(gsize)i * n].largest);
  for (guint i = 0; i < count; i++) {
    const Mass *mass = masses + (gsize)i * n;
    if (wanted[i])
      all += (double)mass->sum * exp((double)mass->largest - largest);
  }
  for (guint i = 0; i < count; i++) {
    const Mass *mass = masses + (gsize)i * n;
    if (wanted[i])
      sums[i] += (double)mass->sum * exp((double)mass->largest - largest) / all;
  }
}

void mnk_route_cross(MnkKeyframes *keyframes, const guint8 *wanted, float tau, const float *query,
                     guint n, float *out) {
  static const float TAU_LEAST = 1e-4F;
  tau = MAX(tau, TAU_LEAST);
  guint count = mnk_keyframes_count(keyframes);
  g_autoptr(MnkLateQuery) late = mnk_late_query_new(query, n, keyframes->dim, MNK_LATE_PLAIN);
  g_autofree Mass *masses = g_new(Mass, (gsize)count * n);
  g_autofree float *cosines = g_new(float, (gsize)n *MNK_TOKENS_MAX);
  for (guint i = 0; i < count; i++) {
    const MnkClusterState *cluster = mnk_keyframes_cluster(keyframes, i);
    if (!wanted[i])
      continue;
    mnk_late_cosines(late, mnk_tokens_rows(cluster->merged), cluster->inverse_lengths, cluster->n,
                     cosines);
    for (guint s = 0; s < n; s++)
      masses[(gsize)i * n + s] = mass_of(cosines + (gsize)s * cluster->n, cluster->n, tau);
  }
  g_autofree double *sums = g_new0(double, count);
  for (guint s = 0; s < n; s++)
    spread(masses + s, wanted, count, n, sums);
  for (guint i = 0; i < count; i++)
    out[i] = wanted[i] ? (float)(sums[i] / n) : -INFINITY;
}

/* ---- Indexer ---- */

/* The cluster's tokens as the indexer projects them; made once for each cluster and indexer. */
static void index_keys(MnkClusterState *cluster, const MnkIndexer *indexer) {
  guint head_dim = indexer->shape.head_dim;
  if (cluster->index_keys != NULL && indexer->print != 0 && cluster->index_print == indexer->print)
    return;
  g_autofree float *rows = g_new(float, (gsize)cluster->n * cluster->dim);
  g_autofree float *keys = g_new(float, (gsize)cluster->n *head_dim);
  mnk_tokens_read(cluster->merged, 0, cluster->n, rows);
  mnk_indexer_scale(rows, cluster->n, cluster->dim, rows);
  mnk_indexer_keys(indexer, rows, cluster->n, keys);
  g_free(cluster->index_keys);
  cluster->index_keys = g_new(float, mnk_panels_size(cluster->n, head_dim));
  mnk_panels_fill(keys, cluster->n, head_dim, cluster->index_keys);
  cluster->index_bytes = mnk_indexer_keys_bytes(cluster->n, head_dim);
  cluster->index_print = indexer->print;
}

void mnk_route_prepare(MnkKeyframes *keyframes, const MnkRouterConfig *config) {
  for (guint i = 0; i < mnk_keyframes_count(keyframes); i++) {
    MnkClusterState *cluster = mnk_keyframes_cluster(keyframes, i);
    mnk_cluster_keys(cluster);
    if (config->router == MNK_ROUTER_INDEXER)
      index_keys(cluster, config->indexer);
  }
}

void mnk_route_indexer(MnkKeyframes *keyframes, const MnkIndexer *indexer, const float *query,
                       guint n, float *out) {
  const MnkIndexerShape *shape = &indexer->shape;
  g_assert(shape->dim == keyframes->dim);
  guint rows = n * shape->heads;
  g_autofree float *scaled = g_new(float, (gsize)n * shape->dim);
  g_autofree float *q = g_new(float, (gsize)rows * shape->head_dim);
  g_autofree float *w = g_new(float, rows), *best = g_new(float, rows);
  mnk_indexer_scale(query, n, shape->dim, scaled);
  mnk_indexer_query(indexer, scaled, n, q, w);
  for (guint i = 0; i < mnk_keyframes_count(keyframes); i++) {
    MnkClusterState *cluster = mnk_keyframes_cluster(keyframes, i);
    index_keys(cluster, indexer);
    mnk_panels_best(cluster->index_keys, cluster->n, shape->head_dim, q, rows, best);
    double sum = 0;
    for (guint row = 0; row < rows; row++)
      sum += (double)(w[row] * MAX(best[row], 0));
    out[i] = (float)(sum / n);
  }
}
