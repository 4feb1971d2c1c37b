/* `manako indexer`: trains the small router, and compares routers. */
#include "cli/cli.h"
#include "memory/memory.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

static MnkIndexerData *load_data(const char *path, GError **error) {
  g_autoptr(GError) why = NULL;
  g_autoptr(GMappedFile) file = g_mapped_file_new(path, FALSE, &why);
  if (file == NULL) {
    g_set_error(error, MNK_ERROR, MNK_ERROR_NOT_FOUND, "%s cannot be read: %s", path, why->message);
    return NULL;
  }
  MnkIndexerData *data = mnk_indexer_data_restore((const guint8 *)g_mapped_file_get_contents(file),
                                                  g_mapped_file_get_length(file), error);
  if (data == NULL)
    g_prefix_error(error, "%s: ", path);
  return data;
}

static MnkIndexer *load_indexer(const char *path, const MnkIndexerData *data, GError **error) {
  g_autofree char *bytes = NULL;
  gsize length;
  g_autoptr(GError) why = NULL;
  if (!g_file_get_contents(path, &bytes, &length, &why)) {
    g_set_error(error, MNK_ERROR, MNK_ERROR_NOT_FOUND, "%s cannot be read: %s", path, why->message);
    return NULL;
  }
  MnkIndexer *indexer =
      mnk_indexer_restore((const guint8 *)bytes, length, mnk_indexer_data_model(data),
                          mnk_indexer_data_dim(data), error);
  if (indexer == NULL)
    g_prefix_error(error, "%s: ", path);
  return indexer;
}

/* ---- Comparing routers ---- */

/* The clusters of a sample as key frames: each a frame that no other joins. */
static MnkKeyframes *keyframes_of(const MnkIndexerSample *sample, guint dim, GError **error) {
  MnkKeyframesConfig config;
  mnk_keyframes_config_init(&config);
  config.buffer_size = 1;
  config.match_ratio = 2;
  config.long_max = sample->n_clusters;
  config.detail_bytes_max = 0;
  g_autoptr(MnkKeyframes) keyframes = mnk_keyframes_new(&config);
  gsize cluster = (gsize)sample->n_tokens * dim;
  for (guint i = 0; i < sample->n_clusters; i++) {
    gboolean is_new;
    g_autoptr(MnkTokens) frame = mnk_tokens_new(sample->keys + i * cluster, sample->n_tokens, dim,
                                                0, (gint64)i * 1000, error);
    if (frame == NULL)
      return NULL;
    mnk_keyframes_add(keyframes, frame, &is_new);
  }
  return g_steal_pointer(&keyframes);
}

/* scores: one per router. held NULL: all samples; else those with a 1. */
static gboolean compare(const MnkIndexerData *data, const MnkIndexer *indexer, const guint8 *held,
                        MnkIndexerScores *out, MnkProgress *progress, GError **error) {
  guint n;
  const MnkIndexerSample *samples = mnk_indexer_data_samples(data, &n);
  g_autoptr(MnkKeyframes) keyframes = NULL;
  const float *keys = NULL;
  for (guint i = 0; i < n; i++) {
    if (held != NULL && !held[i])
      continue;
    if (keys != samples[i].keys) {
      g_clear_pointer(&keyframes, mnk_keyframes_free);
      keyframes = keyframes_of(samples + i, mnk_indexer_data_dim(data), error);
      keys = samples[i].keys;
    }
    if (keyframes == NULL)
      return FALSE;
    g_autofree float *scores = g_new(float, samples[i].n_clusters);
    for (guint router = 0; router < MNK_ROUTER_N; router++) {
      MnkRouterConfig config = {
          .router = (MnkRouter)router, .indexer = indexer, .seed = i, .tau = 0.07F};
      if (router == MNK_ROUTER_INDEXER && indexer == NULL)
        continue;
      mnk_route(keyframes, &config, samples[i].query, samples[i].n_query, scores);
      mnk_indexer_rank(scores, samples[i].positive, samples[i].n_clusters, out + router);
    }
    mnk_progress_show(progress, "question %u of %u", i + 1, n);
  }
  mnk_progress_hide(progress);
  return TRUE;
}

static void print_table(const MnkIndexerScores *scores) {
  printf("%-16s %9s %9s %9s %7s\n", "router", "Recall@1", "Recall@4", "Recall@8", "MRR");
  for (guint router = 0; router < MNK_ROUTER_N; router++)
    if (scores[router].queries > 0)
      printf("%-16s %9.3f %9.3f %9.3f %7.3f\n", mnk_router_name((MnkRouter)router),
             scores[router].recall_1, scores[router].recall_4, scores[router].recall_8,
             scores[router].mrr);
}

static gboolean eval(const MnkSettings *settings, const char *data_path, const char *indexer_path,
                     GError **error) {
  g_autoptr(MnkIndexerData) data = load_data(data_path, error);
  if (data == NULL)
    return FALSE;
  g_autoptr(MnkIndexer) indexer = NULL;
  if (indexer_path != NULL && (indexer = load_indexer(indexer_path, data, error)) == NULL)
    return FALSE;
  g_autoptr(MnkProgress) progress = mnk_progress_new(mnk_settings_bool(settings, MNK_OPT_PROGRESS));
  MnkIndexerScores scores[MNK_ROUTER_N] = {0};
  if (!compare(data, indexer, NULL, scores, progress, error))
    return FALSE;
  print_table(scores);
  return TRUE;
}

/* ---- Training ---- */

typedef struct {
  MnkProgress *progress;
  guint steps;
} Shown;

static gboolean show(const MnkIndexerProgress *state, gpointer user) {
  const Shown *shown = user;
  mnk_progress_show(shown->progress, "step %u of %u  loss %.3f  held out: Recall@4 %.3f  MRR %.3f",
                    state->step, shown->steps, state->loss, state->held_out.recall_4,
                    state->held_out.mrr);
  return TRUE;
}

static void training_of(const MnkSettings *settings, MnkIndexerTraining *training) {
  mnk_indexer_training_init(training);
  training->steps = (guint)mnk_settings_int(settings, MNK_OPT_STEPS);
  training->rate = (float)mnk_settings_double(settings, MNK_OPT_RATE);
  training->held_out = (float)mnk_settings_double(settings, MNK_OPT_HELD_OUT);
  training->seed = (guint32)mnk_settings_int(settings, MNK_OPT_SEED);
}

static char *metrics_json(const MnkIndexerScores *scores) {
  g_autoptr(GString) out = g_string_new("{");
  for (guint router = 0; router < MNK_ROUTER_N; router++) {
    const MnkIndexerScores *of = scores + router;
    char numbers[4][G_ASCII_DTOSTR_BUF_SIZE];
    g_string_append_printf(out,
                           "%s\"%s\":{\"recall_1\":%s,\"recall_4\":%s,\"recall_8\":%s,\"mrr\":%s}",
                           router > 0 ? "," : "", mnk_router_name((MnkRouter)router),
                           g_ascii_formatd(numbers[0], sizeof numbers[0], "%.4f", of->recall_1),
                           g_ascii_formatd(numbers[1], sizeof numbers[1], "%.4f", of->recall_4),
                           g_ascii_formatd(numbers[2], sizeof numbers[2], "%.4f", of->recall_8),
                           g_ascii_formatd(numbers[3], sizeof numbers[3], "%.4f", of->mrr));
  }
  g_string_append_c(out, '}');
  return g_string_free(g_steal_pointer(&out), FALSE);
}

static gboolean write_indexer(const MnkIndexer *indexer, const MnkIndexerScores *scores,
                              const char *path, GError **error) {
  g_autofree char *metrics = metrics_json(scores);
  g_autoptr(GByteArray) out = g_byte_array_new();
  g_autoptr(GError) why = NULL;
  mnk_indexer_save(indexer, metrics, out);
  if (g_file_set_contents(path, (const char *)out->data, (gssize)out->len, &why))
    return TRUE;
  g_set_error(error, MNK_ERROR, MNK_ERROR_OUTPUT, "%s cannot be written: %s", path, why->message);
  return FALSE;
}

static gboolean train(const MnkSettings *settings, const char *data_path, const char *indexer_path,
                      GError **error) {
  g_autoptr(MnkIndexerData) data = load_data(data_path, error);
  if (data == NULL)
    return FALSE;
  MnkIndexerTraining training;
  training_of(settings, &training);
  MnkIndexerShape shape = {.dim = mnk_indexer_data_dim(data)};
  g_strlcpy(shape.model, mnk_indexer_data_model(data), sizeof shape.model);
  g_autoptr(MnkIndexer) indexer = mnk_indexer_new(&shape, training.seed);
  g_autoptr(MnkProgress) progress = mnk_progress_new(mnk_settings_bool(settings, MNK_OPT_PROGRESS));
  Shown shown = {progress, training.steps};
  guint n;
  const MnkIndexerSample *samples = mnk_indexer_data_samples(data, &n);
  g_autofree guint8 *held = g_new(guint8, (gsize)n + 1);
  guint n_held = mnk_indexer_held_out(samples, n, &training, held);
  MnkIndexerScores scores[MNK_ROUTER_N] = {0};
  if (!mnk_indexer_train(indexer, samples, n, &training, show, &shown, error) ||
      !compare(data, indexer, held, scores, progress, error) ||
      !write_indexer(indexer, scores, indexer_path, error))
    return FALSE;
  mnk_progress_hide(progress);
  fprintf(stderr, "Trained on %u questions; on the %u of videos held out:\n", n - n_held, n_held);
  print_table(scores);
  return TRUE;
}

static gboolean run(const MnkSettings *settings, char **rest, GError **error) {
  if (g_str_equal(rest[0], "train") && rest[1] != NULL && rest[2] != NULL)
    return train(settings, rest[1], rest[2], error);
  if (g_str_equal(rest[0], "eval") && rest[1] != NULL)
    return eval(settings, rest[1], rest[2], error);
  g_set_error_literal(error, MNK_ERROR, MNK_ERROR_USAGE,
                      "say `manako indexer train DATA INDEXER` or `manako indexer eval DATA "
                      "[INDEXER]`");
  return FALSE;
}

const MnkCommand mnk_command_indexer = {
    .name = "indexer",
    .set = MNK_COMMAND_INDEXER,
    .arguments = "train DATA INDEXER | eval DATA [INDEXER]",
    .summary = "Train the router that learns, and compare routers",
    .details = "DATA holds questions with the clusters of video that answer them, as "
               "docs/indexer.md describes. train learns which clusters a question needs, writes "
               "the file INDEXER for --indexer, and tells how often each router finds the evidence "
               "among its first 1, 4 and 8 clusters in videos that were held out of the training. "
               "eval tells the same over all questions of DATA. An indexer serves the one "
               "embedding model whose tokens it was trained on.",
    .min_rest = 2,
    .max_rest = 3,
    .run = run,
};
