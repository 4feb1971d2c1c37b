/* memory: what is remembered of a stream's visual tokens, and which of it a question needs. Pure
 * computation over tokens of any width; no I/O, no threads: each object belongs to one thread.
 *
 * A token is a row of `dim` floats in the language model's input space. A frame's tokens lie on a
 * grid of rows x columns, row by row. Computed in float32, kept in float16 (but the centres of the
 * token memory, which would stand still in float16 once their counts are large). Every save is
 * bytes, appended (little-endian, versioned, with a CRC-32 at the end): the same state gives the
 * same bytes, and a restored object gives bit for bit the same scores. Damaged bytes:
 * MNK_ERROR_BAD_INPUT. */
#ifndef MNK_MEMORY_H
#define MNK_MEMORY_H

#include "base/base.h"
#include "memory/indexer.h"

enum {
  MNK_TOKENS_DIM_MAX = 16384,
  MNK_TOKENS_MAX = 4096, /* of one frame */
};

/* ---- Tokens of one frame: immutable, counted ---- */

typedef struct _MnkTokens MnkTokens;
/* rows: n x dim floats, copied to float16. columns: of the grid, n = rows x columns; 0: no grid,
 * one row. What is larger than float16 can say becomes its largest. MNK_ERROR_BAD_INPUT: a value
 * that is not finite, tokens that do not fill rows; _LIMIT: too many. */
MnkTokens *mnk_tokens_new(const float *rows, guint n, guint dim, guint columns, gint64 pts_ms,
                          GError **error);
MnkTokens *mnk_tokens_ref(MnkTokens *tokens);
void mnk_tokens_unref(MnkTokens *tokens);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(MnkTokens, mnk_tokens_unref)
guint mnk_tokens_count(const MnkTokens *tokens);
guint mnk_tokens_dim(const MnkTokens *tokens);
guint mnk_tokens_columns(const MnkTokens *tokens);
gint64 mnk_tokens_pts_ms(const MnkTokens *tokens);
gsize mnk_tokens_bytes(const MnkTokens *tokens);
void mnk_tokens_read(const MnkTokens *tokens, guint first, guint n, float *out);
/* float16 <-> float32, round to nearest even; F16C where the CPU has it. */
void mnk_half_from_float(const float *in, guint16 *out, gsize n);
void mnk_half_to_float(const guint16 *in, float *out, gsize n);

/* ---- The token memory of Streaming DVC (Zhou et al., CVPR 2024): weighted K-means ---- */

typedef enum {
  MNK_TOKEN_MEMORY_KMEANS,
  MNK_TOKEN_MEMORY_EMA,      /* per place, decay 0.9 */
  MNK_TOKEN_MEMORY_MEAN,     /* per place, over all frames */
  MNK_TOKEN_MEMORY_ADJACENT, /* the most alike neighbours are merged, order kept */
  MNK_TOKEN_MEMORY_NONE,     /* the newest tokens */
} MnkTokenMemoryMode;

typedef struct {
  MnkTokenMemoryMode mode;
  guint tokens; /* K */
  guint dim;
  guint iterations; /* 2 */
  guint cap_counts; /* counts are cut to this after each frame; 0: never */
  gboolean exact;   /* distances of rows that are centres are computed in the first iteration too */
} MnkTokenMemoryConfig;

/* One centre. Places are grid units; means are weighted by counts. Count 0: an empty cluster, which
 * keeps its centre and what was known of it. */
typedef struct {
  guint32 count; /* frames' tokens in it; saturates */
  double t_ms, row, column;
  gint64 first_ms, last_ms;
} MnkCentre;

typedef struct _MnkTokenMemory MnkTokenMemory;
MnkTokenMemory *mnk_token_memory_new(const MnkTokenMemoryConfig *config, GError **error);
void mnk_token_memory_free(MnkTokenMemory *memory);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(MnkTokenMemory, mnk_token_memory_free)
void mnk_token_memory_add(MnkTokenMemory *memory, const MnkTokens *frame);
/* For callers with float32 rows: the same, before rounding. */
void mnk_token_memory_add_rows(MnkTokenMemory *memory, const float *rows, guint n, guint columns,
                               gint64 pts_ms);
guint mnk_token_memory_count(const MnkTokenMemory *memory);          /* centres in use, up to K */
const float *mnk_token_memory_centres(const MnkTokenMemory *memory); /* count x dim */
const MnkCentre *mnk_token_memory_stats(const MnkTokenMemory *memory);
/* Of the last frame added: the centre of each of its tokens; n as added. Modes by place, and none,
 * let go what is more than K of one frame: NO_CENTRE. */
enum { MNK_TOKEN_MEMORY_NO_CENTRE = G_MAXUINT32 };
const guint32 *mnk_token_memory_labels(const MnkTokenMemory *memory, guint *n);
/* Indices of the centres by (time, row, column), rounded: the order in which they are injected.
 * out: count entries. */
void mnk_token_memory_order(const MnkTokenMemory *memory, guint *out);
gsize mnk_token_memory_bytes(const MnkTokenMemory *memory);
void mnk_token_memory_save(const MnkTokenMemory *memory, GByteArray *out);
MnkTokenMemory *mnk_token_memory_restore(const guint8 *bytes, gsize length, GError **error);

/* ---- Token dropping (TimeChat-Online's DTD) and scene boundaries from it ---- */

typedef struct {
  float threshold;  /* 0.5: a token this like the one at its place in the frame before is dropped */
  guint refresh;    /* 16: every so many frames one is kept whole */
  guint window;     /* 32: scores over which a boundary stands out; at least the number below */
  float deviations; /* 2 */
} MnkTokenDropConfig;
enum { MNK_TOKEN_DROP_SCORES_LEAST = 8 }; /* with fewer before it, no score stands out */

typedef struct _MnkTokenDrop MnkTokenDrop;
MnkTokenDrop *mnk_token_drop_new(const MnkTokenDropConfig *config);
void mnk_token_drop_free(MnkTokenDrop *drop);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(MnkTokenDrop, mnk_token_drop_free)
/* keep: one byte per token, 1: kept. *score: share of tokens that changed, which is kept / all but
 * in a frame kept whole. *boundary: a scene begins, the score is above the mean of those before it
 * by so many standard deviations. Returns how many are kept. Another size or width of frame begins
 * anew: whole, score 1, a boundary. Keeps a reference to the frame. */
guint mnk_token_drop_add(MnkTokenDrop *drop, MnkTokens *frame, guint8 *keep, float *score,
                         gboolean *boundary);

/* ---- Key frames: the buffer of seed 002, and the long memory behind it ---- */

typedef struct {
  guint buffer_size;      /* clusters in the buffer: 5 */
  float match_ratio;      /* 0.5: a frame at least this like a cluster joins it */
  guint frames_max;       /* frames of one cluster; 0: no limit */
  guint long_max;         /* clusters in the long memory: 512 */
  gsize detail_bytes_max; /* members' tokens that are kept besides the merged ones */
  guint recent;           /* newest frames that are kept raw: 4 */
} MnkKeyframesConfig;
void mnk_keyframes_config_init(MnkKeyframesConfig *config);

typedef struct {
  guint64 id; /* counts up from 1 */
  gint64 first_ms, last_ms;
  guint frames, merges;     /* members; long clusters merged into it */
  const MnkTokens *merged;  /* mean of the members per place */
  const GPtrArray *members; /* of MnkTokens, by time; empty when their details were let go */
  const gint64 *pts_ms;     /* of each member, at most MNK_CLUSTER_TIMES of them */
  guint n_pts;
  gboolean in_buffer;
} MnkCluster;
enum { MNK_CLUSTER_TIMES = 64 };

typedef struct _MnkKeyframes MnkKeyframes;
MnkKeyframes *mnk_keyframes_new(const MnkKeyframesConfig *config);
void mnk_keyframes_free(MnkKeyframes *keyframes);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(MnkKeyframes, mnk_keyframes_free)
/* Returns the id of the frame's cluster. *is_new: it begins one. A frame of another size begins a
 * new cluster; one of another width is a programmer's error. */
guint64 mnk_keyframes_add(MnkKeyframes *keyframes, MnkTokens *frame, gboolean *is_new);
/* Long memory first, then the buffer, each by age. */
guint mnk_keyframes_count(const MnkKeyframes *keyframes);
guint mnk_keyframes_long_count(const MnkKeyframes *keyframes);
void mnk_keyframes_get(const MnkKeyframes *keyframes, guint index, MnkCluster *out);
const GPtrArray *mnk_keyframes_recent(const MnkKeyframes *keyframes); /* of MnkTokens, by time */
/* Bytes of all tokens held and of what routers keep of them, and the bound that they never pass for
 * frames of n tokens. */
gsize mnk_keyframes_bytes(const MnkKeyframes *keyframes);
gsize mnk_keyframes_bytes_max(const MnkKeyframesConfig *config, guint n_tokens, guint dim);
void mnk_keyframes_clear(MnkKeyframes *keyframes); /* a new video: nothing is left */
void mnk_keyframes_save(const MnkKeyframes *keyframes, GByteArray *out);
MnkKeyframes *mnk_keyframes_restore(const guint8 *bytes, gsize length, GError **error);

/* ---- Routers: which clusters a question needs ---- */

typedef enum {
  MNK_ROUTER_COS_SIM_COARSE,
  MNK_ROUTER_COS_SIM_FINE, /* late interaction */
  MNK_ROUTER_CROSS_ATTN,   /* one softmax per query token over all tokens of all clusters */
  MNK_ROUTER_INDEXER,
  MNK_ROUTER_RECENT, /* newest first */
  MNK_ROUTER_RANDOM, /* by seed */
  MNK_ROUTER_N,
} MnkRouter;
const char *mnk_router_name(MnkRouter router); /* "cos_sim_fine", "cross-attn", ... */
gboolean mnk_router_from_name(const char *name, MnkRouter *router);

typedef struct {
  MnkRouter router;
  const MnkIndexer *indexer; /* borrowed; MNK_ROUTER_INDEXER alone */
  guint32 seed;              /* MNK_ROUTER_RANDOM */
  float tau;                 /* MNK_ROUTER_CROSS_ATTN: 0.07 */
  guint prefilter;           /* cos_sim_fine, cross-attn: only the best so many by coarse; 0: all */
} MnkRouterConfig;

/* Scores of all clusters in the long memory and the buffer (as mnk_keyframes_get counts them): out
 * has mnk_keyframes_count entries; clusters that a prefilter left out get -INFINITY. query: n x dim
 * rows. Caches of the keys live in the key frames. */
void mnk_route(MnkKeyframes *keyframes, const MnkRouterConfig *config, const float *query, guint n,
               float *out);
/* Makes now what mnk_route would make of new clusters; for a caller that has time for it when
 * frames come rather than when a question does. */
void mnk_route_prepare(MnkKeyframes *keyframes, const MnkRouterConfig *config);

typedef struct {
  guint topk;       /* 8 */
  guint neighbours; /* clusters before and after a chosen one that join with merged tokens: 1 */
  guint tokens_max; /* of all that is chosen; 0: no limit */
  guint recent;     /* newest raw frames that are always in: 4 */
  gboolean history; /* FALSE: the recent frames alone */
} MnkRecallConfig;

/* A block of tokens to show the model. */
typedef struct {
  MnkTokens *tokens; /* owned */
  guint64 cluster;   /* its id; 0: a recent frame of none */
  gint64 first_ms, last_ms;
  float score; /* of its cluster; NAN: not scored */
  enum { MNK_RECALL_CHOSEN, MNK_RECALL_NEIGHBOUR, MNK_RECALL_BUFFER, MNK_RECALL_RECENT } why;
  gboolean merged; /* the cluster's mean, not a frame as it was */
} MnkRecalled;
/* By rising first_ms, no frame twice. Chosen clusters and the buffer show their members where these
 * are kept, else their merged tokens. What does not fit in tokens_max is left out, the recent
 * frames never: each cluster gets one frame's worth, best scores first, and what then is left shows
 * further members of the best, evenly spread over their time. Caller unrefs; marks the chosen as
 * used, so that their details are kept longest. scores: from mnk_route; NULL with history FALSE. */
GPtrArray *mnk_recall(MnkKeyframes *keyframes, const MnkRecallConfig *config, const float *scores);

/* Whether a question needs more than the recent frames: the best score in the long memory exceeds
 * the best of the buffer by margin. */
gboolean mnk_recall_needs_history(const MnkKeyframes *keyframes, const float *scores, float margin);

#endif
