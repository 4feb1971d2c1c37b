/* Training of the indexer: InfoNCE (van den Oord et al., 2018) over the clusters of a video, a KL
 * term towards a teacher's gains, and Adam (Kingma and Ba, ICLR 2015). */
#include "memory/indexer_priv.h"
#include "memory/matrix_priv.h"
#include "memory/memory.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static const float BETA_1 = 0.9F, BETA_2 = 0.999F, EPSILON = 1e-8F;

enum {
  EVALUATE_EVERY = 25, /* steps */
  SAME_VIDEO = 4,      /* questions of a step that share a video, and so the work on its keys */
};

void mnk_indexer_training_init(MnkIndexerTraining *training) {
  *training = (MnkIndexerTraining){
      .steps = 2000,
      .queries_per_step = 32,
      .clusters_max = 64,
      .rate = 1e-3F,
      .temperature = 0.1F,
      .l2 = 1e-4F,
      .kl = 1,
      .held_out = 0.2F,
      .patience = 10,
  };
}

/* ---- The keys of some clusters of a video, projected ---- */

typedef struct {
  const float *from; /* the sample's keys, when all of its clusters are here; else NULL */
  guint n, n_tokens;
  guint *clusters;  /* n: which of the sample's */
  float *rows;      /* n * n_tokens x dim, scaled */
  float *projected; /* n * n_tokens x head_dim */
  float *gradient;  /* of the same */
} KeySet;

static void clear_keys(KeySet *set) {
  g_free(set->clusters);
  g_free(set->rows);
  g_free(set->projected);
  g_free(set->gradient);
  *set = (KeySet){0};
}

/* All positive clusters come along, and others by chance. */
static guint choose_clusters(const MnkIndexerSample *sample, guint max, GRand *rand, guint *out) {
  guint n = 0;
  for (guint i = 0; i < sample->n_clusters; i++)
    out[i] = i;
  if (sample->n_clusters <= max)
    return sample->n_clusters;
  for (guint i = 0; i < sample->n_clusters && n + 1 < max; i++) {
    if (!sample->positive[out[i]])
      continue;
    guint swapped = out[n];
    out[n++] = out[i];
    out[i] = swapped;
  }
  for (; n < max; n++) {
    guint pick = (guint)g_rand_int_range(rand, (gint32)n, (gint32)sample->n_clusters);
    guint swapped = out[n];
    out[n] = out[pick];
    out[pick] = swapped;
  }
  return n;
}

/* rand NULL: all clusters. Keeps what is there when it serves. */
static void load_keys(KeySet *set, const MnkIndexer *indexer, const MnkIndexerSample *sample,
                      guint max, GRand *rand) {
  const MnkIndexerShape *shape = &indexer->shape;
  gboolean all = rand == NULL || sample->n_clusters <= max;
  if (all && set->from == sample->keys && set->n == sample->n_clusters &&
      set->n_tokens == sample->n_tokens)
    return;
  clear_keys(set);
  set->from = all ? sample->keys : NULL;
  set->n_tokens = sample->n_tokens;
  set->clusters = g_new(guint, sample->n_clusters);
  set->n = choose_clusters(sample, all ? sample->n_clusters : max, rand, set->clusters);
  guint tokens = set->n * set->n_tokens;
  gsize one = (gsize)set->n_tokens * shape->dim;
  set->rows = g_new(float, tokens *(gsize)shape->dim);
  set->projected = g_new(float, tokens *(gsize)shape->head_dim);
  set->gradient = g_new0(float, tokens *(gsize)shape->head_dim);
  for (guint i = 0; i < set->n; i++)
    mnk_indexer_scale(sample->keys + set->clusters[i] * one, set->n_tokens, shape->dim,
                      set->rows + i * one);
  mnk_indexer_keys(indexer, set->rows, tokens, set->projected);
}

/* The gradient gathered at the projected keys becomes W_k's. */
static void flush_keys(KeySet *set, const MnkIndexer *indexer, float *grad) {
  const MnkIndexerShape *shape = &indexer->shape;
  if (set->rows != NULL)
    mnk_matrix_turned_times(set->gradient, set->n * set->n_tokens, set->rows, shape->dim,
                            shape->head_dim, grad + (mnk_indexer_wk(indexer) - indexer->weights),
                            TRUE);
  clear_keys(set);
}

/* ---- Scores of one question, and their gradient ---- */

typedef struct {
  guint n, rows;   /* query rows; rows * heads */
  float *query;    /* n x dim, scaled */
  float *q, *w;    /* rows x head_dim, rows */
  float *products; /* rows x tokens */
  guint *best;     /* rows x clusters: the token */
  float *scores;   /* clusters */
} Forward;

static void clear_forward(Forward *forward) {
  g_free(forward->query);
  g_free(forward->q);
  g_free(forward->w);
  g_free(forward->products);
  g_free(forward->best);
  g_free(forward->scores);
}

static guint largest_of(const float *values, guint n) {
  guint best = 0;
  for (guint i = 1; i < n; i++)
    if (values[i] > values[best])
      best = i;
  return best;
}

static void run_forward(Forward *forward, const MnkIndexer *indexer, const KeySet *set,
                        const MnkIndexerSample *sample) {
  const MnkIndexerShape *shape = &indexer->shape;
  guint n = sample->n_query, rows = n * shape->heads, tokens = set->n * set->n_tokens;
  *forward = (Forward){.n = n, .rows = rows};
  forward->query = g_new(float, (gsize)n * shape->dim);
  forward->q = g_new(float, (gsize)rows * shape->head_dim);
  forward->w = g_new(float, rows);
  forward->products = g_new(float, (gsize)rows *tokens);
  forward->best = g_new(guint, (gsize)rows * set->n);
  forward->scores = g_new0(float, set->n);
  mnk_indexer_scale(sample->query, n, shape->dim, forward->query);
  mnk_indexer_query(indexer, forward->query, n, forward->q, forward->w);
  mnk_matrix_dots(forward->q, rows, set->projected, tokens, shape->head_dim, forward->products,
                  tokens);
  for (guint row = 0; row < rows; row++) {
    for (guint i = 0; i < set->n; i++) {
      const float *products = forward->products + (gsize)row * tokens + (gsize)i * set->n_tokens;
      guint best = largest_of(products, set->n_tokens);
      forward->best[(gsize)row * set->n + i] = best;
      forward->scores[i] += forward->w[row] * MAX(products[best], 0) / (float)n;
    }
  }
}

/* to_scores: the loss's gradient at the scores. */
static void run_backward(const Forward *forward, const MnkIndexer *indexer, KeySet *set,
                         const double *to_scores, float *grad) {
  const MnkIndexerShape *shape = &indexer->shape;
  guint tokens = set->n * set->n_tokens, width = shape->heads * shape->head_dim;
  g_autofree float *to_q = g_new0(float, (gsize)forward->rows * shape->head_dim);
  g_autofree float *to_w = g_new0(float, forward->rows);
  for (guint row = 0; row < forward->rows; row++) {
    const float *q = forward->q + (gsize)row * shape->head_dim;
    for (guint i = 0; i < set->n; i++) {
      guint token = i * set->n_tokens + forward->best[(gsize)row * set->n + i];
      float product = forward->products[(gsize)row * tokens + token];
      float to_score = (float)(to_scores[i] / forward->n);
      if (product <= 0)
        continue;
      to_w[row] += to_score * product;
      float to_product = to_score * forward->w[row];
      mnk_vector_add(to_q + (gsize)row * shape->head_dim, to_product,
                     set->projected + (gsize)token * shape->head_dim, shape->head_dim);
      mnk_vector_add(set->gradient + (gsize)token * shape->head_dim, to_product, q,
                     shape->head_dim);
    }
  }
  float scale = 1 / sqrtf((float)shape->head_dim); /* of q, as mnk_indexer_query has it */
  for (gsize i = 0; i < (gsize)forward->rows * shape->head_dim; i++)
    to_q[i] *= scale;
  mnk_matrix_turned_times(to_q, forward->n, forward->query, shape->dim, width, grad, TRUE);
  mnk_matrix_turned_times(to_w, forward->n, forward->query, shape->dim, shape->heads,
                          grad + (mnk_indexer_ww(indexer) - indexer->weights), TRUE);
}

/* ---- The loss ---- */

/* log(sum(exp(values))) over those that count; which NULL: all. */
static double log_sum(const double *values, const guint8 *which, guint n) {
  double largest = -INFINITY, sum = 0;
  for (guint i = 0; i < n; i++)
    if (which == NULL || which[i])
      largest = MAX(largest, values[i]);
  for (guint i = 0; i < n; i++)
    if (which == NULL || which[i])
      sum += exp(values[i] - largest);
  return sum > 0 ? largest + log(sum) : -INFINITY;
}

/* -log of the share of the positive clusters in a softmax of scores / temperature, and kl times
 * KL(softmax(gains) || softmax(scores / temperature)). */
static double loss_of_scores(const float *scores, const KeySet *set, const MnkIndexerSample *sample,
                             const MnkIndexerTraining *training, double *to_scores) {
  guint n = set->n, positives = 0;
  double temperature = (double)training->temperature, loss = 0;
  g_autofree double *logits = g_new(double, n), *gains = g_new0(double, n);
  g_autofree guint8 *positive = g_new(guint8, n);
  for (guint i = 0; i < n; i++) {
    logits[i] = (double)scores[i] / temperature;
    positive[i] = sample->positive[set->clusters[i]];
    gains[i] = sample->gains != NULL ? (double)sample->gains[set->clusters[i]] : 0;
    positives += positive[i] != 0;
    to_scores[i] = 0;
  }
  double all = log_sum(logits, NULL, n);
  if (positives > 0 && positives < n) {
    double good = log_sum(logits, positive, n);
    loss += all - good;
    for (guint i = 0; i < n; i++)
      to_scores[i] += exp(logits[i] - all) - (positive[i] ? exp(logits[i] - good) : 0);
  }
  if (sample->gains != NULL) {
    double all_gains = log_sum(gains, NULL, n), kl = (double)training->kl;
    for (guint i = 0; i < n; i++) {
      double share = exp(gains[i] - all_gains);
      loss += kl * share * (gains[i] - all_gains - (logits[i] - all));
      to_scores[i] += kl * (exp(logits[i] - all) - share);
    }
  }
  for (guint i = 0; i < n; i++)
    to_scores[i] /= temperature;
  return loss;
}

static double sample_loss(const MnkIndexer *indexer, KeySet *set, const MnkIndexerSample *sample,
                          const MnkIndexerTraining *training, float *grad) {
  Forward forward;
  run_forward(&forward, indexer, set, sample);
  g_autofree double *to_scores = g_new(double, set->n);
  double loss = loss_of_scores(forward.scores, set, sample, training, to_scores);
  if (grad != NULL)
    run_backward(&forward, indexer, set, to_scores, grad);
  clear_forward(&forward);
  return loss;
}

static double weights_loss(const MnkIndexer *indexer, float l2, float *grad) {
  double sum = 0;
  for (gsize i = 0; i < indexer->n; i++) {
    sum += (double)indexer->weights[i] * (double)indexer->weights[i];
    if (grad != NULL)
      grad[i] += l2 * indexer->weights[i];
  }
  return sum * (double)l2 / 2;
}

double mnk_indexer_loss(const MnkIndexer *indexer, const MnkIndexerSample *sample,
                        const MnkIndexerTraining *training, float *grad) {
  KeySet set = {0};
  load_keys(&set, indexer, sample, 0, NULL);
  double loss = sample_loss(indexer, &set, sample, training, grad);
  if (grad != NULL)
    flush_keys(&set, indexer, grad);
  clear_keys(&set);
  return loss + weights_loss(indexer, training->l2, grad);
}

/* ---- Ranks ---- */

typedef struct {
  float score;
  guint index;
} Ranked;

/* The later of two equal ones first, as recall chooses. */
static int better_first(const void *a, const void *b) {
  const Ranked *x = a, *y = b;
  if (x->score != y->score)
    return x->score > y->score ? -1 : 1;
  return x->index > y->index ? -1 : 1;
}

static void add_to_mean(double *mean, double value, guint n) {
  *mean += (value - *mean) / n;
}

void mnk_indexer_rank(const float *scores, const guint8 *positive, guint n, MnkIndexerScores *sum) {
  g_autofree Ranked *ranked = g_new(Ranked, n);
  guint found[3] = {0}, positives = 0, first = 0;
  static const guint DEPTHS[3] = {1, 4, 8};
  for (guint i = 0; i < n; i++) {
    ranked[i] = (Ranked){scores[i], i};
    positives += positive[i] != 0;
  }
  if (positives == 0)
    return;
  qsort(ranked, n, sizeof *ranked, better_first);
  for (guint i = n; i-- > 0;) {
    if (!positive[ranked[i].index])
      continue;
    first = i + 1;
    for (guint depth = 0; depth < 3; depth++)
      found[depth] += i < DEPTHS[depth];
  }
  sum->queries++;
  double *recalls[3] = {&sum->recall_1, &sum->recall_4, &sum->recall_8};
  for (guint depth = 0; depth < 3; depth++)
    add_to_mean(recalls[depth], (double)found[depth] / MIN(positives, DEPTHS[depth]), sum->queries);
  add_to_mean(&sum->mrr, 1.0 / first, sum->queries);
}

static void evaluate(const MnkIndexer *indexer, const MnkIndexerSample *samples, const guint *which,
                     guint n, MnkIndexerScores *out) {
  KeySet set = {0};
  *out = (MnkIndexerScores){0};
  for (guint i = 0; i < n; i++) {
    const MnkIndexerSample *sample = samples + (which != NULL ? which[i] : i);
    Forward forward;
    load_keys(&set, indexer, sample, 0, NULL);
    run_forward(&forward, indexer, &set, sample);
    mnk_indexer_rank(forward.scores, sample->positive, set.n, out);
    clear_forward(&forward);
  }
  clear_keys(&set);
}

void mnk_indexer_eval(const MnkIndexer *indexer, const MnkIndexerSample *samples, guint n,
                      MnkIndexerScores *out) {
  evaluate(indexer, samples, NULL, n, out);
}

/* ---- Training ---- */

typedef struct {
  MnkIndexer *indexer;
  const MnkIndexerSample *samples;
  const MnkIndexerTraining *training;
  GRand *rand;
  GArray *train, *held; /* guint: indices of samples, those of a video side by side */
  float *grad, *mean, *square, *best;
  MnkIndexerScores best_scores;
} Trainer;

static void clear_trainer(Trainer *trainer) {
  g_rand_free(trainer->rand);
  g_array_unref(trainer->train);
  g_array_unref(trainer->held);
  g_free(trainer->grad);
  g_free(trainer->mean);
  g_free(trainer->square);
  g_free(trainer->best);
}

static int by_video(gconstpointer a, gconstpointer b, gpointer user) {
  const MnkIndexerSample *samples = user;
  guint i = *(const guint *)a, j = *(const guint *)b;
  if (samples[i].video != samples[j].video)
    return samples[i].video < samples[j].video ? -1 : 1;
  return i < j ? -1 : i > j;
}

/* Indices of the samples, those of a video side by side; begins: where each video begins, and the
 * end. */
static GArray *order_by_video(const MnkIndexerSample *samples, guint n, GArray *begins) {
  GArray *order = g_array_sized_new(FALSE, FALSE, sizeof(guint), n);
  for (guint i = 0; i < n; i++)
    g_array_append_val(order, i);
  g_array_sort_with_data(order, by_video, (gpointer)samples);
  const guint *sorted = (const guint *)(const void *)order->data;
  for (guint i = 0; i < n; i++)
    if (i == 0 || samples[sorted[i]].video != samples[sorted[i - 1]].video)
      g_array_append_val(begins, i);
  g_array_append_val(begins, n);
  return order;
}

guint mnk_indexer_held_out(const MnkIndexerSample *samples, guint n,
                           const MnkIndexerTraining *training, guint8 *held) {
  g_autoptr(GArray) begins = g_array_new(FALSE, FALSE, sizeof(guint));
  g_autoptr(GArray) order = order_by_video(samples, n, begins);
  g_autoptr(GRand) rand = g_rand_new_with_seed(training->seed);
  guint videos = begins->len - 1, found = 0;
  memset(held, 0, n);
  if (videos < 2)
    return 0;
  guint wanted = (guint)((double)training->held_out * videos + 0.5);
  wanted = CLAMP(wanted, 1, videos - 1);
  for (guint i = 0; i < videos; i++) {
    if (g_rand_int_range(rand, 0, (gint32)(videos - i)) >= (gint32)wanted)
      continue;
    wanted--;
    for (guint j = g_array_index(begins, guint, i); j < g_array_index(begins, guint, i + 1); j++) {
      held[g_array_index(order, guint, j)] = 1;
      found++;
    }
  }
  return found;
}

/* Whole videos go to one side or the other. */
static gboolean split(Trainer *trainer, guint n, GError **error) {
  g_autoptr(GArray) begins = g_array_new(FALSE, FALSE, sizeof(guint));
  g_autoptr(GArray) order = order_by_video(trainer->samples, n, begins);
  g_autofree guint8 *held = g_new(guint8, (gsize)n + 1);
  if (mnk_indexer_held_out(trainer->samples, n, trainer->training, held) == 0) {
    g_set_error(error, MNK_ERROR, MNK_ERROR_BAD_INPUT,
                "training needs questions of at least two videos, and there is %u",
                begins->len - 1);
    return FALSE;
  }
  for (guint i = 0; i < n; i++) {
    guint sample = g_array_index(order, guint, i);
    g_array_append_val(held[sample] ? trainer->held : trainer->train, sample);
  }
  return TRUE;
}

/* A question by chance, and further ones of its video. */
static double add_some(Trainer *trainer, KeySet *set) {
  const guint *train = (const guint *)(const void *)trainer->train->data;
  guint n = trainer->train->len, first = (guint)g_rand_int_range(trainer->rand, 0, (gint32)n);
  guint video = trainer->samples[train[first]].video, last = first;
  while (first > 0 && trainer->samples[train[first - 1]].video == video)
    first--;
  while (last + 1 < n && trainer->samples[train[last + 1]].video == video)
    last++;
  double loss = 0;
  for (guint i = 0; i < SAME_VIDEO; i++) {
    guint pick = (guint)g_rand_int_range(trainer->rand, (gint32)first, (gint32)last + 1);
    const MnkIndexerSample *sample = trainer->samples + train[pick];
    if (set->from != sample->keys)
      flush_keys(set, trainer->indexer, trainer->grad);
    load_keys(set, trainer->indexer, sample, trainer->training->clusters_max, trainer->rand);
    loss += sample_loss(trainer->indexer, set, sample, trainer->training, trainer->grad);
  }
  return loss;
}

static void adam(Trainer *trainer, guint step) {
  MnkIndexer *indexer = trainer->indexer;
  float unbias_1 = 1 - powf(BETA_1, (float)step), unbias_2 = 1 - powf(BETA_2, (float)step);
  for (gsize i = 0; i < indexer->n; i++) {
    float grad = trainer->grad[i];
    trainer->mean[i] += (1 - BETA_1) * (grad - trainer->mean[i]);
    trainer->square[i] += (1 - BETA_2) * (grad * grad - trainer->square[i]);
    indexer->weights[i] -= trainer->training->rate * (trainer->mean[i] / unbias_1) /
                           (sqrtf(trainer->square[i] / unbias_2) + EPSILON);
  }
}

static double train_step(Trainer *trainer, guint step) {
  const MnkIndexerTraining *training = trainer->training;
  guint groups = MAX(training->queries_per_step / SAME_VIDEO, 1);
  KeySet set = {0};
  double loss = 0;
  memset(trainer->grad, 0, trainer->indexer->n * sizeof *trainer->grad);
  for (guint i = 0; i < groups; i++)
    loss += add_some(trainer, &set);
  flush_keys(&set, trainer->indexer, trainer->grad);
  float share = 1 / (float)(groups * SAME_VIDEO);
  for (gsize i = 0; i < trainer->indexer->n; i++)
    trainer->grad[i] *= share;
  loss = loss * (double)share + weights_loss(trainer->indexer, training->l2, trainer->grad);
  adam(trainer, step);
  return loss;
}

static gboolean is_better(const MnkIndexerScores *a, const MnkIndexerScores *b) {
  return a->recall_4 != b->recall_4 ? a->recall_4 > b->recall_4 : a->mrr > b->mrr;
}

/* TRUE: these weights are the best so far, and kept. */
static gboolean evaluate_held(Trainer *trainer, MnkIndexerScores *scores) {
  evaluate(trainer->indexer, trainer->samples, (const guint *)(const void *)trainer->held->data,
           trainer->held->len, scores);
  if (trainer->best_scores.queries > 0 && !is_better(scores, &trainer->best_scores))
    return FALSE;
  trainer->best_scores = *scores;
  memcpy(trainer->best, trainer->indexer->weights, trainer->indexer->n * sizeof *trainer->best);
  return TRUE;
}

static gboolean train_steps(Trainer *trainer,
                            gboolean (*progress)(const MnkIndexerProgress *, gpointer),
                            gpointer user, GError **error) {
  guint waited = 0;
  double loss = 0;
  MnkIndexerProgress state = {0};
  evaluate_held(trainer, &state.held_out);
  for (guint step = 1; step <= trainer->training->steps; step++) {
    loss += train_step(trainer, step);
    if (!isfinite(loss)) {
      g_set_error_literal(error, MNK_ERROR, MNK_ERROR_BAD_INPUT,
                          "the training diverged; a lower rate may help");
      return FALSE;
    }
    if (step % EVALUATE_EVERY != 0 && step != trainer->training->steps)
      continue;
    state.step = step;
    state.loss = loss / ((step - 1) % EVALUATE_EVERY + 1);
    loss = 0;
    waited = evaluate_held(trainer, &state.held_out) ? 0 : waited + 1;
    if (progress != NULL && !progress(&state, user)) {
      g_set_error_literal(error, MNK_ERROR, MNK_ERROR_CANCELLED, "the training was stopped");
      return FALSE;
    }
    if (waited >= trainer->training->patience)
      break;
  }
  return TRUE;
}

gboolean mnk_indexer_train(MnkIndexer *indexer, const MnkIndexerSample *samples, guint n,
                           const MnkIndexerTraining *training,
                           gboolean (*progress)(const MnkIndexerProgress *progress, gpointer user),
                           gpointer user, GError **error) {
  Trainer trainer = {
      .indexer = indexer,
      .samples = samples,
      .training = training,
      .rand = g_rand_new_with_seed(training->seed),
      .train = g_array_new(FALSE, FALSE, sizeof(guint)),
      .held = g_array_new(FALSE, FALSE, sizeof(guint)),
      .grad = g_new(float, indexer->n),
      .mean = g_new0(float, indexer->n),
      .square = g_new0(float, indexer->n),
      .best = g_memdup2(indexer->weights, indexer->n * sizeof *indexer->weights),
  };
  gboolean good = split(&trainer, n, error);
  if (good) {
    good = train_steps(&trainer, progress, user, error);
    memcpy(indexer->weights, trainer.best, indexer->n * sizeof *indexer->weights);
    mnk_indexer_settle(indexer);
  }
  clear_trainer(&trainer);
  return good;
}
