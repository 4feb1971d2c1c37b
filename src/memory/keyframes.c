#include "memory/indexer_priv.h"
#include "memory/keyframes_priv.h"

/* What a stream at 24 h of one frame a second may cost stays within 64 MB at 64 tokens of 576. */
enum { DETAIL_BYTES = 12 * 1024 * 1024 };

/* Weights of StreamForest for what merging two neighbours costs: how unlike they are, how recent,
 * how often merged already. */
static const double UNLIKE = 0.4, RECENT = 0.2, MERGED = 0.4;

void mnk_keyframes_config_init(MnkKeyframesConfig *config) {
  *config = (MnkKeyframesConfig){
      .buffer_size = 5,
      .match_ratio = 0.5F,
      .long_max = 512,
      .detail_bytes_max = DETAIL_BYTES,
      .recent = 4,
  };
}

static void free_cluster(gpointer cluster) {
  mnk_cluster_free(cluster);
}

static void unref_tokens(gpointer tokens) {
  mnk_tokens_unref(tokens);
}

MnkKeyframes *mnk_keyframes_new(const MnkKeyframesConfig *config) {
  MnkKeyframes *keyframes = g_new0(MnkKeyframes, 1);
  keyframes->config = *config;
  keyframes->config.buffer_size = CLAMP(config->buffer_size, 1, (guint)MNK_KEYFRAMES_FRAMES_MAX);
  keyframes->config.long_max = MIN(config->long_max, (guint)MNK_KEYFRAMES_CLUSTERS_MAX);
  keyframes->config.recent = MIN(config->recent, (guint)MNK_KEYFRAMES_FRAMES_MAX);
  keyframes->past = g_ptr_array_new_with_free_func(free_cluster);
  keyframes->buffer = g_ptr_array_new_with_free_func(free_cluster);
  keyframes->recent = g_ptr_array_new_with_free_func(unref_tokens);
  keyframes->recent_ids = g_array_new(FALSE, FALSE, sizeof(guint64));
  return keyframes;
}

void mnk_keyframes_free(MnkKeyframes *keyframes) {
  if (keyframes == NULL)
    return;
  g_ptr_array_unref(keyframes->past);
  g_ptr_array_unref(keyframes->buffer);
  g_ptr_array_unref(keyframes->recent);
  g_array_unref(keyframes->recent_ids);
  g_free(keyframes->rows);
  g_free(keyframes);
}

void mnk_keyframes_clear(MnkKeyframes *keyframes) {
  g_ptr_array_set_size(keyframes->past, 0);
  g_ptr_array_set_size(keyframes->buffer, 0);
  g_ptr_array_set_size(keyframes->recent, 0);
  g_array_set_size(keyframes->recent_ids, 0);
  g_clear_pointer(&keyframes->rows, g_free);
  keyframes->rows_size = 0;
  keyframes->detail_bytes = 0;
  keyframes->last_id = keyframes->recalls = 0;
  keyframes->dim = 0;
}

/* ---- The bounds ---- */

/* What a pair of neighbours would lose by becoming one. */
static double merge_penalty(const MnkKeyframes *keyframes, guint index, guint merges_max) {
  const MnkClusterState *a = keyframes->past->pdata[index], *b = keyframes->past->pdata[index + 1];
  const MnkClusterState *oldest = keyframes->past->pdata[0];
  const MnkClusterState *newest = keyframes->past->pdata[keyframes->past->len - 1];
  double span = (double)newest->last_ms - (double)oldest->first_ms;
  double age = (double)b->last_ms - (double)oldest->first_ms;
  double recency = span > 0 ? CLAMP(age / span, 0, 1) : 0;
  double merged = merges_max > 0 ? ((double)a->merges + b->merges) / merges_max : 0;
  return UNLIKE * (1 - (double)a->alike_next) + RECENT * recency + MERGED * merged;
}

static guint cheapest_pair(const MnkKeyframes *keyframes) {
  const GPtrArray *past = keyframes->past;
  guint merges_max = 0, best = 0;
  double least = G_MAXDOUBLE;
  for (guint i = 0; i + 1 < past->len; i++) {
    const MnkClusterState *a = past->pdata[i], *b = past->pdata[i + 1];
    merges_max = MAX(merges_max, a->merges + b->merges);
  }
  for (guint i = 0; i + 1 < past->len; i++) {
    double penalty = merge_penalty(keyframes, i, merges_max);
    if (penalty < least) {
      least = penalty;
      best = i;
    }
  }
  return best;
}

static void like_next(MnkKeyframes *keyframes, guint index) {
  MnkClusterState *cluster = keyframes->past->pdata[index];
  cluster->alike_next = 0;
  if (index + 1 < keyframes->past->len)
    cluster->alike_next = mnk_cluster_alike(cluster, keyframes->past->pdata[index + 1]);
}

static void merge_pair(MnkKeyframes *keyframes, guint index) {
  MnkClusterState *a = keyframes->past->pdata[index], *b = keyframes->past->pdata[index + 1];
  keyframes->detail_bytes -= mnk_cluster_member_bytes(a) + mnk_cluster_member_bytes(b);
  mnk_cluster_absorb(a, b);
  keyframes->detail_bytes += mnk_cluster_member_bytes(a);
  g_ptr_array_remove_index(keyframes->past, index + 1);
  like_next(keyframes, index);
  if (index > 0)
    like_next(keyframes, index - 1);
}

static void forget_oldest(MnkKeyframes *keyframes) {
  keyframes->detail_bytes -= mnk_cluster_member_bytes(keyframes->past->pdata[0]);
  g_ptr_array_remove_index(keyframes->past, 0);
}

/* The oldest of the buffer goes into the long memory. */
static void evict(MnkKeyframes *keyframes) {
  MnkClusterState *cluster = g_ptr_array_steal_index(keyframes->buffer, 0);
  mnk_cluster_close(cluster);
  g_ptr_array_add(keyframes->past, cluster);
  if (keyframes->past->len > 1)
    like_next(keyframes, keyframes->past->len - 2);
  while (keyframes->past->len > keyframes->config.long_max) {
    if (keyframes->past->len > 1)
      merge_pair(keyframes, cheapest_pair(keyframes));
    else
      forget_oldest(keyframes);
  }
}

/* The long cluster with members that questions chose longest ago, or never. */
static MnkClusterState *least_used(const MnkKeyframes *keyframes) {
  MnkClusterState *found = NULL;
  for (guint i = 0; i < keyframes->past->len; i++) {
    MnkClusterState *cluster = keyframes->past->pdata[i];
    if (cluster->members->len > 0 && (found == NULL || cluster->used < found->used))
      found = cluster;
  }
  return found;
}

static MnkClusterState *largest_in_buffer(const MnkKeyframes *keyframes) {
  MnkClusterState *found = keyframes->buffer->pdata[0];
  for (guint i = 1; i < keyframes->buffer->len; i++) {
    MnkClusterState *cluster = keyframes->buffer->pdata[i];
    if (cluster->members->len > found->members->len)
      found = cluster;
  }
  return found;
}

/* Details go from the long memory first; what is in the buffer is thinned, so that what is left
 * still spreads over its time. */
static void keep_details_bounded(MnkKeyframes *keyframes) {
  while (keyframes->detail_bytes > keyframes->config.detail_bytes_max) {
    MnkClusterState *past = least_used(keyframes);
    MnkClusterState *cluster = past != NULL ? past : largest_in_buffer(keyframes);
    keyframes->detail_bytes -= mnk_cluster_member_bytes(cluster);
    if (past != NULL)
      mnk_cluster_drop_members(cluster);
    else
      mnk_cluster_thin_members(cluster);
    keyframes->detail_bytes += mnk_cluster_member_bytes(cluster);
  }
}

/* ---- Adding ---- */

static const float *rows_of(MnkKeyframes *keyframes, const MnkTokens *frame) {
  gsize size = (gsize)mnk_tokens_count(frame) * mnk_tokens_dim(frame);
  if (size > keyframes->rows_size) {
    keyframes->rows = g_renew(float, keyframes->rows, size);
    keyframes->rows_size = size;
  }
  mnk_tokens_read(frame, 0, mnk_tokens_count(frame), keyframes->rows);
  return keyframes->rows;
}

/* The cluster that is most like the frame, if it is like enough and takes more; the oldest of equal
 * ones. */
static MnkClusterState *matching(const MnkKeyframes *keyframes, const MnkTokens *frame,
                                 const float *rows) {
  MnkClusterState *best = NULL;
  float most = 0;
  for (guint i = 0; i < keyframes->buffer->len; i++) {
    MnkClusterState *cluster = keyframes->buffer->pdata[i];
    if (cluster->n != mnk_tokens_count(frame) || cluster->columns != mnk_tokens_columns(frame))
      continue;
    float similarity = mnk_cluster_similarity(cluster, rows);
    if (best == NULL || similarity > most) {
      best = cluster;
      most = similarity;
    }
  }
  guint frames_max = keyframes->config.frames_max;
  if (best == NULL || most < keyframes->config.match_ratio ||
      (frames_max > 0 && best->frames >= frames_max))
    return NULL;
  return best;
}

static void remember_recent(MnkKeyframes *keyframes, MnkTokens *frame, guint64 id) {
  if (keyframes->config.recent == 0)
    return;
  if (keyframes->recent->len == keyframes->config.recent) {
    g_ptr_array_remove_index(keyframes->recent, 0);
    g_array_remove_index(keyframes->recent_ids, 0);
  }
  g_ptr_array_add(keyframes->recent, mnk_tokens_ref(frame));
  g_array_append_val(keyframes->recent_ids, id);
}

guint64 mnk_keyframes_add(MnkKeyframes *keyframes, MnkTokens *frame, gboolean *is_new) {
  if (keyframes->dim == 0)
    keyframes->dim = mnk_tokens_dim(frame);
  g_assert(keyframes->dim == mnk_tokens_dim(frame));
  const float *rows = rows_of(keyframes, frame);
  MnkClusterState *cluster = matching(keyframes, frame, rows);
  *is_new = cluster == NULL;
  if (cluster != NULL) {
    keyframes->detail_bytes -= mnk_cluster_member_bytes(cluster);
    mnk_cluster_join(cluster, frame, rows);
  } else {
    cluster = mnk_cluster_new(++keyframes->last_id, frame);
    g_ptr_array_add(keyframes->buffer, cluster);
  }
  guint64 id = cluster->id;
  keyframes->detail_bytes += mnk_cluster_member_bytes(cluster);
  remember_recent(keyframes, frame, id);
  if (keyframes->buffer->len > keyframes->config.buffer_size)
    evict(keyframes);
  keep_details_bounded(keyframes);
  return id;
}

/* ---- Reading ---- */

guint mnk_keyframes_count(const MnkKeyframes *keyframes) {
  return keyframes->past->len + keyframes->buffer->len;
}

guint mnk_keyframes_long_count(const MnkKeyframes *keyframes) {
  return keyframes->past->len;
}

MnkClusterState *mnk_keyframes_cluster(const MnkKeyframes *keyframes, guint index) {
  guint past = keyframes->past->len;
  g_assert(index < past + keyframes->buffer->len);
  return index < past ? keyframes->past->pdata[index] : keyframes->buffer->pdata[index - past];
}

MnkClusterState *mnk_keyframes_find(const MnkKeyframes *keyframes, guint64 id) {
  for (guint i = mnk_keyframes_count(keyframes); i-- > 0;) {
    MnkClusterState *cluster = mnk_keyframes_cluster(keyframes, i);
    if (cluster->id == id)
      return cluster;
  }
  return NULL;
}

void mnk_keyframes_get(const MnkKeyframes *keyframes, guint index, MnkCluster *out) {
  MnkClusterState *cluster = mnk_keyframes_cluster(keyframes, index);
  mnk_cluster_keys(cluster);
  *out = (MnkCluster){
      .id = cluster->id,
      .first_ms = cluster->first_ms,
      .last_ms = cluster->last_ms,
      .frames = cluster->frames,
      .merges = cluster->merges,
      .merged = cluster->merged,
      .members = cluster->members,
      .pts_ms = (const gint64 *)(const void *)cluster->pts->data,
      .n_pts = cluster->pts->len,
      .in_buffer = index >= keyframes->past->len,
  };
}

const GPtrArray *mnk_keyframes_recent(const MnkKeyframes *keyframes) {
  return keyframes->recent;
}

gsize mnk_keyframes_bytes(const MnkKeyframes *keyframes) {
  gsize bytes = keyframes->detail_bytes + keyframes->rows_size * sizeof(float);
  for (guint i = 0; i < mnk_keyframes_count(keyframes); i++)
    bytes += mnk_cluster_bytes(mnk_keyframes_cluster(keyframes, i));
  for (guint i = 0; i < keyframes->recent->len; i++)
    bytes += mnk_tokens_bytes(keyframes->recent->pdata[i]);
  return bytes;
}

/* An object's own few bytes around its numbers. */
enum { AROUND = 64 };

gsize mnk_keyframes_bytes_max(const MnkKeyframesConfig *config, guint n_tokens, guint dim) {
  gsize values = (gsize)n_tokens * dim, halves = values * sizeof(guint16) + AROUND;
  gsize cluster = sizeof(MnkClusterState) + (MNK_CLUSTER_TIMES + 1) * sizeof(gint64) + halves +
                  ((gsize)n_tokens + dim) * sizeof(float) +
                  mnk_indexer_keys_bytes(n_tokens, MNK_INDEXER_HEAD_MAX);
  return config->long_max * cluster +
         MAX(config->buffer_size, 1) * (cluster + values * sizeof(float)) +
         config->detail_bytes_max + config->recent * halves + values * sizeof(float);
}
