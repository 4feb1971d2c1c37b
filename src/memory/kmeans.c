/* Weighted K-means of the centres so far and a frame's tokens (X. Zhou et al., "Streaming Dense
 * Video Captioning", CVPR 2024): the centres weigh as many tokens as they have taken in, and are
 * where Lloyd's iterations begin.
 *
 * Its result is that of the plain algorithm, for a fraction of its products. An old centre is
 * itself a row of the data; as long as its cluster is unchanged it lies at distance 0 from it, and
 * nothing but an equal centre is as near. So distances are wanted only of the new rows and of the
 * old rows whose centre has moved away, and from one iteration to the next only to the centres
 * that have changed. */
#include "memory/matrix_priv.h"
#include "memory/token_memory_priv.h"

#include <math.h>
#include <string.h>

enum { STAYS = G_MAXUINT32, NONE = G_MAXUINT32 };

/* One update. Rows are numbered: the new ones from 0, the old ones from n. */
typedef struct {
  MnkTokenMemory *memory;
  const MnkNewRows *fresh;
  guint n, k, dim;
  guint32 *labels, *old_labels; /* of new rows, and of old ones */
  float *norms, *moved_norms;   /* squared lengths */
  float *moved;                 /* old rows as they were, where their centre is another now */
  guint n_moved, n_measured;    /* how many, and of how many the dots are known */
  guint32 *moved_at, *moved_of; /* old row -> its place in moved, or STAYS; and back */
  float *dots;                  /* (n + n_moved) x k: products of rows and centres */
  guint32 *dirty;               /* clusters whose members have changed */
  guint32 *head, *next;         /* members of dirty clusters, by row */
} Update;

static float *centre_at(const Update *update, guint index) {
  return mnk_token_memory_centre(update->memory, index);
}

/* ---- Rows ---- */

static const float *row_at(const Update *update, guint row) {
  if (row < update->n)
    return update->fresh->rows + (gsize)row * update->dim;
  guint at = update->moved_at[row - update->n];
  return at == STAYS ? centre_at(update, row - update->n) : update->moved + (gsize)at * update->dim;
}

static guint32 weight_at(const Update *update, guint row) {
  return row < update->n ? 1 : update->memory->stats[row - update->n].count;
}

static guint32 label_at(const Update *update, guint row) {
  return row < update->n ? update->labels[row] : update->old_labels[row - update->n];
}

/* Room for so many more moved rows. */
static void reserve(Update *update, guint more) {
  MnkScratch *scratch = update->memory->scratch;
  gsize rows = (gsize)update->n_moved + more;
  update->moved =
      mnk_scratch_grow(&scratch[MNK_SCRATCH_MOVED], rows * update->dim, sizeof *update->moved);
  update->dots = mnk_scratch_grow(&scratch[MNK_SCRATCH_DOTS], (update->n + rows) * update->k,
                                  sizeof *update->dots);
}

/* Keeps an old row before its centre becomes another. */
static void move_row(Update *update, guint old) {
  if (update->moved_at[old] != STAYS)
    return;
  memcpy(update->moved + (gsize)update->n_moved * update->dim, centre_at(update, old),
         update->dim * sizeof(float));
  update->moved_norms[update->n_moved] = update->memory->norms[old];
  update->moved_of[update->n_moved] = old;
  update->moved_at[old] = update->n_moved++;
}

static void begin(Update *update) {
  MnkScratch *scratch = update->memory->scratch;
  gsize n = update->n, k = update->k;
  guint32 *indices = mnk_scratch_get(&scratch[MNK_SCRATCH_INDICES], 6 * k + n, sizeof *indices);
  update->old_labels = indices;
  update->moved_at = indices + k;
  update->moved_of = indices + 2 * k;
  update->dirty = indices + 3 * k;
  update->head = indices + 4 * k;
  update->next = indices + 5 * k;
  for (guint i = 0; i < k; i++) {
    update->old_labels[i] = i;
    update->moved_at[i] = STAYS;
  }
  update->norms = mnk_scratch_get(&scratch[MNK_SCRATCH_NORMS], n + k, sizeof *update->norms);
  update->moved_norms = update->norms + n;
  for (guint row = 0; row < n; row++) {
    const float *values = row_at(update, row);
    update->norms[row] = mnk_vector_dot(values, values, update->dim);
  }
  gboolean all = update->memory->config.exact;
  reserve(update, all ? update->k : 0);
  for (guint i = 0; all && i < k; i++)
    move_row(update, i);
}

/* ---- Products ---- */

/* Of the rows from first on with every centre. */
static void measure(Update *update, const float *rows, guint n, guint first) {
  mnk_matrix_dots(rows, n, update->memory->centres, update->k, update->dim,
                  update->dots + (gsize)first * update->k, update->k);
}

/* Of the rows from first on with the centres that have changed. */
static void measure_changed(Update *update, const float *rows, guint n, guint first,
                            const float *changed, guint n_changed) {
  float *dots = mnk_scratch_get(&update->memory->scratch[MNK_SCRATCH_CHANGED_DOTS],
                                (gsize)n * n_changed, sizeof *dots);
  mnk_matrix_dots(rows, n, changed, n_changed, update->dim, dots, n_changed);
  for (guint row = 0; row < n; row++) {
    float *out = update->dots + (gsize)(first + row) * update->k;
    for (guint i = 0; i < update->k; i++)
      if (update->dirty[i])
        out[i] = *dots++;
  }
}

/* Of the rows that have been moved since the last time, with every centre. */
static void measure_moved(Update *update) {
  guint n = update->n_moved - update->n_measured;
  if (n == 0)
    return;
  measure(update, update->moved + (gsize)update->n_measured * update->dim, n,
          update->n + update->n_measured);
  update->n_measured = update->n_moved;
}

/* After centres have changed: what was known is brought up to date, and moved rows join. */
static void measure_again(Update *update) {
  guint n_changed = 0, dim = update->dim;
  for (guint i = 0; i < update->k; i++)
    n_changed += update->dirty[i];
  if (n_changed > update->k / 2) {
    measure(update, update->fresh->rows, update->n, 0);
    update->n_measured = 0;
  } else if (n_changed > 0) {
    float *changed = mnk_scratch_get(&update->memory->scratch[MNK_SCRATCH_CHANGED],
                                     (gsize)n_changed * dim, sizeof *changed);
    for (guint i = 0, at = 0; i < update->k; i++)
      if (update->dirty[i])
        memcpy(changed + (gsize)at++ * dim, centre_at(update, i), dim * sizeof *changed);
    measure_changed(update, update->fresh->rows, update->n, 0, changed, n_changed);
    measure_changed(update, update->moved, update->n_measured, update->n, changed, n_changed);
  }
  measure_moved(update);
}

/* ---- Assignment ---- */

/* The least of norms[i] - 2 dots[i]. */
static float least(const float *norms, const float *dots, guint n) {
  enum { LANES = 16 };
  float lanes[LANES], best = INFINITY;
  for (guint lane = 0; lane < LANES; lane++)
    lanes[lane] = INFINITY;
  guint i = 0;
  for (; i + LANES <= n; i += LANES) {
    for (guint lane = 0; lane < LANES; lane++) {
      float apart = norms[i + lane] - 2 * dots[i + lane];
      lanes[lane] = apart < lanes[lane] ? apart : lanes[lane];
    }
  }
  for (; i < n; i++)
    best = MIN(best, norms[i] - 2 * dots[i]);
  for (guint lane = 0; lane < LANES; lane++)
    best = MIN(best, lanes[lane]);
  return best;
}

/* The nearest centre, the lowest of equals. Products round; where more than one centre is as near
 * as that can tell, their distances are taken from differences. */
static guint32 nearest(const Update *update, const float *row, float norm, const float *dots) {
  const float *norms = update->memory->norms;
  const float rounding = 0x1p-20F;
  float best = least(norms, dots, update->k), bound = best + rounding * (norm + fabsf(best));
  guint32 found = NONE;
  float distance = -1; /* not computed yet */
  for (guint i = 0; i < update->k; i++) {
    if (!(norms[i] - 2 * dots[i] <= bound + rounding * norms[i]))
      continue;
    if (found == NONE) {
      found = i;
      continue;
    }
    if (distance < 0)
      distance = mnk_vector_distance(row, centre_at(update, found), update->dim);
    float other = mnk_vector_distance(row, centre_at(update, i), update->dim);
    if (other < distance) {
      found = i;
      distance = other;
    }
  }
  return found == NONE ? 0 : found; /* NONE: products beyond the largest float */
}

/* A row goes to another cluster; was may be NONE. */
static void relabel(Update *update, guint32 *label, guint32 was, guint32 is) {
  *label = is;
  if (was == is)
    return;
  update->dirty[is] = TRUE;
  if (was != NONE)
    update->dirty[was] = TRUE;
}

/* The lowest centre that has the same numbers; itself if there is none. */
static guint32 lowest_equal(const Update *update, guint index) {
  const float *norms = update->memory->norms;
  guint equal = 0;
  for (guint i = 0; i < index; i++)
    equal += norms[i] == norms[index];
  for (guint i = 0; equal > 0 && i < index; i++)
    if (norms[i] == norms[index] &&
        memcmp(centre_at(update, i), centre_at(update, index), update->dim * sizeof(float)) == 0)
      return i;
  return index;
}

/* Old rows that are still their centre leave it only for an equal one. */
static void assign_still(Update *update) {
  for (guint i = 0; i < update->k; i++) {
    if (update->moved_at[i] != STAYS)
      continue;
    guint32 equal = lowest_equal(update, i);
    if (equal == i)
      continue;
    reserve(update, 1);
    move_row(update, i);
    relabel(update, &update->old_labels[i], i, equal);
  }
}

static void assign(Update *update, gboolean first) {
  memset(update->dirty, 0, update->k * sizeof *update->dirty);
  for (guint row = 0; row < update->n; row++)
    relabel(update, &update->labels[row], first ? NONE : update->labels[row],
            nearest(update, row_at(update, row), update->norms[row],
                    update->dots + (gsize)row * update->k));
  for (guint at = 0; at < update->n_measured; at++) {
    guint32 *label = &update->old_labels[update->moved_of[at]];
    relabel(update, label, *label,
            nearest(update, update->moved + (gsize)at * update->dim, update->moved_norms[at],
                    update->dots + (gsize)(update->n + at) * update->k));
  }
  if (!first)
    assign_still(update);
}

/* ---- Centres ---- */

static void link_members(Update *update) {
  for (guint i = 0; i < update->k; i++)
    update->head[i] = NONE;
  for (guint row = update->n + update->k; row-- > 0;) {
    guint32 label = label_at(update, row);
    if (!update->dirty[label])
      continue;
    update->next[row] = update->head[label];
    update->head[label] = row;
  }
}

/* Weighted mean of the members. Differences to the heaviest are added up, not the members: a
 * weight of millions times a value would round away what the new rows say. */
static void mean_of_members(Update *update, guint cluster) {
  guint32 heaviest = NONE;
  guint64 sum = 0;
  for (guint32 row = update->head[cluster]; row != NONE; row = update->next[row]) {
    sum += weight_at(update, row);
    if (heaviest == NONE || weight_at(update, row) > weight_at(update, heaviest))
      heaviest = row;
  }
  if (sum == 0) /* it keeps the centre that it has */
    return;
  guint dim = update->dim;
  const float *base = row_at(update, heaviest);
  float *delta = mnk_scratch_get(&update->memory->scratch[MNK_SCRATCH_ROW], dim, sizeof *delta);
  memset(delta, 0, dim * sizeof *delta);
  for (guint32 row = update->head[cluster]; row != NONE; row = update->next[row]) {
    if (row == heaviest || weight_at(update, row) == 0)
      continue;
    const float *values = row_at(update, row);
    float share = (float)((double)weight_at(update, row) / (double)sum);
    for (guint i = 0; i < dim; i++)
      delta[i] += share * (values[i] - base[i]);
  }
  float *centre = centre_at(update, cluster);
  for (guint i = 0; i < dim; i++)
    centre[i] = base[i] + delta[i];
  mnk_token_memory_measure(update->memory, cluster, 1);
}

static void update_centres(Update *update, gboolean last) {
  link_members(update);
  guint more = 0;
  for (guint i = 0; i < update->k; i++)
    more += update->dirty[i] && update->moved_at[i] == STAYS;
  if (!last) /* after the last iteration an old row is wanted by its own centre alone */
    reserve(update, more);
  for (guint i = 0; i < update->k && !last; i++)
    if (update->dirty[i])
      move_row(update, i);
  for (guint i = 0; i < update->k; i++)
    if (update->dirty[i])
      mean_of_members(update, i);
}

/* ---- What is known of the clusters ---- */

static void join_stats(Update *update) {
  MnkCentre *stats = update->memory->stats;
  MnkCentre *before =
      mnk_scratch_get(&update->memory->scratch[MNK_SCRATCH_STATS], update->k, sizeof *before);
  memcpy(before, stats, update->k * sizeof *before);
  for (guint i = 0; i < update->k; i++)
    if (update->old_labels[i] != i)
      stats[i].count = 0;
  for (guint i = 0; i < update->k; i++)
    if (update->old_labels[i] != i)
      mnk_centre_join(&stats[update->old_labels[i]], &before[i]);
  for (guint row = 0; row < update->n; row++) {
    MnkCentre one = mnk_new_rows_stats(update->fresh, row);
    mnk_centre_join(&stats[update->labels[row]], &one);
  }
}

/* Of labels the first known ones are of rows that have just become centres. */
static void cluster(MnkTokenMemory *memory, const MnkNewRows *fresh, guint32 *labels, guint known) {
  Update update = {
      .memory = memory,
      .fresh = fresh,
      .n = fresh->n,
      .k = memory->count,
      .dim = memory->config.dim,
      .labels = labels + known,
  };
  begin(&update);
  measure(&update, fresh->rows, fresh->n, 0);
  measure_moved(&update);
  for (guint i = 0; i < memory->config.iterations; i++) {
    if (i > 0)
      measure_again(&update);
    assign(&update, i == 0);
    update_centres(&update, i + 1 == memory->config.iterations);
  }
  join_stats(&update);
  for (guint i = 0; i < known; i++)
    labels[i] = update.old_labels[labels[i]];
}

void mnk_kmeans_add(MnkTokenMemory *memory, const MnkNewRows *fresh, guint32 *labels) {
  guint begins = MIN(memory->config.tokens - memory->count, fresh->n);
  for (guint i = 0; i < begins; i++) {
    labels[i] = memory->count;
    mnk_token_memory_append(memory, fresh, i);
  }
  if (begins == fresh->n)
    return;
  MnkNewRows rest = *fresh;
  rest.rows += (gsize)begins * memory->config.dim;
  rest.n -= begins;
  rest.first += begins;
  cluster(memory, &rest, labels, begins);
}
