/* A watch's life, and what all its frames pass: the gate, and the counters. */
#include "stream/watch_priv.h"

#include <unistd.h>

/* Frames, and duplicates, that wait for the looker. Those of pushed streams are JPEGs, and there
 * may be hundreds of such streams. */
enum { MAX_READ = 8, MAX_PUSHED = 4, MAX_EVENTS = 256 };

static const gint64 COUNTERS_EVERY_US = G_USEC_PER_SEC;

void mnk_watch_event_free(gpointer data) {
  MnkWatchEvent *event = data;
  g_string_free(event->text, TRUE);
  g_free(event);
}

/* ---- on the way to the looker ---- */

MnkWatchLive mnk_watch_live(MnkWatch *watch) {
  g_autoptr(GMutexLocker) locker = g_mutex_locker_new(&watch->lock);
  return watch->live;
}

void mnk_watch_wait_while_paused(MnkWatch *watch) {
  g_autoptr(GMutexLocker) locker = g_mutex_locker_new(&watch->lock);
  while (watch->live.paused && !g_atomic_int_get(&watch->stop))
    g_cond_wait(&watch->go_on, &watch->lock);
}

static guint bucket_of(double ms) {
  guint bucket = 0;
  while (bucket < MNK_GATE_BUCKETS - 1 && ms > mnk_latency_bounds_ms[bucket])
    bucket++;
  return bucket;
}

static void count_verdict(MnkWatch *watch, MnkGateVerdict verdict, gint64 arrival_us) {
  double ms = (double)MAX(g_get_real_time() - arrival_us, 0) / 1000;
  g_autoptr(GMutexLocker) locker = g_mutex_locker_new(&watch->lock);
  watch->counters.late += verdict == MNK_GATE_LATE;
  watch->counters.gate_ms += ms;
  watch->counters.gate_counts[bucket_of(ms)]++;
}

MnkGateVerdict mnk_watch_judge(MnkWatch *watch, const guint8 *thumb, MnkSample *sample) {
  MnkGateVerdict verdict = MNK_GATE_ACCEPTED;
  sample->change = 1;
  if (thumb != NULL)
    verdict = mnk_gate_offer(watch->gate, thumb, sample->pts_ms, sample->epoch,
                             g_atomic_int_get(&watch->asked), &sample->change);
  if (verdict == MNK_GATE_ACCEPTED)
    g_atomic_int_set(&watch->asked, 0);
  if (verdict != MNK_GATE_LATE)
    sample->seq = watch->seq++;
  sample->kind = verdict == MNK_GATE_ACCEPTED ? MNK_SAMPLE_FRAME : MNK_SAMPLE_DUPLICATE;
  count_verdict(watch, verdict, sample->arrival_us);
  return verdict;
}

void mnk_watch_wake_looker(MnkWatch *watch) {
  mnk_turns_wake(mnk_looker_turns(watch->place->looker), &watch->look_turn,
                 mnk_backlog_count(watch->backlog, MNK_SAMPLE_FRAME) == 0);
}

void mnk_watch_queue(MnkWatch *watch, MnkSample *sample) {
  MnkSampleKind kind = sample->kind;
  if (watch->pushing != NULL)
    mnk_backlog_set_max(watch->backlog, mnk_budget_is_tight(watch->place->budget) ? 1 : MAX_PUSHED);
  guint dropped = mnk_backlog_push(watch->backlog, sample);
  if (dropped > 0) {
    g_autoptr(GMutexLocker) locker = g_mutex_locker_new(&watch->lock);
    watch->counters.dropped += dropped;
    watch->counters.dropped_behind += dropped;
  }
  /* The gate compares with the frame that has gone: what is like it was never looked at. */
  if (dropped > 0 && kind == MNK_SAMPLE_FRAME)
    g_atomic_int_set(&watch->asked, 1);
  mnk_watch_wake_looker(watch);
}

void mnk_watch_damaged(MnkWatch *watch, const GError *error) {
  mnk_warning("media", watch->setup.stream, "event=frame-damaged reason=\"%s\"", error->message);
  g_autoptr(GMutexLocker) locker = g_mutex_locker_new(&watch->lock);
  watch->counters.dropped++;
  watch->counters.dropped_damaged++;
}

void mnk_watch_no_more(MnkWatch *watch) {
  g_atomic_int_set(&watch->coming, 0);
  mnk_watch_wake_looker(watch);
}

/* ---- what the main thread wants ---- */

void mnk_watch_set(MnkWatch *watch, const MnkWatchLive *live) {
  g_autoptr(GMutexLocker) locker = g_mutex_locker_new(&watch->lock);
  double fps = watch->live.fps;
  watch->live = *live;
  if (live->fps <= 0 && watch->reading != NULL)
    watch->live.fps = fps; /* a source that is read needs a grid */
  g_atomic_int_inc(&watch->live_number);
  g_cond_broadcast(&watch->go_on);
}

void mnk_watch_mark(MnkWatch *watch, gint64 number) {
  if (watch->pushing != NULL) {
    mnk_pushing_mark(watch, number);
    return;
  }
  MnkSample *mark = g_new0(MnkSample, 1);
  mark->kind = MNK_SAMPLE_MARK;
  mark->number = number;
  mnk_watch_queue(watch, mark);
}

void mnk_watch_tick(MnkWatch *watch, gint64 now_us) {
  if (now_us - watch->told_us < COUNTERS_EVERY_US || mnk_watch_is_over(watch))
    return;
  watch->told_us = now_us;
  g_atomic_int_set(&watch->counters_due, 1);
  mnk_turns_wake(watch->place->pool, &watch->pool_turn, FALSE);
}

gboolean mnk_watch_decode(MnkWatch *watch, MnkJpegReader *reader, gboolean urgent, gpointer user) {
  gboolean more = watch->pushing != NULL && mnk_pushing_decode(watch, reader);
  if (!g_atomic_int_get(&watch->ended) &&
      g_atomic_int_compare_and_exchange(&watch->counters_due, 1, 0))
    mnk_watch_tell_counters(watch, FALSE);
  return more;
}

/* ---- life ---- */

static void copy_setup(MnkWatch *watch, const MnkWatchSetup *setup) {
  watch->setup = *setup;
  watch->setup.stream = g_strdup(setup->stream);
  watch->setup.address = g_strdup(setup->address);
  watch->setup.outbound_allow = g_strdup(setup->outbound_allow);
  watch->setup.fault = g_strdup(setup->fault);
  watch->live = setup->live;
}

MnkWatch *mnk_watch_new(const MnkWatchSetup *setup, guint32 number, int fd,
                        const MnkWorkplace *place) {
  MnkWatch *watch = g_new0(MnkWatch, 1);
  gboolean pushed = setup->kind == MNK_SOURCE_PUSHED;
  copy_setup(watch, setup);
  watch->refs = 1;
  watch->number = number;
  watch->place = place;
  watch->coming = 1;
  watch->asked = watch->shot_began = TRUE;
  watch->look_turn.watch = watch->pool_turn.watch = watch;
  g_mutex_init(&watch->lock);
  g_mutex_init(&watch->telling);
  g_cond_init(&watch->go_on);
  watch->gate = mnk_gate_new(setup->live.gate_mse, setup->live.gate_max_gap_ms);
  watch->backlog = mnk_backlog_new(pushed ? MAX_PUSHED : MAX_READ,
                                   setup->kind == MNK_SOURCE_FILE && !setup->realtime);
  if (pushed) {
    watch->pushing = mnk_pushing_new();
    if (fd >= 0)
      close(fd);
  } else {
    watch->events = mnk_queue_new(MAX_EVENTS, MNK_QUEUE_BLOCK, mnk_watch_event_free);
    watch->reading = mnk_reading_new(watch, fd);
  }
  return watch;
}

/* With the lock, so that who is about to wait for it does not miss it. */
static void set_stop(MnkWatch *watch) {
  g_autoptr(GMutexLocker) locker = g_mutex_locker_new(&watch->lock);
  g_atomic_int_set(&watch->stop, 1);
  g_cond_broadcast(&watch->go_on);
}

void mnk_watch_stop(MnkWatch *watch) {
  if (watch->pushing != NULL)
    mnk_pushing_close(watch);
  else
    set_stop(watch);
}

gboolean mnk_watch_is_over(MnkWatch *watch) {
  return g_atomic_int_get(&watch->ended);
}

void mnk_watch_free(MnkWatch *watch) {
  if (watch == NULL)
    return;
  set_stop(watch);
  mnk_backlog_close(watch->backlog);
  if (watch->reading != NULL)
    mnk_reading_join(watch->reading);
  mnk_watch_unref(watch);
}

MnkWatch *mnk_watch_ref(MnkWatch *watch) {
  g_atomic_int_inc(&watch->refs);
  return watch;
}

void mnk_watch_unref(MnkWatch *watch) {
  if (!g_atomic_int_dec_and_test(&watch->refs))
    return;
  mnk_reading_free(watch->reading);
  mnk_pushing_free(watch->pushing);
  mnk_backlog_free(watch->backlog);
  g_clear_pointer(&watch->events, mnk_queue_free);
  mnk_gate_free(watch->gate);
  g_clear_error(&watch->failure);
  g_clear_pointer(&watch->next_event, mnk_watch_event_free);
  mnk_watch_setup_clear(&watch->setup);
  g_cond_clear(&watch->go_on);
  g_mutex_clear(&watch->telling);
  g_mutex_clear(&watch->lock);
  g_free(watch->told);
  g_free(watch);
}

guint32 mnk_watch_number(const MnkWatch *watch) {
  return watch->number;
}
