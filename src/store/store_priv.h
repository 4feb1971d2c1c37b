/* What the parts of the store share: database handles, errors, and text as the index holds it. */
#ifndef MNK_STORE_PRIV_H
#define MNK_STORE_PRIV_H

#include "store/store.h"

#include <sqlite3.h>

G_DEFINE_AUTOPTR_CLEANUP_FUNC(sqlite3, sqlite3_close_v2)
G_DEFINE_AUTOPTR_CLEANUP_FUNC(sqlite3_stmt, sqlite3_finalize)

/* ---- schema.c ---- */

/* What the file's header says that it is: "MNKO". */
enum { MNK_STORE_APPLICATION_ID = 0x4d4e4b4f };

/* The version that this program writes. */
guint mnk_schema_version(void);
/* The statements that make version step + 1 of version step. */
const char *mnk_schema_migration(guint step);

/* ---- db.c ---- */

/* How long another program's lock is waited for. */
enum { MNK_DB_BUSY_MS = 3000 };

/* Opens, checks what the file is, and for writing brings it to the present version. */
sqlite3 *mnk_db_open(const char *path, MnkStoreMode mode, GError **error);
/* The file was not closed by the last writer and is too large to be looked at by opening it. */
gboolean mnk_db_owes_check(sqlite3 *db);
/* Reads the whole file, or until sqlite3_interrupt; MNK_ERROR_STORE when it is damaged. */
gboolean mnk_db_check(sqlite3 *db, GError **error);
/* One sentence on the handle's last failure. Always FALSE. */
gboolean mnk_db_fail(sqlite3 *db, GError **error);
gboolean mnk_db_exec(sqlite3 *db, const char *sql, GError **error);
sqlite3_stmt *mnk_db_prepare(sqlite3 *db, const char *sql, GError **error);
/* The first column of the first row, for pragmas and counts. */
gboolean mnk_db_get_int(sqlite3 *db, const char *sql, gint64 *value, GError **error);

/* ---- writer.c ---- */

typedef enum {
  MNK_WRITE_CAPTION,
  MNK_WRITE_STREAM,
  MNK_WRITE_END_STREAM,
  MNK_WRITE_DELETE_STREAM,
  MNK_WRITE_PICTURE,
  MNK_WRITE_VECTOR,
  MNK_WRITE_QUOTA,
} MnkWriteKind;

/* Members that its kind does not name are unset. */
typedef struct {
  MnkWriteKind kind;
  MnkCaption *caption; /* CAPTION; gets its seq when it has none */
  char *stream;        /* all others but QUOTA */
  char *source, *spec; /* STREAM */
  gint64 created_us;   /* STREAM */
  gboolean resume;     /* STREAM */
  gboolean replace;    /* STREAM */
  gint64 pts_ms;       /* PICTURE */
  char *id;            /* VECTOR: of its caption */
  GBytes *bytes;       /* PICTURE: JPEG; VECTOR: floats */
  guint64 bytes_max;   /* QUOTA */
  MnkStoreDone done;   /* may be NULL */
  gpointer user;
} MnkWrite;

typedef struct _MnkWriter MnkWriter;

/* Takes the handle. */
MnkWriter *mnk_writer_new(sqlite3 *db);
/* Writes what waits, then closes the handle. */
void mnk_writer_free(MnkWriter *writer);
/* Takes what the struct points to. */
void mnk_writer_queue(MnkWriter *writer, const MnkWrite *write);
gboolean mnk_writer_flush(MnkWriter *writer, GError **error);
gboolean mnk_writer_is_healthy(MnkWriter *writer);
typedef enum { MNK_FILE_SOUND, MNK_FILE_UNCHECKED, MNK_FILE_DAMAGED } MnkFileCondition;
/* Only a sound file is marked as closed in the end; a damaged one is not healthy. Any thread. */
void mnk_writer_set_condition(MnkWriter *writer, MnkFileCondition condition);

/* ---- check.c ---- */

/* A thread that looks at a large file after a crash, while it is in use. */
typedef struct _MnkCheck MnkCheck;

/* Tells the writer what it finds. */
MnkCheck *mnk_check_new(const char *path, MnkWriter *writer);
/* Breaks it off. The writer is there still. */
void mnk_check_free(MnkCheck *check);

/* ---- statements.c, rows.c, tidy.c: what a write does; rows_priv.h ---- */

typedef struct _MnkRows MnkRows;

MnkRows *mnk_rows_new(sqlite3 *db);
void mnk_rows_free(MnkRows *rows);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(MnkRows, mnk_rows_free)
/* Both within a transaction of the caller's. */
gboolean mnk_rows_write(MnkRows *rows, const MnkWrite *write, GError **error);
/* One small step of clearing away; *more: there is more of it. */
gboolean mnk_rows_tidy(MnkRows *rows, gboolean *more, GError **error);

/* ---- handles.c ---- */

/* Reading handles: a few, each with one thread at a time. */
typedef struct _MnkHandles MnkHandles;

/* Opens the first one. */
MnkHandles *mnk_handles_new(const char *path, GError **error);
/* All handles have been put back. */
void mnk_handles_free(MnkHandles *handles);
/* Waits for one where all are in use. NULL: no further one could be opened. */
sqlite3 *mnk_handles_take(MnkHandles *handles, GError **error);
void mnk_handles_put_back(MnkHandles *handles, sqlite3 *db);

/* ---- reader.c, nearest.c ---- */

typedef struct {
  const char *stream; /* NULL: all */
  gint64 from_ms, to_ms;
  guint limit;
} MnkStoreFilter;

GPtrArray *mnk_db_streams(sqlite3 *db, GError **error);
MnkStreamRow *mnk_db_stream(sqlite3 *db, const char *id, GError **error);
GPtrArray *mnk_db_captions(sqlite3 *db, const MnkStoreFilter *filter, GError **error);
GPtrArray *mnk_db_captions_since(sqlite3 *db, const char *stream, guint64 seq, guint limit,
                                 GError **error);
/* NULL without an error: it is gone. */
MnkCaption *mnk_db_caption(sqlite3 *db, gint64 number, GError **error);
GPtrArray *mnk_db_search(sqlite3 *db, const char *expression, const MnkStoreFilter *filter,
                         GError **error);
GBytes *mnk_db_picture(sqlite3 *db, const char *stream, gint64 pts_ms, GError **error);
GArray *mnk_db_pictures(sqlite3 *db, const MnkStoreFilter *filter, GError **error);
GPtrArray *mnk_db_nearest(sqlite3 *db, const float *vector, guint n, const MnkStoreFilter *filter,
                          GError **error);

/* ---- runs.c ---- */

/* The reading thread of mnk_store_run. */
typedef struct _MnkRuns MnkRuns;

MnkRuns *mnk_runs_new(MnkStore *store);
/* What has not begun is answered with MNK_ERROR_CANCELLED. */
void mnk_runs_free(MnkRuns *runs);
void mnk_runs_queue(MnkRuns *runs, MnkStoreWork work, MnkStoreWorkDone done, gpointer data);

/* ---- search_text.c ---- */

/* Text as it is indexed: compatibility forms unified (NFKC), and U+200B between the characters of
 * scripts that write no spaces between words, so that each of them is a word to the index. Caller
 * frees. */
char *mnk_search_fold(const char *text);
/* What the folding put in is taken out again. Caller frees. */
char *mnk_search_unfold(const char *text);
/* An FTS5 expression in which each word or quoted phrase of the query is a string that must occur.
 * MNK_ERROR_LIMIT over 1 KiB, MNK_ERROR_USAGE when there is no word in it. Caller frees. */
char *mnk_search_expression(const char *query, GError **error);

#endif
