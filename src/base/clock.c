#include "base/clock.h"

/* How often a sleeper looks at its stop flag. */
#define LOOK_US (20 * G_TIME_SPAN_MILLISECOND)

/* The system's clock has no state of its own: fake is FALSE and the rest is unused. */
struct _MnkClock {
  gint refs;
  gboolean fake;
  GMutex lock;
  GCond advanced;
  gint64 mono_us, wall_us;
};

MnkClock *mnk_clock_system(void) {
  static MnkClock system_clock;
  return &system_clock;
}

MnkClock *mnk_clock_fake_new(gint64 mono_us, gint64 wall_us) {
  MnkClock *clock = g_new0(MnkClock, 1);
  clock->refs = 1;
  clock->fake = TRUE;
  g_mutex_init(&clock->lock);
  g_cond_init(&clock->advanced);
  clock->mono_us = mono_us;
  clock->wall_us = wall_us;
  return clock;
}

MnkClock *mnk_clock_ref(MnkClock *clock) {
  if (clock->fake)
    g_atomic_int_inc(&clock->refs);
  return clock;
}

void mnk_clock_unref(MnkClock *clock) {
  if (clock == NULL || !clock->fake || !g_atomic_int_dec_and_test(&clock->refs))
    return;
  g_cond_clear(&clock->advanced);
  g_mutex_clear(&clock->lock);
  g_free(clock);
}

void mnk_clock_advance(MnkClock *clock, gint64 us) {
  g_return_if_fail(clock->fake && us >= 0);
  g_autoptr(GMutexLocker) locker = g_mutex_locker_new(&clock->lock);
  clock->mono_us += us;
  clock->wall_us += us;
  g_cond_broadcast(&clock->advanced);
}

gint64 mnk_clock_mono_us(MnkClock *clock) {
  if (!clock->fake)
    return g_get_monotonic_time();
  g_autoptr(GMutexLocker) locker = g_mutex_locker_new(&clock->lock);
  return clock->mono_us;
}

gint64 mnk_clock_wall_us(MnkClock *clock) {
  if (!clock->fake)
    return g_get_real_time();
  g_autoptr(GMutexLocker) locker = g_mutex_locker_new(&clock->lock);
  return clock->wall_us;
}

static gboolean is_stopped(const gint *stop) {
  return stop != NULL && g_atomic_int_get(stop) != 0;
}

static gboolean sleep_system(gint64 mono_us, const gint *stop) {
  while (!is_stopped(stop)) {
    gint64 left = mono_us - g_get_monotonic_time();
    if (left <= 0)
      return TRUE;
    g_usleep((gulong)MIN(left, LOOK_US));
  }
  return FALSE;
}

static gboolean sleep_fake(MnkClock *clock, gint64 mono_us, const gint *stop) {
  g_autoptr(GMutexLocker) locker = g_mutex_locker_new(&clock->lock);
  while (!is_stopped(stop)) {
    if (clock->mono_us >= mono_us)
      return TRUE;
    g_cond_wait_until(&clock->advanced, &clock->lock, g_get_monotonic_time() + LOOK_US);
  }
  return FALSE;
}

gboolean mnk_clock_sleep_until(MnkClock *clock, gint64 mono_us, const gint *stop) {
  return clock->fake ? sleep_fake(clock, mono_us, stop) : sleep_system(mono_us, stop);
}
