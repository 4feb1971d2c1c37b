/* Waiting for many descriptors and deadlines in one GMainContext.
 *
 * GLib polls its descriptors and looks at its timeouts one by one in every turn of the loop; with
 * thousands of connections that turn alone would take a millisecond. Here all descriptors of a
 * context stand in one epoll set and all deadlines in one heap, and GLib sees one source. It is
 * made by the first watch or timer of a context and goes with the last. */
#ifndef MNK_NET_LOOP_PRIV_H
#define MNK_NET_LOOP_PRIV_H

#include <glib.h>
#include <sys/epoll.h>

typedef struct _MnkLoop MnkLoop;

/* ---- A descriptor; level-triggered ---- */

/* events: EPOLLIN, EPOLLOUT, EPOLLRDHUP, EPOLLERR, EPOLLHUP; the last two come unasked. Any watch
 * and timer may be cleared from within, this one too. */
typedef void (*MnkWatchFunc)(guint32 events, gpointer user);
typedef struct { /* embedded by its owner; private; all zeros: not watching */
  MnkLoop *loop;
  int fd;
  guint32 events;
  MnkWatchFunc func;
  gpointer user;
} MnkWatch;

/* In the thread-default context. FALSE: the kernel has no room for it. fd stays the caller's and
 * must outlive the watch; watch must not move in memory. */
gboolean mnk_loop_watch_init(MnkWatch *watch, int fd, guint32 events, MnkWatchFunc func,
                             gpointer user);
/* Cheap when nothing changes. */
void mnk_loop_watch_set(MnkWatch *watch, guint32 events);
/* Before the descriptor is closed. May be called twice. */
void mnk_loop_watch_clear(MnkWatch *watch);

/* ---- A deadline ---- */

typedef void (*MnkTimerFunc)(gpointer user);
typedef struct { /* embedded by its owner; private; all zeros: none */
  MnkLoop *loop;
  gint64 due_us, heap_us; /* heap_us <= due_us: moving a deadline away costs nothing */
  guint index;            /* place in the heap + 1; 0: not in it */
  MnkTimerFunc func;
  gpointer user;
} MnkTimer;

/* In the thread-default context; stopped. timer must not move in memory. */
void mnk_loop_timer_init(MnkTimer *timer, MnkTimerFunc func, gpointer user);
/* Once, at this g_get_monotonic_time; replaces what was set. A time that has passed: in the next
 * turn of the loop. */
void mnk_loop_timer_set(MnkTimer *timer, gint64 due_us);
void mnk_loop_timer_stop(MnkTimer *timer);
/* May be called twice. */
void mnk_loop_timer_clear(MnkTimer *timer);

#endif
