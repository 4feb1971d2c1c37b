#include "memory/keyframes_priv.h"
#include "memory/matrix_priv.h"
#include "memory/tokens_priv.h"

#include <math.h>
#include <string.h>

enum { STEP_MAX = 1 << 26 }; /* a step of so many frames is not doubled any more */

/* ---- Members and times: at most MNK_CLUSTER_TIMES, evenly spread over all frames ---- */

static void add_time(MnkClusterState *cluster, gint64 pts_ms) {
  if ((cluster->frames - 1) % cluster->pts_step != 0)
    return;
  g_array_append_val(cluster->pts, pts_ms);
  if (cluster->pts->len <= MNK_CLUSTER_TIMES)
    return;
  if (cluster->pts_step >= STEP_MAX) {
    g_array_set_size(cluster->pts, MNK_CLUSTER_TIMES);
    return;
  }
  gint64 *times = (gint64 *)(void *)cluster->pts->data;
  guint kept = 0;
  for (guint i = 0; i < cluster->pts->len; i += 2)
    times[kept++] = times[i];
  g_array_set_size(cluster->pts, kept);
  cluster->pts_step *= 2;
}

void mnk_cluster_thin_members(MnkClusterState *cluster) {
  guint kept = 0;
  GPtrArray *members = cluster->members;
  for (guint i = 0; i < members->len; i++) {
    if (i % 2 == 0 && members->len > 1)
      members->pdata[kept++] = members->pdata[i];
    else
      mnk_tokens_unref(members->pdata[i]);
  }
  /* the places behind kept hold what has moved or gone */
  memset(members->pdata + kept, 0, (members->len - kept) * sizeof *members->pdata);
  g_ptr_array_set_size(members, (int)kept);
  cluster->member_step = kept > 0 && cluster->member_step < STEP_MAX ? cluster->member_step * 2 : 0;
}

void mnk_cluster_drop_members(MnkClusterState *cluster) {
  g_ptr_array_set_size(cluster->members, 0);
  cluster->member_step = 0;
}

static void add_member(MnkClusterState *cluster, MnkTokens *frame) {
  if (cluster->member_step == 0 || (cluster->frames - 1) % cluster->member_step != 0)
    return;
  g_ptr_array_add(cluster->members, mnk_tokens_ref(frame));
  if (cluster->members->len > MNK_CLUSTER_TIMES)
    mnk_cluster_thin_members(cluster);
}

/* ---- A cluster ---- */

static void unref_member(gpointer tokens) {
  if (tokens != NULL)
    mnk_tokens_unref(tokens);
}

static MnkClusterState *cluster_alloc(void) {
  MnkClusterState *cluster = g_new0(MnkClusterState, 1);
  cluster->pts = g_array_new(FALSE, FALSE, sizeof(gint64));
  cluster->members = g_ptr_array_new_with_free_func(unref_member);
  cluster->pts_step = cluster->member_step = 1;
  return cluster;
}

MnkClusterState *mnk_cluster_new(guint64 id, MnkTokens *frame) {
  MnkClusterState *cluster = cluster_alloc();
  cluster->id = id;
  cluster->n = mnk_tokens_count(frame);
  cluster->dim = mnk_tokens_dim(frame);
  cluster->columns = mnk_tokens_columns(frame);
  cluster->first_ms = cluster->last_ms = mnk_tokens_pts_ms(frame);
  cluster->frames = 1;
  cluster->running = g_new(float, (gsize)cluster->n * cluster->dim);
  mnk_tokens_read(frame, 0, cluster->n, cluster->running);
  add_time(cluster, cluster->first_ms);
  add_member(cluster, frame);
  return cluster;
}

/* What was made from the tokens, and is not true any more once they change. */
static void forget_keys(MnkClusterState *cluster) {
  g_clear_pointer(&cluster->merged, mnk_tokens_unref);
  g_clear_pointer(&cluster->inverse_lengths, g_free);
  g_clear_pointer(&cluster->centre, g_free);
  g_clear_pointer(&cluster->index_keys, g_free);
  cluster->index_bytes = 0;
}

void mnk_cluster_free(MnkClusterState *cluster) {
  if (cluster == NULL)
    return;
  forget_keys(cluster);
  g_free(cluster->running);
  g_array_unref(cluster->pts);
  g_ptr_array_unref(cluster->members);
  g_free(cluster);
}

static double cosine(const float *a, const float *b, guint dim) {
  double lengths =
      sqrt((double)mnk_vector_dot(a, a, dim)) * sqrt((double)mnk_vector_dot(b, b, dim));
  return lengths > 0 ? (double)mnk_vector_dot(a, b, dim) / lengths : 0;
}

float mnk_cluster_similarity(const MnkClusterState *cluster, const float *rows) {
  double sum = 0;
  for (guint i = 0; i < cluster->n; i++) {
    gsize at = (gsize)i * cluster->dim;
    sum += cosine(cluster->running + at, rows + at, cluster->dim);
  }
  return (float)(sum / cluster->n);
}

void mnk_cluster_join(MnkClusterState *cluster, MnkTokens *frame, const float *rows) {
  gsize values = (gsize)cluster->n * cluster->dim;
  float share = 1.0F / (float)(cluster->frames + 1);
  for (gsize i = 0; i < values; i++)
    cluster->running[i] += (rows[i] - cluster->running[i]) * share;
  gint64 pts_ms = mnk_tokens_pts_ms(frame);
  cluster->first_ms = MIN(cluster->first_ms, pts_ms);
  cluster->last_ms = MAX(cluster->last_ms, pts_ms);
  if (cluster->frames < G_MAXINT)
    cluster->frames++;
  add_time(cluster, pts_ms);
  add_member(cluster, frame);
  forget_keys(cluster);
}

static MnkTokens *tokens_of(const MnkClusterState *cluster, const float *rows) {
  g_autoptr(GError) error = NULL;
  MnkTokens *tokens =
      mnk_tokens_new(rows, cluster->n, cluster->dim, cluster->columns, cluster->first_ms, &error);
  if (tokens == NULL) /* means of what was accepted are acceptable: memory is out */
    g_error("key frames: %s", error->message);
  return tokens;
}

void mnk_cluster_keys(MnkClusterState *cluster) {
  if (cluster->centre != NULL)
    return;
  guint dim = cluster->dim;
  if (cluster->merged == NULL)
    cluster->merged = tokens_of(cluster, cluster->running);
  g_autofree float *row = g_new(float, dim);
  cluster->inverse_lengths = g_new(float, cluster->n);
  cluster->centre = g_new0(float, dim);
  for (guint i = 0; i < cluster->n; i++) {
    mnk_tokens_read(cluster->merged, i, 1, row);
    double square = (double)mnk_vector_dot(row, row, dim);
    cluster->inverse_lengths[i] = square > 0 ? (float)(1 / sqrt(square)) : 0;
    mnk_vector_add(cluster->centre, 1, row, dim);
  }
  mnk_matrix_normalise(cluster->centre, 1, dim, cluster->centre);
}

void mnk_cluster_close(MnkClusterState *cluster) {
  mnk_cluster_keys(cluster);
  g_clear_pointer(&cluster->running, g_free);
}

static gboolean same_grid(const MnkClusterState *a, const MnkClusterState *b) {
  return a->n == b->n && a->columns == b->columns;
}

float mnk_cluster_alike(MnkClusterState *a, MnkClusterState *b) {
  if (!same_grid(a, b))
    return 0;
  g_autofree float *rows = g_new(float, 2 * (gsize)a->dim);
  double sum = 0;
  for (guint i = 0; i < a->n; i++) {
    mnk_tokens_read(a->merged, i, 1, rows);
    mnk_tokens_read(b->merged, i, 1, rows + a->dim);
    sum += (double)mnk_vector_dot(rows, rows + a->dim, a->dim) * (double)a->inverse_lengths[i] *
           (double)b->inverse_lengths[i];
  }
  return (float)(sum / a->n);
}

/* Means weighted by frames. Of two grids the one of more frames stays. */
static MnkTokens *mean_of(const MnkClusterState *a, const MnkClusterState *b) {
  if (!same_grid(a, b))
    return mnk_tokens_ref(a->frames >= b->frames ? a->merged : b->merged);
  gsize values = (gsize)a->n * a->dim;
  g_autofree float *mean = g_new(float, values), *other = g_new(float, values);
  mnk_tokens_read(a->merged, 0, a->n, mean);
  mnk_tokens_read(b->merged, 0, b->n, other);
  float share = (float)((double)b->frames / ((double)a->frames + b->frames));
  for (gsize i = 0; i < values; i++)
    mean[i] += (other[i] - mean[i]) * share;
  return tokens_of(a, mean);
}

static void join_times(MnkClusterState *a, MnkClusterState *b) {
  g_array_append_vals(a->pts, b->pts->data, b->pts->len);
  gint64 *times = (gint64 *)(void *)a->pts->data;
  guint n = a->pts->len, kept = MIN(n, (guint)MNK_CLUSTER_TIMES);
  for (guint i = 0; i < kept; i++)
    times[i] = times[(gsize)i * n / kept];
  g_array_set_size(a->pts, kept);
}

static void join_members(MnkClusterState *a, MnkClusterState *b) {
  for (guint i = 0; i < b->members->len; i++)
    g_ptr_array_add(a->members, mnk_tokens_ref(b->members->pdata[i]));
  while (a->members->len > MNK_CLUSTER_TIMES)
    mnk_cluster_thin_members(a);
}

void mnk_cluster_absorb(MnkClusterState *a, MnkClusterState *b) {
  a->first_ms = MIN(a->first_ms, b->first_ms);
  MnkTokens *merged = mean_of(a, b);
  forget_keys(a);
  a->merged = merged;
  a->n = mnk_tokens_count(merged);
  a->columns = mnk_tokens_columns(merged);
  join_times(a, b);
  join_members(a, b);
  a->last_ms = MAX(a->last_ms, b->last_ms);
  a->frames = MIN(a->frames + b->frames, (guint)G_MAXINT);
  a->merges += b->merges + 1;
  a->used = MAX(a->used, b->used);
  mnk_cluster_keys(a);
}

/* ---- Sizes ---- */

gsize mnk_cluster_member_bytes(const MnkClusterState *cluster) {
  gsize bytes = 0;
  for (guint i = 0; i < cluster->members->len; i++)
    bytes += mnk_tokens_bytes(cluster->members->pdata[i]);
  return bytes;
}

gsize mnk_cluster_bytes(const MnkClusterState *cluster) {
  gsize bytes = sizeof *cluster + cluster->pts->len * sizeof(gint64) + cluster->index_bytes;
  if (cluster->running != NULL)
    bytes += (gsize)cluster->n * cluster->dim * sizeof(float);
  if (cluster->merged != NULL)
    bytes += mnk_tokens_bytes(cluster->merged);
  if (cluster->centre != NULL)
    bytes += ((gsize)cluster->n + cluster->dim) * sizeof(float);
  return bytes;
}

/* ---- In snapshots ---- */

void mnk_cluster_put(const MnkClusterState *cluster, MnkBytesWriter *writer) {
  mnk_bytes_put_u64(writer, cluster->id);
  mnk_bytes_put_u64(writer, cluster->used);
  mnk_bytes_put_i64(writer, cluster->first_ms);
  mnk_bytes_put_i64(writer, cluster->last_ms);
  mnk_bytes_put_u32(writer, cluster->frames);
  mnk_bytes_put_u32(writer, cluster->merges);
  mnk_bytes_put_u32(writer, cluster->n);
  mnk_bytes_put_u32(writer, cluster->columns);
  mnk_bytes_put_u32(writer, cluster->pts_step);
  mnk_bytes_put_u32(writer, cluster->member_step);
  mnk_bytes_put_float(writer, cluster->alike_next);
  mnk_bytes_put_u32(writer, cluster->pts->len);
  for (guint i = 0; i < cluster->pts->len; i++)
    mnk_bytes_put_i64(writer, g_array_index(cluster->pts, gint64, i));
  mnk_bytes_put_u32(writer, cluster->members->len);
  for (guint i = 0; i < cluster->members->len; i++)
    mnk_tokens_put(cluster->members->pdata[i], writer);
  mnk_bytes_put_u8(writer, cluster->running != NULL);
  if (cluster->running != NULL)
    mnk_bytes_put_floats(writer, cluster->running, (gsize)cluster->n * cluster->dim);
  else
    mnk_tokens_put(cluster->merged, writer);
}

static gboolean finite_rows(const float *values, gsize n) {
  for (gsize i = 0; i < n; i++)
    if (!isfinite(values[i]))
      return FALSE;
  return TRUE;
}

/* Members and merged tokens are of the cluster's width; what is not finite makes keys that are
 * not. */
static gboolean fits(const MnkClusterState *cluster) {
  if (mnk_tokens_dim(cluster->merged) != cluster->dim ||
      mnk_tokens_count(cluster->merged) != cluster->n ||
      mnk_tokens_columns(cluster->merged) != cluster->columns ||
      !finite_rows(cluster->inverse_lengths, cluster->n) ||
      !finite_rows(cluster->centre, cluster->dim))
    return FALSE;
  for (guint i = 0; i < cluster->members->len; i++)
    if (mnk_tokens_dim(cluster->members->pdata[i]) != cluster->dim)
      return FALSE;
  return TRUE;
}

static void get_lists(MnkClusterState *cluster, MnkBytesReader *reader) {
  guint n = mnk_bytes_get_u32(reader);
  mnk_bytes_check(reader, n >= 1 && n <= MNK_CLUSTER_TIMES);
  for (guint i = 0; i < n && !reader->failed; i++) {
    gint64 pts_ms = mnk_bytes_get_i64(reader);
    g_array_append_val(cluster->pts, pts_ms);
  }
  n = mnk_bytes_get_u32(reader);
  mnk_bytes_check(reader, n <= MNK_CLUSTER_TIMES);
  for (guint i = 0; i < n && !reader->failed; i++) {
    MnkTokens *member = mnk_tokens_get(reader);
    if (member != NULL)
      g_ptr_array_add(cluster->members, member);
  }
}

static void get_tokens(MnkClusterState *cluster, MnkBytesReader *reader) {
  gsize values = (gsize)cluster->n * cluster->dim;
  gboolean open = mnk_bytes_get_u8(reader) != 0;
  if (!open) {
    cluster->merged = mnk_tokens_get(reader);
  } else if (cluster->n >= 1 && cluster->n <= MNK_TOKENS_MAX &&
             mnk_bytes_has(reader, values, sizeof(float))) {
    cluster->running = g_new(float, values);
    mnk_bytes_get_floats(reader, cluster->running, values);
    if (!reader->failed)
      cluster->merged = mnk_tokens_new(cluster->running, cluster->n, cluster->dim, cluster->columns,
                                       cluster->first_ms, NULL);
  }
  if (!mnk_bytes_check(reader, cluster->merged != NULL &&
                                   mnk_tokens_count(cluster->merged) == cluster->n &&
                                   mnk_tokens_dim(cluster->merged) == cluster->dim))
    return;
  mnk_cluster_keys(cluster);
  mnk_bytes_check(reader, fits(cluster));
}

MnkClusterState *mnk_cluster_get(MnkBytesReader *reader, guint dim) {
  g_autoptr(MnkClusterState) cluster = cluster_alloc();
  cluster->dim = dim;
  cluster->id = mnk_bytes_get_u64(reader);
  cluster->used = mnk_bytes_get_u64(reader);
  cluster->first_ms = mnk_bytes_get_i64(reader);
  cluster->last_ms = mnk_bytes_get_i64(reader);
  cluster->frames = mnk_bytes_get_u32(reader);
  cluster->merges = mnk_bytes_get_u32(reader);
  cluster->n = mnk_bytes_get_u32(reader);
  cluster->columns = mnk_bytes_get_u32(reader);
  cluster->pts_step = mnk_bytes_get_u32(reader);
  cluster->member_step = mnk_bytes_get_u32(reader);
  cluster->alike_next = mnk_bytes_get_float(reader);
  mnk_bytes_check(reader, cluster->id > 0 && cluster->first_ms <= cluster->last_ms);
  mnk_bytes_check(reader, cluster->frames > 0 && cluster->frames <= G_MAXINT);
  mnk_bytes_check(reader, cluster->pts_step > 0 && cluster->pts_step <= STEP_MAX &&
                              cluster->member_step <= STEP_MAX);
  get_lists(cluster, reader);
  if (!reader->failed)
    get_tokens(cluster, reader);
  return reader->failed ? NULL : g_steal_pointer(&cluster);
}
