/* Scores of clusters for a question. Coarse, recent and random ask the clusters alone; the others
 * are in route_tokens.c. */
#include "memory/keyframes_priv.h"
#include "memory/matrix_priv.h"
#include "memory/route_priv.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static const char *const NAMES[MNK_ROUTER_N] = {
    [MNK_ROUTER_COS_SIM_COARSE] = "cos_sim_coarse",
    [MNK_ROUTER_COS_SIM_FINE] = "cos_sim_fine",
    [MNK_ROUTER_CROSS_ATTN] = "cross-attn",
    [MNK_ROUTER_INDEXER] = "indexer",
    [MNK_ROUTER_RECENT] = "recent",
    [MNK_ROUTER_RANDOM] = "random",
};

const char *mnk_router_name(MnkRouter router) {
  return NAMES[router];
}

gboolean mnk_router_from_name(const char *name, MnkRouter *router) {
  for (guint i = 0; i < MNK_ROUTER_N; i++) {
    if (g_str_equal(NAMES[i], name)) {
      *router = (MnkRouter)i;
      return TRUE;
    }
  }
  return FALSE;
}

/* ---- The best of them ---- */

typedef struct {
  float score;
  guint index;
} Ranked;

static int better_first(const void *a, const void *b) {
  const Ranked *x = a, *y = b;
  if (x->score != y->score)
    return x->score > y->score ? -1 : 1;
  return x->index > y->index ? -1 : 1;
}

guint mnk_rank_top(const float *scores, guint n, guint k, guint *out) {
  g_autofree Ranked *ranked = g_new(Ranked, n);
  guint scored = 0;
  for (guint i = 0; i < n; i++)
    if (scores[i] > -INFINITY)
      ranked[scored++] = (Ranked){scores[i], i};
  if (scored > 0)
    qsort(ranked, scored, sizeof *ranked, better_first);
  guint found = MIN(scored, k);
  for (guint i = 0; i < found; i++)
    out[i] = ranked[i].index;
  return found;
}

/* ---- Scores ---- */

/* cos(mean of the query's rows, mean of the cluster's tokens). */
static void score_coarse(MnkKeyframes *keyframes, const float *query, guint n, float *out) {
  g_autofree float *mean = g_new(float, keyframes->dim);
  mnk_matrix_mean(query, n, keyframes->dim, mean);
  mnk_matrix_normalise(mean, 1, keyframes->dim, mean);
  for (guint i = 0; i < mnk_keyframes_count(keyframes); i++)
    out[i] = mnk_vector_dot(mean, mnk_keyframes_cluster(keyframes, i)->centre, keyframes->dim);
}

/* 1 for the newest, 1/2 for what ended a second before it. */
static void score_recent(const MnkKeyframes *keyframes, float *out) {
  guint count = mnk_keyframes_count(keyframes);
  gint64 newest = G_MININT64;
  for (guint i = 0; i < count; i++)
    newest = MAX(newest, mnk_keyframes_cluster(keyframes, i)->last_ms);
  for (guint i = 0; i < count; i++) {
    double age_ms = (double)newest - (double)mnk_keyframes_cluster(keyframes, i)->last_ms;
    out[i] = (float)(1 / (1 + age_ms / 1000));
  }
}

/* SplitMix64 (Steele, Lea and Flood, OOPSLA 2014) of the seed and the cluster's id. */
static void score_random(const MnkKeyframes *keyframes, guint32 seed, float *out) {
  for (guint i = 0; i < mnk_keyframes_count(keyframes); i++) {
    guint64 z = mnk_keyframes_cluster(keyframes, i)->id * G_GUINT64_CONSTANT(0x9e3779b97f4a7c15);
    z ^= (guint64)seed << 32 | seed;
    z = (z ^ z >> 30) * G_GUINT64_CONSTANT(0xbf58476d1ce4e5b9);
    z = (z ^ z >> 27) * G_GUINT64_CONSTANT(0x94d049bb133111eb);
    z ^= z >> 31;
    out[i] = (float)(z >> 40) * 0x1p-24F;
  }
}

/* Which clusters are worth a look at their tokens: 1 per cluster. */
static guint8 *prefilter(MnkKeyframes *keyframes, const MnkRouterConfig *config, const float *query,
                         guint n) {
  guint count = mnk_keyframes_count(keyframes);
  guint8 *wanted = g_new0(guint8, count);
  if (config->prefilter == 0 || config->prefilter >= count) {
    memset(wanted, 1, count);
    return wanted;
  }
  g_autofree float *scores = g_new(float, count);
  g_autofree guint *best = g_new(guint, config->prefilter);
  score_coarse(keyframes, query, n, scores);
  guint found = mnk_rank_top(scores, count, config->prefilter, best);
  for (guint i = 0; i < found; i++)
    wanted[best[i]] = 1;
  return wanted;
}

static void score_tokens(MnkKeyframes *keyframes, const MnkRouterConfig *config, const float *query,
                         guint n, float *out) {
  g_autofree guint8 *wanted = prefilter(keyframes, config, query, n);
  if (config->router == MNK_ROUTER_COS_SIM_FINE)
    mnk_route_fine(keyframes, wanted, query, n, out);
  else
    mnk_route_cross(keyframes, wanted, config->tau, query, n, out);
}

void mnk_route(MnkKeyframes *keyframes, const MnkRouterConfig *config, const float *query, guint n,
               float *out) {
  guint count = mnk_keyframes_count(keyframes);
  if (count == 0)
    return;
  for (guint i = 0; i < count; i++)
    mnk_cluster_keys(mnk_keyframes_cluster(keyframes, i));
  if (config->router == MNK_ROUTER_RECENT) {
    score_recent(keyframes, out);
  } else if (config->router == MNK_ROUTER_RANDOM) {
    score_random(keyframes, config->seed, out);
  } else if (n == 0) {
    memset(out, 0, count * sizeof *out);
  } else if (config->router == MNK_ROUTER_COS_SIM_COARSE) {
    score_coarse(keyframes, query, n, out);
  } else if (config->router == MNK_ROUTER_INDEXER) {
    g_assert(config->indexer != NULL);
    mnk_route_indexer(keyframes, config->indexer, query, n, out);
  } else {
    score_tokens(keyframes, config, query, n, out);
  }
}
