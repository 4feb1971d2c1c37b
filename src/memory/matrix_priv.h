/* matrix: the few dense operations that memory needs, over OpenBLAS with one thread. All matrices
 * are row by row without gaps unless a stride is given; sizes in floats. */
#ifndef MNK_MATRIX_PRIV_H
#define MNK_MATRIX_PRIV_H

#include "base/base.h"

/* out (m x n, rows stride apart) = a (m x k) . b (n x k), each row with each. */
void mnk_matrix_dots(const float *a, guint m, const float *b, guint n, guint k, float *out,
                     guint stride);
/* out (m x n) = a (m x k) . b (k x n); add: out is added to. */
void mnk_matrix_times(const float *a, guint m, const float *b, guint n, guint k, float *out,
                      gboolean add);
/* out (k x n) = a (m x k) turned . b (m x n); add: out is added to. */
void mnk_matrix_turned_times(const float *a, guint m, const float *b, guint n, guint k, float *out,
                             gboolean add);
/* The same bits for the same numbers, wherever they lie. */
float mnk_vector_dot(const float *a, const float *b, guint n);
float mnk_vector_distance(const float *a, const float *b, guint n); /* squared */
/* out += scale * a. */
void mnk_vector_add(float *out, float scale, const float *a, guint n);
/* Each row to length 1; a row of zeros stays. in and out may be the same. */
void mnk_matrix_normalise(const float *in, guint rows, guint dim, float *out);
/* Mean over rows. */
void mnk_matrix_mean(const float *rows, guint n, guint dim, float *out);

#endif
