#include "net/loop_priv.h"

#include <unistd.h>

#include "base/base.h"

enum {
  BATCH = 64,           /* events taken from the kernel at once; GLib has its turn in between */
  NEVER_INDEX = 0,      /* of a timer that is not in the heap */
  TIMERS_IN_TURN = 256, /* so that deadlines that are set again and again cannot hold the loop */
};
static const gint64 never_us = G_MAXINT64;

struct _MnkLoop {
  GSource source; /* first: GLib allocates it */
  int epoll;
  guint users;
  GPtrArray *heap; /* of MnkTimer, by heap_us */
  MnkWatch *batch[BATCH];
  guint batch_n;
};

/* ---- The heap; a timer's index is its place + 1 ---- */

static MnkTimer *heap_at(const MnkLoop *loop, guint place) {
  return g_ptr_array_index(loop->heap, place);
}

static void heap_put(MnkLoop *loop, guint place, MnkTimer *timer) {
  g_ptr_array_index(loop->heap, place) = timer;
  timer->index = place + 1;
}

static void heap_up(MnkLoop *loop, guint place) {
  MnkTimer *timer = heap_at(loop, place);
  while (place > 0) {
    guint parent = (place - 1) / 2;
    if (heap_at(loop, parent)->heap_us <= timer->heap_us)
      break;
    heap_put(loop, place, heap_at(loop, parent));
    place = parent;
  }
  heap_put(loop, place, timer);
}

static void heap_down(MnkLoop *loop, guint place) {
  MnkTimer *timer = heap_at(loop, place);
  for (;;) {
    guint child = 2 * place + 1;
    if (child >= loop->heap->len)
      break;
    if (child + 1 < loop->heap->len &&
        heap_at(loop, child + 1)->heap_us < heap_at(loop, child)->heap_us)
      child++;
    if (timer->heap_us <= heap_at(loop, child)->heap_us)
      break;
    heap_put(loop, place, heap_at(loop, child));
    place = child;
  }
  heap_put(loop, place, timer);
}

static void heap_add(MnkLoop *loop, MnkTimer *timer) {
  timer->heap_us = timer->due_us;
  g_ptr_array_add(loop->heap, timer);
  heap_up(loop, loop->heap->len - 1);
}

static void heap_remove(MnkLoop *loop, MnkTimer *timer) {
  guint place = timer->index - 1;
  MnkTimer *last = heap_at(loop, loop->heap->len - 1);
  g_ptr_array_set_size(loop->heap, (gint)loop->heap->len - 1);
  timer->index = NEVER_INDEX;
  if (last == timer)
    return;
  heap_put(loop, place, last);
  heap_down(loop, place);
  heap_up(loop, last->index - 1);
}

static void loop_arm(MnkLoop *loop) {
  g_source_set_ready_time(&loop->source, loop->heap->len ? heap_at(loop, 0)->heap_us : -1);
}

/* ---- The source ---- */

static void loop_run_timers(MnkLoop *loop) {
  gint64 now = g_get_monotonic_time();
  for (guint n = 0; n < TIMERS_IN_TURN && loop->heap->len; n++) {
    MnkTimer *timer = heap_at(loop, 0);
    if (timer->heap_us > now)
      break;
    heap_remove(loop, timer);
    if (timer->due_us <= now) {
      timer->due_us = never_us;
      timer->func(timer->user);
    } else if (timer->due_us != never_us) {
      heap_add(loop, timer); /* it was moved away while it lay in the heap */
    }
  }
}

static void loop_run_watches(MnkLoop *loop) {
  struct epoll_event events[BATCH];
  int n = epoll_wait(loop->epoll, events, BATCH, 0);
  loop->batch_n = n > 0 ? (guint)n : 0;
  for (guint i = 0; i < loop->batch_n; i++)
    loop->batch[i] = events[i].data.ptr;
  for (guint i = 0; i < loop->batch_n; i++)
    if (loop->batch[i])
      loop->batch[i]->func(events[i].events, loop->batch[i]->user);
  loop->batch_n = 0;
}

static gboolean loop_dispatch(GSource *source, GSourceFunc func, gpointer user) {
  MnkLoop *loop = (MnkLoop *)source;
  g_source_ref(source); /* a callback may be the last user's */
  loop_run_watches(loop);
  loop_run_timers(loop);
  gboolean used = loop->users > 0;
  if (used)
    loop_arm(loop);
  g_source_unref(source);
  return used ? G_SOURCE_CONTINUE : G_SOURCE_REMOVE;
}

static void loop_finalize(GSource *source) {
  MnkLoop *loop = (MnkLoop *)source;
  g_clear_pointer(&loop->heap, g_ptr_array_unref);
  if (loop->epoll >= 0)
    close(loop->epoll);
}

static GSourceFuncs loop_funcs = {.dispatch = loop_dispatch, .finalize = loop_finalize};

static gboolean loop_callback(gpointer user) {
  return G_SOURCE_CONTINUE; /* never called: the source's own dispatch does the work */
}

/* The context's loop, found by its functions, so that no table of contexts is needed. */
static MnkLoop *loop_get(void) {
  GMainContext *context = g_main_context_get_thread_default();
  GSource *found = g_main_context_find_source_by_funcs_user_data(context, &loop_funcs, NULL);
  if (found) {
    ((MnkLoop *)found)->users++;
    return (MnkLoop *)found;
  }
  GSource *source = g_source_new(&loop_funcs, sizeof(MnkLoop));
  MnkLoop *loop = (MnkLoop *)source;
  loop->heap = g_ptr_array_new();
  loop->users = 1;
  loop->epoll = epoll_create1(EPOLL_CLOEXEC);
  if (loop->epoll < 0)
    mnk_error("net", NULL, "event=no-epoll reason=\"%s\"", g_strerror(errno));
  else
    g_source_add_unix_fd(source, loop->epoll, G_IO_IN);
  g_source_set_static_name(source, "manako net");
  /* No loop runs inside another here; GLib would otherwise take the source's descriptor out of its
   * poll for each dispatch, and wake itself to put it back. */
  g_source_set_can_recurse(source, TRUE);
  g_source_set_callback(source, loop_callback, NULL, NULL);
  g_source_attach(source, context);
  g_source_unref(source); /* the context's now */
  return loop;
}

static void loop_put(MnkLoop *loop) {
  if (--loop->users == 0)
    g_source_destroy(&loop->source);
}

/* ---- Watches ---- */

gboolean mnk_loop_watch_init(MnkWatch *watch, int fd, guint32 events, MnkWatchFunc func,
                             gpointer user) {
  *watch = (MnkWatch){.loop = loop_get(), .fd = fd, .events = events, .func = func, .user = user};
  struct epoll_event event = {.events = events, .data.ptr = watch};
  if (epoll_ctl(watch->loop->epoll, EPOLL_CTL_ADD, fd, &event) == 0)
    return TRUE;
  loop_put(g_steal_pointer(&watch->loop));
  return FALSE;
}

void mnk_loop_watch_set(MnkWatch *watch, guint32 events) {
  if (!watch->loop || watch->events == events)
    return;
  watch->events = events;
  struct epoll_event event = {.events = events, .data.ptr = watch};
  if (epoll_ctl(watch->loop->epoll, EPOLL_CTL_MOD, watch->fd, &event) != 0)
    mnk_error("net", NULL, "event=epoll reason=\"%s\"", g_strerror(errno));
}

void mnk_loop_watch_clear(MnkWatch *watch) {
  MnkLoop *loop = g_steal_pointer(&watch->loop);
  if (!loop)
    return;
  epoll_ctl(loop->epoll, EPOLL_CTL_DEL, watch->fd, NULL);
  for (guint i = 0; i < loop->batch_n; i++)
    if (loop->batch[i] == watch)
      loop->batch[i] = NULL;
  loop_put(loop);
}

/* ---- Timers ---- */

void mnk_loop_timer_init(MnkTimer *timer, MnkTimerFunc func, gpointer user) {
  *timer = (MnkTimer){.loop = loop_get(), .due_us = never_us, .func = func, .user = user};
}

void mnk_loop_timer_set(MnkTimer *timer, gint64 due_us) {
  if (!timer->loop)
    return;
  timer->due_us = due_us;
  if (timer->index && timer->heap_us <= due_us)
    return;
  if (timer->index)
    heap_remove(timer->loop, timer);
  heap_add(timer->loop, timer);
  if (timer->index == 1)
    loop_arm(timer->loop);
}

void mnk_loop_timer_stop(MnkTimer *timer) {
  timer->due_us = never_us;
}

void mnk_loop_timer_clear(MnkTimer *timer) {
  MnkLoop *loop = g_steal_pointer(&timer->loop);
  if (!loop)
    return;
  if (timer->index)
    heap_remove(loop, timer);
  loop_put(loop);
}
