/* Samples on their way to be looked at. */
#include "stream/worker_priv.h"

enum { MAX_MARKS = 64 };

struct _MnkBacklog {
  guint max[MNK_SAMPLE_KINDS];
  gboolean wait;

  GMutex lock;
  GCond has_room;
  GQueue samples;
  guint counts[MNK_SAMPLE_KINDS];
  gboolean closed;
};

void mnk_sample_free(MnkSample *sample) {
  if (sample == NULL)
    return;
  g_clear_pointer(&sample->frame, mnk_frame_unref);
  g_clear_pointer(&sample->jpeg, g_bytes_unref);
  g_free(sample);
}

MnkBacklog *mnk_backlog_new(guint max_frames, gboolean wait) {
  MnkBacklog *backlog = g_new0(MnkBacklog, 1);
  backlog->max[MNK_SAMPLE_FRAME] = backlog->max[MNK_SAMPLE_DUPLICATE] = max_frames;
  backlog->max[MNK_SAMPLE_MARK] = MAX_MARKS;
  backlog->wait = wait;
  g_mutex_init(&backlog->lock);
  g_cond_init(&backlog->has_room);
  g_queue_init(&backlog->samples);
  return backlog;
}

void mnk_backlog_free(MnkBacklog *backlog) {
  if (backlog == NULL)
    return;
  g_queue_clear_full(&backlog->samples, (GDestroyNotify)(void (*)(void))mnk_sample_free);
  g_cond_clear(&backlog->has_room);
  g_mutex_clear(&backlog->lock);
  g_free(backlog);
}

/* Called with the lock held: takes the oldest of a kind out, or the newest. */
static MnkSample *take_out(MnkBacklog *backlog, MnkSampleKind kind, gboolean newest) {
  GList *link = newest ? backlog->samples.tail : backlog->samples.head;
  while (((MnkSample *)link->data)->kind != kind)
    link = newest ? link->prev : link->next;
  MnkSample *sample = link->data;
  g_queue_delete_link(&backlog->samples, link);
  backlog->counts[kind]--;
  return sample;
}

/* Called with the lock held. */
static gboolean is_full(const MnkBacklog *backlog, MnkSampleKind kind) {
  return backlog->counts[kind] >= backlog->max[kind];
}

/* Moves what gives way, the sample itself when the backlog is closed, to gone. */
static void store(MnkBacklog *backlog, MnkSample *sample, GQueue *gone) {
  g_autoptr(GMutexLocker) locker = g_mutex_locker_new(&backlog->lock);
  MnkSampleKind kind = sample->kind;
  while (backlog->wait && kind != MNK_SAMPLE_MARK && !backlog->closed && is_full(backlog, kind))
    g_cond_wait(&backlog->has_room, &backlog->lock);
  if (backlog->closed) {
    g_queue_push_tail(gone, sample);
    return;
  }
  while (is_full(backlog, kind))
    g_queue_push_tail(gone, take_out(backlog, kind, kind == MNK_SAMPLE_MARK));
  g_queue_push_tail(&backlog->samples, sample);
  backlog->counts[kind]++;
}

guint mnk_backlog_push(MnkBacklog *backlog, MnkSample *sample) {
  gboolean counts = sample->kind != MNK_SAMPLE_MARK;
  GQueue gone = G_QUEUE_INIT;
  store(backlog, sample, &gone);
  guint n = counts ? gone.length : 0;
  g_queue_clear_full(&gone, (GDestroyNotify)(void (*)(void))mnk_sample_free);
  return n;
}

void mnk_backlog_set_max(MnkBacklog *backlog, guint max_frames) {
  g_autoptr(GMutexLocker) locker = g_mutex_locker_new(&backlog->lock);
  backlog->max[MNK_SAMPLE_FRAME] = max_frames;
}

MnkSample *mnk_backlog_pop(MnkBacklog *backlog, gboolean frames) {
  g_autoptr(GMutexLocker) locker = g_mutex_locker_new(&backlog->lock);
  MnkSample *sample = g_queue_peek_head(&backlog->samples);
  if (sample == NULL || (sample->kind == MNK_SAMPLE_FRAME && !frames))
    return NULL;
  g_queue_pop_head(&backlog->samples);
  backlog->counts[sample->kind]--;
  g_cond_signal(&backlog->has_room);
  return sample;
}

guint mnk_backlog_count(MnkBacklog *backlog, MnkSampleKind kind) {
  g_autoptr(GMutexLocker) locker = g_mutex_locker_new(&backlog->lock);
  return backlog->counts[kind];
}

gboolean mnk_backlog_is_empty(MnkBacklog *backlog) {
  g_autoptr(GMutexLocker) locker = g_mutex_locker_new(&backlog->lock);
  return g_queue_is_empty(&backlog->samples);
}

void mnk_backlog_close(MnkBacklog *backlog) {
  g_autoptr(GMutexLocker) locker = g_mutex_locker_new(&backlog->lock);
  backlog->closed = TRUE;
  g_cond_broadcast(&backlog->has_room);
}
