/* Watches and timers of one context: order, moving, and clearing from within. */
#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "net/loop_priv.h"

typedef struct {
  MnkTimer timer;
  GString *log;
  char name;
} Entry;

static void on_timer(gpointer user) {
  Entry *entry = user;
  g_string_append_c(entry->log, entry->name);
}

static void run_until(const GString *log, gsize length) {
  while (log->len < length)
    g_main_context_iteration(NULL, TRUE);
}

static void test_order(void) {
  g_autoptr(GString) log = g_string_new(NULL);
  Entry entries[5] = {0};
  const int order[] = {3, 0, 4, 1, 2};
  gint64 now = g_get_monotonic_time();
  for (int i = 0; i < 5; i++) {
    entries[i].log = log;
    entries[i].name = (char)('a' + order[i]);
    mnk_loop_timer_init(&entries[i].timer, on_timer, &entries[i]);
    mnk_loop_timer_set(&entries[i].timer, now + 1000 * (order[i] + 1));
  }
  run_until(log, 5);
  g_assert_cmpstr(log->str, ==, "abcde");
  for (int i = 0; i < 5; i++)
    mnk_loop_timer_clear(&entries[i].timer);
}

static void test_moved(void) {
  g_autoptr(GString) log = g_string_new(NULL);
  Entry a = {.log = log, .name = 'a'}, b = {.log = log, .name = 'b'}, c = {.log = log, .name = 'c'};
  mnk_loop_timer_init(&a.timer, on_timer, &a);
  mnk_loop_timer_init(&b.timer, on_timer, &b);
  mnk_loop_timer_init(&c.timer, on_timer, &c);
  gint64 now = g_get_monotonic_time();
  mnk_loop_timer_set(&a.timer, now + 1000);
  mnk_loop_timer_set(&b.timer, now + 5000);
  mnk_loop_timer_set(&c.timer, now + 2000);
  mnk_loop_timer_set(&a.timer, now + 9000); /* away */
  mnk_loop_timer_stop(&c.timer);
  mnk_loop_timer_set(&b.timer, 0); /* nearer: at once */
  run_until(log, 2);
  g_assert_cmpstr(log->str, ==, "ba");
  mnk_loop_timer_set(&c.timer, 0); /* stopped ones can be set again */
  run_until(log, 3);
  g_assert_cmpstr(log->str, ==, "bac");
  mnk_loop_timer_clear(&a.timer);
  mnk_loop_timer_clear(&b.timer);
  mnk_loop_timer_clear(&c.timer);
  mnk_loop_timer_clear(&c.timer);
}

/* Many timers, removed in random order: the heap stays a heap. */
static void test_many(void) {
  enum { N = 500 };
  g_autoptr(GString) log = g_string_new(NULL);
  g_autofree Entry *entries = g_new0(Entry, N);
  gint64 now = g_get_monotonic_time();
  guint kept = 0;
  for (int i = 0; i < N; i++) {
    entries[i].log = log;
    entries[i].name = 'x';
    mnk_loop_timer_init(&entries[i].timer, on_timer, &entries[i]);
    mnk_loop_timer_set(&entries[i].timer, now + g_test_rand_int_range(0, 20000));
  }
  for (int i = 0; i < N; i++) {
    if (g_test_rand_int_range(0, 2))
      mnk_loop_timer_clear(&entries[i].timer);
    else
      kept++;
  }
  run_until(log, kept);
  for (int i = 0; i < 50; i++)
    g_main_context_iteration(NULL, FALSE);
  g_assert_cmpuint(log->len, ==, kept);
  for (int i = 0; i < N; i++)
    mnk_loop_timer_clear(&entries[i].timer);
}

typedef struct {
  MnkWatch watch;
  MnkWatch *other;
  guint calls;
} Pair;

static void on_watch_clears_other(guint32 events, gpointer user) {
  Pair *pair = user;
  pair->calls++;
  mnk_loop_watch_clear(pair->other);
  mnk_loop_watch_clear(&pair->watch);
}

/* Both are ready in the same turn; the first clears the second, which must not be called. */
static void test_cleared_in_batch(void) {
  int fds[2];
  g_assert_cmpint(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds), ==, 0);
  Pair a = {0}, b = {0};
  a.other = &b.watch;
  b.other = &a.watch;
  g_assert_true(mnk_loop_watch_init(&a.watch, fds[0], EPOLLOUT, on_watch_clears_other, &a));
  g_assert_true(mnk_loop_watch_init(&b.watch, fds[1], EPOLLOUT, on_watch_clears_other, &b));
  while (a.calls + b.calls == 0)
    g_main_context_iteration(NULL, TRUE);
  for (int i = 0; i < 5; i++)
    g_main_context_iteration(NULL, FALSE);
  g_assert_cmpuint(a.calls + b.calls, ==, 1);
  close(fds[0]);
  close(fds[1]);
}

static void on_watch_counts(guint32 events, gpointer user) {
  *(guint *)user |= events;
}

static void test_events(void) {
  int fds[2];
  g_assert_cmpint(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds), ==, 0);
  MnkWatch watch;
  guint seen = 0;
  g_assert_true(mnk_loop_watch_init(&watch, fds[0], EPOLLIN, on_watch_counts, &seen));
  for (int i = 0; i < 5; i++)
    g_main_context_iteration(NULL, FALSE);
  g_assert_cmpuint(seen, ==, 0);
  mnk_loop_watch_set(&watch, EPOLLOUT);
  while (!seen)
    g_main_context_iteration(NULL, TRUE);
  g_assert_cmpuint(seen, ==, EPOLLOUT);
  mnk_loop_watch_set(&watch, EPOLLIN | EPOLLRDHUP);
  close(fds[1]);
  while (!(seen & EPOLLRDHUP))
    g_main_context_iteration(NULL, TRUE);
  mnk_loop_watch_clear(&watch);
  mnk_loop_watch_clear(&watch);
  close(fds[0]);
}

static void test_bad_descriptor(void) {
  MnkWatch watch;
  g_assert_false(mnk_loop_watch_init(&watch, -1, EPOLLIN, on_watch_counts, NULL));
  mnk_loop_watch_clear(&watch);
}

/* The source goes with its last user: a context that is done is empty. */
static void test_leaves_nothing(void) {
  MnkTimer timer;
  GString log = {0};
  Entry entry = {.log = &log};
  mnk_loop_timer_init(&timer, on_timer, &entry);
  mnk_loop_timer_set(&timer, g_get_monotonic_time() + G_TIME_SPAN_HOUR);
  mnk_loop_timer_clear(&timer);
  g_assert_false(g_main_context_pending(NULL));
  int lowest = open("/dev/null", O_RDONLY | O_CLOEXEC);
  close(lowest);
  for (int i = 0; i < 100; i++) {
    mnk_loop_timer_init(&timer, on_timer, &entry);
    mnk_loop_timer_clear(&timer);
  }
  int again = open("/dev/null", O_RDONLY | O_CLOEXEC);
  close(again);
  g_assert_cmpint(again, ==, lowest);
}

int main(int argc, char **argv) {
  g_test_init(&argc, &argv, NULL);
  g_test_add_func("/net/loop/order", test_order);
  g_test_add_func("/net/loop/moved", test_moved);
  g_test_add_func("/net/loop/many", test_many);
  g_test_add_func("/net/loop/cleared-in-batch", test_cleared_in_batch);
  g_test_add_func("/net/loop/events", test_events);
  g_test_add_func("/net/loop/bad-descriptor", test_bad_descriptor);
  g_test_add_func("/net/loop/leaves-nothing", test_leaves_nothing);
  return g_test_run();
}
