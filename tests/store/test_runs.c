/* The reading thread, and several readers at once beside a writer. */
#include "base/base.h"
#include "support.h"

#include <string.h>

/* ---- Runs ---- */

typedef struct {
  guint number, *next;
  GThread *asker;
  GError *error;
  gpointer result;
  gboolean answered;
} Ask;

static gpointer count_streams(MnkStore *store, gpointer data, GError **error) {
  Ask *ask = data;
  g_assert_true(g_thread_self() != ask->asker);
  g_autoptr(GPtrArray) streams = mnk_store_streams(store, error);
  return streams != NULL ? GUINT_TO_POINTER(streams->len + 100) : NULL;
}

static void keep_answer(gpointer result, const GError *error, gpointer data) {
  Ask *ask = data;
  g_assert_true(g_thread_self() == ask->asker);
  g_assert_false(ask->answered);
  ask->answered = TRUE;
  ask->result = result;
  ask->error = error != NULL ? g_error_copy(error) : NULL;
  if (ask->next != NULL)
    g_assert_cmpuint((*ask->next)++, ==, ask->number);
}

static void wait_for(const Ask *ask) {
  while (!ask->answered)
    g_main_context_iteration(NULL, TRUE);
}

static void test_run(void) {
  g_auto(Place) place = {0};
  place_init(&place);
  g_autoptr(MnkStore) store = open_store(&place, MNK_STORE_WRITE);
  put_stream(store, "s", "a", 1, FALSE);
  flush(store);
  enum { ASKS = 50 };
  Ask asks[ASKS];
  guint next = 0;
  for (guint i = 0; i < ASKS; i++) {
    asks[i] = (Ask){.number = i, .next = &next, .asker = g_thread_self()};
    mnk_store_run(store, count_streams, keep_answer, &asks[i]);
  }
  wait_for(&asks[ASKS - 1]);
  for (guint i = 0; i < ASKS; i++) {
    g_assert_no_error(asks[i].error);
    g_assert_cmpuint(GPOINTER_TO_UINT(asks[i].result), ==, 101);
  }
}

static gpointer fail_to_find(MnkStore *store, gpointer data, GError **error) {
  return mnk_store_stream(store, "none", error);
}

static void test_run_fails(void) {
  g_auto(Place) place = {0};
  place_init(&place);
  g_autoptr(MnkStore) store = open_store(&place, MNK_STORE_WRITE);
  Ask ask = {.asker = g_thread_self()};
  mnk_store_run(store, fail_to_find, keep_answer, &ask);
  wait_for(&ask);
  g_assert_null(ask.result);
  g_assert_error(ask.error, MNK_ERROR, MNK_ERROR_NOT_FOUND);
  g_clear_error(&ask.error);
}

/* ---- Too many ---- */

typedef struct {
  GMutex lock;
  GCond changed;
  gboolean busy, released;
} Gate;

static gpointer block(MnkStore *store, gpointer data, GError **error) {
  Gate *gate = data;
  g_autoptr(GMutexLocker) locker = g_mutex_locker_new(&gate->lock);
  gate->busy = TRUE;
  g_cond_broadcast(&gate->changed);
  while (!gate->released)
    g_cond_wait(&gate->changed, &gate->lock);
  return NULL;
}

static void ignore(gpointer result, const GError *error, gpointer data) {
}

static void wait_until_busy(Gate *gate) {
  g_autoptr(GMutexLocker) locker = g_mutex_locker_new(&gate->lock);
  while (!gate->busy)
    g_cond_wait(&gate->changed, &gate->lock);
}

static gpointer release(gpointer data) {
  Gate *gate = data;
  g_autoptr(GMutexLocker) locker = g_mutex_locker_new(&gate->lock);
  gate->released = TRUE;
  g_cond_broadcast(&gate->changed);
  return NULL;
}

/* While one is at work, 256 may wait; those that are too many are told at once, the others get
 * their answers. */
static void test_limit(void) {
  enum { ASKS = 260, MAX = 256 };
  g_auto(Place) place = {0};
  place_init(&place);
  g_autoptr(MnkStore) store = open_store(&place, MNK_STORE_WRITE);
  Gate gate = {0};
  Ask asks[ASKS];
  mnk_store_run(store, block, ignore, &gate);
  wait_until_busy(&gate);
  for (guint i = 0; i < ASKS; i++) {
    asks[i] = (Ask){.asker = g_thread_self()};
    mnk_store_run(store, count_streams, keep_answer, &asks[i]);
  }
  for (guint i = MAX; i < ASKS; i++) {
    wait_for(&asks[i]);
    g_assert_error(asks[i].error, MNK_ERROR, MNK_ERROR_LIMIT);
    g_clear_error(&asks[i].error);
  }
  g_assert_false(asks[0].answered);
  release(&gate);
  wait_for(&asks[MAX - 1]);
  for (guint i = 0; i < MAX; i++) {
    g_assert_true(asks[i].answered);
    g_assert_no_error(asks[i].error);
  }
}

/* Closing waits for what is at work; what has not begun is told so. All are answered once. */
static void test_close(void) {
  enum { ASKS = 20 };
  g_auto(Place) place = {0};
  place_init(&place);
  MnkStore *store = open_store(&place, MNK_STORE_WRITE);
  Gate gate = {0};
  Ask asks[ASKS];
  mnk_store_run(store, block, ignore, &gate);
  wait_until_busy(&gate);
  for (guint i = 0; i < ASKS; i++) {
    asks[i] = (Ask){.asker = g_thread_self()};
    mnk_store_run(store, count_streams, keep_answer, &asks[i]);
  }
  GThread *thread = g_thread_new("release", release, &gate);
  mnk_store_close(store);
  g_thread_join(thread);
  while (g_main_context_iteration(NULL, FALSE))
    ;
  for (guint i = 0; i < ASKS; i++) {
    g_assert_true(asks[i].answered);
    if (asks[i].error != NULL)
      g_assert_error(asks[i].error, MNK_ERROR, MNK_ERROR_CANCELLED);
    g_clear_error(&asks[i].error);
  }
}

/* ---- Readers at once ---- */

typedef struct {
  MnkStore *store;
  gint *over; /* atomic */
} Reading;

/* What is read never goes back, and is whole. */
static gpointer read_on(gpointer data) {
  const Reading *reading = data;
  guint before = 0;
  while (!g_atomic_int_get(reading->over)) {
    g_autoptr(GError) error = NULL;
    g_autoptr(GPtrArray) found =
        mnk_store_captions_since(reading->store, "s", 0, G_MAXUINT, &error);
    g_assert_no_error(error);
    g_assert_cmpuint(found->len, >=, before);
    before = found->len;
    for (guint i = 0; i < found->len; i++)
      g_assert_cmpuint(((MnkCaption *)found->pdata[i])->seq, ==, i + 1);
    g_autoptr(GPtrArray) hits = mnk_store_search(reading->store, "dog", NULL, 0, -1, 5, &error);
    g_assert_no_error(error);
  }
  return NULL;
}

static void test_readers_at_once(void) {
  enum { READERS = 8, CAPTIONS = 300 };
  g_auto(Place) place = {0};
  place_init(&place);
  g_autoptr(MnkStore) store = open_store(&place, MNK_STORE_WRITE);
  gint over = FALSE;
  Reading reading = {store, &over};
  GThread *threads[READERS];
  for (guint i = 0; i < READERS; i++)
    threads[i] = g_thread_new("reader", read_on, &reading);
  for (guint i = 0; i < CAPTIONS; i++) {
    g_autofree char *id = g_strdup_printf("%u", i + 1);
    put_text(store, "s", id, "A dog.");
    if (i % 10 == 0)
      flush(store);
  }
  flush(store);
  g_atomic_int_set(&over, TRUE);
  for (guint i = 0; i < READERS; i++)
    g_thread_join(threads[i]);
  g_autoptr(GPtrArray) all = mnk_store_captions(store, "s", 0, -1, G_MAXUINT, NULL);
  g_assert_cmpuint(all->len, ==, CAPTIONS);
}

int main(int argc, char **argv) {
  g_test_init(&argc, &argv, NULL);
  g_test_add_func("/runs/run", test_run);
  g_test_add_func("/runs/run-fails", test_run_fails);
  g_test_add_func("/runs/limit", test_limit);
  g_test_add_func("/runs/close", test_close);
  g_test_add_func("/runs/readers-at-once", test_readers_at_once);
  return g_test_run();
}
