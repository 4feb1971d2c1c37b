#include "memory/bytes_priv.h"
#include "memory/indexer_priv.h"
#include "memory/late_priv.h"
#include "memory/matrix_priv.h"
#include "memory/memory.h"

#include <math.h>
#include <string.h>

static const char MAGIC[] = "MNKINDEX";
enum { VERSION = 1, METRICS_MAX = 65536 };

gsize mnk_indexer_size(const MnkIndexerShape *shape) {
  return ((gsize)shape->heads * shape->head_dim + shape->head_dim + shape->heads) * shape->dim;
}

const float *mnk_indexer_wq(const MnkIndexer *indexer) {
  return indexer->weights;
}

const float *mnk_indexer_wk(const MnkIndexer *indexer) {
  const MnkIndexerShape *shape = &indexer->shape;
  return indexer->weights + (gsize)shape->heads * shape->head_dim * shape->dim;
}

const float *mnk_indexer_ww(const MnkIndexer *indexer) {
  const MnkIndexerShape *shape = &indexer->shape;
  return mnk_indexer_wk(indexer) + (gsize)shape->head_dim * shape->dim;
}

/* ---- Made, settled, freed ---- */

static guint64 fingerprint(const MnkIndexer *indexer) {
  enum { OFFSET_HIGH = 0xcbf29ce4, OFFSET_LOW = 0x84222325 };
  guint64 hash = (guint64)OFFSET_HIGH << 32 | (guint)OFFSET_LOW;
  for (gsize i = 0; i < indexer->n; i++) {
    guint32 bits;
    memcpy(&bits, indexer->weights + i, sizeof bits);
    hash = (hash ^ bits) * G_GUINT64_CONSTANT(0x100000001b3); /* FNV-1a, by words */
  }
  hash ^= (guint64)indexer->shape.heads << 32 | indexer->shape.head_dim;
  return hash | 1;
}

void mnk_indexer_settle(MnkIndexer *indexer) {
  g_autofree guint16 *halves = g_new(guint16, indexer->n);
  mnk_half_from_float(indexer->weights, halves, indexer->n);
  mnk_half_to_float(halves, indexer->weights, indexer->n);
  indexer->print = fingerprint(indexer);
}

/* Scores cost at most a sixth of what cos_sim_fine costs. */
static void choose_heads(MnkIndexerShape *shape) {
  enum { NARROW = 960 };
  shape->heads = shape->dim <= NARROW ? 2 : 4;
  shape->head_dim = shape->dim <= NARROW ? 32 : 48;
}

static MnkIndexer *indexer_alloc(const MnkIndexerShape *shape) {
  MnkIndexer *indexer = g_new0(MnkIndexer, 1);
  indexer->shape = *shape;
  indexer->n = mnk_indexer_size(shape);
  indexer->weights = g_new0(float, indexer->n);
  return indexer;
}

/* Sum of uniform numbers: near enough to normal, and the same on every machine. */
static float normal(GRand *rand) {
  double sum = 0;
  for (guint i = 0; i < 12; i++)
    sum += g_rand_double(rand);
  return (float)(sum - 6);
}

/* W_q and W_k from chance, W_w near zero. The first head's W_q is W_k: untrained, its products are
 * those of tokens seen through one random projection, which approximate the cosines of the router
 * cos_sim_fine. Training begins there instead of from nothing. */
static void begin_weights(MnkIndexer *indexer, guint32 seed) {
  static const float GATES = 0.1F;
  const MnkIndexerShape *shape = &indexer->shape;
  g_autoptr(GRand) rand = g_rand_new_with_seed(seed);
  gsize head = (gsize)shape->head_dim * shape->dim;
  float *weights = indexer->weights, scale = 1 / sqrtf((float)shape->dim);
  for (gsize i = 0; i < indexer->n; i++)
    weights[i] = scale * normal(rand);
  for (gsize i = head * (shape->heads + 1); i < indexer->n; i++)
    weights[i] *= GATES;
  memcpy(weights, mnk_indexer_wk(indexer), head * sizeof *weights);
}

MnkIndexer *mnk_indexer_new(const MnkIndexerShape *shape, guint32 seed) {
  MnkIndexerShape full = *shape;
  if (full.heads == 0)
    choose_heads(&full);
  g_assert(full.dim >= 1 && full.dim <= MNK_INDEXER_DIM_MAX);
  g_assert(full.heads <= MNK_INDEXER_HEADS_MAX);
  g_assert(full.head_dim >= 1 && full.head_dim <= MNK_INDEXER_HEAD_MAX);
  full.model[sizeof full.model - 1] = '\0';
  MnkIndexer *indexer = indexer_alloc(&full);
  begin_weights(indexer, seed);
  mnk_indexer_settle(indexer);
  return indexer;
}

void mnk_indexer_free(MnkIndexer *indexer) {
  if (indexer == NULL)
    return;
  g_free(indexer->weights);
  g_free(indexer);
}

void mnk_indexer_shape(const MnkIndexer *indexer, MnkIndexerShape *out) {
  *out = indexer->shape;
}

guint mnk_indexer_weights(MnkIndexer *indexer, float **weights) {
  indexer->print = 0;
  *weights = indexer->weights;
  return (guint)indexer->n;
}

/* ---- Projections ---- */

void mnk_indexer_scale(const float *in, guint rows, guint dim, float *out) {
  float length = sqrtf((float)dim);
  mnk_matrix_normalise(in, rows, dim, out);
  for (gsize i = 0; i < (gsize)rows * dim; i++)
    out[i] *= length;
}

void mnk_indexer_keys(const MnkIndexer *indexer, const float *rows, guint n, float *out) {
  const MnkIndexerShape *shape = &indexer->shape;
  mnk_matrix_dots(rows, n, mnk_indexer_wk(indexer), shape->head_dim, shape->dim, out,
                  shape->head_dim);
}

void mnk_indexer_query(const MnkIndexer *indexer, const float *query, guint n, float *q, float *w) {
  const MnkIndexerShape *shape = &indexer->shape;
  guint width = shape->heads * shape->head_dim;
  float scale = 1 / sqrtf((float)shape->head_dim);
  mnk_matrix_dots(query, n, mnk_indexer_wq(indexer), width, shape->dim, q, width);
  for (gsize i = 0; i < (gsize)n * width; i++)
    q[i] *= scale;
  mnk_matrix_dots(query, n, mnk_indexer_ww(indexer), shape->heads, shape->dim, w, shape->heads);
  for (gsize i = 0; i < (gsize)n * shape->heads; i++)
    w[i] += 1;
}

gsize mnk_indexer_keys_bytes(guint n, guint head_dim) {
  return mnk_panels_size(n, head_dim) * sizeof(float);
}

/* ---- Files ---- */

void mnk_indexer_save(const MnkIndexer *indexer, const char *metrics_json, GByteArray *out) {
  const MnkIndexerShape *shape = &indexer->shape;
  const char *metrics = metrics_json != NULL ? metrics_json : "{}";
  gsize length = MIN(strlen(metrics), (gsize)METRICS_MAX);
  char model[sizeof shape->model] = {0};
  g_strlcpy(model, shape->model, sizeof model);
  g_autofree guint16 *halves = g_new(guint16, indexer->n);
  mnk_half_from_float(indexer->weights, halves, indexer->n);
  MnkBytesWriter writer;
  mnk_bytes_begin(&writer, out, MAGIC, VERSION);
  mnk_bytes_put_u32(&writer, shape->dim);
  mnk_bytes_put_u32(&writer, shape->heads);
  mnk_bytes_put_u32(&writer, shape->head_dim);
  mnk_bytes_put_data(&writer, model, sizeof model);
  mnk_bytes_put_u32(&writer, (guint32)length);
  mnk_bytes_put_data(&writer, metrics, length);
  mnk_bytes_put_halves(&writer, halves, indexer->n);
  mnk_bytes_end(&writer);
}

static void get_shape(MnkIndexerShape *shape, MnkBytesReader *reader) {
  shape->dim = mnk_bytes_get_u32(reader);
  shape->heads = mnk_bytes_get_u32(reader);
  shape->head_dim = mnk_bytes_get_u32(reader);
  mnk_bytes_get_data(reader, shape->model, sizeof shape->model);
  mnk_bytes_check(reader, shape->model[sizeof shape->model - 1] == '\0');
  mnk_bytes_check(reader, shape->dim >= 1 && shape->dim <= MNK_INDEXER_DIM_MAX);
  mnk_bytes_check(reader, shape->heads >= 1 && shape->heads <= MNK_INDEXER_HEADS_MAX);
  mnk_bytes_check(reader, shape->head_dim >= 1 && shape->head_dim <= MNK_INDEXER_HEAD_MAX);
  guint metrics = mnk_bytes_get_u32(reader);
  if (mnk_bytes_check(reader, metrics <= METRICS_MAX) && mnk_bytes_has(reader, metrics, 1)) {
    reader->at += metrics;
    reader->left -= metrics;
  }
}

static MnkIndexer *get_weights(const MnkIndexerShape *shape, MnkBytesReader *reader) {
  gsize n = mnk_indexer_size(shape);
  if (!mnk_bytes_has(reader, n, sizeof(guint16)))
    return NULL;
  g_autoptr(MnkIndexer) indexer = indexer_alloc(shape);
  g_autofree guint16 *halves = g_new(guint16, n);
  mnk_bytes_get_halves(reader, halves, n);
  mnk_half_to_float(halves, indexer->weights, n);
  for (gsize i = 0; i < n; i++)
    if (!mnk_bytes_check(reader, isfinite(indexer->weights[i])))
      return NULL;
  indexer->print = fingerprint(indexer);
  return g_steal_pointer(&indexer);
}

static gboolean check_model(const MnkIndexerShape *shape, const char *model, guint dim,
                            GError **error) {
  if (model != NULL && strcmp(shape->model, model) != 0) {
    g_set_error(error, MNK_ERROR, MNK_ERROR_CONFIG,
                "the indexer was trained for another model (%.16s) than the one that is used "
                "(%.16s)",
                shape->model, model);
    return FALSE;
  }
  if (dim > 0 && shape->dim != dim) {
    g_set_error(error, MNK_ERROR, MNK_ERROR_CONFIG,
                "the indexer was trained for tokens of width %u, not %u", shape->dim, dim);
    return FALSE;
  }
  return TRUE;
}

MnkIndexer *mnk_indexer_restore(const guint8 *bytes, gsize length, const char *model, guint dim,
                                GError **error) {
  MnkBytesReader reader;
  MnkIndexerShape shape = {0};
  if (!mnk_bytes_open(&reader, bytes, length, MAGIC, VERSION, "the indexer's file", error))
    return NULL;
  get_shape(&shape, &reader);
  g_autoptr(MnkIndexer) indexer = reader.failed ? NULL : get_weights(&shape, &reader);
  if (!mnk_bytes_close(&reader, error) || !check_model(&shape, model, dim, error))
    return NULL;
  return g_steal_pointer(&indexer);
}
