/* A database handle: opened, recognised, brought up to date; and its failures in words. */
#include "store_priv.h"

#include "base/base.h"

#include <errno.h>
#include <fcntl.h>
#include <glib/gstdio.h>
#include <string.h>
#include <unistd.h>

/* ---- Failures ---- */

static gboolean is_space_error(int code) {
  return code == ENOSPC || code == EDQUOT || code == EFBIG;
}

/* Why the system refused. SQLite does not pass on what a COMMIT met with; then it still stands in
 * errno, which was cleared before the statement ran. */
static int system_cause(sqlite3 *db) {
  int saved = errno, cause = sqlite3_system_errno(db);
  return cause != 0 ? cause : saved;
}

/* NULL: nothing better than the library's own words. */
static const char *explain(int code, int cause) {
  if (code == SQLITE_FULL || (code == SQLITE_IOERR && is_space_error(cause)))
    return "cannot grow: the disk is full";
  switch (code) {
  case SQLITE_BUSY:
  case SQLITE_LOCKED:
    return "is locked by another program";
  case SQLITE_READONLY:
  case SQLITE_PERM:
    return "is read-only";
  case SQLITE_CORRUPT:
    return "is damaged";
  case SQLITE_NOTADB:
    return "is damaged or not a database";
  default:
    return NULL;
  }
}

static gboolean fail_at(const char *path, sqlite3 *db, GError **error) {
  int cause = system_cause(db), code = sqlite3_errcode(db) & 0xff;
  const char *words = explain(code, cause);
  if (words != NULL)
    g_set_error(error, MNK_ERROR, MNK_ERROR_STORE, "the timeline %s %s", path, words);
  else if ((code == SQLITE_CANTOPEN || code == SQLITE_IOERR) && cause != 0)
    g_set_error(error, MNK_ERROR, MNK_ERROR_STORE, "the timeline %s cannot be %s: %s", path,
                code == SQLITE_CANTOPEN ? "opened" : "used", g_strerror(cause));
  else
    g_set_error(error, MNK_ERROR, MNK_ERROR_STORE, "the timeline %s: %s", path, sqlite3_errmsg(db));
  return FALSE;
}

gboolean mnk_db_fail(sqlite3 *db, GError **error) {
  return fail_at(sqlite3_db_filename(db, "main"), db, error);
}

static gboolean refuse(sqlite3 *db, GError **error, const char *words) {
  g_set_error(error, MNK_ERROR, MNK_ERROR_STORE, "the timeline %s %s",
              sqlite3_db_filename(db, "main"), words);
  return FALSE;
}

/* ---- Statements ---- */

gboolean mnk_db_exec(sqlite3 *db, const char *sql, GError **error) {
  errno = 0;
  return sqlite3_exec(db, sql, NULL, NULL, NULL) == SQLITE_OK || mnk_db_fail(db, error);
}

sqlite3_stmt *mnk_db_prepare(sqlite3 *db, const char *sql, GError **error) {
  sqlite3_stmt *statement = NULL;
  if (sqlite3_prepare_v2(db, sql, -1, &statement, NULL) != SQLITE_OK)
    mnk_db_fail(db, error);
  return statement;
}

gboolean mnk_db_get_int(sqlite3 *db, const char *sql, gint64 *value, GError **error) {
  g_autoptr(sqlite3_stmt) statement = mnk_db_prepare(db, sql, error);
  if (statement == NULL)
    return FALSE;
  if (sqlite3_step(statement) != SQLITE_ROW)
    return mnk_db_fail(db, error);
  *value = sqlite3_column_int64(statement, 0);
  return TRUE;
}

/* ---- What the file is ---- */

typedef enum { FILE_EMPTY, FILE_TIMELINE } FileKind;

typedef struct {
  FileKind kind;
  gint64 version;
} FileState;

static gboolean read_header(sqlite3 *db, gint64 *application, gint64 *version, gint64 *objects,
                            GError **error) {
  return mnk_db_get_int(db, "PRAGMA application_id", application, error) &&
         mnk_db_get_int(db, "PRAGMA user_version", version, error) &&
         mnk_db_get_int(db, "SELECT count(*) FROM sqlite_schema", objects, error);
}

/* Reads only: the file of another program is left as it is. In one transaction, the caller's or its
 * own: another process may be making the file at this moment. */
static gboolean recognise(sqlite3 *db, FileState *state, GError **error) {
  gint64 application, objects;
  gboolean own = sqlite3_get_autocommit(db) != 0;
  if (own && !mnk_db_exec(db, "BEGIN", error))
    return FALSE;
  gboolean ok = read_header(db, &application, &state->version, &objects, error);
  if (own)
    mnk_db_exec(db, "ROLLBACK", NULL);
  if (!ok)
    return FALSE;
  gboolean empty = application == 0 && state->version == 0 && objects == 0;
  if (!empty && application != MNK_STORE_APPLICATION_ID)
    return refuse(db, error, "is the database of another program");
  if (state->version > mnk_schema_version())
    return refuse(db, error, "was written by a newer version of Manako");
  state->kind = empty ? FILE_EMPTY : FILE_TIMELINE;
  return TRUE;
}

static gboolean check_readable(sqlite3 *db, GError **error) {
  FileState state;
  if (!recognise(db, &state, error))
    return FALSE;
  if (state.kind == FILE_EMPTY)
    return refuse(db, error, "is empty");
  if (state.version < mnk_schema_version())
    return refuse(db, error,
                  "was written by an older version of Manako; the next caption that is "
                  "kept in it brings it up to date");
  return TRUE;
}

/* ---- Opening for writing ---- */

static gboolean run_migrations(sqlite3 *db, GError **error) {
  FileState state;
  if (!recognise(db, &state, error))
    return FALSE;
  for (guint step = (guint)state.version; step < mnk_schema_version(); step++)
    if (!mnk_db_exec(db, mnk_schema_migration(step), error))
      return FALSE;
  g_autofree char *header = g_strdup_printf("PRAGMA application_id = %d; PRAGMA user_version = %u",
                                            MNK_STORE_APPLICATION_ID, mnk_schema_version());
  return mnk_db_exec(db, header, error);
}

/* In one transaction, so that a file is of one version or the other: on failure it ends with the
 * handle, which the caller closes. What the file is, is asked again inside: another process may
 * have been faster. */
static gboolean migrate(sqlite3 *db, GError **error) {
  return mnk_db_exec(db, "BEGIN IMMEDIATE", error) && run_migrations(db, error) &&
         mnk_db_exec(db, "COMMIT", error);
}

static gboolean use_wal(sqlite3 *db, GError **error) {
  g_autoptr(sqlite3_stmt) statement = mnk_db_prepare(db, "PRAGMA journal_mode = WAL", error);
  if (statement == NULL)
    return FALSE;
  if (sqlite3_step(statement) != SQLITE_ROW)
    return mnk_db_fail(db, error);
  if (g_strcmp0((const char *)sqlite3_column_text(statement, 0), "wal") != 0)
    return refuse(db, error, "lies on a file system without shared memory");
  return TRUE;
}

/* ---- After a crash ---- */

/* Up to this size (0.1 s of reading) a file is looked at before it is opened; a larger one while it
 * is in use already. */
enum { CHECK_AT_ONCE = 64 << 20 };

static gboolean was_closed(sqlite3 *db, gboolean *closed, GError **error) {
  gint64 clean = 0;
  gboolean ok = mnk_db_get_int(db, "SELECT value FROM meta WHERE key = 'clean'", &clean, error);
  *closed = clean != 0;
  return ok;
}

static gboolean is_large(sqlite3 *db) {
  gint64 pages = 0, page = 0;
  return mnk_db_get_int(db, "PRAGMA page_count", &pages, NULL) &&
         mnk_db_get_int(db, "PRAGMA page_size", &page, NULL) && pages * page > CHECK_AT_ONCE;
}

gboolean mnk_db_owes_check(sqlite3 *db) {
  gboolean closed;
  return was_closed(db, &closed, NULL) && !closed && is_large(db);
}

gboolean mnk_db_check(sqlite3 *db, GError **error) {
  g_autoptr(sqlite3_stmt) check = mnk_db_prepare(db, "PRAGMA quick_check(1)", error);
  if (check == NULL)
    return FALSE;
  if (sqlite3_step(check) != SQLITE_ROW)
    return mnk_db_fail(db, error);
  if (g_strcmp0((const char *)sqlite3_column_text(check, 0), "ok") != 0)
    return refuse(db, error, "is damaged");
  mnk_info("store", NULL, "event=checked-after-crash result=ok");
  return TRUE;
}

/* A store that was not closed left its mark; whether the file has suffered is then looked at once.
 */
static gboolean check_after_crash(sqlite3 *db, GError **error) {
  gboolean closed;
  return was_closed(db, &closed, error) && (closed || is_large(db) || mnk_db_check(db, error));
}

/* The cache, in KiB, holds the pages in which a large timeline's captions of many streams come to
 * lie. */
#define SETTINGS                                                                                   \
  "PRAGMA synchronous = FULL; PRAGMA journal_size_limit = 16777216; PRAGMA cache_size = -16384"

static gboolean prepare_for_writing(sqlite3 *db, GError **error) {
  FileState state;
  if (!recognise(db, &state, error))
    return FALSE;
  if (sqlite3_db_readonly(db, "main") == 1)
    return refuse(db, error, "is read-only");
  if (state.version < mnk_schema_version() && !migrate(db, error))
    return FALSE;
  return use_wal(db, error) && mnk_db_exec(db, SETTINGS, error) && check_after_crash(db, error);
}

/* Captions of one's rooms are nobody else's: the folder and the file are made private. */
static gboolean make_file(const char *path, GError **error) {
  g_autofree char *folder = g_path_get_dirname(path);
  if (g_mkdir_with_parents(folder, 0700) != 0) {
    g_set_error(error, MNK_ERROR, MNK_ERROR_STORE, "the timeline's folder %s cannot be made: %s",
                folder, g_strerror(errno));
    return FALSE;
  }
  int fd = g_open(path, O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0600);
  if (fd >= 0)
    close(fd);
  else if (errno == EACCES || errno == EROFS)
    g_set_error(error, MNK_ERROR, MNK_ERROR_STORE,
                "the timeline %s cannot be made: its folder is read-only", path);
  else if (errno != EEXIST)
    g_set_error(error, MNK_ERROR, MNK_ERROR_STORE, "the timeline %s cannot be made: %s", path,
                g_strerror(errno));
  return fd >= 0 || errno == EEXIST;
}

/* ---- Opening ---- */

/* SQL in a file from elsewhere (views, triggers, defaults) gets no say. */
static void harden(sqlite3 *db) {
  sqlite3_extended_result_codes(db, TRUE);
  sqlite3_busy_timeout(db, MNK_DB_BUSY_MS);
  sqlite3_db_config(db, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
  sqlite3_db_config(db, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, NULL);
  sqlite3_exec(db, "PRAGMA cell_size_check = ON", NULL, NULL, NULL);
}

static sqlite3 *open_handle(const char *name, int flags, GError **error) {
  g_autoptr(sqlite3) db = NULL;
  if (sqlite3_open_v2(name, &db, flags | SQLITE_OPEN_NOMUTEX, NULL) != SQLITE_OK) {
    fail_at(name, db, error);
    return NULL;
  }
  harden(db);
  return g_steal_pointer(&db);
}

/* A file in WAL mode needs its companions. Where they are not and cannot be made, on a read-only
 * medium, nobody writes either, and the file can be read as it stands. */
static sqlite3 *open_immutable(const char *path, GError **error) {
  g_autofree char *escaped = g_uri_escape_string(path, "/", FALSE);
  g_autofree char *uri = g_strdup_printf("file:%s?immutable=1", escaped);
  return open_handle(uri, SQLITE_OPEN_READONLY | SQLITE_OPEN_URI, error);
}

static gboolean lacks_companions(sqlite3 *db) {
  gint64 version;
  if (mnk_db_get_int(db, "PRAGMA user_version", &version, NULL))
    return FALSE;
  int code = sqlite3_errcode(db) & 0xff;
  return code == SQLITE_CANTOPEN || code == SQLITE_READONLY;
}

static gboolean has_journal(const char *path) {
  g_autofree char *journal = g_strconcat(path, "-wal", NULL);
  return g_file_test(journal, G_FILE_TEST_EXISTS);
}

static sqlite3 *open_for_reading(const char *path, GError **error) {
  g_autoptr(sqlite3) db = open_handle(path, SQLITE_OPEN_READONLY, error);
  if (db == NULL)
    return NULL;
  if (lacks_companions(db) && !has_journal(path)) {
    g_clear_pointer(&db, sqlite3_close_v2);
    db = open_immutable(path, error);
  }
  if (db == NULL || !check_readable(db, error))
    return NULL;
  return g_steal_pointer(&db);
}

sqlite3 *mnk_db_open(const char *path, MnkStoreMode mode, GError **error) {
  if (g_file_test(path, G_FILE_TEST_IS_DIR)) {
    g_set_error(error, MNK_ERROR, MNK_ERROR_STORE, "the timeline %s is a folder", path);
    return NULL;
  }
  if (mode == MNK_STORE_READ && !g_file_test(path, G_FILE_TEST_EXISTS)) {
    g_set_error(error, MNK_ERROR, MNK_ERROR_NOT_FOUND, "there is no timeline at %s", path);
    return NULL;
  }
  if (mode == MNK_STORE_READ)
    return open_for_reading(path, error);
  if (!make_file(path, error))
    return NULL;
  g_autoptr(sqlite3) db = open_handle(path, SQLITE_OPEN_READWRITE, error);
  if (db == NULL || !prepare_for_writing(db, error))
    return NULL;
  return g_steal_pointer(&db);
}
