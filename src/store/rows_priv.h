/* What writing does to the tables; within a transaction of the caller's. Writer's thread only. */
#ifndef MNK_STORE_ROWS_PRIV_H
#define MNK_STORE_ROWS_PRIV_H

#include "store_priv.h"

/* ---- statements.c ---- */

typedef enum {
  MNK_SQL_FIND_STREAM,
  MNK_SQL_NEW_STREAM,
  MNK_SQL_PUT_STREAM,
  MNK_SQL_SUM_UP,
  MNK_SQL_END_STREAM,
  MNK_SQL_REMOVE_STREAM,
  MNK_SQL_NOTE_REMOVED,

  MNK_SQL_FIND_CAPTION,
  MNK_SQL_NEW_CAPTION,
  MNK_SQL_CHANGE_CAPTION,
  MNK_SQL_EXTENT,
  MNK_SQL_NEW_INDEX,
  MNK_SQL_CHANGE_INDEX,

  MNK_SQL_TAKE_PICTURE,
  MNK_SQL_PUT_PICTURE,
  MNK_SQL_COUNT_PICTURES,
  MNK_SQL_TAKE_OLDEST_PICTURE,
  MNK_SQL_PUT_VECTOR,
  MNK_SQL_TAKE_VECTOR,

  MNK_SQL_FIND_REMOVED,
  MNK_SQL_FIND_CAPTIONS_OF,
  MNK_SQL_TAKE_INDEX,
  MNK_SQL_TAKE_CAPTION,
  MNK_SQL_TAKE_PICTURE_OF,
  MNK_SQL_FORGET_REMOVED,
  MNK_SQL_N,
} MnkSql;

struct _MnkRows {
  sqlite3 *db;
  sqlite3_stmt *statements[MNK_SQL_N];
  guint64 picture_quota;
};

/* Prepared at the first use; ready to be bound. */
sqlite3_stmt *mnk_rows_statement(MnkRows *rows, MnkSql sql, GError **error);
/* NULL counts as "". Borrowed up to the statement's end. */
void mnk_rows_bind_text(sqlite3_stmt *stmt, int place, const char *text);

typedef enum { MNK_ROW_FAILED, MNK_ROW_NONE, MNK_ROW_FOUND } MnkRowResult;
/* To the first row, or to the end. After MNK_ROW_FOUND the caller reads the columns, then
 * finishes. */
MnkRowResult mnk_rows_first(MnkRows *rows, sqlite3_stmt *stmt, GError **error);
/* Runs what is left of the statement and makes it ready for the next time. */
gboolean mnk_rows_finish(MnkRows *rows, sqlite3_stmt *stmt, GError **error);
/* With as many of the two numbers bound as the statement has places; for statements that answer
 * nothing, or one number. *answer is left as it is where there is no row; may be NULL. */
gboolean mnk_rows_run(MnkRows *rows, MnkSql sql, gint64 first, gint64 second, gint64 *answer,
                      GError **error);

/* ---- rows.c ---- */

/* The stream's number; *owner: 0 when there is no such stream. */
gboolean mnk_rows_find_stream(MnkRows *rows, const char *stream, gint64 *owner, GError **error);
/* A stream that is not known becomes one. */
gboolean mnk_rows_know_stream(MnkRows *rows, const char *stream, gint64 *owner, GError **error);
/* *number: 0 when there is no such caption. */
gboolean mnk_rows_find_caption(MnkRows *rows, gint64 owner, const char *id, gint64 *number,
                               GError **error);

/* ---- pictures.c ---- */

gboolean mnk_rows_put_picture(MnkRows *rows, const MnkWrite *write, GError **error);
gboolean mnk_rows_put_vector(MnkRows *rows, const MnkWrite *write, GError **error);
/* Adds to what all pictures together take; *total: that sum, may be NULL. */
gboolean mnk_rows_count_pictures(MnkRows *rows, gint64 change, gint64 *total, GError **error);

/* ---- tidy.c ---- */

/* Lets the oldest pictures go until the quota is kept, or until this many bytes were freed. *total:
 * what all pictures take, kept up; without pictures it is 0. */
gboolean mnk_rows_evict(MnkRows *rows, gint64 *total, gint64 most, GError **error);

#endif
