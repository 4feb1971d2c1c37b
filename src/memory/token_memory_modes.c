/* What the K-means memory is compared with: means per place, merged neighbours, the newest. */
#include "memory/matrix_priv.h"
#include "memory/token_memory_priv.h"

#include <math.h>
#include <string.h>

/* ---- Means per place ---- */

static const double DECAY = 0.9;

static void move_towards(MnkTokenMemory *memory, guint at, const MnkNewRows *fresh, double share) {
  float *centre = mnk_token_memory_centre(memory, at);
  const float *row = fresh->rows + (gsize)at * memory->config.dim;
  for (guint i = 0; i < memory->config.dim; i++)
    centre[i] += (float)share * (row[i] - centre[i]);
  MnkCentre *stats = &memory->stats[at], one = mnk_new_rows_stats(fresh, at);
  stats->t_ms += share * (one.t_ms - stats->t_ms);
  stats->row += share * (one.row - stats->row);
  stats->column += share * (one.column - stats->column);
  stats->first_ms = MIN(stats->first_ms, one.first_ms);
  stats->last_ms = MAX(stats->last_ms, one.last_ms);
  stats->count += stats->count < G_MAXUINT32;
}

void mnk_places_add(MnkTokenMemory *memory, const MnkNewRows *fresh, guint32 *labels) {
  for (guint at = 0; at < fresh->n; at++) {
    gboolean has_place = at < memory->config.tokens;
    labels[at] = has_place ? at : MNK_TOKEN_MEMORY_NO_CENTRE;
    if (!has_place)
      continue;
    if (at == memory->count)
      mnk_token_memory_append(memory, fresh, at);
    else if (memory->config.mode == MNK_TOKEN_MEMORY_EMA)
      move_towards(memory, at, fresh, 1 - DECAY);
    else
      move_towards(memory, at, fresh, 1 / ((double)memory->stats[at].count + 1));
  }
}

/* ---- The newest ---- */

void mnk_newest_add(MnkTokenMemory *memory, const MnkNewRows *fresh, guint32 *labels) {
  guint tokens = memory->config.tokens, skipped = fresh->n > tokens ? fresh->n - tokens : 0;
  for (guint i = 0; i < fresh->n; i++) {
    labels[i] = i < skipped ? MNK_TOKEN_MEMORY_NO_CENTRE : memory->oldest;
    if (i < skipped)
      continue;
    mnk_token_memory_write(memory, memory->oldest, fresh, i);
    memory->count = MAX(memory->count, memory->oldest + 1);
    memory->oldest = (memory->oldest + 1) % tokens;
  }
}

/* ---- Merged neighbours ----
 *
 * The tokens are a row of neighbours by age. Each new one joins at the end, and the two neighbours
 * with the largest cosine become one, their mean weighted by counts (as E. Song et al.,
 * "MovieChat", CVPR 2024, do with frames). Rows stay where they are while a frame is added, and the
 * order is kept beside them; at the end they are put in order. */

typedef struct {
  MnkTokenMemory *memory;
  guint n;        /* tokens in line; one more than the memory's while a new one is in it */
  guint32 *line;  /* slots by age; slots are the centres, and one spare */
  float *alike;   /* of each in line and the one after it */
  guint32 *slots; /* of the new rows; NO_CENTRE: not added yet */
  float *spare;
  MnkCentre spare_stats;
  float spare_norm;
} Line;

static float *slot_row(Line *line, guint32 slot) {
  return slot < line->memory->config.tokens ? mnk_token_memory_centre(line->memory, slot)
                                            : line->spare;
}

static MnkCentre *slot_stats(Line *line, guint32 slot) {
  return slot < line->memory->config.tokens ? &line->memory->stats[slot] : &line->spare_stats;
}

static float *slot_norm(Line *line, guint32 slot) {
  return slot < line->memory->config.tokens ? &line->memory->norms[slot] : &line->spare_norm;
}

/* Cosine of a token in line and the one after it; 0 with a token of zeros. */
static void compare(Line *line, guint at) {
  const float least = 1e-8F;
  guint32 a = line->line[at], b = line->line[at + 1];
  float dot = mnk_vector_dot(slot_row(line, a), slot_row(line, b), line->memory->config.dim);
  line->alike[at] = dot / (sqrtf(*slot_norm(line, a)) * sqrtf(*slot_norm(line, b)) + least);
}

static guint most_alike(const Line *line) {
  guint best = 0;
  for (guint i = 1; i + 1 < line->n; i++)
    if (line->alike[i] > line->alike[best])
      best = i;
  return best;
}

/* Merges a token in line with the one after it; returns the slot that this frees. */
static guint32 merge(Line *line, guint at, guint n_new) {
  guint32 kept = line->line[at], freed = line->line[at + 1];
  guint dim = line->memory->config.dim;
  MnkCentre *a = slot_stats(line, kept), *b = slot_stats(line, freed);
  double sum = (double)a->count + b->count;
  float share = sum > 0 ? (float)(b->count / sum) : 0;
  float *row = slot_row(line, kept);
  const float *other = slot_row(line, freed);
  for (guint i = 0; i < dim; i++)
    row[i] += share * (other[i] - row[i]);
  *slot_norm(line, kept) = mnk_vector_dot(row, row, dim);
  mnk_centre_join(a, b);
  for (guint i = 0; i < n_new; i++)
    if (line->slots[i] == freed)
      line->slots[i] = kept;
  guint after = line->n - at - 2;
  memmove(&line->line[at + 1], &line->line[at + 2], after * sizeof *line->line);
  memmove(&line->alike[at], &line->alike[at + 1], after * sizeof *line->alike);
  line->n--;
  if (at > 0)
    compare(line, at - 1);
  if (at + 1 < line->n)
    compare(line, at);
  return freed;
}

static void put_in_slot(Line *line, guint32 slot, const MnkNewRows *fresh, guint index) {
  guint dim = line->memory->config.dim;
  float *row = slot_row(line, slot);
  memcpy(row, fresh->rows + (gsize)index * dim, dim * sizeof *row);
  *slot_stats(line, slot) = mnk_new_rows_stats(fresh, index);
  *slot_norm(line, slot) = mnk_vector_dot(row, row, dim);
  line->line[line->n++] = slot;
  if (line->n > 1)
    compare(line, line->n - 2);
}

static void move_slot(Line *line, guint32 to, guint32 from) {
  memcpy(slot_row(line, to), slot_row(line, from), line->memory->config.dim * sizeof(float));
  *slot_stats(line, to) = *slot_stats(line, from);
  *slot_norm(line, to) = *slot_norm(line, from);
}

/* Puts the rows in order: each cycle of the permutation through the free slot. */
static void put_in_order(Line *line, guint32 free_slot) {
  guint32 spare = line->memory->config.tokens;
  if (line->n == spare && free_slot != spare) { /* the spare is in line, and no centre */
    move_slot(line, free_slot, spare);
    for (guint i = 0; i < line->n; i++)
      if (line->line[i] == spare)
        line->line[i] = free_slot;
  }
  for (guint start = 0; start < line->n; start++) {
    if (line->line[start] == start)
      continue;
    move_slot(line, spare, start);
    guint at = start;
    while (line->line[at] != start) {
      guint32 from = line->line[at];
      move_slot(line, at, from);
      line->line[at] = at;
      at = from;
    }
    move_slot(line, at, spare);
    line->line[at] = at;
  }
}

/* For each slot its place in line. */
static void tell_labels(const Line *line, const MnkNewRows *fresh, guint32 *places,
                        guint32 *labels) {
  for (guint i = 0; i < line->n; i++)
    places[line->line[i]] = i;
  for (guint i = 0; i < fresh->n; i++)
    labels[i] = places[line->slots[i]];
}

void mnk_adjacent_add(MnkTokenMemory *memory, const MnkNewRows *fresh, guint32 *labels) {
  MnkScratch *scratch = memory->scratch;
  gsize most = (gsize)memory->config.tokens + 1;
  guint32 *indices =
      mnk_scratch_get(&scratch[MNK_SCRATCH_INDICES], 2 * most + fresh->n, sizeof *indices);
  Line line = {
      .memory = memory,
      .line = indices,
      .slots = indices + 2 * most,
      .alike = mnk_scratch_get(&scratch[MNK_SCRATCH_NORMS], most, sizeof(float)),
      .spare = mnk_scratch_get(&scratch[MNK_SCRATCH_ROW], memory->config.dim, sizeof(float)),
  };
  for (guint i = 0; i < memory->count; i++) {
    line.line[line.n++] = i;
    if (i > 0)
      compare(&line, i - 1);
  }
  guint32 free_slot = memory->count;
  for (guint i = 0; i < fresh->n; i++) {
    line.slots[i] = free_slot;
    put_in_slot(&line, free_slot, fresh, i);
    if (line.n == most)
      free_slot = merge(&line, most_alike(&line), i + 1);
    else
      free_slot++;
  }
  tell_labels(&line, fresh, indices + most, labels);
  memory->count = line.n;
  put_in_order(&line, free_slot);
}
