#include "base/base.h"

#include <string.h>

/* Lines as they come. */
static void keep_line(const char *line, gpointer user) {
  g_ptr_array_add(user, g_strdup(line));
}

static GPtrArray *capture(void) {
  GPtrArray *lines = g_ptr_array_new_with_free_func(g_free);
  mnk_log_set_sink(keep_line, lines);
  mnk_log_set_level(MNK_LOG_DEBUG);
  return lines;
}

static void assert_ends(const char *line, const char *end) {
  if (!g_str_has_suffix(line, end))
    g_error("'%s' does not end with '%s'", line, end);
}

static void test_format(void) {
  g_autoptr(GPtrArray) lines = capture();
  mnk_info("media", "cam-1", "event=opened codec=%s fps=%d", "h264", 25);
  mnk_error("store", NULL, "event=failed");
  mnk_warning("media", "a b level=error", "event=x");
  mnk_warning("media", "a\"\n", "event=x");
  mnk_log_set_sink(NULL, NULL);

  g_assert_cmpuint(lines->len, ==, 4);
  for (guint i = 0; i < lines->len; i++)
    g_assert_true(g_str_has_prefix(lines->pdata[i], "time=20"));
  assert_ends(lines->pdata[0],
              " level=info topic=media stream=cam-1 event=opened codec=h264 fps=25\n");
  assert_ends(lines->pdata[1], " level=error topic=store event=failed\n");
  assert_ends(lines->pdata[2], " level=warning topic=media stream=\"a b level=error\" event=x\n");
  assert_ends(lines->pdata[3], " level=warning topic=media stream=\"a\\\"\\x0a\" event=x\n");
}

static void test_one_line_whatever_comes(void) {
  g_autoptr(GPtrArray) lines = capture();
  mnk_info("media", NULL, "name=%s", "x\ntime=2026 level=error\033[2J");
  g_autofree char *endless = g_strnfill(100000, 'x');
  mnk_info("media", NULL, "name=%s", endless);
  mnk_log_set_sink(NULL, NULL);

  assert_ends(lines->pdata[0], " name=x\\x0atime=2026 level=error\\x1b[2J\n");
  g_assert_cmpuint(strlen(lines->pdata[1]), <, 5000);
  assert_ends(lines->pdata[1], "xxx\n");
}

static void test_levels(void) {
  static const char *const names[] = {"error", "warning", "info", "debug"};
  g_autoptr(GPtrArray) lines = capture();
  MnkLogLevel level;
  for (guint i = 0; i < G_N_ELEMENTS(names); i++) {
    g_assert_true(mnk_log_level_from_name(names[i], &level));
    g_assert_cmpint(level, ==, i);
  }
  g_assert_true(mnk_log_level_from_name("INFO", &level));
  g_assert_false(mnk_log_level_from_name("loud", &level));
  g_assert_false(mnk_log_level_from_name(NULL, &level));

  mnk_log_set_level(MNK_LOG_WARNING);
  mnk_error("t", NULL, "x");
  mnk_warning("t", NULL, "x");
  mnk_info("t", NULL, "x");
  mnk_debug("t", NULL, "x");
  mnk_log_set_sink(NULL, NULL);
  g_assert_cmpuint(lines->len, ==, 2);
  g_assert_false(mnk_log_enabled(MNK_LOG_INFO));
}

/* The window's begin is moved instead of waiting for it. */
static void test_rate_limit(void) {
  g_autoptr(GPtrArray) lines = capture();
  MnkLogSite site = {0}, other = {0};
  mnk_log_at(&site, MNK_LOG_INFO, "t", NULL, "n=0");
  site.window_us += 3600 * G_TIME_SPAN_SECOND;
  for (guint i = 1; i < 100; i++)
    mnk_log_at(&site, MNK_LOG_INFO, "t", NULL, "n=%u", i);
  g_assert_cmpuint(lines->len, ==, 20);
  mnk_log_at(&other, MNK_LOG_INFO, "t", NULL, "other=1");
  g_assert_cmpuint(lines->len, ==, 21);

  site.window_us -= 2 * 3600 * G_TIME_SPAN_SECOND;
  mnk_log_at(&site, MNK_LOG_INFO, "t", NULL, "n=100");
  site.window_us -= 3600 * G_TIME_SPAN_SECOND;
  mnk_log_at(&site, MNK_LOG_INFO, "t", NULL, "n=101");
  mnk_log_set_sink(NULL, NULL);
  g_assert_cmpuint(lines->len, ==, 24);
  assert_ends(lines->pdata[21], " event=rate-limited left_out=80\n");
  assert_ends(lines->pdata[22], " n=100\n");
  assert_ends(lines->pdata[23], " n=101\n");
}

static gpointer log_some(gpointer unused) {
  for (guint i = 0; i < 1000; i++)
    mnk_info("t", NULL, "event=tick i=%u", i);
  return NULL;
}

static void test_threads(void) {
  g_autoptr(GPtrArray) lines = capture();
  GThread *threads[4];
  for (guint i = 0; i < G_N_ELEMENTS(threads); i++)
    threads[i] = g_thread_new("logger", log_some, NULL);
  for (guint i = 0; i < G_N_ELEMENTS(threads); i++)
    g_thread_join(threads[i]);
  mnk_log_set_sink(NULL, NULL);
  g_assert_cmpuint(lines->len, >=, 20);
  for (guint i = 0; i < lines->len; i++)
    g_assert_true(strchr(lines->pdata[i], '\n')[1] == '\0');
}

/* What a program writes whose standard error is no terminal. */
static void test_standard_error(void) {
  if (g_test_subprocess()) {
    mnk_warning("media", "cam", "event=lost");
    mnk_info("media", "cam", "event=quiet");
    return;
  }
  g_test_trap_subprocess(NULL, 0, 0);
  g_test_trap_assert_passed();
  g_test_trap_assert_stderr("time=*level=warning topic=media stream=cam event=lost\n");
}

int main(int argc, char **argv) {
  g_test_init(&argc, &argv, NULL);
  g_test_add_func("/log/format", test_format);
  g_test_add_func("/log/one-line-whatever-comes", test_one_line_whatever_comes);
  g_test_add_func("/log/levels", test_levels);
  g_test_add_func("/log/rate-limit", test_rate_limit);
  g_test_add_func("/log/threads", test_threads);
  g_test_add_func("/log/standard-error", test_standard_error);
  return g_test_run();
}
