/* keyframes: what the buffer, the long memory, the routers and recall share. */
#ifndef MNK_KEYFRAMES_PRIV_H
#define MNK_KEYFRAMES_PRIV_H

#include "memory/bytes_priv.h"
#include "memory/memory.h"

/* ---- One cluster (cluster.c) ---- */

typedef struct {
  guint64 id;
  guint64 used; /* when it was last chosen by recall, in counted recalls; 0: never */
  gint64 first_ms, last_ms;
  guint frames, merges;
  guint n, dim, columns;
  float *running;     /* while frames may join: n x dim, their mean; else NULL */
  MnkTokens *merged;  /* the mean in float16; NULL until it is asked for */
  GArray *pts;        /* gint64, of every pts_step-th frame */
  GPtrArray *members; /* of MnkTokens, of every member_step-th frame */
  guint pts_step, member_step;
  float alike_next; /* how like the next cluster of the long memory it is */
  /* What routers ask of the merged tokens, made with them. */
  float *inverse_lengths; /* n: 1 / |token|, 0 for a token of zeros */
  float *centre;          /* dim: mean of the tokens, of length 1 */
  float *index_keys;   /* tokens as an indexer projects them, in its order; NULL: not asked for */
  guint64 index_print; /* of that indexer */
  gsize index_bytes;
} MnkClusterState;

MnkClusterState *mnk_cluster_new(guint64 id, MnkTokens *frame);
void mnk_cluster_free(MnkClusterState *cluster);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(MnkClusterState, mnk_cluster_free)
/* Mean over places of cos(cluster, rows); rows: as many as the cluster has. */
float mnk_cluster_similarity(const MnkClusterState *cluster, const float *rows);
/* rows: frame's, in float32. */
void mnk_cluster_join(MnkClusterState *cluster, MnkTokens *frame, const float *rows);
/* No more frames join. */
void mnk_cluster_close(MnkClusterState *cluster);
/* How alike two closed clusters are; 0 when their grids differ. */
float mnk_cluster_alike(MnkClusterState *a, MnkClusterState *b);
/* Merges b, the later one, into a. Both are closed. */
void mnk_cluster_absorb(MnkClusterState *a, MnkClusterState *b);
/* merged, inverse_lengths and centre are there after this. */
void mnk_cluster_keys(MnkClusterState *cluster);
/* Drops every second member, or all of them. */
void mnk_cluster_thin_members(MnkClusterState *cluster);
void mnk_cluster_drop_members(MnkClusterState *cluster);
gsize mnk_cluster_member_bytes(const MnkClusterState *cluster);
gsize mnk_cluster_bytes(const MnkClusterState *cluster); /* without its members */
void mnk_cluster_put(const MnkClusterState *cluster, MnkBytesWriter *writer);
/* NULL: the reader has failed. */
MnkClusterState *mnk_cluster_get(MnkBytesReader *reader, guint dim);

/* ---- All of them (keyframes.c) ---- */

enum { MNK_KEYFRAMES_CLUSTERS_MAX = 1 << 20, MNK_KEYFRAMES_FRAMES_MAX = 4096 };

struct _MnkKeyframes {
  MnkKeyframesConfig config;
  guint dim; /* 0 before the first frame */
  guint64 last_id, recalls;
  GPtrArray *past;    /* of MnkClusterState: the long memory */
  GPtrArray *buffer;  /* of MnkClusterState */
  GPtrArray *recent;  /* of MnkTokens */
  GArray *recent_ids; /* guint64: the cluster of each as it was added */
  gsize detail_bytes; /* of the members of all clusters */
  float *rows;        /* scratch: the frame that is being added */
  gsize rows_size;
};

MnkClusterState *mnk_keyframes_cluster(const MnkKeyframes *keyframes, guint index);
/* NULL: there is none. */
MnkClusterState *mnk_keyframes_find(const MnkKeyframes *keyframes, guint64 id);

/* ---- Ranking (route.c) ---- */

/* Indices of the k best of n scores, best first, the later of two equal ones first; -INFINITY is
 * never among them. Returns how many there are. out: k entries. */
guint mnk_rank_top(const float *scores, guint n, guint k, guint *out);

#endif
