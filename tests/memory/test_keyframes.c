#include "support.h"

#include <math.h>
#include <string.h>

static MnkKeyframes *keyframes_with(guint buffer, guint long_max, gsize detail) {
  MnkKeyframesConfig config;
  mnk_keyframes_config_init(&config);
  config.buffer_size = buffer;
  config.long_max = long_max;
  config.detail_bytes_max = detail;
  return mnk_keyframes_new(&config);
}

static void add(MnkKeyframes *keyframes, MnkTokens *frame) {
  gboolean is_new;
  mnk_keyframes_add(keyframes, frame, &is_new);
}

static void add_random(MnkKeyframes *keyframes, GRand *rand, guint frames, guint n, guint dim) {
  for (guint i = 0; i < frames; i++) {
    g_autoptr(MnkTokens) frame = random_tokens(rand, n, dim, 0, (gint64)i * 1000);
    add(keyframes, frame);
  }
}

static void test_defaults(void) {
  MnkKeyframesConfig config;
  mnk_keyframes_config_init(&config);
  g_assert_cmpuint(config.buffer_size, ==, 5);
  g_assert_cmpfloat(config.match_ratio, ==, 0.5F);
  g_assert_cmpuint(config.frames_max, ==, 0);
  g_assert_cmpuint(config.long_max, ==, 512);
  g_assert_cmpuint(config.recent, ==, 4);
  g_assert_cmpuint(mnk_keyframes_bytes_max(&config, 64, 576), <=, 64000000);
}

/* ---- Bounds ---- */

/* A day of one frame a second, of whatever kind, in a memory of its default size but narrower. */
static void check_day(guint scenes, float noise, guint sizes) {
  enum { DIM = 16, SECONDS = 86400, TOKENS = 12 };
  MnkKeyframesConfig config;
  mnk_keyframes_config_init(&config);
  config.detail_bytes_max = 100000;
  g_autoptr(MnkKeyframes) keyframes = mnk_keyframes_new(&config);
  g_autoptr(GRand) rand = g_rand_new_with_seed(scenes);
  g_autofree float *bases = random_floats(rand, (gsize)scenes * TOKENS * DIM);
  gsize bound = mnk_keyframes_bytes_max(&config, TOKENS, DIM);
  for (guint i = 0; i < SECONDS; i++) {
    float rows[TOKENS * DIM];
    const float *base = bases + (gsize)(i / 600 * 7919 % scenes) * TOKENS * DIM;
    for (guint j = 0; j < TOKENS * DIM; j++)
      rows[j] = base[j] + noise * (float)g_rand_double_range(rand, -1, 1);
    guint n = TOKENS - 3 * (i % sizes);
    g_autoptr(MnkTokens) frame = mnk_tokens_new(rows, n, DIM, 3, (gint64)i * 1000, NULL);
    add(keyframes, frame);
    if (i % 977 != 0)
      continue;
    g_assert_cmpuint(mnk_keyframes_bytes(keyframes), <=, bound);
    g_assert_cmpuint(mnk_keyframes_long_count(keyframes), <=, config.long_max);
  }
  g_assert_cmpuint(mnk_keyframes_bytes(keyframes), <=, bound);
}

static void test_day_still(void) {
  check_day(1, 0.1F, 1);
}

static void test_day_scenes(void) {
  check_day(20, 0.2F, 1);
}

static void test_day_noise(void) {
  check_day(1, 3, 1);
}

static void test_day_sizes(void) {
  check_day(3, 0.2F, 2);
}

/* Indexed keys count, and are within the bound too. */
static void test_bound_with_index(void) {
  MnkKeyframesConfig config;
  mnk_keyframes_config_init(&config);
  config.long_max = 20;
  config.detail_bytes_max = 0;
  g_autoptr(MnkKeyframes) keyframes = mnk_keyframes_new(&config);
  g_autoptr(GRand) rand = g_rand_new_with_seed(1);
  add_random(keyframes, rand, 40, 17, 24);
  MnkIndexerShape shape = {.dim = 24, .heads = 1, .head_dim = 64};
  g_autoptr(MnkIndexer) indexer = mnk_indexer_new(&shape, 1);
  MnkRouterConfig route = {.router = MNK_ROUTER_INDEXER, .indexer = indexer};
  gsize before = mnk_keyframes_bytes(keyframes);
  mnk_route_prepare(keyframes, &route);
  g_assert_cmpuint(mnk_keyframes_bytes(keyframes), >, before);
  g_assert_cmpuint(mnk_keyframes_bytes(keyframes), <=, mnk_keyframes_bytes_max(&config, 17, 24));
}

/* Details of clusters that were chosen last go last. */
static void test_used_are_kept(void) {
  enum { N = 4, DIM = 64, FRAMES = 20 };
  g_autoptr(GRand) rand = g_rand_new_with_seed(5);
  g_autoptr(MnkTokens) one = random_tokens(rand, N, DIM, 0, 0);
  g_autoptr(MnkKeyframes) keyframes = keyframes_with(2, 100, 12 * mnk_tokens_bytes(one));
  add_random(keyframes, rand, 12, N, DIM);
  g_assert_cmpuint(mnk_keyframes_long_count(keyframes), ==, 10);
  float scores[12] = {0};
  scores[3] = scores[6] = 1;
  MnkRecallConfig recall = {.topk = 2, .history = TRUE};
  g_autoptr(GPtrArray) recalled = mnk_recall(keyframes, &recall, scores);
  add_random(keyframes, rand, 8, N, DIM);
  for (guint i = 0; i < 8; i++) {
    MnkCluster cluster;
    mnk_keyframes_get(keyframes, i, &cluster);
    g_assert_cmpuint(cluster.members->len, ==, i == 3 || i == 6);
  }
}

/* ---- Isolation ---- */

static void collect(const MnkKeyframes *keyframes, GHashTable *tokens) {
  for (guint i = 0; i < mnk_keyframes_count(keyframes); i++) {
    MnkCluster cluster;
    mnk_keyframes_get(keyframes, i, &cluster);
    g_hash_table_add(tokens, (gpointer)cluster.merged);
    for (guint j = 0; j < cluster.members->len; j++)
      g_hash_table_add(tokens, cluster.members->pdata[j]);
  }
  for (guint i = 0; i < mnk_keyframes_recent(keyframes)->len; i++)
    g_hash_table_add(tokens, mnk_keyframes_recent(keyframes)->pdata[i]);
}

static GByteArray *saved(const MnkKeyframes *keyframes) {
  GByteArray *bytes = g_byte_array_new();
  mnk_keyframes_save(keyframes, bytes);
  return bytes;
}

static void assert_same_bytes(const GByteArray *a, const GByteArray *b) {
  g_assert_cmpmem(a->data, a->len, b->data, b->len);
}

/* Two streams in turns hold what they would hold alone, and no token of each other. */
static void test_two_streams(void) {
  g_autoptr(MnkKeyframes) a = keyframes_with(3, 6, 5000), b = keyframes_with(3, 6, 5000);
  g_autoptr(MnkKeyframes) alone = keyframes_with(3, 6, 5000);
  g_autoptr(GRand) rand = g_rand_new_with_seed(1);
  for (guint i = 0; i < 50; i++) {
    g_autoptr(MnkTokens) for_a = random_tokens(rand, 6, 20, 3, i),
                         for_b = random_tokens(rand, 6, 20, 3, i);
    add(a, for_a);
    add(alone, for_a);
    add(b, for_b);
    if (i % 5 == 0) {
      float scores[9] = {0}, query[20] = {1};
      MnkRouterConfig route = {.router = MNK_ROUTER_COS_SIM_FINE};
      mnk_route(b, &route, query, 1, scores);
    }
  }
  g_autoptr(GHashTable) of_a = g_hash_table_new(NULL, NULL), of_b = g_hash_table_new(NULL, NULL);
  collect(a, of_a);
  collect(b, of_b);
  GHashTableIter iter;
  gpointer tokens;
  g_hash_table_iter_init(&iter, of_a);
  while (g_hash_table_iter_next(&iter, &tokens, NULL))
    g_assert_false(g_hash_table_contains(of_b, tokens));
  g_autoptr(GByteArray) bytes_a = saved(a), bytes_alone = saved(alone);
  assert_same_bytes(bytes_a, bytes_alone);
}

static void test_clear(void) {
  g_autoptr(MnkKeyframes) used = keyframes_with(3, 6, 5000), fresh = keyframes_with(3, 6, 5000);
  g_autoptr(GRand) rand = g_rand_new_with_seed(2);
  add_random(used, rand, 40, 6, 20);
  float scores[9] = {0};
  MnkRecallConfig recall = {.topk = 2, .history = TRUE};
  g_autoptr(GPtrArray) recalled = mnk_recall(used, &recall, scores);
  mnk_keyframes_clear(used);
  g_assert_cmpuint(mnk_keyframes_count(used), ==, 0);
  g_assert_cmpuint(mnk_keyframes_recent(used)->len, ==, 0);
  g_assert_cmpuint(mnk_keyframes_bytes(used), ==, 0);
  g_autoptr(GByteArray) bytes = saved(used), nothing = saved(fresh);
  assert_same_bytes(bytes, nothing);
  g_autoptr(MnkTokens) wider = random_tokens(rand, 6, 33, 3, 0);
  gboolean is_new;
  g_assert_cmpuint(mnk_keyframes_add(used, wider, &is_new), ==, 1);
  g_assert_true(is_new);
}

/* ---- Snapshots ---- */

static MnkKeyframes *busy_keyframes(void) {
  enum { N = 6, DIM = 20 };
  MnkKeyframes *keyframes = keyframes_with(3, 8, 3000);
  g_autoptr(GRand) rand = g_rand_new_with_seed(3);
  g_autofree float *base = random_floats(rand, N * DIM);
  for (guint i = 0; i < 70; i++) {
    float rows[N * DIM];
    for (guint j = 0; j < N * DIM; j++)
      rows[j] = (i % 7 < 3 ? base[j] : 0) + 0.5F * (float)g_rand_double_range(rand, -1, 1);
    g_autoptr(MnkTokens) frame = mnk_tokens_new(rows, N, DIM, i % 11 == 0 ? 2 : 3, i * 700, NULL);
    add(keyframes, frame);
  }
  float scores[11] = {0};
  MnkRecallConfig recall = {.topk = 2, .history = TRUE};
  g_autoptr(GPtrArray) recalled = mnk_recall(keyframes, &recall, scores);
  return keyframes;
}

static void route_all(MnkKeyframes *keyframes, const MnkIndexer *indexer, float *out) {
  g_autoptr(GRand) rand = g_rand_new_with_seed(4);
  g_autofree float *query = random_floats(rand, 5 * 20);
  for (guint router = 0; router < MNK_ROUTER_N; router++) {
    MnkRouterConfig config = {.router = (MnkRouter)router, .indexer = indexer, .tau = 0.07F};
    mnk_route(keyframes, &config, query, 5, out);
    out += mnk_keyframes_count(keyframes);
  }
}

/* The same state gives the same bytes; what was restored scores, and goes on, bit for bit alike. */
static void test_snapshot(void) {
  g_autoptr(MnkKeyframes) keyframes = busy_keyframes(), again = busy_keyframes();
  MnkIndexerShape shape = {.dim = 20, .heads = 2, .head_dim = 8};
  g_autoptr(MnkIndexer) indexer = mnk_indexer_new(&shape, 1);
  float before[MNK_ROUTER_N * 11], after[MNK_ROUTER_N * 11];
  g_assert_cmpuint(mnk_keyframes_count(keyframes), ==, 11);
  g_autoptr(GByteArray) bytes = saved(keyframes), same = saved(again);
  assert_same_bytes(bytes, same);
  route_all(keyframes, indexer, before);
  g_autoptr(GError) error = NULL;
  g_autoptr(MnkKeyframes) restored = mnk_keyframes_restore(bytes->data, bytes->len, &error);
  g_assert_no_error(error);
  route_all(restored, indexer, after);
  g_assert_cmpmem(before, sizeof before, after, sizeof after);
  g_autoptr(GRand) rand_a = g_rand_new_with_seed(9), rand_b = g_rand_new_with_seed(9);
  add_random(keyframes, rand_a, 30, 6, 20);
  add_random(restored, rand_b, 30, 6, 20);
  g_autoptr(GByteArray) later = saved(keyframes), later_restored = saved(restored);
  assert_same_bytes(later, later_restored);
}

static void test_snapshot_empty(void) {
  g_autoptr(MnkKeyframes) fresh = keyframes_with(5, 512, 1000);
  g_autoptr(GByteArray) bytes = saved(fresh);
  g_autoptr(GError) error = NULL;
  g_autoptr(MnkKeyframes) restored = mnk_keyframes_restore(bytes->data, bytes->len, &error);
  g_assert_no_error(error);
  g_assert_cmpuint(mnk_keyframes_count(restored), ==, 0);
}

/* What a damaged snapshot let through is used in every way. */
static gboolean read_and_use(const guint8 *bytes, gsize length, GError **error) {
  g_autoptr(MnkKeyframes) keyframes = mnk_keyframes_restore(bytes, length, error);
  if (keyframes == NULL)
    return FALSE;
  guint count = mnk_keyframes_count(keyframes);
  g_autoptr(GRand) rand = g_rand_new_with_seed(1);
  MnkCluster cluster = {0};
  guint dim = 20;
  for (guint i = 0; i < count; i++) {
    mnk_keyframes_get(keyframes, i, &cluster);
    dim = mnk_tokens_dim(cluster.merged);
  }
  g_autofree float *scores = g_new(float, count + 40), *query = random_floats(rand, 2 * (gsize)dim);
  for (guint router = 0; router < MNK_ROUTER_N; router++) {
    MnkRouterConfig config = {.router = (MnkRouter)router, .tau = 0.07F};
    if (router == MNK_ROUTER_INDEXER)
      continue;
    mnk_route(keyframes, &config, query, 2, scores);
    MnkRecallConfig recall = {
        .topk = 3, .neighbours = 1, .tokens_max = 50, .recent = 2, .history = TRUE};
    g_autoptr(GPtrArray) recalled = mnk_recall(keyframes, &recall, scores);
  }
  add_random(keyframes, rand, 12, 6, dim);
  g_autoptr(GByteArray) out = saved(keyframes);
  return TRUE;
}

static void test_damage(void) {
  g_autoptr(MnkKeyframes) keyframes = busy_keyframes();
  g_autoptr(GByteArray) bytes = saved(keyframes);
  check_damage(bytes, read_and_use, g_getenv("MANAKO_TEST_LONG") != NULL ? 100000 : 4000);
}

/* ---- Recall ---- */

static void test_recall_without_history(void) {
  g_autoptr(MnkKeyframes) keyframes = busy_keyframes();
  MnkRecallConfig recall = {.topk = 8, .neighbours = 1, .recent = 3};
  g_autoptr(GPtrArray) recalled = mnk_recall(keyframes, &recall, NULL);
  g_assert_cmpuint(recalled->len, ==, 3);
  for (guint i = 0; i < 3; i++) {
    const MnkRecalled *block = recalled->pdata[i];
    g_assert_cmpint(block->why, ==, MNK_RECALL_RECENT);
    g_assert_cmpint(block->first_ms, ==, (67 + i) * 700);
    g_assert_true(isnan(block->score));
  }
}

static void test_recall_of_nothing(void) {
  g_autoptr(MnkKeyframes) keyframes = keyframes_with(5, 512, 1000);
  MnkRouterConfig route = {.router = MNK_ROUTER_COS_SIM_FINE};
  float query[4] = {1}, scores[1];
  mnk_route(keyframes, &route, query, 1, scores);
  MnkRecallConfig recall = {.topk = 8, .recent = 3, .history = TRUE};
  g_autoptr(GPtrArray) recalled = mnk_recall(keyframes, &recall, scores);
  g_assert_cmpuint(recalled->len, ==, 0);
  g_assert_false(mnk_recall_needs_history(keyframes, scores, 0.02F));
}

static void test_history_gate(void) {
  g_autoptr(MnkKeyframes) keyframes = busy_keyframes();
  float scores[11] = {0};
  guint past = mnk_keyframes_long_count(keyframes);
  g_assert_cmpuint(past, ==, 8);
  g_assert_false(mnk_recall_needs_history(keyframes, scores, 0.02F));
  scores[5] = 0.5F;
  g_assert_true(mnk_recall_needs_history(keyframes, scores, 0.02F));
  scores[9] = 0.49F;
  g_assert_false(mnk_recall_needs_history(keyframes, scores, 0.02F));
  scores[9] = 0.47F;
  g_assert_true(mnk_recall_needs_history(keyframes, scores, 0.02F));
}

static void test_router_names(void) {
  for (guint i = 0; i < MNK_ROUTER_N; i++) {
    MnkRouter router;
    g_assert_true(mnk_router_from_name(mnk_router_name((MnkRouter)i), &router));
    g_assert_cmpuint(router, ==, i);
  }
  MnkRouter router;
  g_assert_false(mnk_router_from_name("cos_sim", &router));
}

int main(int argc, char **argv) {
  g_test_init(&argc, &argv, NULL);
  g_test_add_func("/keyframes/defaults", test_defaults);
  g_test_add_func("/keyframes/bound/day-still", test_day_still);
  g_test_add_func("/keyframes/bound/day-of-scenes", test_day_scenes);
  g_test_add_func("/keyframes/bound/day-of-noise", test_day_noise);
  g_test_add_func("/keyframes/bound/day-of-two-sizes", test_day_sizes);
  g_test_add_func("/keyframes/bound/with-index", test_bound_with_index);
  g_test_add_func("/keyframes/bound/used-are-kept", test_used_are_kept);
  g_test_add_func("/keyframes/isolation/two-streams", test_two_streams);
  g_test_add_func("/keyframes/isolation/clear", test_clear);
  g_test_add_func("/keyframes/snapshot/goes-on", test_snapshot);
  g_test_add_func("/keyframes/snapshot/empty", test_snapshot_empty);
  g_test_add_func("/keyframes/snapshot/damage", test_damage);
  g_test_add_func("/recall/without-history", test_recall_without_history);
  g_test_add_func("/recall/of-nothing", test_recall_of_nothing);
  g_test_add_func("/recall/history-gate", test_history_gate);
  g_test_add_func("/routers/names", test_router_names);
  return g_test_run();
}
