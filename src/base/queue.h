/* Queue: bounded, between threads, with a named drop policy; every drop is counted.
 *
 * Holds pointers that it owns until they are popped; what it drops it frees with the function given
 * at creation. Invariant at all times: pushed = popped + dropped + length. Thread-safe. */
#ifndef MNK_BASE_QUEUE_H
#define MNK_BASE_QUEUE_H

#include <glib.h>

typedef struct _MnkQueue MnkQueue;

typedef enum {
  MNK_QUEUE_BLOCK,       /* the pusher waits for room: files, uploads */
  MNK_QUEUE_DROP_OLDEST, /* the head goes: live frames */
  MNK_QUEUE_DROP_NEWEST, /* the pushed item goes: log lines */
} MnkQueuePolicy;

typedef struct {
  guint64 pushed, popped, dropped; /* dropped includes items cleared at free */
  guint length, max_length;        /* now, and the highest seen */
} MnkQueueCounters;

/* max > 0: items of both priorities together. */
MnkQueue *mnk_queue_new(guint max, MnkQueuePolicy policy, GDestroyNotify free_item);
void mnk_queue_free(MnkQueue *queue);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(MnkQueue, mnk_queue_free)

/* Takes the item. FALSE if it was dropped (policy, or the queue is closed): it has been freed. */
gboolean mnk_queue_push(MnkQueue *queue, gpointer item);
/* As push, but popped before all that was pushed normally. Drop policies never drop urgent items
 * for normal ones: in a full queue an urgent item takes the place of a normal one. */
gboolean mnk_queue_push_urgent(MnkQueue *queue, gpointer item);
/* The next item, owned by the caller; waits up to timeout_us (-1: for ever, 0: not at all). NULL on
 * time-out, or when the queue is closed and empty. */
gpointer mnk_queue_pop(MnkQueue *queue, gint64 timeout_us);
/* No more pushes; wakes all waiters. What is in it can still be popped. */
void mnk_queue_close(MnkQueue *queue);
gboolean mnk_queue_is_closed(MnkQueue *queue);
/* Drops all that waits (counted). */
void mnk_queue_clear(MnkQueue *queue);
void mnk_queue_counters(MnkQueue *queue, MnkQueueCounters *out);

#endif
