/* Slots: equal pieces of one memfd that both processes map, and the book of which are taken. */
#include "ipc/ipc.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

/* Without F_SEAL_SEAL the peer could add F_SEAL_WRITE later and take the mapping away. */
static const int required_seals = F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL;

struct _MnkSlots {
  int fd;
  guint n;
  gsize slot_size;
  guint8 *memory;
  GMutex lock; /* guards taken */
  gboolean *taken;
  MnkMetric *exhausted;
};

static gboolean total_size(guint n, gsize slot_size, gsize *total, GError **error) {
  if (n > 0 && n <= MNK_SLOTS_MAX && slot_size > 0 && g_size_checked_mul(total, n, slot_size) &&
      *total <= MNK_SLOTS_MAX_BYTES)
    return TRUE;
  g_set_error(error, MNK_ERROR, MNK_ERROR_LIMIT,
              "%u slots of %" G_GSIZE_FORMAT
              " bytes: at most %d slots and %d bytes in all can be had",
              n, slot_size, (int)MNK_SLOTS_MAX, (int)MNK_SLOTS_MAX_BYTES);
  return FALSE;
}

static void set_failure(GError **error, const char *what) {
  g_set_error(error, MNK_ERROR, MNK_ERROR_INTERNAL, "%s shared memory: %s", what,
              g_strerror(errno));
}

/* Takes fd, also on failure. */
static MnkSlots *map_fd(int fd, guint n, gsize slot_size, gsize total, GError **error) {
  void *memory = mmap(NULL, total, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  if (memory == MAP_FAILED) {
    set_failure(error, "cannot map");
    close(fd);
    return NULL;
  }
  MnkSlots *slots = g_new0(MnkSlots, 1);
  slots->fd = fd;
  slots->n = n;
  slots->slot_size = slot_size;
  slots->memory = memory;
  slots->taken = g_new0(gboolean, n);
  slots->exhausted =
      mnk_counter("slots_exhausted_total", "Times that no slot for a picture was free", NULL);
  g_mutex_init(&slots->lock);
  return slots;
}

MnkSlots *mnk_slots_new(guint n, gsize slot_size, GError **error) {
  gsize total;
  if (!total_size(n, slot_size, &total, error))
    return NULL;
  int fd = memfd_create("manako-slots", MFD_CLOEXEC | MFD_ALLOW_SEALING);
  if (fd < 0 || ftruncate(fd, (off_t)total) < 0 || fcntl(fd, F_ADD_SEALS, required_seals) < 0) {
    set_failure(error, "cannot make");
    if (fd >= 0)
      close(fd);
    return NULL;
  }
  return map_fd(fd, n, slot_size, total, error);
}

/* A memory that could still shrink would end this process with SIGBUS. */
static gboolean check_memory(int fd, gsize total, GError **error) {
  struct stat info;
  int seals = fcntl(fd, F_GET_SEALS);
  if (seals < 0 || (seals & required_seals) != required_seals) {
    g_set_error(error, MNK_ERROR, MNK_ERROR_BAD_INPUT,
                "the memory for slots is not sealed against resizing");
    return FALSE;
  }
  if (fstat(fd, &info) < 0 || info.st_size != (off_t)total) {
    g_set_error(error, MNK_ERROR, MNK_ERROR_BAD_INPUT,
                "the memory for slots is not of the announced %" G_GSIZE_FORMAT " bytes", total);
    return FALSE;
  }
  return TRUE;
}

MnkSlots *mnk_slots_map(int fd, guint n, gsize slot_size, GError **error) {
  gsize total;
  if (!total_size(n, slot_size, &total, error) || !check_memory(fd, total, error)) {
    if (fd >= 0)
      close(fd);
    return NULL;
  }
  return map_fd(fd, n, slot_size, total, error);
}

void mnk_slots_free(MnkSlots *slots) {
  if (slots == NULL)
    return;
  munmap(slots->memory, slots->n * slots->slot_size);
  close(slots->fd);
  g_free(slots->taken);
  g_mutex_clear(&slots->lock);
  g_free(slots);
}

int mnk_slots_fd(const MnkSlots *slots) {
  return slots->fd;
}

gsize mnk_slots_size(const MnkSlots *slots) {
  return slots->slot_size;
}

int mnk_slots_acquire(MnkSlots *slots) {
  g_autoptr(GMutexLocker) locker = g_mutex_locker_new(&slots->lock);
  for (guint i = 0; i < slots->n; i++) {
    if (!slots->taken[i]) {
      slots->taken[i] = TRUE;
      return (int)i;
    }
  }
  mnk_metric_add(slots->exhausted, 1);
  return -1;
}

gboolean mnk_slots_release(MnkSlots *slots, guint slot) {
  g_autoptr(GMutexLocker) locker = g_mutex_locker_new(&slots->lock);
  if (slot >= slots->n || !slots->taken[slot])
    return FALSE;
  slots->taken[slot] = FALSE;
  return TRUE;
}

guint8 *mnk_slots_bytes(MnkSlots *slots, guint slot) {
  return slot < slots->n ? slots->memory + slot * slots->slot_size : NULL;
}
