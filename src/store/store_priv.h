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

/* Opens, checks what the file is, and for writing brings it to the present version. */
sqlite3 *mnk_db_open(const char *path, MnkStoreMode mode, GError **error);
/* One sentence on the handle's last failure. Always FALSE. */
gboolean mnk_db_fail(sqlite3 *db, GError **error);
gboolean mnk_db_exec(sqlite3 *db, const char *sql, GError **error);
sqlite3_stmt *mnk_db_prepare(sqlite3 *db, const char *sql, GError **error);
/* The first column of the first row, for pragmas and counts. */
gboolean mnk_db_get_int(sqlite3 *db, const char *sql, gint64 *value, GError **error);

/* ---- writer.c ---- */

typedef struct _MnkWriter MnkWriter;

/* Takes the handle. */
MnkWriter *mnk_writer_new(sqlite3 *db);
/* Writes what waits, then closes the handle. */
void mnk_writer_free(MnkWriter *writer);

typedef struct {
  MnkCaption *caption; /* owned; NULL: a stream */
  char *stream, *source;
  gint64 created_us;
  gboolean replace;
  MnkStoreDone done; /* may be NULL */
  gpointer user;
} MnkWrite;

/* Takes what the struct points to. */
void mnk_writer_queue(MnkWriter *writer, const MnkWrite *write);
gboolean mnk_writer_flush(MnkWriter *writer, GError **error);

/* ---- reader.c ---- */

typedef struct {
  const char *stream; /* NULL: all */
  gint64 from_ms, to_ms;
  guint limit;
} MnkStoreFilter;

GPtrArray *mnk_db_streams(sqlite3 *db, GError **error);
GPtrArray *mnk_db_captions(sqlite3 *db, const MnkStoreFilter *filter, GError **error);
GPtrArray *mnk_db_search(sqlite3 *db, const char *expression, const MnkStoreFilter *filter,
                         GError **error);

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
