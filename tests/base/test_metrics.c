#include "base/base.h"

#include <string.h>

static void test_text_format(void) {
  static const double bounds[] = {1, 2.5};
  mnk_metric_add(mnk_counter("frames_total", "Frames.", "stream=\"a\""), 3);
  mnk_metric_add(mnk_counter("frames_total", "Frames.", "stream=\"a\""), 1);
  mnk_metric_add(mnk_counter("frames_total", "Frames.", NULL), 7);
  mnk_metric_set(mnk_gauge("depth", "Depth.", NULL), -1.5);
  MnkMetric *time = mnk_histogram("time_ms", "Time.", "step=\"x\"", bounds, 2);
  mnk_metric_observe(time, 1);
  mnk_metric_observe(time, 2);
  mnk_metric_observe(time, 1000);
  g_assert_cmpfloat(mnk_metric_value(time), ==, 3);

  g_autoptr(GString) out = g_string_new(NULL);
  mnk_metrics_write(out);
  g_assert_cmpstr(out->str, ==,
                  "# HELP manako_depth Depth.\n"
                  "# TYPE manako_depth gauge\n"
                  "manako_depth -1.5\n"
                  "# HELP manako_frames_total Frames.\n"
                  "# TYPE manako_frames_total counter\n"
                  "manako_frames_total 7\n"
                  "manako_frames_total{stream=\"a\"} 4\n"
                  "# HELP manako_time_ms Time.\n"
                  "# TYPE manako_time_ms histogram\n"
                  "manako_time_ms_bucket{step=\"x\",le=\"1\"} 1\n"
                  "manako_time_ms_bucket{step=\"x\",le=\"2.5\"} 2\n"
                  "manako_time_ms_bucket{step=\"x\",le=\"+Inf\"} 3\n"
                  "manako_time_ms_sum{step=\"x\"} 1003\n"
                  "manako_time_ms_count{step=\"x\"} 3\n");
}

static void test_handles_outlive_reset(void) {
  MnkMetric *counter = mnk_counter("kept_total", "Kept.", NULL);
  mnk_metric_add(counter, 5);
  mnk_metrics_reset();
  g_assert_cmpfloat(mnk_metric_value(counter), ==, 0);
  mnk_metric_add(counter, 2);
  g_assert_true(mnk_counter("kept_total", "Kept.", NULL) == counter);
  g_assert_cmpfloat(mnk_metric_value(counter), ==, 2);
}

static void test_latency_bounds(void) {
  for (guint i = 1; i < mnk_latency_bounds_n; i++)
    g_assert_cmpfloat(mnk_latency_bounds_ms[i - 1], <, mnk_latency_bounds_ms[i]);
  g_assert_cmpuint(mnk_latency_bounds_n, ==, 15);
}

enum { THREADS = 4, ADDS = 20000 };

static gpointer add_many(gpointer unused) {
  for (guint i = 0; i < ADDS; i++) {
    mnk_metric_add(mnk_counter("shared_total", "Shared.", "k=\"v\""), 1);
    mnk_metric_observe(
        mnk_histogram("shared_ms", "Shared.", NULL, mnk_latency_bounds_ms, mnk_latency_bounds_n),
        i);
  }
  return NULL;
}

static void test_threads(void) {
  GThread *threads[THREADS];
  for (guint i = 0; i < THREADS; i++)
    threads[i] = g_thread_new("adder", add_many, NULL);
  g_autoptr(GString) out = g_string_new(NULL);
  mnk_metrics_write(out);
  for (guint i = 0; i < THREADS; i++)
    g_thread_join(threads[i]);
  g_assert_cmpfloat(mnk_metric_value(mnk_counter("shared_total", "Shared.", "k=\"v\"")), ==,
                    (double)THREADS * ADDS);
  g_string_truncate(out, 0);
  mnk_metrics_write(out);
  g_assert_nonnull(strstr(out->str, "manako_shared_ms_count 80000\n"));
  g_assert_nonnull(strstr(out->str, "manako_shared_ms_bucket{le=\"10000\"} 40004\n"));
}

/* Last, since it fills the registry for good. */
static void test_overflow(void) {
  MnkMetric *last = NULL, *before = NULL;
  for (guint i = 0; i < 5000; i++) {
    g_autofree char *labels = g_strdup_printf("stream=\"%u\"", i);
    before = last;
    last = mnk_counter("many_total", "Many.", labels);
    mnk_metric_add(last, 1);
  }
  g_assert_true(last == before);
  g_autoptr(GString) out = g_string_new(NULL);
  mnk_metrics_write(out);
  g_assert_nonnull(strstr(out->str, "manako_many_total{overflow=\"true\"} 9"));
  g_assert_nonnull(strstr(out->str, "manako_metrics_overflow_total 9"));
  g_assert_true(mnk_counter("many_total", "Many.", "stream=\"0\"") != last);
  g_assert_true(mnk_counter("unlabelled_total", "New.", NULL) != last);
}

static void test_wrong_kind(void) {
  if (g_test_subprocess()) {
    mnk_counter("twice", "Twice.", NULL);
    mnk_gauge("twice", "Twice.", NULL);
    return;
  }
  g_test_trap_subprocess(NULL, 0, 0);
  g_test_trap_assert_failed();
  g_test_trap_assert_stderr("*metric twice is a counter, not a gauge*");
}

int main(int argc, char **argv) {
  g_test_init(&argc, &argv, NULL);
  g_test_add_func("/metrics/text-format", test_text_format);
  g_test_add_func("/metrics/handles-outlive-reset", test_handles_outlive_reset);
  g_test_add_func("/metrics/latency-bounds", test_latency_bounds);
  g_test_add_func("/metrics/threads", test_threads);
  g_test_add_func("/metrics/wrong-kind", test_wrong_kind);
  g_test_add_func("/metrics/overflow", test_overflow);
  return g_test_run();
}
