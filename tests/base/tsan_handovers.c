/* What GLib passes from thread to thread, for builds with ThreadSanitizer.
 *
 * Sources, thread pools and asynchronous queues order threads by locks within GLib, which is not
 * instrumented. The definitions here stand before GLib's, tell ThreadSanitizer of each hand-over,
 * and call GLib's. */
#include <dlfcn.h>
#include <gio/gio.h>

void __tsan_acquire(void *place);
void __tsan_release(void *place);

/* The definition that comes after the one here. */
#define NEXT(name) ((__typeof__(&(name)))(gpointer)dlsym(RTLD_NEXT, #name))

/* ---- sources of a main context ---- */

typedef struct {
  GSourceFunc func;
  gpointer data;
  GDestroyNotify notify;
  GSource *source; /* only its place is used */
} Callback;

static void receive(Callback *callback) {
  __tsan_acquire(callback);
  __tsan_acquire(callback->source);
}

static gboolean call_back(gpointer user) {
  Callback *callback = user;
  receive(callback);
  return callback->func(callback->data);
}

static void callback_free(gpointer user) {
  Callback *callback = user;
  receive(callback);
  if (callback->notify != NULL)
    callback->notify(callback->data);
  g_free(callback);
}

void g_source_set_callback(GSource *source, GSourceFunc func, gpointer data,
                           GDestroyNotify notify) {
  /* Sources of other kinds call functions of other types. */
  if (func != NULL &&
      (source->source_funcs == &g_idle_funcs || source->source_funcs == &g_timeout_funcs)) {
    Callback *callback = g_new(Callback, 1);
    *callback = (Callback){func, data, notify, source};
    __tsan_release(callback);
    NEXT(g_source_set_callback)(source, call_back, callback, callback_free);
    return;
  }
  NEXT(g_source_set_callback)(source, func, data, notify);
}

guint g_source_attach(GSource *source, GMainContext *context) {
  __tsan_release(source);
  return NEXT(g_source_attach)(source, context);
}

/* ---- asynchronous queues ---- */

void g_async_queue_push(GAsyncQueue *queue, gpointer data) {
  __tsan_release(data);
  NEXT(g_async_queue_push)(queue, data);
}

static gpointer received(gpointer data) {
  if (data != NULL)
    __tsan_acquire(data);
  return data;
}

gpointer g_async_queue_try_pop(GAsyncQueue *queue) {
  return received(NEXT(g_async_queue_try_pop)(queue));
}

gpointer g_async_queue_timeout_pop(GAsyncQueue *queue, guint64 timeout_us) {
  return received(NEXT(g_async_queue_timeout_pop)(queue, timeout_us));
}

/* ---- thread pools ---- */

typedef struct {
  GFunc func;
  gpointer user;
} Work;

static void do_work(gpointer data, gpointer user) {
  const Work *work = user;
  __tsan_acquire(data);
  work->func(data, work->user);
}

GThreadPool *g_thread_pool_new(GFunc func, gpointer user, gint max_threads, gboolean exclusive,
                               GError **error) {
  static Work works[1024];
  static gint n;
  gint place = g_atomic_int_add(&n, 1);
  g_assert_cmpint(place, <, (gint)G_N_ELEMENTS(works));
  works[place] = (Work){func, user};
  return NEXT(g_thread_pool_new)(do_work, &works[place], max_threads, exclusive, error);
}

gboolean g_thread_pool_push(GThreadPool *pool, gpointer data, GError **error) {
  __tsan_release(data);
  return NEXT(g_thread_pool_push)(pool, data, error);
}

/* ---- tasks: to their thread, and their results back ---- */

static GMutex tasks_lock;
static GHashTable *tasks; /* task -> its function, until it runs */

static void run_task(GTask *task, gpointer source, gpointer data, GCancellable *cancellable) {
  g_mutex_lock(&tasks_lock);
  GTaskThreadFunc func = (GTaskThreadFunc)g_hash_table_lookup(tasks, task);
  g_hash_table_remove(tasks, task);
  g_mutex_unlock(&tasks_lock);
  __tsan_acquire(task);
  func(task, source, data, cancellable);
}

void g_task_run_in_thread(GTask *task, GTaskThreadFunc func) {
  g_mutex_lock(&tasks_lock);
  if (tasks == NULL)
    tasks = g_hash_table_new(NULL, NULL);
  g_hash_table_insert(tasks, task, (gpointer)func);
  g_mutex_unlock(&tasks_lock);
  __tsan_release(task);
  NEXT(g_task_run_in_thread)(task, run_task);
}

void g_task_return_pointer(GTask *task, gpointer result, GDestroyNotify result_destroy) {
  __tsan_release(task);
  NEXT(g_task_return_pointer)(task, result, result_destroy);
}

void g_task_return_int(GTask *task, gssize result) {
  __tsan_release(task);
  NEXT(g_task_return_int)(task, result);
}

gpointer g_task_propagate_pointer(GTask *task, GError **error) {
  __tsan_acquire(task);
  return NEXT(g_task_propagate_pointer)(task, error);
}

gssize g_task_propagate_int(GTask *task, GError **error) {
  __tsan_acquire(task);
  return NEXT(g_task_propagate_int)(task, error);
}
