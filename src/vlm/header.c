#include "vlm/header_priv.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
  FIRST_READ = 1 << 20,
  HEADER_MAX = 256 << 20, /* the largest vocabularies take some 20 MB */
  TAIL = 64 << 10,        /* of the weights, to tell apart models with the same header */
};

gboolean mnk_vlm_refuse(const MnkVlmHeader *header, GError **error, MnkErrorCode code,
                        const char *format, ...) {
  va_list args;
  va_start(args, format);
  g_autofree char *what = g_strdup_vprintf(format, args);
  va_end(args);
  g_set_error(error, MNK_ERROR, (gint)code, "%s %s", header->path, what);
  return FALSE;
}

static gboolean read_at(int fd, guint8 *out, gsize n, off_t at) {
  while (n > 0) {
    gssize got = pread(fd, out, n, at);
    if (got < 0 && errno == EINTR)
      continue;
    if (got <= 0)
      return FALSE;
    out += got;
    n -= (gsize)got;
    at += got;
  }
  return TRUE;
}

static int open_file(MnkVlmHeader *header, GError **error) {
  struct stat st;
  int fd = open(header->path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (fd < 0 || fstat(fd, &st) < 0) {
    int code = errno;
    mnk_vlm_refuse(header, error, code == ENOENT ? MNK_ERROR_NOT_FOUND : MNK_ERROR_MODEL,
                   "cannot be opened: %s", g_strerror(code));
  } else if (!S_ISREG(st.st_mode)) {
    mnk_vlm_refuse(header, error, MNK_ERROR_BAD_INPUT, "is %s, not a model file",
                   S_ISDIR(st.st_mode) ? "a folder" : "no regular file");
  } else if (st.st_size == 0) {
    mnk_vlm_refuse(header, error, MNK_ERROR_BAD_INPUT, "is empty");
  } else {
    header->bytes = (guint64)st.st_size;
    return fd;
  }
  if (fd >= 0)
    close(fd);
  return -1;
}

/* Reads more and more of the file until all of its tensor table is in. */
static gboolean read_header(MnkVlmHeader *header, int fd, GError **error) {
  for (gsize length = FIRST_READ;; length *= 4) {
    length = (gsize)MIN(length, MIN(header->bytes, HEADER_MAX));
    g_autofree guint8 *bytes = g_try_malloc(length);
    if (!bytes || !read_at(fd, bytes, length, 0))
      return mnk_vlm_refuse(header, error, MNK_ERROR_MODEL, "cannot be read: %s",
                            g_strerror(errno));
    g_autoptr(GError) why = NULL;
    if (!mnk_gguf_probe(bytes, length, header->bytes, &header->info, &why))
      return mnk_vlm_refuse(header, error, (MnkErrorCode)why->code,
                            "is damaged or no model file: %s", why->message);
    if (header->info.data_offset > 0) {
      g_checksum_update(header->sum, bytes, (gssize)MIN(header->info.data_offset, length));
      return TRUE;
    }
    if (length == header->bytes || length == HEADER_MAX)
      return mnk_vlm_refuse(header, error, MNK_ERROR_BAD_INPUT, "has no end to its header");
  }
}

static gboolean sum_tail(MnkVlmHeader *header, int fd, GError **error) {
  guint8 tail[TAIL];
  gsize length = (gsize)MIN(header->bytes, TAIL);
  if (!read_at(fd, tail, length, (off_t)(header->bytes - length)))
    return mnk_vlm_refuse(header, error, MNK_ERROR_MODEL, "cannot be read: %s", g_strerror(errno));
  g_checksum_update(header->sum, tail, (gssize)length);
  return TRUE;
}

gboolean mnk_vlm_header_read(MnkVlmHeader *header, const char *path, GError **error) {
  *header = (MnkVlmHeader){
      .path = g_strdup(path),
      .words_path = g_strdup(path),
      .parts = 1,
      .sum = g_checksum_new(G_CHECKSUM_SHA256),
  };
  int fd = open_file(header, error);
  if (fd < 0)
    return FALSE;
  gboolean ok = read_header(header, fd, error) && sum_tail(header, fd, error);
  close(fd);
  return ok;
}

void mnk_vlm_header_clear(MnkVlmHeader *header) {
  g_clear_pointer(&header->path, g_free);
  g_clear_pointer(&header->words_path, g_free);
  g_clear_pointer(&header->sum, g_checksum_free);
}
