#include "faults.h"

#include <sqlite3.h>
#include <string.h>

static gint fault = SQLITE_OK;      /* atomic */
static gint fault_once = SQLITE_OK; /* atomic */
static gint countdown = -1;         /* atomic */

void faults_set(int code) {
  g_atomic_int_set(&fault, code);
}

void faults_set_once(guint n, int code) {
  g_atomic_int_set(&fault_once, code);
  g_atomic_int_set(&countdown, (gint)n);
}

static int due(void) {
  if (g_atomic_int_get(&countdown) >= 0 && g_atomic_int_add(&countdown, -1) == 0)
    return g_atomic_int_get(&fault_once);
  return g_atomic_int_get(&fault);
}

/* ---- Files: the real one lies behind the struct ---- */

typedef struct {
  sqlite3_file base;
  sqlite3_file *real;
} Faulty;

static sqlite3_file *real_of(sqlite3_file *file) {
  return ((Faulty *)file)->real;
}

#define PASS(call, ...) return real_of(file)->pMethods->call(real_of(file), ##__VA_ARGS__)
#define FAIL_OR_PASS(call, ...)                                                                    \
  do {                                                                                             \
    int code = due();                                                                              \
    if (code != SQLITE_OK)                                                                         \
      return code;                                                                                 \
    PASS(call, ##__VA_ARGS__);                                                                     \
  } while (0)

static int file_close(sqlite3_file *file) {
  PASS(xClose);
}
static int file_read(sqlite3_file *file, void *out, int n, sqlite3_int64 at) {
  PASS(xRead, out, n, at);
}
static int file_write(sqlite3_file *file, const void *data, int n, sqlite3_int64 at) {
  FAIL_OR_PASS(xWrite, data, n, at);
}
static int file_truncate(sqlite3_file *file, sqlite3_int64 size) {
  FAIL_OR_PASS(xTruncate, size);
}
static int file_sync(sqlite3_file *file, int flags) {
  FAIL_OR_PASS(xSync, flags);
}
static int file_size(sqlite3_file *file, sqlite3_int64 *size) {
  PASS(xFileSize, size);
}
static int file_lock(sqlite3_file *file, int level) {
  PASS(xLock, level);
}
static int file_unlock(sqlite3_file *file, int level) {
  PASS(xUnlock, level);
}
static int file_is_reserved(sqlite3_file *file, int *out) {
  PASS(xCheckReservedLock, out);
}
static int file_control(sqlite3_file *file, int op, void *argument) {
  PASS(xFileControl, op, argument);
}
static int file_sector(sqlite3_file *file) {
  PASS(xSectorSize);
}
static int file_traits(sqlite3_file *file) {
  PASS(xDeviceCharacteristics);
}
static int file_shm_map(sqlite3_file *file, int page, int size, int extend, void volatile **out) {
  PASS(xShmMap, page, size, extend, out);
}
static int file_shm_lock(sqlite3_file *file, int offset, int n, int flags) {
  PASS(xShmLock, offset, n, flags);
}
static void file_shm_barrier(sqlite3_file *file) {
  real_of(file)->pMethods->xShmBarrier(real_of(file));
}
static int file_shm_unmap(sqlite3_file *file, int remove) {
  PASS(xShmUnmap, remove);
}

static const sqlite3_io_methods methods = {
    .iVersion = 2,
    .xClose = file_close,
    .xRead = file_read,
    .xWrite = file_write,
    .xTruncate = file_truncate,
    .xSync = file_sync,
    .xFileSize = file_size,
    .xLock = file_lock,
    .xUnlock = file_unlock,
    .xCheckReservedLock = file_is_reserved,
    .xFileControl = file_control,
    .xSectorSize = file_sector,
    .xDeviceCharacteristics = file_traits,
    .xShmMap = file_shm_map,
    .xShmLock = file_shm_lock,
    .xShmBarrier = file_shm_barrier,
    .xShmUnmap = file_shm_unmap,
};

/* ---- The file layer ---- */

static int layer_open(sqlite3_vfs *vfs, const char *name, sqlite3_file *file, int flags, int *out) {
  sqlite3_vfs *real_layer = vfs->pAppData;
  Faulty *faulty = (Faulty *)file;
  faulty->real = (sqlite3_file *)(void *)((char *)file + sizeof *faulty);
  int code = real_layer->xOpen(real_layer, name, faulty->real, flags, out);
  faulty->base.pMethods = faulty->real->pMethods != NULL ? &methods : NULL;
  return code;
}

void faults_install(void) {
  static sqlite3_vfs layer;
  sqlite3_vfs *real_layer = sqlite3_vfs_find(NULL);
  g_assert_nonnull(real_layer);
  layer = *real_layer;
  layer.zName = "faults";
  layer.szOsFile = (int)sizeof(Faulty) + real_layer->szOsFile;
  layer.pAppData = real_layer;
  layer.xOpen = layer_open;
  g_assert_cmpint(sqlite3_vfs_register(&layer, 1), ==, SQLITE_OK);
}
