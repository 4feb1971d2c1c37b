/* Samples for the indexer, in memory and in files. */
#include "memory/bytes_priv.h"
#include "memory/indexer_priv.h"
#include "memory/memory.h"

#include <math.h>
#include <string.h>

static const char MAGIC[] = "MNKSAMPL";
enum { VERSION = 1, CLUSTERS_MAX = 65536, WORDS_MAX = 4096 };

typedef struct {
  guint n_clusters, n_tokens;
  float *keys;
} Video;

struct _MnkIndexerData {
  guint dim;
  char model[sizeof((MnkIndexerShape *)NULL)->model];
  GArray *videos;  /* of Video */
  GArray *samples; /* of MnkIndexerSample, which own all but their keys */
};

static void clear_video(gpointer video) {
  g_free(((Video *)video)->keys);
}

static void clear_sample(gpointer data) {
  MnkIndexerSample *sample = data;
  g_free((gpointer)sample->query);
  g_free((gpointer)sample->positive);
  g_free((gpointer)sample->gains);
}

MnkIndexerData *mnk_indexer_data_new(guint dim, const char *model) {
  MnkIndexerData *data = g_new0(MnkIndexerData, 1);
  data->dim = dim;
  g_strlcpy(data->model, model, sizeof data->model);
  data->videos = g_array_new(FALSE, TRUE, sizeof(Video));
  g_array_set_clear_func(data->videos, clear_video);
  data->samples = g_array_new(FALSE, TRUE, sizeof(MnkIndexerSample));
  g_array_set_clear_func(data->samples, clear_sample);
  return data;
}

void mnk_indexer_data_free(MnkIndexerData *data) {
  if (data == NULL)
    return;
  g_array_unref(data->samples);
  g_array_unref(data->videos);
  g_free(data);
}

static void take_video(MnkIndexerData *data, float *keys, guint n_clusters, guint n_tokens) {
  Video video = {n_clusters, n_tokens, keys};
  g_array_append_val(data->videos, video);
}

static void take_question(MnkIndexerData *data, float *query, guint n_query, guint8 *positive,
                          float *gains) {
  const Video *video = &g_array_index(data->videos, Video, data->videos->len - 1);
  MnkIndexerSample sample = {
      .video = data->videos->len - 1,
      .query = query,
      .n_query = n_query,
      .keys = video->keys,
      .n_clusters = video->n_clusters,
      .n_tokens = video->n_tokens,
      .positive = positive,
      .gains = gains,
  };
  g_array_append_val(data->samples, sample);
}

void mnk_indexer_data_add_video(MnkIndexerData *data, const float *keys, guint n_clusters,
                                guint n_tokens) {
  g_assert(n_clusters >= 1 && n_clusters <= CLUSTERS_MAX);
  g_assert(n_tokens >= 1 && n_tokens <= MNK_TOKENS_MAX);
  gsize size = (gsize)n_clusters * n_tokens * data->dim * sizeof *keys;
  take_video(data, g_memdup2(keys, size), n_clusters, n_tokens);
}

void mnk_indexer_data_add_question(MnkIndexerData *data, const float *query, guint n_query,
                                   const guint8 *positive, const float *gains) {
  g_assert(data->videos->len > 0 && n_query >= 1 && n_query <= WORDS_MAX);
  guint n = g_array_index(data->videos, Video, data->videos->len - 1).n_clusters;
  take_question(data, g_memdup2(query, (gsize)n_query * data->dim * sizeof *query), n_query,
                g_memdup2(positive, n), gains != NULL ? g_memdup2(gains, n * sizeof *gains) : NULL);
}

const MnkIndexerSample *mnk_indexer_data_samples(const MnkIndexerData *data, guint *n) {
  *n = data->samples->len;
  return (const MnkIndexerSample *)(const void *)data->samples->data;
}

guint mnk_indexer_data_dim(const MnkIndexerData *data) {
  return data->dim;
}

const char *mnk_indexer_data_model(const MnkIndexerData *data) {
  return data->model;
}

/* ---- Files ---- */

static void put_rows(MnkBytesWriter *writer, const float *rows, gsize n) {
  g_autofree guint16 *halves = g_new(guint16, n);
  mnk_half_from_float(rows, halves, n);
  mnk_bytes_put_halves(writer, halves, n);
}

static void put_question(MnkBytesWriter *writer, const MnkIndexerSample *sample, guint dim) {
  mnk_bytes_put_u32(writer, sample->n_query);
  put_rows(writer, sample->query, (gsize)sample->n_query * dim);
  mnk_bytes_put_data(writer, sample->positive, sample->n_clusters);
  mnk_bytes_put_u8(writer, sample->gains != NULL);
  if (sample->gains != NULL)
    mnk_bytes_put_floats(writer, sample->gains, sample->n_clusters);
}

static guint questions_of(const MnkIndexerData *data, guint first, guint video) {
  guint n = 0;
  while (first + n < data->samples->len &&
         g_array_index(data->samples, MnkIndexerSample, first + n).video == video)
    n++;
  return n;
}

void mnk_indexer_data_save(const MnkIndexerData *data, GByteArray *out) {
  MnkBytesWriter writer;
  mnk_bytes_begin(&writer, out, MAGIC, VERSION);
  mnk_bytes_put_u32(&writer, data->dim);
  mnk_bytes_put_data(&writer, data->model, sizeof data->model);
  mnk_bytes_put_u32(&writer, data->videos->len);
  for (guint i = 0, at = 0; i < data->videos->len; i++) {
    const Video *video = &g_array_index(data->videos, Video, i);
    guint questions = questions_of(data, at, i);
    mnk_bytes_put_u32(&writer, video->n_clusters);
    mnk_bytes_put_u32(&writer, video->n_tokens);
    put_rows(&writer, video->keys, (gsize)video->n_clusters * video->n_tokens * data->dim);
    mnk_bytes_put_u32(&writer, questions);
    for (guint j = 0; j < questions; j++, at++)
      put_question(&writer, &g_array_index(data->samples, MnkIndexerSample, at), data->dim);
  }
  mnk_bytes_end(&writer);
}

/* NULL: the reader has failed. */
static float *get_rows(MnkBytesReader *reader, gsize n) {
  if (!mnk_bytes_has(reader, n, sizeof(guint16)))
    return NULL;
  g_autofree guint16 *halves = g_try_new(guint16, n);
  g_autofree float *rows = g_try_new(float, n);
  if (!mnk_bytes_check(reader, halves != NULL && rows != NULL))
    return NULL;
  mnk_bytes_get_halves(reader, halves, n);
  mnk_half_to_float(halves, rows, n);
  for (gsize i = 0; i < n; i++)
    if (!mnk_bytes_check(reader, isfinite(rows[i])))
      return NULL;
  return g_steal_pointer(&rows);
}

static void get_question(MnkIndexerData *data, MnkBytesReader *reader) {
  guint n = g_array_index(data->videos, Video, data->videos->len - 1).n_clusters;
  guint n_query = mnk_bytes_get_u32(reader);
  if (!mnk_bytes_check(reader, n_query >= 1 && n_query <= WORDS_MAX))
    return;
  g_autofree float *query = get_rows(reader, (gsize)n_query * data->dim);
  if (query == NULL || !mnk_bytes_has(reader, n, 1))
    return;
  g_autofree guint8 *positive = g_new(guint8, n);
  g_autofree float *gains = NULL;
  mnk_bytes_get_data(reader, positive, n);
  for (guint i = 0; i < n; i++)
    mnk_bytes_check(reader, positive[i] <= 1);
  guint8 has_gains = mnk_bytes_get_u8(reader);
  if (mnk_bytes_check(reader, has_gains <= 1) && has_gains == 1 &&
      mnk_bytes_has(reader, n, sizeof *gains)) {
    gains = g_new(float, n);
    mnk_bytes_get_floats(reader, gains, n);
  }
  if (!reader->failed)
    take_question(data, g_steal_pointer(&query), n_query, g_steal_pointer(&positive),
                  g_steal_pointer(&gains));
}

static void get_video(MnkIndexerData *data, MnkBytesReader *reader) {
  guint n_clusters = mnk_bytes_get_u32(reader), n_tokens = mnk_bytes_get_u32(reader);
  if (!mnk_bytes_check(reader, n_clusters >= 1 && n_clusters <= CLUSTERS_MAX && n_tokens >= 1 &&
                                   n_tokens <= MNK_TOKENS_MAX))
    return;
  float *keys = get_rows(reader, (gsize)n_clusters * n_tokens * data->dim);
  if (keys == NULL)
    return;
  take_video(data, keys, n_clusters, n_tokens);
  guint questions = mnk_bytes_get_u32(reader);
  for (guint i = 0; i < questions && !reader->failed; i++)
    get_question(data, reader);
}

MnkIndexerData *mnk_indexer_data_restore(const guint8 *bytes, gsize length, GError **error) {
  MnkBytesReader reader;
  if (!mnk_bytes_open(&reader, bytes, length, MAGIC, VERSION, "the file of samples", error))
    return NULL;
  guint dim = mnk_bytes_get_u32(&reader);
  g_autoptr(MnkIndexerData) data = mnk_indexer_data_new(dim, "");
  mnk_bytes_get_data(&reader, data->model, sizeof data->model);
  mnk_bytes_check(&reader, dim >= 1 && dim <= MNK_INDEXER_DIM_MAX);
  mnk_bytes_check(&reader, data->model[sizeof data->model - 1] == '\0');
  guint videos = mnk_bytes_get_u32(&reader);
  for (guint i = 0; i < videos && !reader.failed; i++)
    get_video(data, &reader);
  return mnk_bytes_close(&reader, error) ? g_steal_pointer(&data) : NULL;
}
