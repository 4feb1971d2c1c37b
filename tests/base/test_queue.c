#include "base/base.h"

static gint freed;

static void free_counted(gpointer item) {
  g_atomic_int_inc(&freed);
  g_free(item);
}

static gpointer item(int number) {
  int *box = g_new(int, 1);
  *box = number;
  return box;
}

static MnkQueue *new_queue(guint max, MnkQueuePolicy policy) {
  g_atomic_int_set(&freed, 0);
  return mnk_queue_new(max, policy, free_counted);
}

static void assert_counters(MnkQueue *queue, guint64 pushed, guint64 popped, guint64 dropped,
                            guint length) {
  MnkQueueCounters counters;
  mnk_queue_counters(queue, &counters);
  g_assert_cmpuint(counters.pushed, ==, pushed);
  g_assert_cmpuint(counters.popped, ==, popped);
  g_assert_cmpuint(counters.dropped, ==, dropped);
  g_assert_cmpuint(counters.length, ==, length);
}

/* Pops all that is there without waiting. */
static char *drain(MnkQueue *queue) {
  g_autoptr(GString) out = g_string_new(NULL);
  for (int *box; (box = mnk_queue_pop(queue, 0)) != NULL; g_free(box))
    g_string_append_printf(out, "%d ", *box);
  return g_strdup(out->str);
}

/* Digits are pushed in order, urgently when a '!' stands before them. */
static void test_policies(void) {
  static const struct {
    MnkQueuePolicy policy;
    guint max;
    const char *pushes, *left;
    guint dropped;
  } cases[] = {
      {MNK_QUEUE_BLOCK, 4, "1234", "1 2 3 4 ", 0},
      {MNK_QUEUE_BLOCK, 4, "12!3!4", "3 4 1 2 ", 0},
      {MNK_QUEUE_DROP_OLDEST, 3, "12345", "3 4 5 ", 2},
      {MNK_QUEUE_DROP_OLDEST, 3, "1!2345", "2 4 5 ", 2},
      {MNK_QUEUE_DROP_OLDEST, 3, "123!4", "4 2 3 ", 1},
      {MNK_QUEUE_DROP_OLDEST, 2, "!1!23", "1 2 ", 1},
      {MNK_QUEUE_DROP_OLDEST, 2, "!1!2!3", "2 3 ", 1},
      {MNK_QUEUE_DROP_NEWEST, 3, "12345", "1 2 3 ", 2},
      {MNK_QUEUE_DROP_NEWEST, 3, "123!4", "4 1 2 ", 1},
      {MNK_QUEUE_DROP_NEWEST, 2, "!1!2!3", "1 2 ", 1},
      {MNK_QUEUE_DROP_NEWEST, 2, "!1!23", "1 2 ", 1},
      {MNK_QUEUE_DROP_NEWEST, 1, "1!2", "2 ", 1},
  };
  for (guint i = 0; i < G_N_ELEMENTS(cases); i++) {
    g_autoptr(MnkQueue) queue = new_queue(cases[i].max, cases[i].policy);
    guint pushed = 0;
    for (const char *p = cases[i].pushes; *p != '\0'; p++, pushed++) {
      if (*p == '!')
        mnk_queue_push_urgent(queue, item(*++p - '0'));
      else
        mnk_queue_push(queue, item(*p - '0'));
    }
    assert_counters(queue, pushed, 0, cases[i].dropped, pushed - cases[i].dropped);
    g_autofree char *left = drain(queue);
    g_assert_cmpstr(left, ==, cases[i].left);
    g_assert_cmpint(g_atomic_int_get(&freed), ==, cases[i].dropped);
  }
}

static void test_answer_of_push(void) {
  g_autoptr(MnkQueue) oldest = new_queue(1, MNK_QUEUE_DROP_OLDEST);
  g_assert_true(mnk_queue_push(oldest, item(1)));
  g_assert_true(mnk_queue_push(oldest, item(2)));
  g_assert_true(mnk_queue_push_urgent(oldest, item(3)));
  g_assert_false(mnk_queue_push(oldest, item(4)));
  g_autoptr(MnkQueue) newest = new_queue(1, MNK_QUEUE_DROP_NEWEST);
  g_assert_true(mnk_queue_push(newest, item(1)));
  g_assert_false(mnk_queue_push(newest, item(2)));
}

static void test_close(void) {
  g_autoptr(MnkQueue) queue = new_queue(4, MNK_QUEUE_BLOCK);
  mnk_queue_push(queue, item(1));
  g_assert_false(mnk_queue_is_closed(queue));
  mnk_queue_close(queue);
  g_assert_true(mnk_queue_is_closed(queue));
  g_assert_false(mnk_queue_push(queue, item(2)));
  assert_counters(queue, 2, 0, 1, 1);
  g_autofree char *left = drain(queue);
  g_assert_cmpstr(left, ==, "1 ");
  g_assert_null(mnk_queue_pop(queue, -1));
  assert_counters(queue, 2, 1, 1, 0);
}

static void test_clear(void) {
  g_autoptr(MnkQueue) queue = new_queue(8, MNK_QUEUE_BLOCK);
  for (int i = 0; i < 3; i++) {
    mnk_queue_push(queue, item(i));
    mnk_queue_push_urgent(queue, item(i));
  }
  mnk_queue_clear(queue);
  g_assert_cmpint(g_atomic_int_get(&freed), ==, 6);
  assert_counters(queue, 6, 0, 6, 0);
  MnkQueueCounters counters;
  mnk_queue_counters(queue, &counters);
  g_assert_cmpuint(counters.max_length, ==, 6);
}

static void test_time_out(void) {
  g_autoptr(MnkQueue) queue = new_queue(1, MNK_QUEUE_BLOCK);
  g_assert_null(mnk_queue_pop(queue, 0));
  g_assert_null(mnk_queue_pop(queue, 1000));
  assert_counters(queue, 0, 0, 0, 0);
}

static gpointer pop_one(gpointer queue) {
  return mnk_queue_pop(queue, -1);
}

static gpointer push_one(gpointer queue) {
  return GINT_TO_POINTER(mnk_queue_push(queue, item(9)));
}

/* Gives a thread the time to begin to wait. The test holds without it, but sees less. */
static void let_it_wait(void) {
  g_usleep(20000);
}

static void test_close_wakes(void) {
  g_autoptr(MnkQueue) empty = new_queue(1, MNK_QUEUE_BLOCK);
  GThread *popper = g_thread_new("popper", pop_one, empty);
  let_it_wait();
  mnk_queue_close(empty);
  g_assert_null(g_thread_join(popper));

  g_autoptr(MnkQueue) full = new_queue(1, MNK_QUEUE_BLOCK);
  mnk_queue_push(full, item(1));
  GThread *pusher = g_thread_new("pusher", push_one, full);
  let_it_wait();
  mnk_queue_close(full);
  g_assert_false(GPOINTER_TO_INT(g_thread_join(pusher)));
  assert_counters(full, 2, 0, 1, 1);
}

static void test_room_wakes(void) {
  g_autoptr(MnkQueue) queue = new_queue(1, MNK_QUEUE_BLOCK);
  mnk_queue_push(queue, item(1));
  GThread *pusher = g_thread_new("pusher", push_one, queue);
  let_it_wait();
  g_free(mnk_queue_pop(queue, -1));
  g_assert_true(GPOINTER_TO_INT(g_thread_join(pusher)));
  g_autofree char *left = drain(queue);
  g_assert_cmpstr(left, ==, "9 ");

  mnk_queue_push(queue, item(1));
  pusher = g_thread_new("pusher", push_one, queue);
  let_it_wait();
  mnk_queue_clear(queue);
  g_assert_true(GPOINTER_TO_INT(g_thread_join(pusher)));
}

enum { PUSHERS = 3, POPPERS = 3, ITEMS = 5000 };

static gpointer push_many(gpointer queue) {
  for (int i = 0; i < ITEMS; i++)
    (i % 7 == 0 ? mnk_queue_push_urgent : mnk_queue_push)(queue, item(i));
  return NULL;
}

static gpointer pop_many(gpointer queue) {
  guint popped = 0;
  for (gpointer box; (box = mnk_queue_pop(queue, -1)) != NULL; g_free(box))
    popped++;
  return GUINT_TO_POINTER(popped);
}

static void assert_invariant(MnkQueue *queue) {
  MnkQueueCounters c;
  mnk_queue_counters(queue, &c);
  g_assert_cmpuint(c.pushed, ==, c.popped + c.dropped + c.length);
  g_assert_cmpuint(c.max_length, <=, 16);
}

static void check_threads(MnkQueuePolicy policy) {
  g_autoptr(MnkQueue) queue = new_queue(16, policy);
  GThread *pushers[PUSHERS], *poppers[POPPERS];
  for (guint i = 0; i < PUSHERS; i++)
    pushers[i] = g_thread_new("pusher", push_many, queue);
  for (guint i = 0; i < POPPERS; i++)
    poppers[i] = g_thread_new("popper", pop_many, queue);
  for (guint i = 0; i < 1000; i++)
    assert_invariant(queue);
  for (guint i = 0; i < PUSHERS; i++)
    g_thread_join(pushers[i]);
  mnk_queue_close(queue);
  guint popped = 0;
  for (guint i = 0; i < POPPERS; i++)
    popped += GPOINTER_TO_UINT(g_thread_join(poppers[i]));
  guint dropped = (guint)g_atomic_int_get(&freed);
  g_assert_cmpuint(popped + dropped, ==, PUSHERS * ITEMS);
  if (policy == MNK_QUEUE_BLOCK)
    g_assert_cmpuint(dropped, ==, 0);
  assert_counters(queue, PUSHERS * ITEMS, popped, dropped, 0);
}

static void test_threads(void) {
  check_threads(MNK_QUEUE_BLOCK);
  check_threads(MNK_QUEUE_DROP_OLDEST);
  check_threads(MNK_QUEUE_DROP_NEWEST);
}

int main(int argc, char **argv) {
  g_test_init(&argc, &argv, NULL);
  g_test_add_func("/queue/policies", test_policies);
  g_test_add_func("/queue/answer-of-push", test_answer_of_push);
  g_test_add_func("/queue/close", test_close);
  g_test_add_func("/queue/clear", test_clear);
  g_test_add_func("/queue/time-out", test_time_out);
  g_test_add_func("/queue/close-wakes", test_close_wakes);
  g_test_add_func("/queue/room-wakes", test_room_wakes);
  g_test_add_func("/queue/threads", test_threads);
  return g_test_run();
}
