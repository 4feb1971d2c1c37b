/* The indexer: a small trainable router. */
#ifndef MNK_MEMORY_INDEXER_H
#define MNK_MEMORY_INDEXER_H

#include "base/base.h"

/* ---- Heads of ReLU(q.k), as DeepSeek's lightning indexer has them ----
 *
 * Rows scaled to a mean square of 1, S query rows s, tokens p of a cluster, heads h of width d:
 *
 *   score = 1/S sum_s sum_h (1 + W_w^h q_s) max_p ReLU((W_q^h q_s) . (W_k k_p) / sqrt(d))
 */

typedef struct {
  guint dim, heads, head_dim;
  char model[64]; /* hash of the embedding model that it was trained for */
} MnkIndexerShape;

typedef struct _MnkIndexer MnkIndexer;
/* heads 0: chosen by dim. Weights from seed. */
MnkIndexer *mnk_indexer_new(const MnkIndexerShape *shape, guint32 seed);
void mnk_indexer_free(MnkIndexer *indexer);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(MnkIndexer, mnk_indexer_free)
void mnk_indexer_shape(const MnkIndexer *indexer, MnkIndexerShape *out);
void mnk_indexer_save(const MnkIndexer *indexer, const char *metrics_json, GByteArray *out);
/* model: refuses a file for another embedding model or width (MNK_ERROR_CONFIG); NULL: any. */
MnkIndexer *mnk_indexer_restore(const guint8 *bytes, gsize length, const char *model, guint dim,
                                GError **error);

/* ---- Training: InfoNCE over clusters, and a KL term where a teacher gives gains. One thread ----
 */

/* One question of a video: n query rows, and the video's clusters, each of tokens rows. */
typedef struct {
  guint32 video;      /* videos, never questions, are split into training and held out */
  const float *query; /* n_query x dim */
  guint n_query;
  const float *keys; /* n_clusters x n_tokens x dim */
  guint n_clusters, n_tokens;
  const guint8 *positive; /* n_clusters: 1 where the evidence is */
  const float *gains;     /* n_clusters: the teacher's; NULL: none */
} MnkIndexerSample;

typedef struct {
  guint steps, queries_per_step, clusters_max; /* 2000, 32, 64 */
  float rate, temperature, l2, kl;             /* 1e-3, 0.1, 1e-4, 1 */
  float held_out;                              /* share of the videos: 0.2 */
  guint patience;                              /* evaluations without a better Recall@4: 10 */
  guint32 seed;
} MnkIndexerTraining;
void mnk_indexer_training_init(MnkIndexerTraining *training);

typedef struct {
  double recall_1, recall_4, recall_8, mrr;
  guint queries;
} MnkIndexerScores;

typedef struct {
  guint step;
  double loss;
  MnkIndexerScores held_out;
} MnkIndexerProgress;

/* Trains in place and keeps the weights that were best on the held-out videos, by Recall@4, then
 * MRR. progress may be NULL; FALSE from it ends the training early (MNK_ERROR_CANCELLED).
 * MNK_ERROR_BAD_INPUT: fewer than two videos. */
gboolean mnk_indexer_train(MnkIndexer *indexer, const MnkIndexerSample *samples, guint n,
                           const MnkIndexerTraining *training,
                           gboolean (*progress)(const MnkIndexerProgress *progress, gpointer user),
                           gpointer user, GError **error);
/* Which samples are held out: held gets 1 for those. Whole videos, by the seed; the same that
 * mnk_indexer_train takes. Returns how many samples, 0 for fewer than two videos. */
guint mnk_indexer_held_out(const MnkIndexerSample *samples, guint n,
                           const MnkIndexerTraining *training, guint8 *held);
/* The loss of one sample, and its gradient added to grad (as many numbers as the weights; NULL:
 * not wanted): for the finite-difference check. */
double mnk_indexer_loss(const MnkIndexer *indexer, const MnkIndexerSample *sample,
                        const MnkIndexerTraining *training, float *grad);
/* How many there are; borrowed, and may be changed. Routers then keep nothing of this indexer. */
guint mnk_indexer_weights(MnkIndexer *indexer, float **weights);
void mnk_indexer_eval(const MnkIndexer *indexer, const MnkIndexerSample *samples, guint n,
                      MnkIndexerScores *out);
/* Adds one question to means of what its scores give: Recall@1/4/8 (the share of the positive
 * clusters among the first k, of at most k) and MRR. Begin with zeros. */
void mnk_indexer_rank(const float *scores, const guint8 *positive, guint n, MnkIndexerScores *sum);

/* ---- Samples in a file (docs/indexer.md has the format) ---- */

typedef struct _MnkIndexerData MnkIndexerData;
/* model: hash of the embedding model, at most 63 bytes. */
MnkIndexerData *mnk_indexer_data_new(guint dim, const char *model);
void mnk_indexer_data_free(MnkIndexerData *data);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(MnkIndexerData, mnk_indexer_data_free)
/* keys: n_clusters x n_tokens x dim, copied. Questions that follow are about it. */
void mnk_indexer_data_add_video(MnkIndexerData *data, const float *keys, guint n_clusters,
                                guint n_tokens);
/* gains: of each cluster, or NULL. */
void mnk_indexer_data_add_question(MnkIndexerData *data, const float *query, guint n_query,
                                   const guint8 *positive, const float *gains);
void mnk_indexer_data_save(const MnkIndexerData *data, GByteArray *out);
MnkIndexerData *mnk_indexer_data_restore(const guint8 *bytes, gsize length, GError **error);
/* Borrowed; those of one video side by side, and with the same keys. */
const MnkIndexerSample *mnk_indexer_data_samples(const MnkIndexerData *data, guint *n);
guint mnk_indexer_data_dim(const MnkIndexerData *data);
const char *mnk_indexer_data_model(const MnkIndexerData *data);

#endif
