#include "support.h"

#include <math.h>
#include <string.h>

/* ---- A made-up world: things look one way and are called another ---- */

enum {
  DIM = 64,
  THINGS = 16,
  VIDEOS = 300,
  CLUSTERS = 32,
  TOKENS = 8,
  QUESTIONS = 6, /* of each video */
  WORDS = 4,
};

/* In half of the clusters one token shows a thing; a question has one word that names one. */
typedef struct {
  float *looks, *names; /* THINGS x DIM */
  float *keys;          /* of all videos */
  float *words;         /* of all questions */
  guint8 *positive;
  MnkIndexerSample samples[VIDEOS * QUESTIONS];
} World;

static void world_free(World *world) {
  g_free(world->looks);
  g_free(world->names);
  g_free(world->keys);
  g_free(world->words);
  g_free(world->positive);
  g_free(world);
}
G_DEFINE_AUTOPTR_CLEANUP_FUNC(World, world_free)

static void blend(float *row, const float *thing, float share) {
  for (guint i = 0; i < DIM; i++)
    row[i] = (1 - share) * row[i] + share * thing[i];
}

static void shuffle(GRand *rand, guint *order, guint n) {
  for (guint i = 0; i < n; i++)
    order[i] = i;
  for (guint i = 0; i < n; i++) {
    guint other = (guint)g_rand_int_range(rand, (gint32)i, (gint32)n), kept = order[i];
    order[i] = order[other];
    order[other] = kept;
  }
}

/* same: things are called as they look. */
static World *world_new(guint32 seed, gboolean same) {
  World *world = g_new0(World, 1);
  g_autoptr(GRand) rand = g_rand_new_with_seed(seed);
  gsize cluster = TOKENS * DIM, video = CLUSTERS * cluster;
  world->looks = random_floats(rand, THINGS * DIM);
  world->names = same ? g_memdup2(world->looks, THINGS * DIM * sizeof(float))
                      : random_floats(rand, THINGS * DIM);
  world->keys = random_floats(rand, VIDEOS * video);
  world->words = random_floats(rand, VIDEOS * QUESTIONS * WORDS * DIM);
  world->positive = g_new0(guint8, VIDEOS * QUESTIONS * CLUSTERS);
  for (guint v = 0; v < VIDEOS; v++) {
    guint where[CLUSTERS];
    shuffle(rand, where, CLUSTERS);
    float *keys = world->keys + v * video;
    for (guint i = 0; i < THINGS; i++)
      blend(keys + where[i] * cluster + (gsize)g_rand_int_range(rand, 0, TOKENS) * DIM,
            world->looks + (gsize)i * DIM, 0.8F);
    for (guint j = 0; j < QUESTIONS; j++) {
      guint at = v * QUESTIONS + j, thing = (guint)g_rand_int_range(rand, 0, THINGS);
      float *words = world->words + (gsize)at * WORDS * DIM;
      blend(words + (gsize)g_rand_int_range(rand, 0, WORDS) * DIM,
            world->names + (gsize)thing * DIM, 0.8F);
      world->positive[at * CLUSTERS + where[thing]] = 1;
      world->samples[at] = (MnkIndexerSample){.video = v,
                                              .query = words,
                                              .n_query = WORDS,
                                              .keys = keys,
                                              .n_clusters = CLUSTERS,
                                              .n_tokens = TOKENS,
                                              .positive = world->positive + at * CLUSTERS};
    }
  }
  return world;
}

/* Ranks by a router of the key frames, each cluster of the sample being one frame. */
static void route_world(const World *world, MnkRouterConfig *route, MnkIndexerScores *out) {
  MnkKeyframesConfig config;
  mnk_keyframes_config_init(&config);
  config.match_ratio = 2;
  *out = (MnkIndexerScores){0};
  for (guint v = 0; v < VIDEOS; v++) {
    g_autoptr(MnkKeyframes) keyframes = mnk_keyframes_new(&config);
    for (guint i = 0; i < CLUSTERS; i++) {
      const float *rows = world->samples[v * QUESTIONS].keys + (gsize)i * TOKENS * DIM;
      g_autoptr(MnkTokens) frame = mnk_tokens_new(rows, TOKENS, DIM, 0, i, NULL);
      gboolean is_new;
      mnk_keyframes_add(keyframes, frame, &is_new);
      g_assert_true(is_new);
    }
    for (guint j = 0; j < QUESTIONS; j++) {
      const MnkIndexerSample *sample = world->samples + v * QUESTIONS + j;
      float scores[CLUSTERS];
      route->seed = v * QUESTIONS + j;
      mnk_route(keyframes, route, sample->query, WORDS, scores);
      mnk_indexer_rank(scores, sample->positive, CLUSTERS, out);
    }
  }
}

static MnkIndexer *small_indexer(guint32 seed) {
  MnkIndexerShape shape = {.dim = DIM, .heads = 4, .head_dim = 32, .model = "a model"};
  return mnk_indexer_new(&shape, seed);
}

/* ---- Training ---- */

typedef struct {
  guint calls, stop_at;
  MnkIndexerProgress last;
} Watch;

static gboolean watch(const MnkIndexerProgress *progress, gpointer user) {
  Watch *seen = user;
  seen->calls++;
  seen->last = *progress;
  return seen->stop_at == 0 || seen->calls < seen->stop_at;
}

static MnkIndexer *trained_on(const World *world, MnkIndexerProgress *last) {
  MnkIndexerTraining training;
  mnk_indexer_training_init(&training);
  training.steps = 300;
  training.rate = 5e-3F;
  training.l2 = 1e-3F;
  MnkIndexer *indexer = small_indexer(1);
  Watch seen = {0};
  g_autoptr(GError) error = NULL;
  mnk_indexer_train(indexer, world->samples, VIDEOS * QUESTIONS, &training, watch, &seen, &error);
  g_assert_no_error(error);
  g_assert_cmpuint(seen.calls, >, 0);
  *last = seen.last;
  return indexer;
}

/* The evidence is planted: what was trained finds it in videos that it has not seen, chance does
 * not, and in a world of other names it is no better than chance. */
static void test_planted(void) {
  g_autoptr(World) world = world_new(1, FALSE), other = world_new(2, FALSE);
  MnkIndexerProgress last;
  g_autoptr(MnkIndexer) indexer = trained_on(world, &last);
  g_test_message("held out: Recall@1 %.3f, @4 %.3f, @8 %.3f, MRR %.3f after %u steps",
                 last.held_out.recall_1, last.held_out.recall_4, last.held_out.recall_8,
                 last.held_out.mrr, last.step);
  g_assert_cmpfloat(last.held_out.recall_4, >=, 0.95);
  g_assert_cmpuint(last.held_out.queries, ==, VIDEOS / 5 * QUESTIONS);
  MnkIndexerScores chance, stranger;
  MnkRouterConfig route = {.router = MNK_ROUTER_RANDOM};
  route_world(world, &route, &chance);
  g_assert_cmpfloat(chance.recall_4, <=, 0.2);
  mnk_indexer_eval(indexer, other->samples, VIDEOS * QUESTIONS, &stranger);
  g_test_message("Recall@4: chance %.3f, other names %.3f", chance.recall_4, stranger.recall_4);
  g_assert_cmpfloat(stranger.recall_4, <=, 0.3);
}

/* Where what is asked for is in single tokens, means over tokens drown it. */
static void test_beats_coarse(void) {
  g_autoptr(World) world = world_new(3, TRUE);
  MnkIndexerProgress last;
  g_autoptr(MnkIndexer) indexer = trained_on(world, &last);
  MnkRouterConfig route = {.router = MNK_ROUTER_COS_SIM_COARSE};
  MnkIndexerScores coarse, routed;
  route_world(world, &route, &coarse);
  route.router = MNK_ROUTER_INDEXER;
  route.indexer = indexer;
  route_world(world, &route, &routed);
  g_test_message("Recall@4: coarse %.3f, indexer %.3f (held out %.3f)", coarse.recall_4,
                 routed.recall_4, last.held_out.recall_4);
  g_assert_cmpfloat(last.held_out.recall_4, >=, coarse.recall_4 + 0.2);
  g_assert_cmpfloat(routed.recall_4, >=, coarse.recall_4 + 0.2);
}

/* A teacher's gains alone, without a positive, teach as well. */
static void test_teacher(void) {
  g_autoptr(World) world = world_new(4, FALSE);
  MnkIndexerSample blind = world->samples[0];
  float gains[CLUSTERS];
  const guint8 none[CLUSTERS] = {0};
  for (guint i = 0; i < CLUSTERS; i++)
    gains[i] = blind.positive[i] ? 6 : 0;
  blind.positive = none;
  blind.gains = gains;
  g_autoptr(MnkIndexer) indexer = small_indexer(1);
  MnkIndexerTraining training;
  mnk_indexer_training_init(&training);
  training.temperature = 1;
  float *weights;
  guint n = mnk_indexer_weights(indexer, &weights);
  for (guint step = 0; step < 200; step++) {
    g_autofree float *grad = g_new0(float, n);
    mnk_indexer_loss(indexer, &blind, &training, grad);
    for (guint i = 0; i < n; i++)
      weights[i] -= 0.002F * grad[i];
  }
  MnkIndexerScores scores;
  mnk_indexer_eval(indexer, world->samples, 1, &scores);
  g_assert_cmpfloat(scores.recall_1, ==, 1);
}

static void test_same_seed_same_weights(void) {
  g_autoptr(World) world = world_new(5, FALSE);
  g_autoptr(GByteArray) first = g_byte_array_new(), second = g_byte_array_new();
  MnkIndexerProgress last;
  g_autoptr(MnkIndexer) a = trained_on(world, &last), b = trained_on(world, &last);
  mnk_indexer_save(a, "{}", first);
  mnk_indexer_save(b, "{}", second);
  g_assert_cmpmem(first->data, first->len, second->data, second->len);
}

static void test_stops(void) {
  g_autoptr(World) world = world_new(5, FALSE);
  g_autoptr(MnkIndexer) indexer = small_indexer(1);
  MnkIndexerTraining training;
  mnk_indexer_training_init(&training);
  Watch seen = {.stop_at = 2};
  g_autoptr(GError) error = NULL;
  g_assert_false(mnk_indexer_train(indexer, world->samples, VIDEOS * QUESTIONS, &training, watch,
                                   &seen, &error));
  g_assert_error(error, MNK_ERROR, MNK_ERROR_CANCELLED);
  g_assert_cmpuint(seen.calls, ==, 2);
  g_clear_error(&error);
  g_assert_false(
      mnk_indexer_train(indexer, world->samples, QUESTIONS, &training, NULL, NULL, &error));
  g_assert_error(error, MNK_ERROR, MNK_ERROR_BAD_INPUT);
}

/* Without anything to learn the ranks stand still, and training ends early. */
static void test_patience(void) {
  g_autoptr(World) world = world_new(6, FALSE);
  g_autoptr(MnkIndexer) indexer = small_indexer(1);
  MnkIndexerTraining training;
  mnk_indexer_training_init(&training);
  training.rate = 0;
  training.patience = 3;
  Watch seen = {0};
  g_autoptr(GError) error = NULL;
  mnk_indexer_train(indexer, world->samples, VIDEOS * QUESTIONS, &training, watch, &seen, &error);
  g_assert_no_error(error);
  g_assert_cmpuint(seen.calls, ==, 3);
}

/* ---- The gradient ---- */

/* Central differences, in places where the loss is smooth: each weight within 2 % of the largest.
 */
static void check_gradient(gboolean gains, guint8 positives) {
  enum { SMALL = 10, N_CLUSTERS = 6, N_TOKENS = 3, N_QUERY = 3 };
  g_autoptr(GRand) rand = g_rand_new_with_seed(11);
  MnkIndexerShape shape = {.dim = SMALL, .heads = 2, .head_dim = 4};
  g_autoptr(MnkIndexer) indexer = mnk_indexer_new(&shape, 2);
  g_autofree float *keys = random_floats(rand, N_CLUSTERS * N_TOKENS * SMALL);
  g_autofree float *query = random_floats(rand, N_QUERY * SMALL);
  g_autofree float *gain = random_floats(rand, N_CLUSTERS);
  guint8 positive[N_CLUSTERS] = {0};
  memset(positive + 1, 1, positives);
  MnkIndexerSample sample = {.query = query,
                             .n_query = N_QUERY,
                             .keys = keys,
                             .n_clusters = N_CLUSTERS,
                             .n_tokens = N_TOKENS,
                             .positive = positive,
                             .gains = gains ? gain : NULL};
  MnkIndexerTraining training;
  mnk_indexer_training_init(&training);
  training.temperature = 1;
  training.l2 = 0.1F;
  training.kl = 0.7F;
  float *weights;
  guint n = mnk_indexer_weights(indexer, &weights);
  g_autofree float *grad = g_new0(float, n);
  mnk_indexer_loss(indexer, &sample, &training, grad);
  float largest = 0;
  for (guint i = 0; i < n; i++)
    largest = MAX(largest, fabsf(grad[i]));
  for (guint i = 0; i < n; i++) {
    const float step = 1e-3F, was = weights[i];
    weights[i] = was + step;
    double up = mnk_indexer_loss(indexer, &sample, &training, NULL);
    float above = weights[i];
    weights[i] = was - step;
    double down = mnk_indexer_loss(indexer, &sample, &training, NULL);
    double slope = (up - down) / ((double)above - (double)weights[i]);
    weights[i] = was;
    g_assert_cmpfloat(fabs(slope - (double)grad[i]), <=, 0.02 * (double)largest);
  }
}

static void test_gradient_one(void) {
  check_gradient(FALSE, 1);
}

static void test_gradient_two(void) {
  check_gradient(FALSE, 2);
}

static void test_gradient_teacher(void) {
  check_gradient(TRUE, 1);
}

static void test_gradient_teacher_alone(void) {
  check_gradient(TRUE, 0);
}

/* ---- Ranks ---- */

static void test_rank(void) {
  const float scores[] = {0.1F, 0.9F, 0.5F, 0.5F, -1, 0.2F};
  const guint8 third[] = {0, 0, 1, 0, 0, 0}, two[] = {0, 1, 0, 0, 1, 0}, none[6] = {0};
  MnkIndexerScores sum = {0};
  mnk_indexer_rank(scores, third, 6, &sum);
  g_assert_cmpfloat(sum.recall_1, ==, 0);
  g_assert_cmpfloat(sum.recall_4, ==, 1);
  g_assert_cmpfloat_with_epsilon(sum.mrr, 1 / 3.0, 1e-12);
  mnk_indexer_rank(scores, two, 6, &sum);
  g_assert_cmpfloat_with_epsilon(sum.recall_1, 0.5, 1e-12);
  g_assert_cmpfloat_with_epsilon(sum.recall_4, 0.75, 1e-12);
  g_assert_cmpfloat_with_epsilon(sum.recall_8, 1, 1e-12);
  g_assert_cmpfloat_with_epsilon(sum.mrr, 2 / 3.0, 1e-12);
  mnk_indexer_rank(scores, none, 6, &sum);
  g_assert_cmpuint(sum.queries, ==, 2);
}

/* ---- Files ---- */

static GByteArray *saved_indexer(void) {
  MnkIndexerShape shape = {.dim = 12, .heads = 2, .head_dim = 4, .model = "0123abcd"};
  g_autoptr(MnkIndexer) indexer = mnk_indexer_new(&shape, 3);
  GByteArray *bytes = g_byte_array_new();
  mnk_indexer_save(indexer, "{\"recall_4\":0.5}", bytes);
  return bytes;
}

static void test_file(void) {
  g_autoptr(GByteArray) bytes = saved_indexer(), again = g_byte_array_new();
  g_autoptr(GError) error = NULL;
  g_autoptr(MnkIndexer) indexer =
      mnk_indexer_restore(bytes->data, bytes->len, "0123abcd", 12, &error);
  g_assert_no_error(error);
  MnkIndexerShape shape;
  mnk_indexer_shape(indexer, &shape);
  g_assert_cmpuint(shape.heads, ==, 2);
  g_assert_cmpstr(shape.model, ==, "0123abcd");
  mnk_indexer_save(indexer, "{\"recall_4\":0.5}", again);
  g_assert_cmpmem(bytes->data, bytes->len, again->data, again->len);
}

static void check_refused(const char *model, guint dim) {
  g_autoptr(GByteArray) bytes = saved_indexer();
  g_autoptr(GError) error = NULL;
  g_assert_null(mnk_indexer_restore(bytes->data, bytes->len, model, dim, &error));
  g_assert_error(error, MNK_ERROR, MNK_ERROR_CONFIG);
}

static void test_other_model(void) {
  check_refused("0123abce", 12);
  check_refused("0123abcd", 13);
}

static gboolean read_indexer(const guint8 *bytes, gsize length, GError **error) {
  g_autoptr(MnkIndexer) indexer = mnk_indexer_restore(bytes, length, NULL, 0, error);
  return indexer != NULL;
}

static void test_damage(void) {
  g_autoptr(GByteArray) bytes = saved_indexer();
  check_damage(bytes, read_indexer, 4000);
}

/* ---- Files of samples ---- */

static MnkIndexerData *some_data(void) {
  MnkIndexerData *data = mnk_indexer_data_new(7, "0123abcd");
  g_autoptr(GRand) rand = g_rand_new_with_seed(1);
  for (guint video = 0; video < 3; video++) {
    guint clusters = 2 + video;
    g_autofree float *keys = random_floats(rand, (gsize)clusters * 4 * 7);
    guint8 positive[4] = {0, 1};
    mnk_indexer_data_add_video(data, keys, clusters, 4);
    for (guint i = 0; i < video; i++) {
      g_autofree float *query = random_floats(rand, (1 + i) * 7), *gains = random_floats(rand, 4);
      mnk_indexer_data_add_question(data, query, 1 + i, positive, i == 1 ? gains : NULL);
    }
  }
  return data;
}

static void test_samples(void) {
  g_autoptr(MnkIndexerData) data = some_data();
  g_autoptr(GByteArray) bytes = g_byte_array_new(), again = g_byte_array_new();
  mnk_indexer_data_save(data, bytes);
  g_autoptr(GError) error = NULL;
  g_autoptr(MnkIndexerData) restored = mnk_indexer_data_restore(bytes->data, bytes->len, &error);
  g_assert_no_error(error);
  mnk_indexer_data_save(restored, again);
  g_assert_cmpmem(bytes->data, bytes->len, again->data, again->len);
  guint n;
  const MnkIndexerSample *samples = mnk_indexer_data_samples(restored, &n);
  g_assert_cmpuint(n, ==, 3);
  g_assert_cmpuint(mnk_indexer_data_dim(restored), ==, 7);
  g_assert_cmpstr(mnk_indexer_data_model(restored), ==, "0123abcd");
  g_assert_cmpuint(samples[0].video, ==, 1);
  g_assert_cmpuint(samples[2].n_query, ==, 2);
  g_assert_cmpuint(samples[2].n_clusters, ==, 4);
  g_assert_true(samples[1].keys == samples[2].keys);
  g_assert_null(samples[1].gains);
  g_assert_nonnull(samples[2].gains);
  g_assert_cmpuint(samples[2].positive[1], ==, 1);
}

static gboolean read_samples(const guint8 *bytes, gsize length, GError **error) {
  g_autoptr(MnkIndexerData) data = mnk_indexer_data_restore(bytes, length, error);
  return data != NULL;
}

static void test_samples_damage(void) {
  g_autoptr(MnkIndexerData) data = some_data();
  g_autoptr(GByteArray) bytes = g_byte_array_new();
  mnk_indexer_data_save(data, bytes);
  check_damage(bytes, read_samples, 4000);
}

/* Whole videos are held out, the same ones each time. */
static void test_held_out(void) {
  g_autoptr(World) world = world_new(7, FALSE);
  guint8 held[VIDEOS * QUESTIONS], again[VIDEOS * QUESTIONS];
  MnkIndexerTraining training;
  mnk_indexer_training_init(&training);
  guint n = mnk_indexer_held_out(world->samples, VIDEOS * QUESTIONS, &training, held);
  g_assert_cmpuint(n, ==, VIDEOS * QUESTIONS / 5);
  for (guint i = 0; i < VIDEOS * QUESTIONS; i++)
    g_assert_cmpuint(held[i], ==, held[i / QUESTIONS * QUESTIONS]);
  mnk_indexer_held_out(world->samples, VIDEOS * QUESTIONS, &training, again);
  g_assert_cmpmem(held, sizeof held, again, sizeof again);
  g_assert_cmpuint(mnk_indexer_held_out(world->samples, QUESTIONS, &training, held), ==, 0);
}

static void test_default_shape(void) {
  MnkIndexerShape narrow = {.dim = 576}, wide = {.dim = 2048};
  g_autoptr(MnkIndexer) a = mnk_indexer_new(&narrow, 1), b = mnk_indexer_new(&wide, 1);
  mnk_indexer_shape(a, &narrow);
  mnk_indexer_shape(b, &wide);
  g_assert_cmpuint(narrow.heads * narrow.head_dim, <, wide.heads * wide.head_dim);
}

int main(int argc, char **argv) {
  g_test_init(&argc, &argv, NULL);
  g_test_add_func("/indexer/train/planted", test_planted);
  g_test_add_func("/indexer/train/beats-coarse", test_beats_coarse);
  g_test_add_func("/indexer/train/teacher", test_teacher);
  g_test_add_func("/indexer/train/same-seed-same-weights", test_same_seed_same_weights);
  g_test_add_func("/indexer/train/stops", test_stops);
  g_test_add_func("/indexer/train/patience", test_patience);
  g_test_add_func("/indexer/gradient/one-positive", test_gradient_one);
  g_test_add_func("/indexer/gradient/two-positives", test_gradient_two);
  g_test_add_func("/indexer/gradient/teacher", test_gradient_teacher);
  g_test_add_func("/indexer/gradient/teacher-alone", test_gradient_teacher_alone);
  g_test_add_func("/indexer/rank", test_rank);
  g_test_add_func("/indexer/file/round-trip", test_file);
  g_test_add_func("/indexer/file/other-model", test_other_model);
  g_test_add_func("/indexer/file/damage", test_damage);
  g_test_add_func("/indexer/samples/round-trip", test_samples);
  g_test_add_func("/indexer/samples/damage", test_samples_damage);
  g_test_add_func("/indexer/samples/held-out", test_held_out);
  g_test_add_func("/indexer/default-shape", test_default_shape);
  return g_test_run();
}
