/* A pair of files, by their headers. */
#include "vlm/vlm.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "vlm/families_priv.h"
#include "vlm/footprint_priv.h"
#include "vlm/inspect_priv.h"

enum {
  FIRST_READ = 1 << 20,
  HEADER_MAX = 256 << 20, /* the largest vocabularies take some 20 MB */
  TAIL = 64 << 10,        /* of the weights, to tell apart models with the same header */
  LAYERS_MAX = 1024,
  WIDTH_MAX = 65536,
};

typedef struct {
  const char *path;
  MnkGgufInfo info;
  guint64 bytes;
  GChecksum *sum; /* of the header and the last weights */
} Header;

static void header_clear(Header *header) {
  g_clear_pointer(&header->sum, g_checksum_free);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Header, header_clear)

static gboolean G_GNUC_PRINTF(4, 5)
    refuse(const Header *header, GError **error, MnkErrorCode code, const char *format, ...) {
  va_list args;
  va_start(args, format);
  g_autofree char *what = g_strdup_vprintf(format, args);
  va_end(args);
  g_set_error(error, MNK_ERROR, (gint)code, "%s %s", header->path, what);
  return FALSE;
}

/* ---- Reading ---- */

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

static int open_file(Header *header, GError **error) {
  struct stat st;
  int fd = open(header->path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (fd < 0 || fstat(fd, &st) < 0) {
    int code = errno;
    refuse(header, error, code == ENOENT ? MNK_ERROR_NOT_FOUND : MNK_ERROR_MODEL,
           "cannot be opened: %s", g_strerror(code));
  } else if (!S_ISREG(st.st_mode)) {
    refuse(header, error, MNK_ERROR_BAD_INPUT, "is %s, not a model file",
           S_ISDIR(st.st_mode) ? "a folder" : "no regular file");
  } else if (st.st_size == 0) {
    refuse(header, error, MNK_ERROR_BAD_INPUT, "is empty");
  } else {
    header->bytes = (guint64)st.st_size;
    return fd;
  }
  if (fd >= 0)
    close(fd);
  return -1;
}

/* Reads more and more of the file until all of its tensor table is in. */
static gboolean read_header(Header *header, int fd, GError **error) {
  for (gsize length = FIRST_READ;; length *= 4) {
    length = (gsize)MIN(length, MIN(header->bytes, HEADER_MAX));
    g_autofree guint8 *bytes = g_try_malloc(length);
    if (!bytes || !read_at(fd, bytes, length, 0))
      return refuse(header, error, MNK_ERROR_MODEL, "cannot be read: %s", g_strerror(errno));
    g_autoptr(GError) why = NULL;
    if (!mnk_gguf_probe(bytes, length, header->bytes, &header->info, &why))
      return refuse(header, error, (MnkErrorCode)why->code, "is damaged or no model file: %s",
                    why->message);
    if (header->info.data_offset > 0) {
      g_checksum_update(header->sum, bytes, (gssize)MIN(header->info.data_offset, length));
      return TRUE;
    }
    if (length == header->bytes || length == HEADER_MAX)
      return refuse(header, error, MNK_ERROR_BAD_INPUT, "has no end to its header");
  }
}

static gboolean sum_tail(Header *header, int fd, GError **error) {
  guint8 tail[TAIL];
  gsize length = (gsize)MIN(header->bytes, TAIL);
  if (!read_at(fd, tail, length, (off_t)(header->bytes - length)))
    return refuse(header, error, MNK_ERROR_MODEL, "cannot be read: %s", g_strerror(errno));
  g_checksum_update(header->sum, tail, (gssize)length);
  return TRUE;
}

static gboolean header_read(Header *header, const char *path, GError **error) {
  *header = (Header){.path = path, .sum = g_checksum_new(G_CHECKSUM_SHA256)};
  int fd = open_file(header, error);
  if (fd < 0)
    return FALSE;
  gboolean ok = read_header(header, fd, error) && sum_tail(header, fd, error);
  close(fd);
  return ok;
}

gboolean mnk_vlm_header(const char *path, MnkGgufInfo *info, GError **error) {
  g_auto(Header) header = {0};
  if (!header_read(&header, path, error))
    return FALSE;
  *info = header.info;
  return TRUE;
}

/* ---- What is in it ---- */

static gboolean is_projector(const Header *header) {
  return g_str_equal(header->info.architecture, "clip") || g_str_equal(header->info.type, "mmproj");
}

/* Numbers with which the library is known to stop the process. */
static gboolean check_numbers(const Header *header, GError **error) {
  const MnkGgufInfo *info = &header->info;
  if (info->block_count == 0 || info->block_count > LAYERS_MAX)
    return refuse(header, error, MNK_ERROR_BAD_INPUT,
                  "is damaged: it says that it has %" G_GUINT64_FORMAT " layers",
                  info->block_count);
  if (info->embedding_length == 0 || info->embedding_length > WIDTH_MAX)
    return refuse(header, error, MNK_ERROR_BAD_INPUT,
                  "is damaged: it says that its width is %" G_GUINT64_FORMAT,
                  info->embedding_length);
  if (info->heads == 0 || info->heads > info->embedding_length)
    return refuse(header, error, MNK_ERROR_BAD_INPUT,
                  "is damaged: it says that it has %" G_GUINT64_FORMAT " attention heads",
                  info->heads);
  if (info->heads_kv > info->heads)
    return refuse(header, error, MNK_ERROR_BAD_INPUT,
                  "is damaged: it says that it has more heads of keys than of queries");
  if (info->key_length > WIDTH_MAX || info->value_length > WIDTH_MAX)
    return refuse(header, error, MNK_ERROR_BAD_INPUT, "is damaged: its heads are too wide");
  return TRUE;
}

static gboolean check_text(const Header *header, GError **error) {
  if (is_projector(header))
    return refuse(header, error, MNK_ERROR_CONFIG,
                  "is a projector (mmproj), not a language model; give it as the projector");
  if (header->info.architecture[0] == '\0')
    return refuse(header, error, MNK_ERROR_BAD_INPUT, "does not say which model it is");
  if (header->info.vocabulary == 0)
    return refuse(header, error, MNK_ERROR_BAD_INPUT, "has no vocabulary");
  if (!check_numbers(header, error))
    return FALSE;
  if (header->info.embedding_columns != header->info.embedding_length ||
      header->info.embedding_rows < header->info.vocabulary)
    return refuse(header, error, MNK_ERROR_BAD_INPUT,
                  "is damaged: its table of words is not of the size that it says");
  return TRUE;
}

static gboolean check_projector(const Header *header, GError **error) {
  const MnkGgufInfo *info = &header->info;
  if (!is_projector(header))
    return refuse(header, error, MNK_ERROR_CONFIG,
                  "is a language model (%s), not a projector (mmproj)", info->architecture);
  if (info->projector[0] == '\0' || !info->vision)
    return refuse(header, error, MNK_ERROR_CONFIG, "is a projector that takes no pictures");
  if (info->patch_size == 0 || info->patch_size > 1024 || info->image_size > 65536)
    return refuse(header, error, MNK_ERROR_BAD_INPUT,
                  "is damaged: it says that its patches have a side of %" G_GUINT64_FORMAT,
                  info->patch_size);
  if (info->image_size < info->patch_size)
    return refuse(header, error, MNK_ERROR_BAD_INPUT,
                  "is damaged: it says that its pictures have a side of %" G_GUINT64_FORMAT,
                  info->image_size);
  if (info->patch_columns > 0 && info->patch_columns != info->patch_size)
    return refuse(header, error, MNK_ERROR_BAD_INPUT,
                  "is damaged: its patches are not of the size that it says");
  if (!check_numbers(header, error))
    return FALSE;
  if (info->embedding_length % info->heads != 0)
    return refuse(header, error, MNK_ERROR_BAD_INPUT,
                  "is damaged: its width is no multiple of its attention heads");
  return TRUE;
}

/* What the library takes for something else instead of an error. */
static gboolean check_kind(const Header *text, const Header *tower, GError **error) {
  const MnkGgufInfo *info = &tower->info;
  guint64 side = info->image_size / info->patch_size;
  gboolean placed =
      g_str_equal(info->projector, "idefics3") || g_str_equal(info->projector, "gemma3");
  if (placed && info->patch_places != side * side)
    return refuse(tower, error, MNK_ERROR_BAD_INPUT,
                  "is damaged: it has places for %" G_GUINT64_FORMAT
                  " patches, and its pictures have %" G_GUINT64_FORMAT,
                  info->patch_places, side * side);
  if (g_str_equal(info->projector, "qwen2.5vl_merger") && info->window_pattern == 0)
    return refuse(tower, error, MNK_ERROR_BAD_INPUT,
                  "is damaged: it does not say which layers see the whole picture");
  if (g_str_equal(text->info.architecture, "gemma3") && text->info.window == 0)
    return refuse(text, error, MNK_ERROR_BAD_INPUT,
                  "is damaged: it does not say how far its layers see");
  return TRUE;
}

/* Belong together. */
static gboolean check_pair(const Header *text, const Header *tower, const MnkVlmProjector **found,
                           GError **error) {
  const MnkVlmProjector *projector = mnk_vlm_projector_find(tower->info.projector);
  if (!projector)
    return refuse(tower, error, MNK_ERROR_UNSUPPORTED, "is of a kind that is not known here (%s)",
                  tower->info.projector);
  if (!mnk_vlm_projector_fits(projector, text->info.architecture))
    return refuse(tower, error, MNK_ERROR_CONFIG,
                  "is the projector of another model: it is for %s, and %s is a %s model",
                  projector->name, text->path, text->info.architecture);
  if (projector->width_told && tower->info.projection_dim != text->info.embedding_length)
    return refuse(tower, error, MNK_ERROR_CONFIG,
                  "is the projector of another model: it gives tokens of width %" G_GUINT64_FORMAT
                  ", and %s takes %" G_GUINT64_FORMAT,
                  tower->info.projection_dim, text->path, text->info.embedding_length);
  *found = projector;
  return check_kind(text, tower, error);
}

/* ---- Result ---- */

/* float16 keys and values of every layer; a head's width is the model's share where it is not
 * told. */
static guint64 kv_bytes(const MnkGgufInfo *info) {
  guint64 heads = info->heads_kv > 0 ? info->heads_kv : info->heads;
  guint64 share = info->embedding_length / info->heads;
  guint64 key = info->key_length > 0 ? info->key_length : share;
  guint64 value = info->value_length > 0 ? info->value_length : share;
  return info->block_count * heads * (key + value) * sizeof(guint16);
}

static void describe(MnkVlmFiles *out, const Header *text, const Header *tower) {
  const MnkGgufInfo *info = &text->info;
  g_strlcpy(out->name, info->name, sizeof out->name);
  g_strlcpy(out->architecture, info->architecture, sizeof out->architecture);
  out->dim = (guint)info->embedding_length;
  out->layers = (guint)info->block_count;
  out->context_max = (guint)MIN(info->context_length, G_MAXUINT);
  out->kv_bytes = kv_bytes(info);
  out->model_bytes = text->bytes;
  g_autoptr(GChecksum) sum = g_checksum_new(G_CHECKSUM_SHA256);
  g_checksum_update(sum, (const guchar *)g_checksum_get_string(text->sum), -1);
  if (tower) {
    g_strlcpy(out->projector, tower->info.projector, sizeof out->projector);
    out->projector_bytes = tower->bytes;
    out->image_size = (guint)tower->info.image_size;
    out->patch_size = (guint)tower->info.patch_size;
    g_checksum_update(sum, (const guchar *)g_checksum_get_string(tower->sum), -1);
  }
  g_strlcpy(out->hash, g_checksum_get_string(sum), sizeof out->hash);
}

gboolean mnk_vlm_inspect(const char *model, const char *mmproj, guint context, MnkVlmFiles *out,
                         GError **error) {
  g_auto(Header) text = {0}, tower = {0};
  const MnkVlmProjector *projector = NULL;
  *out = (MnkVlmFiles){.family = MNK_VLM_OTHER};
  if (!header_read(&text, model, error) || !check_text(&text, error))
    return FALSE;
  if (mmproj && (!header_read(&tower, mmproj, error) || !check_projector(&tower, error) ||
                 !check_pair(&text, &tower, &projector, error)))
    return FALSE;
  describe(out, &text, mmproj ? &tower : NULL);
  if (projector)
    out->family = projector->family;
  out->needed = mnk_vlm_memory_needed(out, context, text.info.vocabulary);
  return mnk_vlm_memory_check(out, context, error);
}
