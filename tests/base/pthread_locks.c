/* GLib's mutexes and conditions over pthread's, for builds with ThreadSanitizer.
 *
 * GLib waits on futexes by hand inside a library that is not instrumented, so that ThreadSanitizer
 * sees no order between threads and reports races where there are none. The definitions here take
 * the place of GLib's in the program under test. They follow GLib's contract: zeroed memory is a
 * valid lock. */
#include <errno.h>
#include <glib.h>
#include <pthread.h>
#include <time.h>

#define MADE_ON_DEMAND(type, init)                                                                 \
  static type *get_##type(gpointer *place) {                                                       \
    type *object = __atomic_load_n(place, __ATOMIC_ACQUIRE);                                       \
    if (object != NULL)                                                                            \
      return object;                                                                               \
    type *made = g_new0(type, 1);                                                                  \
    init;                                                                                          \
    gpointer expected = NULL;                                                                      \
    if (__atomic_compare_exchange_n(place, &expected, made, FALSE, __ATOMIC_ACQ_REL,               \
                                    __ATOMIC_ACQUIRE))                                             \
      return made;                                                                                 \
    g_free(made);                                                                                  \
    return expected;                                                                               \
  }

static void init_monotonic(pthread_cond_t *cond) {
  pthread_condattr_t attributes;
  pthread_condattr_init(&attributes);
  pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
  pthread_cond_init(cond, &attributes);
  pthread_condattr_destroy(&attributes);
}

MADE_ON_DEMAND(pthread_mutex_t, pthread_mutex_init(made, NULL))
MADE_ON_DEMAND(pthread_cond_t, init_monotonic(made))

static pthread_mutex_t *mutex_of(GMutex *mutex) {
  return get_pthread_mutex_t(&mutex->p);
}

static pthread_cond_t *cond_of(GCond *cond) {
  return get_pthread_cond_t(&cond->p);
}

void g_mutex_init(GMutex *mutex) {
  mutex->p = NULL;
}

void g_mutex_clear(GMutex *mutex) {
  pthread_mutex_destroy(mutex_of(mutex));
  g_free(mutex->p);
}

void g_mutex_lock(GMutex *mutex) {
  pthread_mutex_lock(mutex_of(mutex));
}

void g_mutex_unlock(GMutex *mutex) {
  pthread_mutex_unlock(mutex_of(mutex));
}

void g_cond_init(GCond *cond) {
  cond->p = NULL;
}

void g_cond_clear(GCond *cond) {
  pthread_cond_destroy(cond_of(cond));
  g_free(cond->p);
}

void g_cond_signal(GCond *cond) {
  pthread_cond_signal(cond_of(cond));
}

void g_cond_broadcast(GCond *cond) {
  pthread_cond_broadcast(cond_of(cond));
}

void g_cond_wait(GCond *cond, GMutex *mutex) {
  pthread_cond_wait(cond_of(cond), mutex_of(mutex));
}

gboolean g_cond_wait_until(GCond *cond, GMutex *mutex, gint64 end_us) {
  struct timespec end = {.tv_sec = end_us / G_USEC_PER_SEC,
                         .tv_nsec = end_us % G_USEC_PER_SEC * 1000};
  return pthread_cond_timedwait(cond_of(cond), mutex_of(mutex), &end) != ETIMEDOUT;
}
