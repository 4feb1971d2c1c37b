/* Runs cases through the key frames, the routers and recall for tests/reference/memory_routers.py,
 * which made them and compares: routing_cases IN OUT. Numbers are as this machine has them. */
#include <stdio.h>

#include "case_io.h"
#include "memory/memory.h"

static void give_u32(FILE *out, guint32 value) {
  give(out, &value, sizeof value, 1);
}

static void give_i64(FILE *out, gint64 value) {
  give(out, &value, sizeof value, 1);
}

static MnkTokens *take_frame(FILE *in, guint dim) {
  guint n = take_u32(in), columns = take_u32(in);
  gint64 pts_ms;
  take(in, &pts_ms, sizeof pts_ms, 1);
  g_autofree float *rows = g_new(float, (gsize)n *dim);
  take(in, rows, dim * sizeof *rows, n);
  g_autoptr(GError) error = NULL;
  MnkTokens *tokens = mnk_tokens_new(rows, n, dim, columns, pts_ms, &error);
  if (tokens == NULL)
    g_error("%s", error->message);
  return tokens;
}

static MnkKeyframes *take_keyframes(FILE *in, guint dim) {
  MnkKeyframesConfig config;
  config.buffer_size = take_u32(in);
  config.match_ratio = take_float(in);
  config.frames_max = take_u32(in);
  config.long_max = take_u32(in);
  config.recent = take_u32(in);
  guint detail_frames = take_u32(in), frames = take_u32(in);
  MnkKeyframes *keyframes = NULL;
  for (guint i = 0; i < frames; i++) {
    g_autoptr(MnkTokens) frame = take_frame(in, dim);
    gboolean is_new;
    if (keyframes == NULL) {
      config.detail_bytes_max = detail_frames * mnk_tokens_bytes(frame);
      keyframes = mnk_keyframes_new(&config);
    }
    mnk_keyframes_add(keyframes, frame, &is_new);
  }
  return keyframes;
}

static void give_clusters(FILE *out, const MnkKeyframes *keyframes, guint dim) {
  give_u32(out, mnk_keyframes_count(keyframes));
  give_u32(out, mnk_keyframes_long_count(keyframes));
  for (guint i = 0; i < mnk_keyframes_count(keyframes); i++) {
    MnkCluster cluster;
    mnk_keyframes_get(keyframes, i, &cluster);
    guint n = mnk_tokens_count(cluster.merged);
    g_autofree float *rows = g_new(float, (gsize)n *dim);
    mnk_tokens_read(cluster.merged, 0, n, rows);
    give_i64(out, (gint64)cluster.id);
    give_i64(out, cluster.first_ms);
    give_i64(out, cluster.last_ms);
    give_u32(out, cluster.frames);
    give_u32(out, cluster.merges);
    give_u32(out, cluster.n_pts);
    give(out, cluster.pts_ms, sizeof *cluster.pts_ms, cluster.n_pts);
    give_u32(out, cluster.members->len);
    for (guint j = 0; j < cluster.members->len; j++)
      give_i64(out, mnk_tokens_pts_ms(cluster.members->pdata[j]));
    give_u32(out, n);
    give(out, rows, dim * sizeof *rows, n);
  }
}

static void give_recall(FILE *in, FILE *out, MnkKeyframes *keyframes, const float *scores) {
  MnkRecallConfig config;
  config.topk = take_u32(in);
  config.neighbours = take_u32(in);
  config.tokens_max = take_u32(in);
  config.recent = take_u32(in);
  config.history = take_u32(in) != 0;
  g_autoptr(GPtrArray) recalled = mnk_recall(keyframes, &config, scores);
  give_u32(out, recalled->len);
  for (guint i = 0; i < recalled->len; i++) {
    const MnkRecalled *block = recalled->pdata[i];
    give_i64(out, (gint64)block->cluster);
    give_i64(out, block->first_ms);
    give_i64(out, block->last_ms);
    give_u32(out, (guint32)block->why);
    give_u32(out, block->merged != FALSE);
    give_u32(out, mnk_tokens_count(block->tokens));
    give(out, &block->score, sizeof block->score, 1);
  }
}

static void run(FILE *in, FILE *out, guint dim) {
  g_autoptr(MnkKeyframes) keyframes = take_keyframes(in, dim);
  guint n = take_u32(in);
  g_autofree float *query = g_new(float, (gsize)n *dim);
  take(in, query, dim * sizeof *query, n);
  MnkRouterConfig config = {0};
  MnkIndexerShape shape = {.dim = dim};
  config.prefilter = take_u32(in);
  config.tau = take_float(in);
  config.seed = take_u32(in);
  shape.heads = take_u32(in);
  shape.head_dim = take_u32(in);
  g_autoptr(MnkIndexer) indexer = mnk_indexer_new(&shape, config.seed);
  guint count = mnk_keyframes_count(keyframes);
  g_autofree float *scores = g_new(float, count);
  config.indexer = indexer;
  give_clusters(out, keyframes, dim);
  for (guint router = 0; router < MNK_ROUTER_N; router++) {
    config.router = (MnkRouter)router;
    mnk_route(keyframes, &config, query, n, scores);
    give(out, scores, sizeof *scores, count);
  }
  config.router = MNK_ROUTER_COS_SIM_FINE;
  config.prefilter = 0;
  mnk_route(keyframes, &config, query, n, scores);
  for (guint recalls = take_u32(in); recalls > 0; recalls--)
    give_recall(in, out, keyframes, scores);
  float *weights;
  guint n_weights = mnk_indexer_weights(indexer, &weights);
  give_u32(out, n_weights);
  give(out, weights, sizeof *weights, n_weights);
}

int main(int argc, char **argv) {
  FILE *in = argc == 3 ? fopen(argv[1], "rb") : NULL;
  FILE *out = argc == 3 ? fopen(argv[2], "wb") : NULL;
  if (in == NULL || out == NULL)
    g_error("usage: routing_cases IN OUT");
  guint32 dim;
  while (fread(&dim, sizeof dim, 1, in) == 1)
    run(in, out, dim);
  fclose(in);
  return fclose(out) != 0;
}
