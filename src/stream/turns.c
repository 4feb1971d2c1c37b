/* Turns: a few threads for many watches. */
#include "stream/worker_priv.h"

enum { MAX_THREADS = 8 };

struct _MnkTurns {
  MnkTurnFunc func;
  gpointer user;
  guint n_threads;
  GThread *threads[MAX_THREADS];

  GMutex lock;
  GCond queued;
  GQueue urgent, normal; /* of MnkTurn's links: each watch is in one of them, or in neither */
  gboolean stopped;
};

/* Called with the lock held; the turn's reference is there already. */
static void enqueue(MnkTurns *turns, MnkTurn *turn, gboolean urgent) {
  turn->state = MNK_TURN_QUEUED;
  turn->urgent = urgent;
  turn->link.data = turn;
  g_queue_push_tail_link(urgent ? &turns->urgent : &turns->normal, &turn->link);
  g_cond_signal(&turns->queued);
}

static MnkTurn *take(MnkTurns *turns) {
  g_autoptr(GMutexLocker) locker = g_mutex_locker_new(&turns->lock);
  while (!turns->stopped) {
    GList *link = g_queue_pop_head_link(&turns->urgent);
    if (link == NULL)
      link = g_queue_pop_head_link(&turns->normal);
    if (link != NULL) {
      MnkTurn *turn = link->data;
      turn->state = MNK_TURN_RUNNING;
      return turn;
    }
    g_cond_wait(&turns->queued, &turns->lock);
  }
  return NULL;
}

/* FALSE: the watch has nothing to do until it is woken. */
static gboolean give_back(MnkTurns *turns, MnkTurn *turn, gboolean more) {
  g_autoptr(GMutexLocker) locker = g_mutex_locker_new(&turns->lock);
  if (more || turn->state == MNK_TURN_WOKEN) {
    enqueue(turns, turn, FALSE);
    return TRUE;
  }
  turn->state = MNK_TURN_IDLE;
  return FALSE;
}

static gpointer run(gpointer user) {
  MnkTurns *turns = user;
  g_autoptr(MnkJpegReader) reader = mnk_jpeg_reader_new();
  MnkTurn *turn;
  while ((turn = take(turns)) != NULL) {
    MnkWatch *watch = turn->watch;
    mnk_blackbox_hold(mnk_watch_number(watch));
    gboolean more = turns->func(watch, reader, turn->urgent, turns->user);
    mnk_blackbox_hold(0);
    if (!give_back(turns, turn, more))
      mnk_watch_unref(watch);
  }
  return NULL;
}

MnkTurns *mnk_turns_new(const char *name, guint threads, MnkTurnFunc func, gpointer user) {
  MnkTurns *turns = g_new0(MnkTurns, 1);
  turns->func = func;
  turns->user = user;
  turns->n_threads = CLAMP(threads, 1, MAX_THREADS);
  g_mutex_init(&turns->lock);
  g_cond_init(&turns->queued);
  for (guint i = 0; i < turns->n_threads; i++)
    turns->threads[i] = g_thread_new(name, run, turns);
  return turns;
}

static void stop(MnkTurns *turns) {
  g_autoptr(GMutexLocker) locker = g_mutex_locker_new(&turns->lock);
  turns->stopped = TRUE;
  g_cond_broadcast(&turns->queued);
}

static void give_up(GQueue *queue) {
  GList *link;
  while ((link = g_queue_pop_head_link(queue)) != NULL)
    mnk_watch_unref(((MnkTurn *)link->data)->watch);
}

void mnk_turns_free(MnkTurns *turns) {
  if (turns == NULL)
    return;
  stop(turns);
  for (guint i = 0; i < turns->n_threads; i++)
    g_thread_join(turns->threads[i]);
  give_up(&turns->urgent);
  give_up(&turns->normal);
  g_cond_clear(&turns->queued);
  g_mutex_clear(&turns->lock);
  g_free(turns);
}

void mnk_turns_wake(MnkTurns *turns, MnkTurn *turn, gboolean urgent) {
  g_autoptr(GMutexLocker) locker = g_mutex_locker_new(&turns->lock);
  if (turn->state == MNK_TURN_RUNNING)
    turn->state = MNK_TURN_WOKEN;
  if (turn->state != MNK_TURN_IDLE || turns->stopped)
    return;
  mnk_watch_ref(turn->watch);
  enqueue(turns, turn, urgent);
}
