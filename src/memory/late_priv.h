/* late: late interaction (ColBERT): for each query row, the best of a cluster's tokens. */
#ifndef MNK_LATE_PRIV_H
#define MNK_LATE_PRIV_H

#include "base/base.h"

/* ---- Cosines of a question with tokens in float16 ---- */

/* How mnk_late_best does it. All give the same to what float32 can tell: the fast kinds take a
 * first look in 16-bit numbers, and compute in float32 the few keys that may be the best. */
typedef enum {
  MNK_LATE_PLAIN, /* OpenBLAS, all in float32 */
  MNK_LATE_AVX2,
  MNK_LATE_VNNI, /* AVX-512 */
} MnkLateKind;
MnkLateKind mnk_late_kind(void); /* the best that this CPU has */

typedef struct _MnkLateQuery MnkLateQuery;
/* query: n x dim rows, copied and brought to length 1. kind: one that this CPU has. */
MnkLateQuery *mnk_late_query_new(const float *query, guint n, guint dim, MnkLateKind kind);
void mnk_late_query_free(MnkLateQuery *query);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(MnkLateQuery, mnk_late_query_free)
/* out: (query rows) x n_keys cosines. keys: n_keys x dim; inverse_lengths: of each. */
void mnk_late_cosines(MnkLateQuery *query, const guint16 *keys, const float *inverse_lengths,
                      guint n_keys, float *out);
/* The keys that mnk_late_best will be asked about after the next time: they are brought near while
 * the next one computes. NULL: none. */
void mnk_late_expect(MnkLateQuery *query, const guint16 *keys, guint n_keys);
/* best: for each query row the largest of its cosines with the keys. */
void mnk_late_best(MnkLateQuery *query, const guint16 *keys, const float *inverse_lengths,
                   guint n_keys, float *best);

/* ---- Panels: short float32 keys, 16 side by side, so that one load meets 16 tokens ---- */

enum { MNK_PANEL = 16 };
/* Numbers in the panels of n keys of width dim. */
gsize mnk_panels_size(guint n, guint dim);
/* keys: n x dim. The last panel is filled up with its last key. */
void mnk_panels_fill(const float *keys, guint n, guint dim, float *panels);
/* best: for each query row (n_query x dim) the largest of its products with the n keys. */
void mnk_panels_best(const float *panels, guint n, guint dim, const float *query, guint n_query,
                     float *best);

#endif
