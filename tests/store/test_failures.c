/* What can be wrong with a file, each by its name. */
#include "base/base.h"
#include "store/store_priv.h"
#include "support.h"

#include <errno.h>
#include <fcntl.h>
#include <glib/gstdio.h>
#include <signal.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

static void make_timeline(const Place *place, guint captions) {
  g_autoptr(MnkStore) store = open_store(place, MNK_STORE_WRITE);
  for (guint i = 0; i < captions; i++) {
    g_autofree char *id = g_strdup_printf("c%u", i);
    put_text(store, "s", id, "A red car is parked in front of a house.");
  }
  flush(store);
}

static void assert_failure(const Place *place, MnkStoreMode mode, const char *message) {
  g_autofree char *found = open_failure(place, mode);
  g_assert_cmpstr(found, ==, message);
}

static void test_missing(void) {
  g_auto(Place) place = {0};
  place_init(&place);
  g_autoptr(GError) error = NULL;
  g_assert_null(mnk_store_open(place.path, MNK_STORE_READ, &error));
  g_assert_error(error, MNK_ERROR, MNK_ERROR_NOT_FOUND);
  assert_failure(&place, MNK_STORE_READ, "there is no timeline at @");
  g_assert_false(g_file_test(place.path, G_FILE_TEST_EXISTS));
}

static void test_folder_in_the_way(void) {
  g_auto(Place) place = {0};
  place_init(&place);
  g_assert_cmpint(g_mkdir(place.path, 0700), ==, 0);
  assert_failure(&place, MNK_STORE_WRITE, "the timeline @ is a folder");
  assert_failure(&place, MNK_STORE_READ, "the timeline @ is a folder");
}

static void test_file_in_the_way(void) {
  g_auto(Place) place = {0};
  place_init(&place);
  g_assert_true(g_file_set_contents(place.path, "x", 1, NULL));
  g_autofree char *below = g_build_filename(place.path, "timeline.db", NULL);
  g_autoptr(GError) error = NULL;
  g_assert_null(mnk_store_open(below, MNK_STORE_WRITE, &error));
  g_assert_error(error, MNK_ERROR, MNK_ERROR_STORE);
  g_assert_true(g_str_has_suffix(error->message, "cannot be made: Not a directory"));
}

static void test_not_a_database(void) {
  static const char text[] =
      "This is a letter, long enough to be looked at as if it were a file of "
      "another kind, and certainly longer than one hundred bytes.";
  g_auto(Place) place = {0};
  place_init(&place);
  g_assert_true(g_file_set_contents(place.path, text, -1, NULL));
  assert_failure(&place, MNK_STORE_WRITE, "the timeline @ is damaged or not a database");
  assert_failure(&place, MNK_STORE_READ, "the timeline @ is damaged or not a database");
  g_autofree char *after = NULL;
  g_assert_true(g_file_get_contents(place.path, &after, NULL, NULL));
  g_assert_cmpstr(after, ==, text);
}

static void test_empty_file(void) {
  g_auto(Place) place = {0};
  place_init(&place);
  g_assert_true(g_file_set_contents(place.path, "", 0, NULL));
  assert_failure(&place, MNK_STORE_READ, "the timeline @ is empty");
  make_timeline(&place, 1);
  g_autoptr(MnkStore) store = open_store(&place, MNK_STORE_READ);
}

static void test_another_program(void) {
  g_auto(Place) place = {0};
  place_init(&place);
  run_sql(place.path, "CREATE TABLE bookmarks (url TEXT)");
  assert_failure(&place, MNK_STORE_WRITE, "the timeline @ is the database of another program");
  assert_failure(&place, MNK_STORE_READ, "the timeline @ is the database of another program");
  g_autofree char *mode = ask_sql(place.path, "PRAGMA journal_mode");
  g_assert_cmpstr(mode, ==, "delete");
}

static void test_newer(void) {
  g_auto(Place) place = {0};
  place_init(&place);
  make_timeline(&place, 1);
  run_sql(place.path, "PRAGMA user_version = 1000");
  assert_failure(&place, MNK_STORE_WRITE,
                 "the timeline @ was written by a newer version of Manako");
  assert_failure(&place, MNK_STORE_READ, "the timeline @ was written by a newer version of Manako");
}

/* Step by step from an empty file that only says whose it is. */
static void test_migrates(void) {
  g_auto(Place) place = {0};
  place_init(&place);
  g_autofree char *header = g_strdup_printf("PRAGMA application_id = %d", MNK_STORE_APPLICATION_ID);
  run_sql(place.path, header);
  assert_failure(&place, MNK_STORE_READ,
                 "the timeline @ was written by an older version of Manako; the next caption that "
                 "is kept in it brings it up to date");
  make_timeline(&place, 1);
  g_autoptr(MnkStore) store = open_store(&place, MNK_STORE_READ);
  g_autoptr(GPtrArray) found = mnk_store_captions(store, NULL, 0, -1, 10, NULL);
  g_assert_cmpuint(found->len, ==, 1);
}

/* A migration that fails leaves the file as it was. */
static void test_migration_is_whole(void) {
  g_auto(Place) place = {0};
  place_init(&place);
  g_autofree char *header = g_strdup_printf(
      "PRAGMA application_id = %d; CREATE TABLE captions_index (x)", MNK_STORE_APPLICATION_ID);
  run_sql(place.path, header);
  g_autofree char *failure = open_failure(&place, MNK_STORE_WRITE);
  g_assert_true(g_str_has_suffix(failure, " already exists"));
  g_autofree char *tables = ask_sql(place.path, "SELECT count(*) FROM sqlite_schema");
  g_autofree char *version = ask_sql(place.path, "PRAGMA user_version");
  g_assert_cmpstr(tables, ==, "1");
  g_assert_cmpstr(version, ==, "0");
}

static void test_locked(void) {
  g_auto(Place) place = {0};
  place_init(&place);
  make_timeline(&place, 1);
  sqlite3 *other = NULL;
  g_assert_cmpint(sqlite3_open(place.path, &other), ==, SQLITE_OK);
  g_assert_cmpint(sqlite3_exec(other,
                               "PRAGMA locking_mode = EXCLUSIVE; BEGIN EXCLUSIVE;"
                               "UPDATE streams SET source = 'x'",
                               NULL, NULL, NULL),
                  ==, SQLITE_OK);
  assert_failure(&place, MNK_STORE_WRITE, "the timeline @ is locked by another program");
  sqlite3_close(other);
  g_autoptr(MnkStore) store = open_store(&place, MNK_STORE_WRITE);
}

static void keep_message(const GError *error, gpointer user) {
  *(char **)user = g_strdup(error != NULL ? error->message : "written");
}

/* The write fails by name, and the next one after the lock is gone succeeds. */
static void test_locked_while_open(void) {
  g_auto(Place) place = {0};
  place_init(&place);
  keep_log_quiet(TRUE);
  g_autoptr(MnkStore) store = open_store(&place, MNK_STORE_WRITE);
  sqlite3 *other = NULL;
  g_assert_cmpint(sqlite3_open(place.path, &other), ==, SQLITE_OK);
  g_assert_cmpint(sqlite3_exec(other, "BEGIN IMMEDIATE", NULL, NULL, NULL), ==, SQLITE_OK);
  g_autoptr(MnkCaption) caption = make_caption("s", "1", 0, 1, "x");
  g_autofree char *refused = NULL, *written = NULL;
  g_autoptr(GError) error = NULL;
  mnk_store_put_caption(store, caption, keep_message, &refused);
  g_assert_false(mnk_store_flush(store, &error));
  g_assert_error(error, MNK_ERROR, MNK_ERROR_STORE);
  g_assert_true(g_str_has_suffix(error->message, " is locked by another program"));
  sqlite3_close(other);

  mnk_store_put_caption(store, caption, keep_message, &written);
  flush(store);
  while (g_main_context_iteration(NULL, FALSE))
    ;
  g_assert_cmpstr(refused, ==, error->message);
  g_assert_cmpstr(written, ==, "written");
  keep_log_quiet(FALSE);
}

static gpointer let_go(gpointer db) {
  g_usleep(100000);
  g_assert_cmpint(sqlite3_close(db), ==, SQLITE_OK);
  return NULL;
}

/* A reader keeps the file from going over to WAL for a moment only. */
static void test_waits_for_reader(void) {
  g_auto(Place) place = {0};
  place_init(&place);
  make_timeline(&place, 1);
  run_sql(place.path, "PRAGMA journal_mode = delete");
  sqlite3 *other = NULL;
  g_assert_cmpint(sqlite3_open(place.path, &other), ==, SQLITE_OK);
  g_assert_cmpint(sqlite3_exec(other, "BEGIN; SELECT count(*) FROM captions", NULL, NULL, NULL), ==,
                  SQLITE_OK);
  GThread *thread = g_thread_new("reader", let_go, other);
  g_autoptr(MnkStore) store = open_store(&place, MNK_STORE_WRITE);
  g_thread_join(thread);
}

/* ---- Damage ---- */

static void damage(const Place *place, goffset from, gsize length) {
  int fd = g_open(place->path, O_WRONLY | O_CLOEXEC, 0);
  g_autofree char *noise = g_strnfill(length, 'x');
  g_assert_cmpint(pwrite(fd, noise, length, from), ==, (gssize)length);
  close(fd);
}

static void test_damaged_header(void) {
  g_auto(Place) place = {0};
  place_init(&place);
  make_timeline(&place, 1);
  damage(&place, 0, 50);
  assert_failure(&place, MNK_STORE_READ, "the timeline @ is damaged or not a database");
  assert_failure(&place, MNK_STORE_WRITE, "the timeline @ is damaged or not a database");
}

/* Damage beyond the first pages shows in the check after a crash. */
static void test_damaged_pages(void) {
  g_auto(Place) place = {0};
  place_init(&place);
  make_timeline(&place, 2000);
  damage(&place, G_GINT64_CONSTANT(4096) * 20, 4096 * 20);
  {
    g_autoptr(MnkStore) clean = open_store(&place, MNK_STORE_WRITE);
    g_autoptr(GError) error = NULL;
    g_assert_null(mnk_store_captions(clean, NULL, 0, -1, G_MAXUINT, &error));
    g_assert_error(error, MNK_ERROR, MNK_ERROR_STORE);
    g_assert_true(g_str_has_suffix(error->message, " is damaged"));
  }
  run_sql(place.path, "UPDATE meta SET value = 0 WHERE key = 'clean'");
  assert_failure(&place, MNK_STORE_WRITE, "the timeline @ is damaged");
}

/* A statement that fails in the midst of a transaction takes it back whole. */
static void test_damaged_schema(void) {
  g_auto(Place) place = {0};
  place_init(&place);
  keep_log_quiet(TRUE);
  g_autoptr(MnkStore) store = open_store(&place, MNK_STORE_WRITE);
  run_sql(place.path, "DROP TABLE captions_index");
  put_text(store, "s", "1", "x");
  g_autoptr(GError) error = NULL;
  g_assert_false(mnk_store_flush(store, &error));
  g_assert_true(g_str_has_suffix(error->message, "no such table: captions_index"));
  put_stream(store, "t", "a.mp4", 1, FALSE);
  flush(store);
  g_assert_true(mnk_store_is_healthy(store));
  keep_log_quiet(FALSE);
  g_clear_pointer(&store, mnk_store_close);
  g_autofree char *captions = ask_sql(place.path, "SELECT count(*) FROM captions");
  g_autofree char *streams = ask_sql(place.path, "SELECT group_concat(id) FROM streams");
  g_assert_cmpstr(captions, ==, "0");
  g_assert_cmpstr(streams, ==, "t");
}

/* ---- Large files are looked at while they are in use ---- */

static void make_large(const Place *place) {
  g_autofree char *text = g_strnfill(2 << 20, 'j');
  g_autoptr(GBytes) jpeg = g_bytes_new(text, 2 << 20);
  g_autoptr(MnkStore) store = open_store(place, MNK_STORE_WRITE);
  for (guint i = 0; i < 34; i++) {
    mnk_store_put_picture(store, "s", i, jpeg);
    flush(store);
  }
}

static void pretend_crash(const Place *place) {
  run_sql(place->path, "UPDATE meta SET value = 0 WHERE key = 'clean'");
}

static gboolean is_marked_closed(const Place *place) {
  g_autofree char *clean = ask_sql(place->path, "SELECT value FROM meta WHERE key = 'clean'");
  return g_str_equal(clean, "1");
}

/* Closed before all was looked at, it is not taken for sound; left open for long enough, it is. */
static void test_large_after_crash(void) {
  g_auto(Place) place = {0};
  place_init(&place);
  make_large(&place);
  pretend_crash(&place);
  for (gulong wait_us = 1; wait_us < 30000000 && !is_marked_closed(&place); wait_us *= 4) {
    g_autoptr(MnkStore) store = open_store(&place, MNK_STORE_WRITE);
    put_text(store, "s", "1", "x");
    flush(store);
    g_usleep(wait_us);
    g_assert_true(mnk_store_is_healthy(store));
  }
  g_assert_true(is_marked_closed(&place));
}

static void test_large_and_damaged(void) {
  g_auto(Place) place = {0};
  place_init(&place);
  make_large(&place);
  pretend_crash(&place);
  damage(&place, 40 << 20, 4096);
  keep_log_quiet(TRUE);
  {
    g_autoptr(MnkStore) store = open_store(&place, MNK_STORE_WRITE);
    for (guint i = 0; i < 3000 && mnk_store_is_healthy(store); i++)
      g_usleep(10000);
    g_assert_false(mnk_store_is_healthy(store));
    put_text(store, "s", "1", "x");
    flush(store);
    g_assert_false(mnk_store_is_healthy(store));
  }
  keep_log_quiet(FALSE);
  g_assert_false(is_marked_closed(&place));
}

static void test_truncated(void) {
  g_auto(Place) place = {0};
  place_init(&place);
  make_timeline(&place, 500);
  GStatBuf info;
  g_assert_cmpint(g_stat(place.path, &info), ==, 0);
  for (goffset size = info.st_size * 9 / 10; size > 0; size -= info.st_size / 10) {
    g_assert_cmpint(truncate(place.path, size), ==, 0);
    g_autoptr(GError) error = NULL;
    g_autoptr(MnkStore) store = mnk_store_open(place.path, MNK_STORE_READ, &error);
    g_autoptr(GPtrArray) found =
        store != NULL ? mnk_store_captions(store, NULL, 0, -1, G_MAXUINT, &error) : NULL;
    g_assert_null(found);
    g_assert_error(error, MNK_ERROR, MNK_ERROR_STORE);
    g_assert_nonnull(strstr(error->message, "is damaged"));
  }
}

/* ---- Read-only: as another user where the test runs as root, whom modes do not bind ---- */

static gboolean drop_root(const Place *place) {
  enum { NOBODY = 65534 };
  if (geteuid() != 0)
    return TRUE;
  g_autofree char *journal = g_strconcat(place->path, "-wal", NULL);
  const char *const paths[] = {place->folder, place->path, journal};
  for (guint i = 0; i < G_N_ELEMENTS(paths); i++)
    if (chown(paths[i], NOBODY, NOBODY) != 0 && errno != ENOENT)
      return FALSE;
  return seteuid(NOBODY) == 0;
}

static void take_root_back(void) {
  if (getuid() == 0)
    g_assert_cmpint(seteuid(0), ==, 0);
}

static void test_read_only_file(void) {
  g_auto(Place) place = {0};
  place_init(&place);
  make_timeline(&place, 3);
  if (!drop_root(&place)) {
    g_test_skip("cannot change to a user whom file modes bind");
    return;
  }
  g_assert_cmpint(g_chmod(place.path, 0400), ==, 0);
  assert_failure(&place, MNK_STORE_WRITE, "the timeline @ is read-only");
  {
    g_autoptr(MnkStore) store = open_store(&place, MNK_STORE_READ);
    g_autoptr(GPtrArray) found = mnk_store_captions(store, NULL, 0, -1, 10, NULL);
    g_assert_cmpuint(found->len, ==, 3);
  }
  g_assert_cmpint(g_chmod(place.path, 0), ==, 0);
  assert_failure(&place, MNK_STORE_READ, "the timeline @ cannot be opened: Permission denied");
  take_root_back();
}

static void test_read_only_folder(void) {
  g_auto(Place) place = {0};
  place_init(&place);
  g_autofree char *other = g_build_filename(place.folder, "other.db", NULL);
  make_timeline(&place, 3);
  if (!drop_root(&place)) {
    g_test_skip("cannot change to a user whom file modes bind");
    return;
  }
  g_assert_cmpint(g_chmod(place.folder, 0500), ==, 0);
  g_autoptr(GError) error = NULL;
  g_assert_null(mnk_store_open(other, MNK_STORE_WRITE, &error));
  g_assert_true(g_str_has_suffix(error->message, " cannot be made: its folder is read-only"));
  g_autofree char *failure = open_failure(&place, MNK_STORE_WRITE);
  g_assert_nonnull(strstr(failure, "read-only"));
  {
    g_autoptr(MnkStore) store = open_store(&place, MNK_STORE_READ);
    g_autoptr(GPtrArray) found = mnk_store_captions(store, NULL, 0, -1, 10, NULL);
    g_assert_cmpuint(found->len, ==, 3);
  }
  g_assert_cmpint(g_chmod(place.folder, 0700), ==, 0);
  take_root_back();
}

/* ---- Full disks ---- */

/* Puts until a put fails, or 3,000 times. Answers the failure. */
static char *fill(MnkStore *store) {
  g_autofree char *text = g_strnfill(8000, 'x');
  for (guint i = 0; i < 3000; i++) {
    g_autofree char *id = g_strdup_printf("fill-%u", i);
    g_autoptr(GError) error = NULL;
    put_text(store, "s", id, text);
    if (mnk_store_flush(store, &error))
      continue;
    g_assert_error(error, MNK_ERROR, MNK_ERROR_STORE);
    return g_strdup(error->message);
  }
  return NULL;
}

static void assert_sound(const Place *place, const char *ids_like, const char *least) {
  g_autofree char *integrity = ask_sql(place->path, "PRAGMA integrity_check");
  g_assert_cmpstr(integrity, ==, "ok");
  g_autofree char *sql =
      g_strdup_printf("SELECT count(*) >= %s FROM captions WHERE id LIKE '%s'", least, ids_like);
  g_autofree char *enough = ask_sql(place->path, sql);
  g_assert_cmpstr(enough, ==, "1");
}

static void test_file_size_limit(void) {
  g_auto(Place) place = {0};
  place_init(&place);
  keep_log_quiet(TRUE);
  struct rlimit before;
  g_assert_cmpint(getrlimit(RLIMIT_FSIZE, &before), ==, 0);
  signal(SIGXFSZ, SIG_IGN);
  {
    g_autoptr(MnkStore) store = open_store(&place, MNK_STORE_WRITE);
    put_text(store, "s", "first", "x");
    flush(store);
    struct rlimit small = {1 << 20, before.rlim_max};
    g_assert_cmpint(setrlimit(RLIMIT_FSIZE, &small), ==, 0);
    g_autofree char *failure = fill(store);
    g_assert_nonnull(failure);
    g_assert_true(g_str_has_suffix(failure, " cannot grow: the disk is full"));
    g_assert_cmpint(setrlimit(RLIMIT_FSIZE, &before), ==, 0);
    put_text(store, "s", "last", "x");
    flush(store);
  }
  keep_log_quiet(FALSE);
  assert_sound(&place, "%st", "2");
}

static void test_full_file_system(void) {
  g_auto(Place) place = {0};
  place_init(&place);
  if (mount("tmpfs", place.folder, "tmpfs", 0, "size=1m") != 0) {
    g_test_skip("cannot mount a small file system");
    return;
  }
  keep_log_quiet(TRUE);
  MnkStore *store = open_store(&place, MNK_STORE_WRITE);
  put_text(store, "s", "first", "x");
  flush(store);
  g_autofree char *failure = fill(store);
  mnk_store_close(store);
  keep_log_quiet(FALSE);
  assert_sound(&place, "first", "1");
  g_remove(place.path);
  g_assert_cmpint(umount2(place.folder, MNT_DETACH), ==, 0);
  g_assert_nonnull(failure);
  g_assert_true(g_str_has_suffix(failure, " cannot grow: the disk is full"));
}

/* Room that comes back is found without being asked for. */
static void test_full_file_system_heals(void) {
  g_auto(Place) place = {0};
  place_init(&place);
  if (mount("tmpfs", place.folder, "tmpfs", 0, "size=3m") != 0) {
    g_test_skip("cannot mount a small file system");
    return;
  }
  keep_log_quiet(TRUE);
  g_autofree char *ballast = g_build_filename(place.folder, "ballast", NULL);
  g_autofree char *weight = g_strnfill(2 << 20, 'x');
  g_assert_true(g_file_set_contents(ballast, weight, 2 << 20, NULL));
  MnkStore *store = open_store(&place, MNK_STORE_WRITE);
  put_text(store, "s", "first", "x");
  flush(store);
  g_autofree char *failure = fill(store);
  g_assert_nonnull(failure);
  g_assert_false(mnk_store_is_healthy(store));
  g_assert_cmpint(g_remove(ballast), ==, 0);
  for (guint i = 0; i < 3000 && !mnk_store_is_healthy(store); i++)
    g_usleep(10000);
  g_assert_true(mnk_store_is_healthy(store));
  put_text(store, "s", "last", "x");
  flush(store);
  mnk_store_close(store);
  keep_log_quiet(FALSE);
  assert_timeline_sound(&place);
  assert_sound(&place, "%st", "2");
  g_remove(place.path);
  g_assert_cmpint(umount2(place.folder, MNT_DETACH), ==, 0);
}

/* SQLite's own word for it. */
static void test_page_limit(void) {
  g_auto(Place) place = {0};
  place_init(&place);
  g_autoptr(GError) error = NULL;
  sqlite3 *db = mnk_db_open(place.path, MNK_STORE_WRITE, &error);
  g_assert_no_error(error);
  g_assert_true(mnk_db_exec(db, "PRAGMA max_page_count = 40", NULL));
  MnkWriter *writer = mnk_writer_new(db);
  keep_log_quiet(TRUE);
  g_autofree char *text = g_strnfill(100000, 'x');
  MnkWrite small = {.caption = make_caption("s", "small", 0, 1, "x")};
  MnkWrite large = {.caption = make_caption("s", "large", 0, 1, text)};
  mnk_writer_queue(writer, &small);
  g_assert_true(mnk_writer_flush(writer, NULL));
  mnk_writer_queue(writer, &large);
  g_assert_false(mnk_writer_flush(writer, &error));
  g_assert_error(error, MNK_ERROR, MNK_ERROR_STORE);
  g_assert_true(g_str_has_suffix(error->message, " cannot grow: the disk is full"));
  mnk_writer_free(writer);
  keep_log_quiet(FALSE);
  assert_sound(&place, "%", "1");
}

/* What cannot be written whatever the disk is like costs itself, not what is written with it, and
 * nothing after it. */
static void test_goes_on(void) {
  g_auto(Place) place = {0};
  place_init(&place);
  sqlite3 *db = mnk_db_open(place.path, MNK_STORE_WRITE, NULL);
  g_assert_nonnull(db);
  sqlite3_limit(db, SQLITE_LIMIT_LENGTH, 50000);
  MnkWriter *writer = mnk_writer_new(db);
  keep_log_quiet(TRUE);
  g_autofree char *text = g_strnfill(60000, 'x');
  g_autofree char *before = NULL, *refused = NULL, *after = NULL;
  MnkWrite writes[] = {
      {.caption = make_caption("s", "1", 0, 1, "x"), .done = keep_message, .user = &before},
      {.caption = make_caption("s", "2", 0, 1, text), .done = keep_message, .user = &refused},
      {.caption = make_caption("s", "3", 0, 1, "x"), .done = keep_message, .user = &after},
  };
  for (guint i = 0; i < G_N_ELEMENTS(writes); i++)
    mnk_writer_queue(writer, &writes[i]);
  g_assert_false(mnk_writer_flush(writer, NULL));
  g_assert_true(mnk_writer_is_healthy(writer));
  keep_log_quiet(FALSE);
  while (g_main_context_iteration(NULL, FALSE))
    ;
  g_assert_cmpstr(before, ==, "written");
  g_assert_cmpstr(refused, !=, "written");
  g_assert_cmpstr(after, ==, "written");
  MnkWrite last = {.caption = make_caption("s", "4", 0, 1, "x")};
  mnk_writer_queue(writer, &last);
  g_assert_true(mnk_writer_flush(writer, NULL));
  mnk_writer_free(writer);
  g_autofree char *ids = ask_sql(place.path, "SELECT group_concat(id) FROM captions");
  g_assert_cmpstr(ids, ==, "1,3,4");
  assert_timeline_sound(&place);
}

int main(int argc, char **argv) {
  g_test_init(&argc, &argv, NULL);
  g_test_add_func("/failures/missing", test_missing);
  g_test_add_func("/failures/folder-in-the-way", test_folder_in_the_way);
  g_test_add_func("/failures/file-in-the-way", test_file_in_the_way);
  g_test_add_func("/failures/not-a-database", test_not_a_database);
  g_test_add_func("/failures/empty-file", test_empty_file);
  g_test_add_func("/failures/another-program", test_another_program);
  g_test_add_func("/failures/newer", test_newer);
  g_test_add_func("/failures/migrates", test_migrates);
  g_test_add_func("/failures/migration-is-whole", test_migration_is_whole);
  g_test_add_func("/failures/locked", test_locked);
  g_test_add_func("/failures/locked-while-open", test_locked_while_open);
  g_test_add_func("/failures/waits-for-reader", test_waits_for_reader);
  g_test_add_func("/failures/damaged-header", test_damaged_header);
  g_test_add_func("/failures/damaged-pages", test_damaged_pages);
  g_test_add_func("/failures/damaged-schema", test_damaged_schema);
  g_test_add_func("/failures/large-after-crash", test_large_after_crash);
  g_test_add_func("/failures/large-and-damaged", test_large_and_damaged);
  g_test_add_func("/failures/truncated", test_truncated);
  g_test_add_func("/failures/read-only-file", test_read_only_file);
  g_test_add_func("/failures/read-only-folder", test_read_only_folder);
  g_test_add_func("/failures/file-size-limit", test_file_size_limit);
  g_test_add_func("/failures/full-file-system", test_full_file_system);
  g_test_add_func("/failures/full-file-system-heals", test_full_file_system_heals);
  g_test_add_func("/failures/page-limit", test_page_limit);
  g_test_add_func("/failures/goes-on", test_goes_on);
  return g_test_run();
}
