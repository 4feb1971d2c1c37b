#include "base/base.h"

static void test_system(void) {
  MnkClock *clock = mnk_clock_system();
  gint64 before = mnk_clock_mono_us(clock);
  g_assert_true(mnk_clock_sleep_until(clock, before + 1000, NULL));
  g_assert_cmpint(mnk_clock_mono_us(clock), >=, before + 1000);
  g_assert_cmpint(mnk_clock_wall_us(clock), >, G_GINT64_CONSTANT(1700000000000000));
  mnk_clock_unref(mnk_clock_ref(clock));
  mnk_clock_unref(clock);
  g_assert_true(mnk_clock_system() == clock);
}

static void test_stands_still(void) {
  g_autoptr(MnkClock) clock = mnk_clock_fake_new(100, 5000);
  g_assert_cmpint(mnk_clock_mono_us(clock), ==, 100);
  g_assert_cmpint(mnk_clock_wall_us(clock), ==, 5000);
  mnk_clock_advance(clock, 50);
  g_assert_cmpint(mnk_clock_mono_us(clock), ==, 150);
  g_assert_cmpint(mnk_clock_wall_us(clock), ==, 5050);
  g_assert_true(mnk_clock_sleep_until(clock, 150, NULL));
  g_assert_true(mnk_clock_sleep_until(clock, -5, NULL));
}

typedef struct {
  MnkClock *clock;
  gint64 until_us;
  gint stop, woke, result;
} Sleeper;

static gpointer sleep_on_clock(gpointer data) {
  Sleeper *sleeper = data;
  sleeper->result = mnk_clock_sleep_until(sleeper->clock, sleeper->until_us, &sleeper->stop);
  g_atomic_int_set(&sleeper->woke, TRUE);
  return NULL;
}

static void test_sleepers_wake(void) {
  g_autoptr(MnkClock) clock = mnk_clock_fake_new(0, 0);
  Sleeper sleepers[4] = {0};
  GThread *threads[G_N_ELEMENTS(sleepers)];
  for (guint i = 0; i < G_N_ELEMENTS(sleepers); i++) {
    sleepers[i] = (Sleeper){.clock = mnk_clock_ref(clock), .until_us = 1000 * (i + 1)};
    threads[i] = g_thread_new("sleeper", sleep_on_clock, &sleepers[i]);
  }
  for (guint i = 0; i < G_N_ELEMENTS(sleepers); i++) {
    mnk_clock_advance(clock, 999);
    for (guint later = i; later < G_N_ELEMENTS(sleepers); later++)
      g_assert_false(g_atomic_int_get(&sleepers[later].woke));
    mnk_clock_advance(clock, 1);
    g_thread_join(threads[i]);
    g_assert_true(sleepers[i].result);
    mnk_clock_unref(clock);
  }
}

static void check_stop(MnkClock *clock) {
  Sleeper sleeper = {.clock = clock, .until_us = G_MAXINT64};
  GThread *thread = g_thread_new("sleeper", sleep_on_clock, &sleeper);
  g_atomic_int_set(&sleeper.stop, TRUE);
  g_thread_join(thread);
  g_assert_false(sleeper.result);
}

static void test_stop(void) {
  g_autoptr(MnkClock) fake = mnk_clock_fake_new(0, 0);
  check_stop(fake);
  check_stop(mnk_clock_system());
}

static gpointer advance_often(gpointer clock) {
  for (guint i = 0; i < 1000; i++)
    mnk_clock_advance(clock, 1);
  return NULL;
}

static void test_readers(void) {
  g_autoptr(MnkClock) clock = mnk_clock_fake_new(0, 0);
  GThread *thread = g_thread_new("advancer", advance_often, clock);
  for (gint64 last = 0, now; last < 1000; last = now) {
    now = mnk_clock_mono_us(clock);
    g_assert_cmpint(now, >=, last);
    g_assert_cmpint(mnk_clock_wall_us(clock), >=, now);
  }
  g_thread_join(thread);
}

int main(int argc, char **argv) {
  g_test_init(&argc, &argv, NULL);
  g_test_add_func("/clock/system", test_system);
  g_test_add_func("/clock/stands-still", test_stands_still);
  g_test_add_func("/clock/sleepers-wake", test_sleepers_wake);
  g_test_add_func("/clock/stop", test_stop);
  g_test_add_func("/clock/readers", test_readers);
  return g_test_run();
}
