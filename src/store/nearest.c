/* Captions by likeness of meaning: every vector is looked at, in stretches short enough that no
 * reading transaction keeps the journal from coming home; the best are kept in a heap. */
#include "store_priv.h"

#include <math.h>
#include <string.h>

enum { STRETCH = 2048 };

/* A heap whose root is the worst of the best. */
typedef struct {
  double score;
  gint64 number;
} Candidate;

typedef struct {
  GArray *heap; /* of Candidate */
  guint limit;
} Best;

/* ---- The heap ---- */

/* Of like captions the earlier one is the better. */
static gboolean is_worse(const Candidate *a, const Candidate *b) {
  return a->score < b->score || (a->score == b->score && a->number > b->number);
}

static void swap(Candidate *a, Candidate *b) {
  Candidate kept = *a;
  *a = *b;
  *b = kept;
}

static void sift_up(Candidate *items, guint i) {
  while (i > 0 && is_worse(&items[i], &items[(i - 1) / 2])) {
    swap(&items[i], &items[(i - 1) / 2]);
    i = (i - 1) / 2;
  }
}

static void sift_down(Candidate *items, guint n) {
  for (guint i = 0;;) {
    guint worst = i;
    for (guint child = 2 * i + 1; child <= 2 * i + 2 && child < n; child++)
      if (is_worse(&items[child], &items[worst]))
        worst = child;
    if (worst == i)
      return;
    swap(&items[i], &items[worst]);
    i = worst;
  }
}

static void offer(Best *best, Candidate candidate) {
  Candidate *items = (Candidate *)(void *)best->heap->data;
  if (best->heap->len < best->limit) {
    g_array_append_val(best->heap, candidate);
    sift_up((Candidate *)(void *)best->heap->data, best->heap->len - 1);
  } else if (best->limit > 0 && is_worse(&items[0], &candidate)) {
    items[0] = candidate;
    sift_down(items, best->heap->len);
  }
}

static gint compare_best_first(gconstpointer a, gconstpointer b) {
  return is_worse(b, a) ? -1 : is_worse(a, b) ? 1 : 0;
}

/* ---- Vectors ---- */

static double cosine(const float *a, const float *b, guint n) {
  double dot = 0, square_a = 0, square_b = 0;
  for (guint i = 0; i < n; i++) {
    dot += (double)a[i] * (double)b[i];
    square_a += (double)a[i] * (double)a[i];
    square_b += (double)b[i] * (double)b[i];
  }
  double scale = sqrt(square_a) * sqrt(square_b);
  return scale > 0 ? dot / scale : 0;
}

static gboolean overlaps(gint64 start_ms, gint64 end_ms, const MnkStoreFilter *filter) {
  if (filter->to_ms >= 0 && start_ms >= filter->to_ms)
    return FALSE;
  return end_ms > filter->from_ms || (start_ms == end_ms && start_ms >= filter->from_ms);
}

typedef struct {
  const float *vector;
  float *scratch; /* a row's vector, where it may be looked at as floats */
  guint n;
  const MnkStoreFilter *filter;
} Question;

/* Vectors of another length are another model's, and like nothing. */
static void judge(sqlite3_stmt *stmt, const Question *question, Best *best) {
  gsize size = question->n * sizeof(float);
  if (!overlaps(sqlite3_column_int64(stmt, 2), sqlite3_column_int64(stmt, 3), question->filter))
    return;
  if ((gsize)sqlite3_column_bytes(stmt, 1) != size)
    return;
  memcpy(question->scratch, sqlite3_column_blob(stmt, 1), size);
  Candidate candidate = {cosine(question->vector, question->scratch, question->n),
                         sqlite3_column_int64(stmt, 0)};
  offer(best, candidate);
}

/* From *last on; *rows: how many there were. */
static gboolean judge_stretch(sqlite3 *db, sqlite3_stmt *stmt, const Question *question,
                              gint64 *last, guint *rows, Best *best, GError **error) {
  sqlite3_reset(stmt);
  sqlite3_bind_text(stmt, 1, question->filter->stream, -1, SQLITE_STATIC);
  sqlite3_bind_int64(stmt, 2, *last);
  sqlite3_bind_int64(stmt, 3, STRETCH);
  int code;
  for (*rows = 0; (code = sqlite3_step(stmt)) == SQLITE_ROW; (*rows)++) {
    *last = sqlite3_column_int64(stmt, 0);
    judge(stmt, question, best);
  }
  return code == SQLITE_DONE || mnk_db_fail(db, error);
}

static gboolean judge_all(sqlite3 *db, const Question *question, Best *best, GError **error) {
  static const char of_all[] = "SELECT v.number, v.vector, c.start_ms, c.end_ms FROM vectors v "
                               "CROSS JOIN captions c ON c.number = v.number "
                               "WHERE ?1 IS NULL AND v.number > ?2 ORDER BY v.number LIMIT ?3";
  static const char of_one[] = "SELECT v.number, v.vector, c.start_ms, c.end_ms FROM vectors v "
                               "CROSS JOIN captions c ON c.number = v.number "
                               "WHERE v.owner = (SELECT number FROM streams WHERE id = ?1) "
                               "AND v.number > ?2 ORDER BY v.number LIMIT ?3";
  g_autoptr(sqlite3_stmt) stmt =
      mnk_db_prepare(db, question->filter->stream != NULL ? of_one : of_all, error);
  if (stmt == NULL)
    return FALSE;
  gint64 last = 0;
  guint rows = STRETCH;
  while (rows == STRETCH)
    if (!judge_stretch(db, stmt, question, &last, &rows, best, error))
      return FALSE;
  return TRUE;
}

/* ---- The answer ---- */

/* What was removed meanwhile is not answered with. */
static GPtrArray *read_hits(sqlite3 *db, const Best *best, GError **error) {
  g_autoptr(GPtrArray) hits = g_ptr_array_new_with_free_func((GDestroyNotify)mnk_search_hit_free);
  for (guint i = 0; i < best->heap->len; i++) {
    const Candidate *candidate = &g_array_index(best->heap, Candidate, i);
    g_autoptr(GError) failure = NULL;
    MnkCaption *caption = mnk_db_caption(db, candidate->number, &failure);
    if (failure != NULL) {
      g_propagate_error(error, g_steal_pointer(&failure));
      return NULL;
    }
    if (caption == NULL)
      continue;
    MnkSearchHit *hit = g_new0(MnkSearchHit, 1);
    hit->caption = caption;
    hit->score = candidate->score;
    hit->snippet = g_strdup(caption->text);
    g_ptr_array_add(hits, hit);
  }
  return g_steal_pointer(&hits);
}

GPtrArray *mnk_db_nearest(sqlite3 *db, const float *vector, guint n, const MnkStoreFilter *filter,
                          GError **error) {
  g_autofree float *scratch = g_new(float, n);
  g_autoptr(GArray) heap = g_array_new(FALSE, FALSE, sizeof(Candidate));
  Question question = {vector, scratch, n, filter};
  Best best = {heap, filter->limit};
  if (!judge_all(db, &question, &best, error))
    return NULL;
  g_array_sort(heap, compare_best_first);
  return read_hits(db, &best, error);
}
