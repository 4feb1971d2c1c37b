/* Slots: both sides see the same bytes; the book is right; a memory that could shrink is refused.
 */
#include "ipc/ipc.h"

#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

enum { N = 3, SIZE = 5000 };

static void test_shared(void) {
  g_autoptr(GError) error = NULL;
  g_autoptr(MnkSlots) server = mnk_slots_new(N, SIZE, &error);
  g_assert_no_error(error);
  g_autoptr(MnkSlots) worker = mnk_slots_map(dup(mnk_slots_fd(server)), N, SIZE, &error);
  g_assert_no_error(error);
  g_assert_cmpuint(mnk_slots_size(worker), ==, SIZE);
  for (guint slot = 0; slot < N; slot++)
    memset(mnk_slots_bytes(worker, slot), 'a' + (int)slot, SIZE);
  for (guint slot = 0; slot < N; slot++) {
    const guint8 *bytes = mnk_slots_bytes(server, slot);
    g_assert_cmpint(bytes[0], ==, 'a' + (int)slot);
    g_assert_cmpint(bytes[SIZE - 1], ==, 'a' + (int)slot);
  }
}

static void test_exhaustion(void) {
  g_autoptr(MnkSlots) slots = mnk_slots_new(N, SIZE, NULL);
  MnkMetric *exhausted =
      mnk_counter("slots_exhausted_total", "Times that no slot for a picture was free", NULL);
  double before = mnk_metric_value(exhausted);
  gboolean seen[N] = {FALSE};
  for (guint i = 0; i < N; i++) {
    int slot = mnk_slots_acquire(slots);
    g_assert_cmpint(slot, >=, 0);
    g_assert_cmpint(slot, <, N);
    g_assert_false(seen[slot]);
    seen[slot] = TRUE;
  }
  g_assert_cmpint(mnk_slots_acquire(slots), ==, -1);
  g_assert_cmpfloat(mnk_metric_value(exhausted) - before, ==, 1);
  g_assert_true(mnk_slots_release(slots, 1));
  g_assert_cmpint(mnk_slots_acquire(slots), ==, 1);
}

static void test_double_release(void) {
  g_autoptr(MnkSlots) slots = mnk_slots_new(N, SIZE, NULL);
  int slot = mnk_slots_acquire(slots);
  g_assert_true(mnk_slots_release(slots, (guint)slot));
  g_assert_false(mnk_slots_release(slots, (guint)slot));
  g_assert_false(mnk_slots_release(slots, N - 1));
}

static void test_out_of_range(void) {
  g_autoptr(MnkSlots) slots = mnk_slots_new(N, SIZE, NULL);
  const guint bad[] = {N, N + 1, 1u << 31, G_MAXUINT};
  for (guint i = 0; i < G_N_ELEMENTS(bad); i++) {
    g_assert_null(mnk_slots_bytes(slots, bad[i]));
    g_assert_false(mnk_slots_release(slots, bad[i]));
  }
}

static void test_bad_sizes(void) {
  const struct {
    guint n;
    gsize size;
  } cases[] = {{0, 1},
               {1, 0},
               {MNK_SLOTS_MAX + 1, 1},
               {2, G_MAXSIZE},
               {2, G_MAXSIZE / 2 + 1},
               {1, (gsize)MNK_SLOTS_MAX_BYTES + 1}};
  for (guint i = 0; i < G_N_ELEMENTS(cases); i++) {
    g_autoptr(GError) error = NULL;
    g_assert_null(mnk_slots_new(cases[i].n, cases[i].size, &error));
    g_assert_error(error, MNK_ERROR, MNK_ERROR_LIMIT);
  }
}

static void test_sealed(void) {
  g_autoptr(MnkSlots) slots = mnk_slots_new(N, SIZE, NULL);
  g_assert_cmpint(ftruncate(mnk_slots_fd(slots), 1), ==, -1);
  g_assert_cmpint(ftruncate(mnk_slots_fd(slots), N * SIZE * 2), ==, -1);
  g_assert_cmpint(fcntl(mnk_slots_fd(slots), F_ADD_SEALS, F_SEAL_WRITE), ==, -1);
}

static void assert_refused(int fd, guint n, gsize size, MnkErrorCode code) {
  g_autoptr(GError) error = NULL;
  g_assert_null(mnk_slots_map(fd, n, size, &error));
  g_assert_error(error, MNK_ERROR, (int)code);
  g_assert_cmpint(fcntl(fd, F_GETFD), ==, -1); /* taken all the same */
}

static int memory_with_seals(gsize size, int seals) {
  int fd = memfd_create("test", MFD_CLOEXEC | MFD_ALLOW_SEALING);
  g_assert_cmpint(ftruncate(fd, (off_t)size), ==, 0);
  g_assert_cmpint(fcntl(fd, F_ADD_SEALS, seals), ==, 0);
  return fd;
}

static void test_refused_memory(void) {
  const int all = F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL;
  assert_refused(-1, N, SIZE, MNK_ERROR_BAD_INPUT);
  assert_refused(dup(2), N, SIZE, MNK_ERROR_BAD_INPUT);
  assert_refused(memory_with_seals(N * SIZE, 0), N, SIZE, MNK_ERROR_BAD_INPUT);
  assert_refused(memory_with_seals(N * SIZE, all & ~F_SEAL_SHRINK), N, SIZE, MNK_ERROR_BAD_INPUT);
  assert_refused(memory_with_seals(N * SIZE, all & ~F_SEAL_SEAL), N, SIZE, MNK_ERROR_BAD_INPUT);
  assert_refused(memory_with_seals(N * SIZE - 1, all), N, SIZE, MNK_ERROR_BAD_INPUT);
  assert_refused(memory_with_seals(N * SIZE + 1, all), N, SIZE, MNK_ERROR_BAD_INPUT);
  assert_refused(memory_with_seals(0, all), N, SIZE, MNK_ERROR_BAD_INPUT);
  assert_refused(memory_with_seals(N * SIZE, all), N, G_MAXSIZE, MNK_ERROR_LIMIT);
  /* A seal against writing makes the mapping fail, not the first write. */
  assert_refused(memory_with_seals(N * SIZE, all | F_SEAL_WRITE), N, SIZE, MNK_ERROR_INTERNAL);
}

static gpointer take_and_give(gpointer data) {
  MnkSlots *slots = data;
  for (guint i = 0; i < 20000; i++) {
    int slot = mnk_slots_acquire(slots);
    if (slot < 0)
      continue;
    guint8 *bytes = mnk_slots_bytes(slots, (guint)slot);
    bytes[0] = 1; /* a race here means that two threads hold one slot */
    g_assert_true(mnk_slots_release(slots, (guint)slot));
  }
  return NULL;
}

static void test_threads(void) {
  g_autoptr(MnkSlots) slots = mnk_slots_new(N, SIZE, NULL);
  GThread *threads[4];
  for (guint i = 0; i < G_N_ELEMENTS(threads); i++)
    threads[i] = g_thread_new("slots", take_and_give, slots);
  for (guint i = 0; i < G_N_ELEMENTS(threads); i++)
    g_thread_join(threads[i]);
  for (guint i = 0; i < N; i++)
    g_assert_false(mnk_slots_release(slots, i));
}

int main(int argc, char **argv) {
  g_test_init(&argc, &argv, NULL);
  g_test_add_func("/ipc/slots/shared", test_shared);
  g_test_add_func("/ipc/slots/exhaustion", test_exhaustion);
  g_test_add_func("/ipc/slots/double-release", test_double_release);
  g_test_add_func("/ipc/slots/out-of-range", test_out_of_range);
  g_test_add_func("/ipc/slots/bad-sizes", test_bad_sizes);
  g_test_add_func("/ipc/slots/sealed", test_sealed);
  g_test_add_func("/ipc/slots/refused-memory", test_refused_memory);
  g_test_add_func("/ipc/slots/threads", test_threads);
  return g_test_run();
}
