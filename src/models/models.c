/* The table of models, and whether a file is the one that the table describes. */
#include "models/models.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/base.h"
#include "models/models_priv.h"

enum { CHUNK = 1 << 16 };

/* Parsed once; a constant from then on. */
static const GPtrArray *table(void) {
  static gsize once;
  if (g_once_init_enter(&once)) {
    gsize length = 0;
    const char *text = mnk_manifest_text(&length);
    g_autoptr(GError) error = NULL;
    GPtrArray *entries = mnk_manifest_parse(text, length, &error);
    if (entries == NULL)
      g_error("the manifest in the program is broken: %s", error->message);
    g_once_init_leave(&once, (gsize)entries);
  }
  return (const GPtrArray *)once;
}

const MnkModelEntry *mnk_models_at(guint index) {
  const GPtrArray *entries = table();
  return index < entries->len ? entries->pdata[index] : NULL;
}

const MnkModelEntry *mnk_models_find(const char *name) {
  const MnkModelEntry *entry = NULL;
  for (guint i = 0; (entry = mnk_models_at(i)) != NULL; i++) {
    if (g_str_equal(entry->name, name))
      return entry;
  }
  return NULL;
}

char *mnk_models_dir(const char *option) {
  if (option != NULL && *option != '\0')
    return g_canonicalize_filename(option, NULL);
  const char *variable = g_getenv("MANAKO_MODELS");
  if (variable != NULL && *variable != '\0')
    return g_canonicalize_filename(variable, NULL);
  g_autofree char *cache = mnk_path_cache();
  return g_build_filename(cache, "models", NULL);
}

char *mnk_models_path(const char *dir, const MnkModelEntry *entry) {
  return g_build_filename(dir, entry->file, NULL);
}

/* The SHA-256 of the rest of an open file, as hex; NULL with errno when it cannot be read. */
static char *hash_file(int fd) {
  g_autoptr(GChecksum) checksum = g_checksum_new(G_CHECKSUM_SHA256);
  g_autofree guchar *chunk = g_malloc(CHUNK);
  for (;;) {
    ssize_t got = read(fd, chunk, CHUNK);
    if (got == 0)
      return g_strdup(g_checksum_get_string(checksum));
    if (got > 0)
      g_checksum_update(checksum, chunk, got);
    else if (errno != EINTR)
      return NULL;
  }
}

/* NULL when the open file is the entry's, else what is wrong with it. */
static char *fault_of(int fd, const MnkModelEntry *entry, gboolean deep) {
  struct stat status;
  if (fstat(fd, &status) != 0)
    return g_strdup_printf("cannot be read (%s)", g_strerror(errno));
  if (!S_ISREG(status.st_mode))
    return g_strdup("is not a file");
  if ((guint64)status.st_size != entry->size)
    return g_strdup_printf("has %" G_GINT64_FORMAT " bytes instead of %" G_GUINT64_FORMAT,
                           (gint64)status.st_size, entry->size);
  if (!deep)
    return NULL;
  g_autofree char *hash = hash_file(fd);
  if (hash == NULL)
    return g_strdup_printf("cannot be read (%s)", g_strerror(errno));
  return g_str_equal(hash, entry->sha256) ? NULL : g_strdup("is damaged: its SHA-256 differs");
}

static MnkModelState report(MnkModelState state, const char *path, const char *what, char **why) {
  if (why != NULL)
    *why = state == MNK_MODEL_OK ? g_strdup_printf("%s %s", path, what)
                                 : g_strdup_printf("%s %s; %s", path, what, MNK_MODELS_REMEDY);
  return state;
}

MnkModelState mnk_models_check(const char *dir, const MnkModelEntry *entry, gboolean deep,
                               char **why) {
  g_autofree char *path = mnk_models_path(dir, entry);
  /* O_NONBLOCK: a pipe under this name must not hold us up. */
  int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (fd < 0 && (errno == ENOENT || errno == ENOTDIR))
    return report(MNK_MODEL_MISSING, path, "is missing", why);
  g_autofree char *fault = NULL;
  if (fd < 0) {
    fault = g_strdup_printf("cannot be opened (%s)", g_strerror(errno));
  } else {
    fault = fault_of(fd, entry, deep);
    close(fd);
  }
  if (fault != NULL)
    return report(MNK_MODEL_DAMAGED, path, fault, why);
  return report(MNK_MODEL_OK, path, deep ? "is whole" : "is there", why);
}
