/* indexer: its weights, and the two halves of a score: what is made of keys once, and what is made
 * of a question. */
#ifndef MNK_INDEXER_PRIV_H
#define MNK_INDEXER_PRIV_H

#include "memory/indexer.h"

enum { MNK_INDEXER_HEADS_MAX = 16, MNK_INDEXER_HEAD_MAX = 64, MNK_INDEXER_DIM_MAX = 16384 };

/* Tokens and query rows are first scaled to a mean square of 1, as an RMS norm does: language
 * models differ by orders of magnitude in how long the rows of their input are. */
struct _MnkIndexer {
  MnkIndexerShape shape;
  gsize n;        /* of all weights */
  float *weights; /* W_q: heads * head_dim x dim, then W_k: head_dim x dim, then W_w: heads x dim */
  guint64 print;  /* of the weights; 0: they may change at any time */
};

gsize mnk_indexer_size(const MnkIndexerShape *shape);
const float *mnk_indexer_wq(const MnkIndexer *indexer);
const float *mnk_indexer_wk(const MnkIndexer *indexer);
const float *mnk_indexer_ww(const MnkIndexer *indexer);
/* Weights as a file keeps them, in float16, so that what is saved scores as what was trained. */
void mnk_indexer_settle(MnkIndexer *indexer);

/* Rows to a mean square of 1; a row of zeros stays. in and out may be the same. */
void mnk_indexer_scale(const float *in, guint rows, guint dim, float *out);
/* out: n x head_dim. rows: scaled. */
void mnk_indexer_keys(const MnkIndexer *indexer, const float *rows, guint n, float *out);
/* q: n * heads x head_dim, by query row, then head, divided by sqrt(head_dim); w: n x heads, 1 +
 * W_w query: each head counts until it is taught otherwise. query: scaled. */
void mnk_indexer_query(const MnkIndexer *indexer, const float *query, guint n, float *q, float *w);
/* Of n tokens, as the routers keep them. */
gsize mnk_indexer_keys_bytes(guint n, guint head_dim);

#endif
