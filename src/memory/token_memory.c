#include "memory/matrix_priv.h"
#include "memory/token_memory_priv.h"

#include <math.h>
#include <string.h>

enum {
  TOKENS_LIMIT = 8192,
  FLOATS_LIMIT = 1 << 26,
  ITERATIONS_LIMIT = 100,
};

gpointer mnk_scratch_grow(MnkScratch *scratch, gsize n, gsize size) {
  gsize bytes;
  g_assert(g_size_checked_mul(&bytes, n, size));
  if (bytes > scratch->bytes) {
    scratch->data = g_realloc(scratch->data, bytes);
    scratch->bytes = bytes;
  }
  return scratch->data;
}

gpointer mnk_scratch_get(MnkScratch *scratch, gsize n, gsize size) {
  if (n > scratch->bytes / size) { /* nothing in it need be moved to the new place */
    g_clear_pointer(&scratch->data, g_free);
    scratch->bytes = 0;
  }
  return mnk_scratch_grow(scratch, n, size);
}

static gboolean check_config(const MnkTokenMemoryConfig *config, GError **error) {
  if (config->mode > MNK_TOKEN_MEMORY_NONE || config->tokens == 0 || config->dim == 0 ||
      config->iterations == 0) {
    g_set_error(error, MNK_ERROR, MNK_ERROR_USAGE,
                "a token memory needs a known mode, and tokens, a width and iterations above 0");
    return FALSE;
  }
  if (config->tokens > TOKENS_LIMIT || config->dim > MNK_TOKENS_DIM_MAX ||
      config->tokens > FLOATS_LIMIT / config->dim || config->iterations > ITERATIONS_LIMIT) {
    g_set_error(error, MNK_ERROR, MNK_ERROR_LIMIT,
                "a token memory of %u tokens of width %u with %u iterations is over the limits of "
                "%d tokens, %d numbers and %d iterations",
                config->tokens, config->dim, config->iterations, TOKENS_LIMIT, FLOATS_LIMIT,
                ITERATIONS_LIMIT);
    return FALSE;
  }
  return TRUE;
}

MnkTokenMemory *mnk_token_memory_new(const MnkTokenMemoryConfig *config, GError **error) {
  if (!check_config(config, error))
    return NULL;
  g_autoptr(MnkTokenMemory) memory = g_new0(MnkTokenMemory, 1);
  memory->config = *config;
  memory->config.exact = config->exact != FALSE;
  memory->centres = g_try_new0(float, (gsize)config->tokens * config->dim);
  memory->norms = g_new0(float, config->tokens);
  memory->stats = g_new0(MnkCentre, config->tokens);
  memory->labels = g_array_new(FALSE, FALSE, sizeof(guint32));
  if (memory->centres == NULL) {
    g_set_error(error, MNK_ERROR, MNK_ERROR_LIMIT, "no memory for %u tokens of width %u",
                config->tokens, config->dim);
    return NULL;
  }
  return g_steal_pointer(&memory);
}

void mnk_token_memory_free(MnkTokenMemory *memory) {
  if (memory == NULL)
    return;
  g_free(memory->centres);
  g_free(memory->norms);
  g_free(memory->stats);
  g_array_unref(memory->labels);
  for (guint i = 0; i < MNK_SCRATCH_N; i++)
    g_free(memory->scratch[i].data);
  g_free(memory);
}

/* ---- Rows ---- */

float *mnk_token_memory_centre(const MnkTokenMemory *memory, guint index) {
  return memory->centres + (gsize)index * memory->config.dim;
}

MnkCentre mnk_new_rows_stats(const MnkNewRows *rows, guint index) {
  guint place = rows->first + index, row = place / rows->columns;
  return (MnkCentre){
      .count = 1,
      .t_ms = (double)rows->pts_ms,
      .row = row,
      .column = place - row * rows->columns,
      .first_ms = rows->pts_ms,
      .last_ms = rows->pts_ms,
  };
}

void mnk_centre_join(MnkCentre *a, const MnkCentre *b) {
  if (b->count == 0)
    return;
  if (a->count == 0) {
    *a = *b;
    return;
  }
  guint64 sum = (guint64)a->count + b->count;
  double share = (double)b->count / (double)sum;
  a->t_ms += share * (b->t_ms - a->t_ms);
  a->row += share * (b->row - a->row);
  a->column += share * (b->column - a->column);
  a->first_ms = MIN(a->first_ms, b->first_ms);
  a->last_ms = MAX(a->last_ms, b->last_ms);
  a->count = (guint32)MIN(sum, G_MAXUINT32);
}

void mnk_token_memory_measure(MnkTokenMemory *memory, guint first, guint n) {
  for (guint i = first; i < first + n; i++) {
    const float *centre = mnk_token_memory_centre(memory, i);
    memory->norms[i] = mnk_vector_dot(centre, centre, memory->config.dim);
  }
}

void mnk_token_memory_write(MnkTokenMemory *memory, guint at, const MnkNewRows *rows, guint index) {
  guint dim = memory->config.dim;
  memcpy(mnk_token_memory_centre(memory, at), rows->rows + (gsize)index * dim, dim * sizeof(float));
  memory->stats[at] = mnk_new_rows_stats(rows, index);
  mnk_token_memory_measure(memory, at, 1);
}

void mnk_token_memory_append(MnkTokenMemory *memory, const MnkNewRows *rows, guint index) {
  mnk_token_memory_write(memory, memory->count++, rows, index);
}

/* ---- Adding ---- */

static void cap_counts(MnkTokenMemory *memory) {
  if (memory->config.cap_counts == 0)
    return;
  for (guint i = 0; i < memory->count; i++)
    memory->stats[i].count = MIN(memory->stats[i].count, memory->config.cap_counts);
}

void mnk_token_memory_add_rows(MnkTokenMemory *memory, const float *rows, guint n, guint columns,
                               gint64 pts_ms) {
  MnkNewRows fresh = {rows, n, columns > 0 ? columns : n, 0, pts_ms};
  g_array_set_size(memory->labels, n);
  if (n == 0)
    return;
  guint32 *labels = (guint32 *)(void *)memory->labels->data;
  switch (memory->config.mode) {
  case MNK_TOKEN_MEMORY_KMEANS:
    mnk_kmeans_add(memory, &fresh, labels);
    break;
  case MNK_TOKEN_MEMORY_EMA:
  case MNK_TOKEN_MEMORY_MEAN:
    mnk_places_add(memory, &fresh, labels);
    break;
  case MNK_TOKEN_MEMORY_ADJACENT:
    mnk_adjacent_add(memory, &fresh, labels);
    break;
  case MNK_TOKEN_MEMORY_NONE:
    mnk_newest_add(memory, &fresh, labels);
    break;
  }
  cap_counts(memory);
}

void mnk_token_memory_add(MnkTokenMemory *memory, const MnkTokens *frame) {
  g_assert(mnk_tokens_dim(frame) == memory->config.dim);
  guint n = mnk_tokens_count(frame);
  float *rows = mnk_scratch_get(&memory->scratch[MNK_SCRATCH_FRAME], (gsize)n * memory->config.dim,
                                sizeof *rows);
  mnk_tokens_read(frame, 0, n, rows);
  mnk_token_memory_add_rows(memory, rows, n, mnk_tokens_columns(frame), mnk_tokens_pts_ms(frame));
}

/* ---- Reading ---- */

guint mnk_token_memory_count(const MnkTokenMemory *memory) {
  return memory->count;
}

const float *mnk_token_memory_centres(const MnkTokenMemory *memory) {
  return memory->centres;
}

const MnkCentre *mnk_token_memory_stats(const MnkTokenMemory *memory) {
  return memory->stats;
}

const guint32 *mnk_token_memory_labels(const MnkTokenMemory *memory, guint *n) {
  *n = memory->labels->len;
  return (const guint32 *)(const void *)memory->labels->data;
}

static gint compare_doubles(double a, double b) {
  return a < b ? -1 : a > b;
}

static gint compare_places(gconstpointer a, gconstpointer b, gpointer user) {
  guint i = *(const guint *)a, j = *(const guint *)b;
  const MnkCentre *stats = user, *x = &stats[i], *y = &stats[j];
  gint order = compare_doubles(round(x->t_ms), round(y->t_ms));
  if (order == 0)
    order = compare_doubles(round(x->row), round(y->row));
  if (order == 0)
    order = compare_doubles(round(x->column), round(y->column));
  return order != 0 ? order : i < j ? -1 : 1;
}

void mnk_token_memory_order(const MnkTokenMemory *memory, guint *out) {
  for (guint i = 0; i < memory->count; i++)
    out[i] = i;
  g_qsort_with_data(out, (gint)memory->count, sizeof *out, compare_places, memory->stats);
}

gsize mnk_token_memory_bytes(const MnkTokenMemory *memory) {
  gsize tokens = memory->config.tokens, scratch = 0;
  for (guint i = 0; i < MNK_SCRATCH_N; i++)
    scratch += memory->scratch[i].bytes;
  return sizeof *memory + tokens * memory->config.dim * sizeof *memory->centres +
         tokens * (sizeof *memory->norms + sizeof *memory->stats) +
         memory->labels->len * sizeof(guint32) + scratch;
}
