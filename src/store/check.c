/* Looking at a large file after a crash takes seconds; it is done beside the work. */
#include "store_priv.h"

#include "base/base.h"

struct _MnkCheck {
  char *path;
  MnkWriter *writer;
  GThread *thread;
  gint stopped; /* atomic */
};

/* SQLite asks every so often whether to break off. */
enum { STEPS_BETWEEN = 10000 };

static int is_stopped(void *data) {
  return g_atomic_int_get(&((MnkCheck *)data)->stopped);
}

static gpointer look(gpointer data) {
  MnkCheck *check = data;
  g_autoptr(GError) error = NULL;
  g_autoptr(sqlite3) db = mnk_db_open(check->path, MNK_STORE_READ, &error);
  if (db != NULL)
    sqlite3_progress_handler(db, STEPS_BETWEEN, is_stopped, check);
  if (db != NULL && mnk_db_check(db, &error)) {
    mnk_writer_set_condition(check->writer, MNK_FILE_SOUND);
    return NULL;
  }
  if (g_atomic_int_get(&check->stopped))
    return NULL;
  mnk_error("store", NULL, "event=check-failed error=\"%s\"", error->message);
  mnk_writer_set_condition(check->writer, MNK_FILE_DAMAGED);
  return NULL;
}

MnkCheck *mnk_check_new(const char *path, MnkWriter *writer) {
  MnkCheck *check = g_new0(MnkCheck, 1);
  check->path = g_strdup(path);
  check->writer = writer;
  mnk_writer_set_condition(writer, MNK_FILE_UNCHECKED);
  check->thread = g_thread_new("store-check", look, check);
  return check;
}

void mnk_check_free(MnkCheck *check) {
  if (check == NULL)
    return;
  g_atomic_int_set(&check->stopped, TRUE);
  g_thread_join(check->thread);
  g_free(check->path);
  g_free(check);
}
