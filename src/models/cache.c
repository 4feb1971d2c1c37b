#include <glib/gstdio.h>
#include <string.h>

#include "models/models.h"

typedef struct {
  char *path;
  guint64 size;
  gint64 made; /* seconds since the epoch */
} Blob;

static void blob_free(gpointer data) {
  Blob *blob = data;
  g_free(blob->path);
  g_free(blob);
}

static gint oldest_first(gconstpointer a, gconstpointer b) {
  const Blob *x = *(Blob *const *)a, *y = *(Blob *const *)b;
  if (x->made != y->made)
    return x->made < y->made ? -1 : 1;
  return strcmp(x->path, y->path);
}

static GPtrArray *blobs_in(const char *dir, guint64 *total) {
  GPtrArray *blobs = g_ptr_array_new_with_free_func(blob_free);
  g_autoptr(GDir) folder = g_dir_open(dir, 0, NULL);
  const char *name;
  while (folder != NULL && (name = g_dir_read_name(folder)) != NULL) {
    g_autofree char *path = g_build_filename(dir, name, NULL);
    GStatBuf info;
    if (!g_str_has_suffix(name, ".blob") || g_lstat(path, &info) < 0 || !S_ISREG(info.st_mode))
      continue;
    Blob *blob = g_new(Blob, 1);
    *blob = (Blob){g_steal_pointer(&path), (guint64)info.st_size, info.st_mtime};
    *total += blob->size;
    g_ptr_array_add(blobs, blob);
  }
  g_ptr_array_sort(blobs, oldest_first);
  return blobs;
}

void mnk_models_bound_cache(const char *dir, guint64 max_bytes) {
  guint64 total = 0;
  g_autoptr(GPtrArray) blobs = blobs_in(dir, &total);
  for (guint i = 0; i < blobs->len && total > max_bytes; i++) {
    const Blob *blob = blobs->pdata[i];
    if (g_unlink(blob->path) == 0)
      total -= blob->size;
  }
}
