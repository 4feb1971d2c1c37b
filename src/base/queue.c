#include "base/queue.h"

enum { URGENT, NORMAL, N_PRIORITIES };

struct _MnkQueue {
  guint max;
  MnkQueuePolicy policy;
  GDestroyNotify free_item;

  GMutex lock;
  GCond has_items, has_room;
  GQueue items[N_PRIORITIES];
  MnkQueueCounters counters;
  gboolean closed;
};

MnkQueue *mnk_queue_new(guint max, MnkQueuePolicy policy, GDestroyNotify free_item) {
  g_return_val_if_fail(max > 0, NULL);
  MnkQueue *queue = g_new0(MnkQueue, 1);
  queue->max = max;
  queue->policy = policy;
  queue->free_item = free_item;
  g_mutex_init(&queue->lock);
  g_cond_init(&queue->has_items);
  g_cond_init(&queue->has_room);
  for (guint i = 0; i < N_PRIORITIES; i++)
    g_queue_init(&queue->items[i]);
  return queue;
}

void mnk_queue_free(MnkQueue *queue) {
  if (queue == NULL)
    return;
  mnk_queue_clear(queue);
  g_cond_clear(&queue->has_room);
  g_cond_clear(&queue->has_items);
  g_mutex_clear(&queue->lock);
  g_free(queue);
}

/* Called with the lock held. */
static void append(MnkQueue *queue, guint priority, gpointer item) {
  MnkQueueCounters *counters = &queue->counters;
  g_queue_push_tail(&queue->items[priority], item);
  counters->length++;
  counters->max_length = MAX(counters->max_length, counters->length);
  g_cond_signal(&queue->has_items);
}

/* Called with the lock held, on a full queue: takes out what the policy gives up for an item of
 * this priority. NULL: the new item itself is what goes. */
static gpointer make_room(MnkQueue *queue, guint priority) {
  GQueue *normal = &queue->items[NORMAL];
  gpointer victim = NULL;
  if (queue->policy == MNK_QUEUE_DROP_OLDEST) {
    victim = g_queue_pop_head(normal);
    if (victim == NULL && priority == URGENT)
      victim = g_queue_pop_head(&queue->items[URGENT]);
  } else if (priority == URGENT) {
    victim = g_queue_pop_tail(normal);
  }
  if (victim != NULL)
    queue->counters.length--;
  return victim;
}

/* Stores the item, and returns what is to be freed in its place: an older item, the item itself,
 * or NULL. */
static gpointer store(MnkQueue *queue, guint priority, gpointer item) {
  g_autoptr(GMutexLocker) locker = g_mutex_locker_new(&queue->lock);
  while (queue->policy == MNK_QUEUE_BLOCK && !queue->closed && queue->counters.length >= queue->max)
    g_cond_wait(&queue->has_room, &queue->lock);

  queue->counters.pushed++;
  gpointer victim = NULL;
  if (queue->closed) {
    victim = item;
  } else if (queue->counters.length >= queue->max) {
    victim = make_room(queue, priority);
    if (victim == NULL)
      victim = item;
  }
  if (victim != NULL)
    queue->counters.dropped++;
  if (victim != item)
    append(queue, priority, item);
  return victim;
}

static gboolean push(MnkQueue *queue, guint priority, gpointer item) {
  g_return_val_if_fail(item != NULL, FALSE);
  gpointer victim = store(queue, priority, item);
  if (victim != NULL && queue->free_item != NULL)
    queue->free_item(victim);
  return victim != item;
}

gboolean mnk_queue_push(MnkQueue *queue, gpointer item) {
  return push(queue, NORMAL, item);
}

gboolean mnk_queue_push_urgent(MnkQueue *queue, gpointer item) {
  return push(queue, URGENT, item);
}

/* Called with the lock held. FALSE when the time is over. */
static gboolean wait_for_items(MnkQueue *queue, gint64 timeout_us, gint64 deadline) {
  if (timeout_us == 0)
    return FALSE;
  if (timeout_us > 0)
    return g_cond_wait_until(&queue->has_items, &queue->lock, deadline);
  g_cond_wait(&queue->has_items, &queue->lock);
  return TRUE;
}

gpointer mnk_queue_pop(MnkQueue *queue, gint64 timeout_us) {
  gint64 now = g_get_monotonic_time();
  gint64 deadline = timeout_us > G_MAXINT64 - now ? G_MAXINT64 : now + timeout_us;
  g_autoptr(GMutexLocker) locker = g_mutex_locker_new(&queue->lock);
  while (queue->counters.length == 0) {
    if (queue->closed)
      return NULL;
    if (!wait_for_items(queue, timeout_us, deadline) && queue->counters.length == 0)
      return NULL;
  }
  guint priority = g_queue_is_empty(&queue->items[URGENT]) ? NORMAL : URGENT;
  queue->counters.length--;
  queue->counters.popped++;
  g_cond_signal(&queue->has_room);
  return g_queue_pop_head(&queue->items[priority]);
}

void mnk_queue_close(MnkQueue *queue) {
  g_autoptr(GMutexLocker) locker = g_mutex_locker_new(&queue->lock);
  queue->closed = TRUE;
  g_cond_broadcast(&queue->has_items);
  g_cond_broadcast(&queue->has_room);
}

gboolean mnk_queue_is_closed(MnkQueue *queue) {
  g_autoptr(GMutexLocker) locker = g_mutex_locker_new(&queue->lock);
  return queue->closed;
}

/* Moves all items out; the caller frees them without the lock. */
static GQueue take_all(MnkQueue *queue, guint priority) {
  g_autoptr(GMutexLocker) locker = g_mutex_locker_new(&queue->lock);
  GQueue taken = queue->items[priority];
  g_queue_init(&queue->items[priority]);
  queue->counters.dropped += taken.length;
  queue->counters.length -= taken.length;
  g_cond_broadcast(&queue->has_room);
  return taken;
}

void mnk_queue_clear(MnkQueue *queue) {
  for (guint priority = 0; priority < N_PRIORITIES; priority++) {
    GQueue taken = take_all(queue, priority);
    g_queue_clear_full(&taken, queue->free_item);
  }
}

void mnk_queue_counters(MnkQueue *queue, MnkQueueCounters *out) {
  g_autoptr(GMutexLocker) locker = g_mutex_locker_new(&queue->lock);
  *out = queue->counters;
}
