/* late_fast: products of rows of length 1 in 16-bit numbers, for a first look at many keys. */
#ifndef MNK_LATE_FAST_PRIV_H
#define MNK_LATE_FAST_PRIV_H

#include "memory/late_priv.h"

enum {
  MNK_FAST_ONE = 32767, /* stands for 1: a component of such a row fits 16 bits, a product of two
                           rows 31 */
  MNK_FAST_CHUNK = 16,  /* dimensions are filled up to so many */
};

/* Dimensions come in pairs: a number holds two of them, side by side. */
typedef gint32 MnkFastPair;

/* The difference between a cosine and what these numbers make of it: rounding is random (a fixed
 * dither is added first), so that the errors of the dimensions are independent of each other and
 * of the rows, each at most half a unit around its mean. By Hoeffding the difference between two
 * keys is off by more than this with a probability below 1e-7. */
static const float MNK_FAST_MARGIN = 3e-4F;

guint mnk_fast_width(guint dim); /* filled up */
/* Dither for width dimensions, in -0.5 to 0.5; another one for another seed. */
void mnk_fast_dither(guint32 seed, guint dim, guint width, float *out);
/* rows: n x dim, of length 1; out: n x width / 2. */
void mnk_fast_query(const float *rows, guint n, guint dim, const float *dither, MnkFastPair *out);

/* Keys in panels: 16 of them side by side for each pair of dimensions; the last panel is filled up
 * with its last key. An even number of panels. */
guint mnk_fast_panels(guint n_keys);
void mnk_fast_keys(const guint16 *keys, const float *inverse_lengths, guint n_keys, guint dim,
                   const float *dither, MnkFastPair *panels);
typedef struct {
  const MnkFastPair *query; /* n rows */
  const MnkFastPair *panels;
  guint n, n_panels, width;
  gsize stride; /* of out, at least 16 * n_panels */
  /* What is read next: fetched from memory meanwhile. */
  const guint16 *ahead;
  gsize n_ahead;
} MnkFastTask;
/* out: n x (16 * n_panels) products, rows stride apart. */
void mnk_fast_products(MnkLateKind kind, const MnkFastTask *task, gint32 *out);
/* Indices of the products within MNK_FAST_MARGIN of the largest of n, which may be the best after
 * all. Returns how many; out: room for n. */
guint mnk_fast_candidates(const gint32 *products, guint n, guint16 *out);
/* In float32. */
float mnk_fast_dot(const guint16 *key, const float *row, guint dim);

#endif
