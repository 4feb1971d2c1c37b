#include "ipc/backoff_priv.h"

#define SECOND G_USEC_PER_SEC

static void test_doubling(void) {
  g_autoptr(MnkBackoff) backoff = mnk_backoff_new(100, 10000, 0);
  const gint64 expected[] = {100, 200, 400, 800, 1600, 3200, 6400, 10000, 10000, 10000};
  gint64 wait_ms;
  for (guint i = 0; i < G_N_ELEMENTS(expected); i++) {
    g_assert_true(mnk_backoff_after_death(backoff, i * SECOND, i * SECOND + 5, &wait_ms));
    g_assert_cmpint(wait_ms, ==, expected[i]);
  }
}

static void test_health_begins_anew(void) {
  g_autoptr(MnkBackoff) backoff = mnk_backoff_new(100, 10000, 0);
  gint64 wait_ms;
  mnk_backoff_after_death(backoff, 0, 1, &wait_ms);
  mnk_backoff_after_death(backoff, 0, 60 * SECOND - 1, &wait_ms);
  g_assert_cmpint(wait_ms, ==, 200);
  mnk_backoff_after_death(backoff, 0, 60 * SECOND, &wait_ms);
  g_assert_cmpint(wait_ms, ==, 100);
  mnk_backoff_after_death(backoff, 0, 1, &wait_ms);
  g_assert_cmpint(wait_ms, ==, 200);
}

static void test_given_up(void) {
  g_autoptr(MnkBackoff) backoff = mnk_backoff_new(100, 10000, 3);
  gint64 wait_ms;
  g_assert_true(mnk_backoff_after_death(backoff, 0, 1 * SECOND, &wait_ms));
  g_assert_true(mnk_backoff_after_death(backoff, 0, 2 * SECOND, &wait_ms));
  g_assert_false(mnk_backoff_after_death(backoff, 0, 61 * SECOND - 1, &wait_ms));
}

static void test_old_deaths_do_not_count(void) {
  g_autoptr(MnkBackoff) backoff = mnk_backoff_new(100, 10000, 3);
  gint64 wait_ms;
  for (guint i = 1; i < 100; i++) {
    g_assert_true(mnk_backoff_after_death(backoff, 0, i * 30 * SECOND, &wait_ms));
    g_assert_cmpuint(backoff->deaths->len, <=, 2);
  }
}

static void test_reset(void) {
  g_autoptr(MnkBackoff) backoff = mnk_backoff_new(100, 10000, 2);
  gint64 wait_ms;
  g_assert_true(mnk_backoff_after_death(backoff, 0, 1, &wait_ms));
  mnk_backoff_reset(backoff);
  g_assert_true(mnk_backoff_after_death(backoff, 0, 2, &wait_ms));
  g_assert_cmpint(wait_ms, ==, 100);
}

static void test_odd_limits(void) {
  gint64 wait_ms;
  g_autoptr(MnkBackoff) none = mnk_backoff_new(0, 0, 0);
  g_autoptr(MnkBackoff) reversed = mnk_backoff_new(500, 20, 0);
  g_autoptr(MnkBackoff) huge = mnk_backoff_new(1, G_MAXINT64, 0);
  for (guint i = 0; i < 100; i++) {
    mnk_backoff_after_death(none, 0, 1, &wait_ms);
    g_assert_cmpint(wait_ms, ==, 0);
    mnk_backoff_after_death(reversed, 0, 1, &wait_ms);
    g_assert_cmpint(wait_ms, ==, 500);
    mnk_backoff_after_death(huge, 0, 1, &wait_ms);
    g_assert_cmpint(wait_ms, >, 0);
  }
}

int main(int argc, char **argv) {
  g_test_init(&argc, &argv, NULL);
  g_test_add_func("/ipc/backoff/doubling", test_doubling);
  g_test_add_func("/ipc/backoff/health-begins-anew", test_health_begins_anew);
  g_test_add_func("/ipc/backoff/given-up", test_given_up);
  g_test_add_func("/ipc/backoff/old-deaths-do-not-count", test_old_deaths_do_not_count);
  g_test_add_func("/ipc/backoff/reset", test_reset);
  g_test_add_func("/ipc/backoff/odd-limits", test_odd_limits);
  return g_test_run();
}
