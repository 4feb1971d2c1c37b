#include "memory/matrix_priv.h"
#include "memory/memory.h"

#include <math.h>
#include <string.h>

struct _MnkTokenDrop {
  MnkTokenDropConfig config;
  MnkTokens *before;      /* the last frame */
  guint since_refresh;    /* frames since one was kept whole */
  guint *changes;         /* tokens that changed, a ring of the last config.window */
  guint n_changes, write; /* of it */
  float *rows;            /* two */
  guint dim;              /* of them */
};

MnkTokenDrop *mnk_token_drop_new(const MnkTokenDropConfig *config) {
  MnkTokenDrop *drop = g_new0(MnkTokenDrop, 1);
  drop->config = *config;
  drop->config.window = CLAMP(config->window, MNK_TOKEN_DROP_SCORES_LEAST, G_MAXUINT16);
  drop->changes = g_new0(guint, drop->config.window);
  return drop;
}

void mnk_token_drop_free(MnkTokenDrop *drop) {
  if (drop == NULL)
    return;
  g_clear_pointer(&drop->before, mnk_tokens_unref);
  g_free(drop->changes);
  g_free(drop->rows);
  g_free(drop);
}

/* ---- One frame ---- */

static float cosine(const float *a, const float *b, guint dim) {
  float lengths = sqrtf(mnk_vector_dot(a, a, dim)) * sqrtf(mnk_vector_dot(b, b, dim));
  return lengths > 0 ? mnk_vector_dot(a, b, dim) / lengths : 0;
}

static guint mark_changed(MnkTokenDrop *drop, const MnkTokens *frame, guint8 *keep) {
  guint n = mnk_tokens_count(frame), dim = drop->dim, changed = 0;
  for (guint i = 0; i < n; i++) {
    mnk_tokens_read(frame, i, 1, drop->rows);
    mnk_tokens_read(drop->before, i, 1, drop->rows + dim);
    keep[i] = !(cosine(drop->rows, drop->rows + dim, dim) > drop->config.threshold);
    changed += keep[i];
  }
  return changed;
}

/* Whether a number of changes stands out of those before it, which it then joins. All frames of a
 * run are of one size, so numbers stand for shares, and sums of them are exact: in an unchanging
 * run no rounding makes a boundary. */
static gboolean stands_out(MnkTokenDrop *drop, guint changed) {
  guint n = drop->n_changes;
  guint64 sum = 0, squares = 0;
  for (guint i = 0; i < n; i++) {
    sum += drop->changes[i];
    squares += (guint64)drop->changes[i] * drop->changes[i];
  }
  drop->changes[drop->write] = changed;
  drop->write = (drop->write + 1) % drop->config.window;
  drop->n_changes = MIN(n + 1, drop->config.window);
  double deviation = sqrt((double)(n * squares - sum * sum)); /* n times it */
  return n >= MNK_TOKEN_DROP_SCORES_LEAST &&
         (double)n * changed > (double)sum + (double)drop->config.deviations * deviation;
}

static gboolean is_like_before(const MnkTokenDrop *drop, const MnkTokens *frame) {
  return drop->before != NULL && mnk_tokens_count(frame) == mnk_tokens_count(drop->before) &&
         mnk_tokens_dim(frame) == mnk_tokens_dim(drop->before) &&
         mnk_tokens_columns(frame) == mnk_tokens_columns(drop->before);
}

static void begin(MnkTokenDrop *drop, guint dim) {
  drop->since_refresh = 0;
  drop->n_changes = drop->write = 0;
  if (drop->dim != dim) {
    g_free(drop->rows);
    drop->rows = g_new(float, 2 * (gsize)dim);
    drop->dim = dim;
  }
}

guint mnk_token_drop_add(MnkTokenDrop *drop, MnkTokens *frame, guint8 *keep, float *score,
                         gboolean *boundary) {
  guint n = mnk_tokens_count(frame), kept = n;
  gboolean begins = !is_like_before(drop, frame), whole = begins;
  *score = 1;
  *boundary = begins;
  if (begins) {
    begin(drop, mnk_tokens_dim(frame));
  } else {
    kept = mark_changed(drop, frame, keep);
    *score = (float)kept / (float)n;
    *boundary = stands_out(drop, kept);
    whole = drop->config.refresh > 0 && ++drop->since_refresh >= drop->config.refresh;
  }
  if (whole) {
    memset(keep, 1, n);
    kept = n;
    drop->since_refresh = 0;
  }
  mnk_tokens_ref(frame);
  g_clear_pointer(&drop->before, mnk_tokens_unref);
  drop->before = frame;
  return kept;
}
