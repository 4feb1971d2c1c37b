/* Reading handles: opened as they are needed, each with one thread at a time. */
#include "store_priv.h"

enum { MAX_HANDLES = 4 };

struct _MnkHandles {
  char *path;
  GMutex lock;
  GCond freed;
  sqlite3 *idle[MAX_HANDLES];
  guint n_idle, n_open;
};

MnkHandles *mnk_handles_new(const char *path, GError **error) {
  sqlite3 *first = mnk_db_open(path, MNK_STORE_READ, error);
  if (first == NULL)
    return NULL;
  MnkHandles *handles = g_new0(MnkHandles, 1);
  handles->path = g_strdup(path);
  g_mutex_init(&handles->lock);
  g_cond_init(&handles->freed);
  handles->idle[handles->n_idle++] = first;
  handles->n_open = 1;
  return handles;
}

void mnk_handles_free(MnkHandles *handles) {
  if (handles == NULL)
    return;
  g_return_if_fail(handles->n_idle == handles->n_open);
  for (guint i = 0; i < handles->n_idle; i++)
    sqlite3_close_v2(handles->idle[i]);
  g_cond_clear(&handles->freed);
  g_mutex_clear(&handles->lock);
  g_free(handles->path);
  g_free(handles);
}

/* An idle handle, or NULL with a place taken for a new one. */
static sqlite3 *take_idle(MnkHandles *handles) {
  g_autoptr(GMutexLocker) locker = g_mutex_locker_new(&handles->lock);
  while (handles->n_idle == 0 && handles->n_open == MAX_HANDLES)
    g_cond_wait(&handles->freed, &handles->lock);
  if (handles->n_idle > 0)
    return handles->idle[--handles->n_idle];
  handles->n_open++;
  return NULL;
}

static void give_place_up(MnkHandles *handles) {
  g_autoptr(GMutexLocker) locker = g_mutex_locker_new(&handles->lock);
  handles->n_open--;
  g_cond_signal(&handles->freed);
}

sqlite3 *mnk_handles_take(MnkHandles *handles, GError **error) {
  sqlite3 *db = take_idle(handles);
  if (db == NULL && (db = mnk_db_open(handles->path, MNK_STORE_READ, error)) == NULL)
    give_place_up(handles);
  return db;
}

void mnk_handles_put_back(MnkHandles *handles, sqlite3 *db) {
  g_autoptr(GMutexLocker) locker = g_mutex_locker_new(&handles->lock);
  handles->idle[handles->n_idle++] = db;
  g_cond_signal(&handles->freed);
}
