/* Which moment showed this picture? Every way to remember a stream and to find in it, on the same
 * streams and questions.
 *
 *   retrieval_bench VIEWS [raw|centred]
 *
 * VIEWS: from retrieval_tokens. A stream is made of moments in random order, three frames each, a
 * second apart; a question is another view of one of its pictures. For each question and each way
 * one line: way, half, kind of question, picture, rank. The rank is that of the first hit in units
 * of a frame's tokens, equal scores counted half; 0: it is not there at all. The indexer is trained
 * on streams of the choosing half alone. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "memory/memory.h"
#include "retrieval_tokens.h"

enum {
  STREAMS = 24, /* of each half */
  MOMENTS = 64, /* of a stream, a quarter of them from clips */
  FRAMES = 3,
  QUESTIONS = 12, /* of a stream */
  STEP_MS = 1000,
};

typedef struct {
  const View *views[VIEW_KINDS][FRAMES];
  guint n[VIEW_KINDS];
} Picture;

typedef struct {
  const View *views;
  GPtrArray *asked[2], *others[2]; /* of Picture, by half */
} Material;

typedef struct {
  guint half, number;
  const Picture *moments[MOMENTS];
  guint n;
  struct {
    guint moment;
    const View *view;
  } questions[QUESTIONS];
} Stream;

/* ---- Material ---- */

static void read_views(Material *material, View *views, gsize n) {
  g_autoptr(GHashTable) pictures = g_hash_table_new(NULL, NULL);
  *material = (Material){.views = views};
  for (guint h = 0; h < 2; h++) {
    material->asked[h] = g_ptr_array_new_with_free_func(g_free);
    material->others[h] = g_ptr_array_new_with_free_func(g_free);
  }
  for (gsize i = 0; i < n; i++) {
    const View *view = &views[i];
    Picture *picture = g_hash_table_lookup(pictures, GUINT_TO_POINTER(view->picture + 1));
    if (picture == NULL) {
      picture = g_new0(Picture, 1);
      g_hash_table_insert(pictures, GUINT_TO_POINTER(view->picture + 1), picture);
      g_ptr_array_add((view->asked ? material->asked : material->others)[view->half != 0], picture);
    }
    ViewKind kind = (ViewKind)MIN(view->kind, VIEW_PART);
    if (picture->n[kind] < FRAMES)
      picture->views[kind][picture->n[kind]++] = view;
  }
}

/* Takes the mean of the choosing half's tokens off all of them. */
static void centre(View *views, gsize n) {
  g_autofree double *mean = g_new0(double, DIM);
  gsize rows = 0;
  for (gsize i = 0; i < n; i++)
    for (guint t = 0; t < TOKENS && views[i].half == 0 && views[i].kind == VIEW_FRAME; t++, rows++)
      for (guint d = 0; d < DIM; d++)
        mean[d] += (double)views[i].tokens[t][d];
  for (gsize i = 0; i < n; i++)
    for (guint t = 0; t < TOKENS; t++)
      for (guint d = 0; d < DIM; d++)
        views[i].tokens[t][d] -= (float)(mean[d] / (double)MAX(rows, 1));
}

/* ---- Streams ---- */

static void shuffle(gpointer *items, guint n, GRand *random) {
  for (guint i = n; i > 1; i--) {
    guint j = (guint)g_rand_int_range(random, 0, (gint32)i);
    gpointer item = items[i - 1];
    items[i - 1] = items[j];
    items[j] = item;
  }
}

/* Pictures and moments of clips mixed; each picture at most once. */
static void make_stream(const Material *material, guint half, guint number, Stream *stream) {
  g_autoptr(GRand) random = g_rand_new_with_seed(1000 * (half + 1) + number);
  const GPtrArray *asked = material->asked[half], *others = material->others[half];
  g_autoptr(GPtrArray) a = g_ptr_array_copy((GPtrArray *)asked, NULL, NULL);
  g_autoptr(GPtrArray) b = g_ptr_array_copy((GPtrArray *)others, NULL, NULL);
  g_ptr_array_set_free_func(a, NULL);
  g_ptr_array_set_free_func(b, NULL);
  shuffle(a->pdata, a->len, random);
  shuffle(b->pdata, b->len, random);
  guint from_clips = MIN(b->len, MOMENTS / 4);
  guint from_pictures = MIN(a->len, MOMENTS - from_clips);
  *stream = (Stream){.half = half, .number = number};
  for (guint i = 0; i < from_pictures; i++)
    stream->moments[stream->n++] = a->pdata[i];
  for (guint i = 0; i < from_clips; i++)
    stream->moments[stream->n++] = b->pdata[i];
  shuffle((gpointer *)stream->moments, stream->n, random);
  for (guint i = 0, q = 0; q < QUESTIONS;) {
    i = (guint)g_rand_int_range(random, 0, (gint32)stream->n);
    const Picture *picture = stream->moments[i];
    ViewKind kind = q % 2 ? VIEW_PART : VIEW_OTHER;
    if (picture->n[kind] == 0)
      continue;
    stream->questions[q].moment = i;
    stream->questions[q++].view = picture->views[kind][number % picture->n[kind]];
  }
}

static gint64 start_of(guint moment) {
  return (gint64)moment * FRAMES * STEP_MS;
}

static gboolean is_within(gint64 ms, guint moment) {
  return ms >= start_of(moment) && ms < start_of(moment + 1);
}

/* ---- Ranks ---- */

static void tell(const char *way, const Stream *stream, guint question, double rank) {
  const View *view = stream->questions[question].view;
  printf("%s\t%s\t%s\t%u\t%.3f\n", way, stream->half ? "held-out" : "choosing",
         view->kind == VIEW_PART ? "a part" : "another view", view->picture, rank);
}

static double rank_of(const float *scores, const guint8 *positive, guint n) {
  double best = 0;
  for (guint i = 0; i < n; i++) {
    guint above = 0, equal = 0;
    for (guint j = 0; j < n && positive[i]; j++) {
      above += scores[j] > scores[i];
      equal += j != i && scores[j] == scores[i] && !positive[j];
    }
    double rank = positive[i] ? 1 + above + equal / 2.0 : 0;
    if (positive[i] && (best == 0 || rank < best))
      best = rank;
  }
  return best;
}

/* ---- Key frames and routers ---- */

static MnkKeyframes *remember(const Stream *stream, float ratio, guint long_max) {
  MnkKeyframesConfig config;
  mnk_keyframes_config_init(&config);
  config.match_ratio = ratio;
  config.long_max = long_max;
  config.detail_bytes_max = 0;
  MnkKeyframes *keyframes = mnk_keyframes_new(&config);
  for (guint m = 0; m < stream->n; m++)
    for (guint f = 0; f < stream->moments[m]->n[VIEW_FRAME]; f++) {
      gboolean is_new;
      g_autoptr(MnkTokens) tokens =
          mnk_tokens_new(&stream->moments[m]->views[VIEW_FRAME][f]->tokens[0][0], TOKENS, DIM, GRID,
                         start_of(m) + f * STEP_MS, NULL);
      mnk_keyframes_add(keyframes, tokens, &is_new);
    }
  return keyframes;
}

/* A cluster shows the moment when at least half of its frames are the moment's. */
static guint8 *positives(const MnkKeyframes *keyframes, guint moment) {
  guint count = mnk_keyframes_count(keyframes);
  guint8 *positive = g_new0(guint8, count);
  for (guint i = 0; i < count; i++) {
    MnkCluster cluster;
    guint within = 0;
    mnk_keyframes_get(keyframes, i, &cluster);
    for (guint j = 0; j < cluster.n_pts; j++)
      within += is_within(cluster.pts_ms[j], moment);
    positive[i] = within > 0 && 2 * within >= cluster.n_pts;
  }
  return positive;
}

static void ask_routers(const Stream *stream, float ratio, guint long_max,
                        const MnkIndexer *indexer) {
  g_autoptr(MnkKeyframes) keyframes = remember(stream, ratio, long_max);
  guint count = mnk_keyframes_count(keyframes);
  g_autofree float *scores = g_new(float, count);
  for (guint q = 0; q < QUESTIONS; q++) {
    g_autofree guint8 *positive = positives(keyframes, stream->questions[q].moment);
    for (guint r = 0; r < MNK_ROUTER_N; r++) {
      MnkRouterConfig config = {.router = (MnkRouter)r,
                                .indexer = indexer,
                                .seed = 100 * stream->number + q,
                                .tau = 0.07F};
      if (r == MNK_ROUTER_INDEXER && indexer == NULL)
        continue;
      mnk_route(keyframes, &config, &stream->questions[q].view->tokens[0][0], TOKENS, scores);
      g_autofree char *way = g_strdup_printf("keyframes %.2f %u %s", (double)ratio, long_max,
                                             mnk_router_name((MnkRouter)r));
      tell(way, stream, q, rank_of(scores, positive, count));
    }
  }
  g_autofree char *way = g_strdup_printf("keyframes %.2f %u clusters", (double)ratio, long_max);
  tell(way, stream, 0, count);
}

/* ---- K-means ---- */

static float cosine(const float *a, const float *b) {
  double dot = 0, aa = 0, bb = 0;
  for (guint d = 0; d < DIM; d++) {
    dot += (double)a[d] * (double)b[d];
    aa += (double)a[d] * (double)a[d];
    bb += (double)b[d] * (double)b[d];
  }
  return aa > 0 && bb > 0 ? (float)(dot / sqrt(aa * bb)) : 0;
}

/* A centre scores by the query token that is most like it. It hits when all that is in it came from
 * the moment: that is lenient, one token of a frame is enough. */
static void ask_centres(const Stream *stream, guint k) {
  MnkTokenMemoryConfig config = {.tokens = k, .dim = DIM, .iterations = 2};
  g_autoptr(MnkTokenMemory) memory = mnk_token_memory_new(&config, NULL);
  for (guint m = 0; m < stream->n; m++)
    for (guint f = 0; f < stream->moments[m]->n[VIEW_FRAME]; f++)
      mnk_token_memory_add_rows(memory, &stream->moments[m]->views[VIEW_FRAME][f]->tokens[0][0],
                                TOKENS, GRID, start_of(m) + f * STEP_MS);
  guint count = mnk_token_memory_count(memory);
  const float *centres = mnk_token_memory_centres(memory);
  const MnkCentre *stats = mnk_token_memory_stats(memory);
  g_autofree float *scores = g_new(float, count);
  g_autofree guint8 *positive = g_new(guint8, count);
  g_autofree char *way = g_strdup_printf("kmeans %u", k);
  for (guint q = 0; q < QUESTIONS; q++) {
    guint moment = stream->questions[q].moment;
    for (guint i = 0; i < count; i++) {
      scores[i] = -2;
      for (guint t = 0; t < TOKENS; t++)
        scores[i] =
            MAX(scores[i], cosine(stream->questions[q].view->tokens[t], centres + (gsize)i * DIM));
      positive[i] = stats[i].count > 0 && is_within(stats[i].first_ms, moment) &&
                    is_within(stats[i].last_ms, moment);
    }
    tell(way, stream, q, ceil(rank_of(scores, positive, count) / TOKENS));
  }
}

/* ---- Recent frames ---- */

static void ask_recent(const Stream *stream) {
  for (guint q = 0; q < QUESTIONS; q++)
    tell("recent frames", stream, q,
         1 + FRAMES * (double)(stream->n - 1 - stream->questions[q].moment));
}

/* ---- Caption log ---- */

static void add_names(GHashTable *set, const char *names) {
  g_auto(GStrv) words = g_strsplit(names, ", ", -1);
  for (char **word = words; *word != NULL; word++)
    if (**word != '\0')
      g_hash_table_add(set, g_strdup(*word));
}

static GHashTable *new_set(void) {
  return g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
}

/* One caption for each moment, of what perception names in its frames; the words of a question
 * count by how rare they are. */
static void ask_log(const Stream *stream, gboolean told) {
  g_autoptr(GPtrArray) log = g_ptr_array_new_with_free_func((GDestroyNotify)g_hash_table_unref);
  for (guint m = 0; m < stream->n; m++) {
    g_ptr_array_add(log, new_set());
    for (guint f = 0; f < stream->moments[m]->n[VIEW_FRAME]; f++)
      add_names(log->pdata[m], stream->moments[m]->views[VIEW_FRAME][f]->names);
  }
  for (guint q = 0; q < QUESTIONS; q++) {
    const View *view = stream->questions[q].view;
    g_autoptr(GHashTable) words = new_set();
    g_autofree float *scores = g_new0(float, stream->n);
    g_autofree guint8 *positive = g_new0(guint8, stream->n);
    GHashTableIter iter;
    gpointer word;
    add_names(words, told ? view->words : view->names);
    positive[stream->questions[q].moment] = 1;
    g_hash_table_iter_init(&iter, words);
    while (g_hash_table_iter_next(&iter, &word, NULL)) {
      guint with = 0;
      for (guint m = 0; m < stream->n; m++)
        with += g_hash_table_contains(log->pdata[m], word);
      for (guint m = 0; m < stream->n; m++)
        if (g_hash_table_contains(log->pdata[m], word))
          scores[m] += logf((float)(stream->n + 1) / (float)with);
    }
    tell(told ? "captions, words of a person" : "captions, words of perception", stream, q,
         rank_of(scores, positive, stream->n));
  }
}

/* ---- Indexer ---- */

static gboolean on_progress(const MnkIndexerProgress *progress, gpointer user) {
  g_printerr("indexer: step %u, loss %.3f, Recall@4 %.3f\n", progress->step, progress->loss,
             progress->held_out.recall_4);
  return TRUE;
}

static float *keys_of(const MnkKeyframes *keyframes) {
  guint count = mnk_keyframes_count(keyframes);
  float *keys = g_new(float, (gsize)count *TOKENS *DIM);
  for (guint i = 0; i < count; i++) {
    MnkCluster cluster;
    mnk_keyframes_get(keyframes, i, &cluster);
    mnk_tokens_read(cluster.merged, 0, TOKENS, keys + (gsize)i * TOKENS * DIM);
  }
  return keys;
}

static MnkIndexer *train(const Material *material, float ratio) {
  g_autoptr(GArray) samples = g_array_new(FALSE, TRUE, sizeof(MnkIndexerSample));
  g_autoptr(GPtrArray) owned = g_ptr_array_new_with_free_func(g_free);
  MnkIndexerShape shape = {.dim = DIM, .model = "efficientnet-lite0"};
  MnkIndexerTraining training;
  g_autoptr(GError) error = NULL;
  for (guint number = 0; number < STREAMS; number++) {
    Stream stream;
    make_stream(material, 0, 500 + number, &stream);
    g_autoptr(MnkKeyframes) keyframes = remember(&stream, ratio, 512);
    float *keys = keys_of(keyframes);
    g_ptr_array_add(owned, keys);
    for (guint q = 0; q < QUESTIONS; q++) {
      guint8 *positive = positives(keyframes, stream.questions[q].moment);
      g_ptr_array_add(owned, positive);
      MnkIndexerSample sample = {.video = number,
                                 .query = &stream.questions[q].view->tokens[0][0],
                                 .n_query = TOKENS,
                                 .keys = keys,
                                 .n_clusters = mnk_keyframes_count(keyframes),
                                 .n_tokens = TOKENS,
                                 .positive = positive};
      if (memchr(positive, 1, sample.n_clusters) != NULL)
        g_array_append_val(samples, sample);
    }
  }
  mnk_indexer_training_init(&training);
  training.steps = 400;
  training.seed = 1;
  MnkIndexer *indexer = mnk_indexer_new(&shape, 1);
  if (!mnk_indexer_train(indexer, (MnkIndexerSample *)(void *)samples->data, samples->len,
                         &training, on_progress, NULL, &error))
    g_printerr("indexer: %s\n", error->message);
  return indexer;
}

/* ---- All of it ---- */

static void ask_all(const Stream *stream, const MnkIndexer *indexer) {
  static const float RATIOS[] = {0.5F, 0.7F, 0.9F};
  for (guint i = 0; i < G_N_ELEMENTS(RATIOS); i++) {
    ask_routers(stream, RATIOS[i], 512, indexer);
    ask_routers(stream, RATIOS[i], 16, indexer);
  }
  ask_centres(stream, 512);
  ask_centres(stream, 21 * TOKENS); /* what 16 clusters and a buffer of 5 hold */
  ask_recent(stream);
  ask_log(stream, FALSE);
  ask_log(stream, TRUE);
}

int main(int argc, char **argv) {
  g_autofree char *bytes = NULL;
  gsize length;
  g_autoptr(GError) error = NULL;
  if (argc < 2 || !g_file_get_contents(argv[1], &bytes, &length, &error)) {
    g_printerr("retrieval_bench: %s\n", error != NULL ? error->message : "usage: VIEWS [centred]");
    return 2;
  }
  View *views = (View *)(void *)bytes;
  Material material;
  if (argc > 2 && g_str_equal(argv[2], "centred"))
    centre(views, length / sizeof(View));
  read_views(&material, views, length / sizeof(View));
  g_autoptr(MnkIndexer) indexer = train(&material, 0.7F);
  for (guint half = 0; half < 2; half++)
    for (guint number = 0; number < STREAMS; number++) {
      Stream stream;
      make_stream(&material, half, number, &stream);
      ask_all(&stream, indexer);
    }
  for (guint h = 0; h < 2; h++) {
    g_ptr_array_unref(material.asked[h]);
    g_ptr_array_unref(material.others[h]);
  }
  return 0;
}
