/* The statements of the writer: prepared once, and run. */
#include "rows_priv.h"

#include <errno.h>

static const char *const texts[MNK_SQL_N] = {
    [MNK_SQL_FIND_STREAM] =
        ("SELECT number, captions, start_ms, end_ms, longest_ms, last_seq, highest_number "
         "FROM streams WHERE id = ?1"),
    [MNK_SQL_NEW_STREAM] =
        "INSERT INTO streams (id, source, created_us) VALUES (?1, '', ?2) RETURNING number",
    [MNK_SQL_PUT_STREAM] =
        ("INSERT INTO streams (id, source, spec, created_us, resume) VALUES (?1, ?2, ?3, ?4, ?5) "
         "ON CONFLICT (id) DO UPDATE SET source = ?2, spec = ?3, created_us = ?4, resume = ?5"),
    [MNK_SQL_SUM_UP] =
        ("UPDATE streams SET captions = ?2, start_ms = ?3, end_ms = ?4, longest_ms = ?5, "
         "last_seq = ?6, highest_number = ?7 WHERE number = ?1"),
    [MNK_SQL_END_STREAM] = "UPDATE streams SET resume = 0 WHERE id = ?1",
    [MNK_SQL_REMOVE_STREAM] = "DELETE FROM streams WHERE id = ?1 RETURNING number",
    [MNK_SQL_NOTE_REMOVED] = "INSERT INTO removed (owner) VALUES (?1)",

    [MNK_SQL_FIND_CAPTION] =
        "SELECT number, start_ms, end_ms FROM captions WHERE owner = ?1 AND id = ?2",
    [MNK_SQL_NEW_CAPTION] =
        ("INSERT INTO captions "
         "(owner, id, seq, start_ms, end_ms, final, backend, lang, text, facts, picture_ms) "
         "VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11) RETURNING number"),
    [MNK_SQL_CHANGE_CAPTION] =
        ("UPDATE captions SET seq = ?3, start_ms = ?4, end_ms = ?5, final = ?6, backend = ?7, "
         "lang = ?8, text = ?9, facts = ?10, picture_ms = ?11 WHERE owner = ?1 AND id = ?2 "
         "RETURNING number"),
    [MNK_SQL_EXTENT] = "SELECT min(start_ms), max(end_ms) FROM captions WHERE owner = ?1",
    [MNK_SQL_NEW_INDEX] = "INSERT INTO captions_index (rowid, text, names) VALUES (?1, ?2, ?3)",
    [MNK_SQL_CHANGE_INDEX] = "UPDATE captions_index SET text = ?2, names = ?3 WHERE rowid = ?1",

    [MNK_SQL_TAKE_PICTURE] =
        "DELETE FROM pictures WHERE owner = ?1 AND pts_ms = ?2 RETURNING length(jpeg)",
    [MNK_SQL_PUT_PICTURE] = "INSERT INTO pictures (owner, pts_ms, jpeg) VALUES (?1, ?2, ?3)",
    [MNK_SQL_COUNT_PICTURES] =
        "UPDATE meta SET value = value + ?1 WHERE key = 'picture_bytes' RETURNING value",
    [MNK_SQL_TAKE_OLDEST_PICTURE] =
        ("DELETE FROM pictures WHERE number = (SELECT min(number) FROM pictures) "
         "RETURNING length(jpeg)"),
    [MNK_SQL_PUT_VECTOR] =
        "INSERT OR REPLACE INTO vectors (number, owner, vector) VALUES (?1, ?2, ?3)",
    [MNK_SQL_TAKE_VECTOR] = "DELETE FROM vectors WHERE number = ?1",

    [MNK_SQL_FIND_REMOVED] = "SELECT min(owner) FROM removed HAVING min(owner) IS NOT NULL",
    [MNK_SQL_FIND_CAPTIONS_OF] = "SELECT number FROM captions WHERE owner = ?1 LIMIT 1",
    [MNK_SQL_TAKE_INDEX] = "DELETE FROM captions_index WHERE rowid = ?1",
    [MNK_SQL_TAKE_CAPTION] = "DELETE FROM captions WHERE number = ?1",
    [MNK_SQL_TAKE_PICTURE_OF] =
        ("DELETE FROM pictures WHERE number = (SELECT number FROM pictures WHERE owner = ?1 "
         "LIMIT 1) RETURNING length(jpeg)"),
    [MNK_SQL_FORGET_REMOVED] = "DELETE FROM removed WHERE owner = ?1",
};

MnkRows *mnk_rows_new(sqlite3 *db) {
  MnkRows *rows = g_new0(MnkRows, 1);
  rows->db = db;
  rows->picture_quota = G_MAXINT64;
  return rows;
}

void mnk_rows_free(MnkRows *rows) {
  for (guint i = 0; i < MNK_SQL_N; i++)
    sqlite3_finalize(rows->statements[i]);
  g_free(rows);
}

sqlite3_stmt *mnk_rows_statement(MnkRows *rows, MnkSql sql, GError **error) {
  if (rows->statements[sql] == NULL)
    rows->statements[sql] = mnk_db_prepare(rows->db, texts[sql], error);
  return rows->statements[sql];
}

void mnk_rows_bind_text(sqlite3_stmt *stmt, int place, const char *text) {
  sqlite3_bind_text(stmt, place, text != NULL ? text : "", -1, SQLITE_STATIC);
}

static void make_ready(sqlite3_stmt *stmt) {
  sqlite3_reset(stmt);
  sqlite3_clear_bindings(stmt);
}

MnkRowResult mnk_rows_first(MnkRows *rows, sqlite3_stmt *stmt, GError **error) {
  errno = 0;
  int code = sqlite3_step(stmt);
  if (code == SQLITE_ROW)
    return MNK_ROW_FOUND;
  if (code != SQLITE_DONE)
    mnk_db_fail(rows->db, error);
  make_ready(stmt);
  return code == SQLITE_DONE ? MNK_ROW_NONE : MNK_ROW_FAILED;
}

gboolean mnk_rows_finish(MnkRows *rows, sqlite3_stmt *stmt, GError **error) {
  int code;
  errno = 0;
  while ((code = sqlite3_step(stmt)) == SQLITE_ROW)
    ;
  gboolean ok = code == SQLITE_DONE || mnk_db_fail(rows->db, error);
  make_ready(stmt);
  return ok;
}

gboolean mnk_rows_run(MnkRows *rows, MnkSql sql, gint64 first, gint64 second, gint64 *answer,
                      GError **error) {
  sqlite3_stmt *stmt = mnk_rows_statement(rows, sql, error);
  if (stmt == NULL)
    return FALSE;
  int places = sqlite3_bind_parameter_count(stmt);
  if (places > 0)
    sqlite3_bind_int64(stmt, 1, first);
  if (places > 1)
    sqlite3_bind_int64(stmt, 2, second);
  MnkRowResult result = mnk_rows_first(rows, stmt, error);
  if (result != MNK_ROW_FOUND)
    return result == MNK_ROW_NONE;
  if (answer != NULL)
    *answer = sqlite3_column_int64(stmt, 0);
  return mnk_rows_finish(rows, stmt, error);
}
