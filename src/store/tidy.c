/* What goes: rows of streams that were removed, and the oldest pictures; in steps so small that a
 * commit never waits long for one. */
#include "rows_priv.h"

/* A step's share: captions, or bytes of pictures. */
enum { STEP_CAPTIONS = 64, STEP_BYTES = 4 << 20 };

gboolean mnk_rows_evict(MnkRows *rows, gint64 *total, gint64 most, GError **error) {
  gint64 freed = 0;
  while (*total > 0 && (guint64)*total > rows->picture_quota && freed < most) {
    gint64 size = 0;
    if (!mnk_rows_run(rows, MNK_SQL_TAKE_OLDEST_PICTURE, 0, 0, &size, error))
      return FALSE;
    if (size == 0)
      size = *total;
    if (!mnk_rows_count_pictures(rows, -size, total, error))
      return FALSE;
    freed += size;
  }
  return TRUE;
}

/* *n: how many went, less than STEP_CAPTIONS when none is left. */
static gboolean take_captions(MnkRows *rows, gint64 owner, guint *n, GError **error) {
  for (*n = 0; *n < STEP_CAPTIONS; (*n)++) {
    gint64 number = 0;
    if (!mnk_rows_run(rows, MNK_SQL_FIND_CAPTIONS_OF, owner, 0, &number, error))
      return FALSE;
    if (number == 0)
      return TRUE;
    if (!mnk_rows_run(rows, MNK_SQL_TAKE_INDEX, number, 0, NULL, error) ||
        !mnk_rows_run(rows, MNK_SQL_TAKE_VECTOR, number, 0, NULL, error) ||
        !mnk_rows_run(rows, MNK_SQL_TAKE_CAPTION, number, 0, NULL, error))
      return FALSE;
  }
  return TRUE;
}

/* *bytes: how much went, less than STEP_BYTES when nothing is left. */
static gboolean take_pictures(MnkRows *rows, gint64 owner, gint64 *bytes, GError **error) {
  for (*bytes = 0; *bytes < STEP_BYTES;) {
    gint64 size = -1;
    if (!mnk_rows_run(rows, MNK_SQL_TAKE_PICTURE_OF, owner, 0, &size, error))
      return FALSE;
    if (size < 0)
      break;
    *bytes += size;
  }
  return *bytes == 0 || mnk_rows_count_pictures(rows, -*bytes, NULL, error);
}

static gboolean take_of_removed(MnkRows *rows, gint64 owner, GError **error) {
  guint captions;
  gint64 bytes;
  if (!take_captions(rows, owner, &captions, error))
    return FALSE;
  if (captions == STEP_CAPTIONS)
    return TRUE;
  if (!take_pictures(rows, owner, &bytes, error))
    return FALSE;
  return bytes >= STEP_BYTES || mnk_rows_run(rows, MNK_SQL_FORGET_REMOVED, owner, 0, NULL, error);
}

gboolean mnk_rows_tidy(MnkRows *rows, gboolean *more, GError **error) {
  gint64 owner = 0, total = 0;
  *more = FALSE;
  if (!mnk_rows_run(rows, MNK_SQL_FIND_REMOVED, 0, 0, &owner, error))
    return FALSE;
  if (owner != 0) {
    *more = TRUE;
    return take_of_removed(rows, owner, error);
  }
  if (!mnk_rows_count_pictures(rows, 0, &total, error))
    return FALSE;
  gboolean ok = mnk_rows_evict(rows, &total, STEP_BYTES, error);
  *more = ok && total > 0 && (guint64)total > rows->picture_quota;
  return ok;
}
