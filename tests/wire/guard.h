/* Bytes that end where the next page may not be touched: reading one byte too many is a crash. */
#ifndef MNK_TESTS_WIRE_GUARD_H
#define MNK_TESTS_WIRE_GUARD_H

#include <glib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

typedef struct {
  guint8 *map;
  gsize size; /* readable */
  gsize page;
} Guard;

static inline Guard guard_new(gsize max) {
  Guard guard = {.page = (gsize)sysconf(_SC_PAGESIZE)};
  guard.size = (max / guard.page + 1) * guard.page;
  guard.map = mmap(NULL, guard.size + guard.page, PROT_READ | PROT_WRITE,
                   MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  g_assert_true(guard.map != MAP_FAILED);
  g_assert_cmpint(mprotect(guard.map + guard.size, guard.page, PROT_NONE), ==, 0);
  return guard;
}

/* A copy of the bytes that ends at the guarded page. */
static inline guint8 *guard_copy(Guard *guard, gconstpointer bytes, gsize length) {
  g_assert_cmpuint(length, <=, guard->size);
  guint8 *copy = guard->map + guard->size - length;
  if (length)
    memcpy(copy, bytes, length);
  return copy;
}

static inline void guard_free(Guard *guard) {
  munmap(guard->map, guard->size + guard->page);
}

#endif
