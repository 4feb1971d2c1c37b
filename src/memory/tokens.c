#include "memory/tokens_priv.h"

#include <math.h>
#include <string.h>

struct _MnkTokens {
  gatomicrefcount refs;
  guint n, dim, columns;
  gint64 pts_ms;
  guint16 rows[];
};

static gboolean all_finite(const float *values, gsize n) {
  guint bad = 0;
  for (gsize i = 0; i < n; i++)
    bad |= !isfinite(values[i]);
  return bad == 0;
}

/* A model's rare outlier beyond float16 becomes its largest, not infinity. */
static void saturate(guint16 *halves, gsize n) {
  enum { INFINITE = 0x7c00, LARGEST = 0x7bff, SIGN = 0x8000 };
  for (gsize i = 0; i < n; i++)
    if ((halves[i] & ~SIGN) == INFINITE)
      halves[i] = (guint16)((halves[i] & SIGN) | LARGEST);
}

static gboolean check_shape(guint n, guint dim, guint columns, GError **error) {
  if (n == 0 || dim == 0) {
    g_set_error(error, MNK_ERROR, MNK_ERROR_BAD_INPUT, "a frame has no tokens");
    return FALSE;
  }
  if (n > MNK_TOKENS_MAX || dim > MNK_TOKENS_DIM_MAX) {
    g_set_error(error, MNK_ERROR, MNK_ERROR_LIMIT,
                "a frame has %u tokens of width %u, over the limits of %d and %d", n, dim,
                MNK_TOKENS_MAX, MNK_TOKENS_DIM_MAX);
    return FALSE;
  }
  if (columns > 0 && n % columns != 0) {
    g_set_error(error, MNK_ERROR, MNK_ERROR_BAD_INPUT, "%u tokens do not fill rows of %u columns",
                n, columns);
    return FALSE;
  }
  return TRUE;
}

MnkTokens *mnk_tokens_new(const float *rows, guint n, guint dim, guint columns, gint64 pts_ms,
                          GError **error) {
  if (!check_shape(n, dim, columns, error))
    return NULL;
  gsize values = (gsize)n * dim;
  if (!all_finite(rows, values)) {
    g_set_error(error, MNK_ERROR, MNK_ERROR_BAD_INPUT, "a token has a value that is not finite");
    return NULL;
  }
  MnkTokens *tokens = g_try_malloc(sizeof *tokens + values * sizeof *tokens->rows);
  if (tokens == NULL) {
    g_set_error(error, MNK_ERROR, MNK_ERROR_LIMIT, "no memory for %u tokens of width %u", n, dim);
    return NULL;
  }
  g_atomic_ref_count_init(&tokens->refs);
  tokens->n = n;
  tokens->dim = dim;
  tokens->columns = columns > 0 ? columns : n;
  tokens->pts_ms = pts_ms;
  mnk_half_from_float(rows, tokens->rows, values);
  saturate(tokens->rows, values);
  return tokens;
}

MnkTokens *mnk_tokens_ref(MnkTokens *tokens) {
  g_atomic_ref_count_inc(&tokens->refs);
  return tokens;
}

void mnk_tokens_unref(MnkTokens *tokens) {
  if (g_atomic_ref_count_dec(&tokens->refs))
    g_free(tokens);
}

guint mnk_tokens_count(const MnkTokens *tokens) {
  return tokens->n;
}

guint mnk_tokens_dim(const MnkTokens *tokens) {
  return tokens->dim;
}

guint mnk_tokens_columns(const MnkTokens *tokens) {
  return tokens->columns;
}

gint64 mnk_tokens_pts_ms(const MnkTokens *tokens) {
  return tokens->pts_ms;
}

gsize mnk_tokens_bytes(const MnkTokens *tokens) {
  return sizeof *tokens + (gsize)tokens->n * tokens->dim * sizeof *tokens->rows;
}

void mnk_tokens_read(const MnkTokens *tokens, guint first, guint n, float *out) {
  g_assert(first <= tokens->n && n <= tokens->n - first);
  mnk_half_to_float(tokens->rows + (gsize)first * tokens->dim, out, (gsize)n * tokens->dim);
}

const guint16 *mnk_tokens_rows(const MnkTokens *tokens) {
  return tokens->rows;
}

/* ---- In snapshots ---- */

void mnk_tokens_put(const MnkTokens *tokens, MnkBytesWriter *writer) {
  mnk_bytes_put_u32(writer, tokens->n);
  mnk_bytes_put_u32(writer, tokens->dim);
  mnk_bytes_put_u32(writer, tokens->columns);
  mnk_bytes_put_i64(writer, tokens->pts_ms);
  mnk_bytes_put_halves(writer, tokens->rows, (gsize)tokens->n * tokens->dim);
}

MnkTokens *mnk_tokens_get(MnkBytesReader *reader) {
  guint32 n = mnk_bytes_get_u32(reader), dim = mnk_bytes_get_u32(reader);
  guint32 columns = mnk_bytes_get_u32(reader);
  gint64 pts_ms = mnk_bytes_get_i64(reader);
  if (!mnk_bytes_check(reader, columns > 0 && check_shape(n, dim, columns, NULL)))
    return NULL;
  gsize values = (gsize)n * dim;
  if (!mnk_bytes_has(reader, values, sizeof(guint16)))
    return NULL;
  MnkTokens *tokens = g_try_malloc(sizeof *tokens + values * sizeof *tokens->rows);
  if (tokens == NULL) {
    mnk_bytes_check(reader, FALSE);
    return NULL;
  }
  *tokens = (MnkTokens){.n = n, .dim = dim, .columns = columns, .pts_ms = pts_ms};
  g_atomic_ref_count_init(&tokens->refs);
  mnk_bytes_get_halves(reader, tokens->rows, values);
  if (reader->failed)
    g_clear_pointer(&tokens, mnk_tokens_unref);
  return tokens;
}
