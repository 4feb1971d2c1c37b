/* Pictures and vectors as rows. */
#include "rows_priv.h"

/* Deleting and putting in one commit: freed beyond what came, so that a smaller quota is reached.
 */
enum { EVICT_STEP = 4 << 20 };

gboolean mnk_rows_count_pictures(MnkRows *rows, gint64 change, gint64 *total, GError **error) {
  return mnk_rows_run(rows, MNK_SQL_COUNT_PICTURES, change, 0, total, error);
}

static gboolean insert_picture(MnkRows *rows, const MnkWrite *write, gint64 owner, GError **error) {
  sqlite3_stmt *put = mnk_rows_statement(rows, MNK_SQL_PUT_PICTURE, error);
  if (put == NULL)
    return FALSE;
  gsize size;
  const void *bytes = g_bytes_get_data(write->bytes, &size);
  sqlite3_bind_int64(put, 1, owner);
  sqlite3_bind_int64(put, 2, write->pts_ms);
  sqlite3_bind_blob64(put, 3, bytes, size, SQLITE_STATIC);
  return mnk_rows_finish(rows, put, error);
}

gboolean mnk_rows_put_picture(MnkRows *rows, const MnkWrite *write, GError **error) {
  gint64 owner, replaced = 0, total = 0, size = (gint64)g_bytes_get_size(write->bytes);
  return mnk_rows_know_stream(rows, write->stream, &owner, error) &&
         mnk_rows_run(rows, MNK_SQL_TAKE_PICTURE, owner, write->pts_ms, &replaced, error) &&
         insert_picture(rows, write, owner, error) &&
         mnk_rows_count_pictures(rows, size - replaced, &total, error) &&
         mnk_rows_evict(rows, &total, size + EVICT_STEP, error);
}

/* A caption that is gone meanwhile needs none. */
gboolean mnk_rows_put_vector(MnkRows *rows, const MnkWrite *write, GError **error) {
  gint64 owner, number;
  if (!mnk_rows_find_stream(rows, write->stream, &owner, error) ||
      !mnk_rows_find_caption(rows, owner, write->id, &number, error))
    return FALSE;
  if (number == 0)
    return TRUE;
  sqlite3_stmt *put = mnk_rows_statement(rows, MNK_SQL_PUT_VECTOR, error);
  if (put == NULL)
    return FALSE;
  gsize size;
  const void *vector = g_bytes_get_data(write->bytes, &size);
  sqlite3_bind_int64(put, 1, number);
  sqlite3_bind_int64(put, 2, owner);
  sqlite3_bind_blob64(put, 3, vector, size, SQLITE_STATIC);
  return mnk_rows_finish(rows, put, error);
}
