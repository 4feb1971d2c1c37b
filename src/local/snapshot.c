/* Snapshots: a stream's memory as bytes.
 *
 *   "MNKLOCAL"  version u32  lengths 2 x u64 (little-endian)  embedding space, 64 characters
 *   key frames  token memory
 *
 * The two parts have checksums of their own; the head is checked for what it has to be. */
#include "local/worker_priv.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

enum { VERSION = 1, SPACE = 64, HEAD = 8 + 4 + 16 + SPACE };
static const char MAGIC[] = "MNKLOCAL";

static void put_length(GByteArray *out, guint64 length) {
  length = GUINT64_TO_LE(length);
  g_byte_array_append(out, (const guint8 *)&length, sizeof length);
}

static void put_head(const MnkModelMemory *memory, gsize keyframes, gsize tokens, GByteArray *out) {
  guint32 version = GUINT32_TO_LE(VERSION);
  char space[SPACE + 1] = {0};
  g_strlcpy(space, memory->space, sizeof space);
  g_byte_array_append(out, (const guint8 *)MAGIC, sizeof MAGIC - 1);
  g_byte_array_append(out, (const guint8 *)&version, sizeof version);
  put_length(out, keyframes);
  put_length(out, tokens);
  g_byte_array_append(out, (const guint8 *)space, SPACE);
}

static gboolean write_whole(int fd, const GByteArray *bytes, off_t at, GError **error) {
  for (gsize done = 0; done < bytes->len;) {
    gssize n = pwrite(fd, bytes->data + done, bytes->len - done, at + (off_t)done);
    if (n < 0 && errno == EINTR)
      continue;
    if (n <= 0) {
      g_set_error(error, MNK_ERROR, MNK_ERROR_STORE, "the memory could not be written: %s",
                  g_strerror(errno));
      return FALSE;
    }
    done += (gsize)n;
  }
  return TRUE;
}

gboolean mnk_model_memory_save(MnkModelMemory *memory, int fd, gsize *length, guint64 *order,
                               GError **error) {
  g_autoptr(GByteArray) head = g_byte_array_new(), keyframes = g_byte_array_new(),
                        tokens = g_byte_array_new();
  mnk_model_memory_lock(memory);
  mnk_keyframes_save(memory->keyframes, keyframes);
  if (memory->token_memory != NULL)
    mnk_token_memory_save(memory->token_memory, tokens);
  *order = memory->order;
  mnk_model_memory_unlock(memory);
  put_head(memory, keyframes->len, tokens->len, head);
  *length = (gsize)HEAD + keyframes->len + tokens->len;
  return write_whole(fd, head, 0, error) && write_whole(fd, keyframes, HEAD, error) &&
         write_whole(fd, tokens, (off_t)HEAD + keyframes->len, error);
}

static guint8 *read_whole(int fd, gsize length, GError **error) {
  guint8 *bytes = length >= HEAD && length <= MNK_SNAPSHOT_BYTES_MAX ? g_try_malloc(length) : NULL;
  gsize done = 0;
  while (bytes != NULL && done < length) {
    gssize n = pread(fd, bytes + done, length - done, (off_t)done);
    if (n < 0 && errno == EINTR)
      continue;
    if (n <= 0)
      break;
    done += (gsize)n;
  }
  if (bytes != NULL && done == length)
    return bytes;
  g_free(bytes);
  g_set_error(error, MNK_ERROR, MNK_ERROR_BAD_INPUT,
              "it is cut off after %" G_GSIZE_FORMAT " bytes", done);
  return NULL;
}

static guint64 get_length(const guint8 *at) {
  guint64 length;
  memcpy(&length, at, sizeof length);
  return GUINT64_FROM_LE(length);
}

static gboolean check_head(const MnkModelMemory *memory, const guint8 *bytes, gsize length,
                           gsize *keyframes, gsize *tokens, GError **error) {
  guint32 version;
  memcpy(&version, bytes + 8, sizeof version);
  guint64 first = get_length(bytes + 12), second = get_length(bytes + 20);
  const char *fault = NULL;
  if (memcmp(bytes, MAGIC, 8) != 0)
    fault = "it is no memory of a stream";
  else if (GUINT32_FROM_LE(version) != VERSION)
    fault = "it is of another version of this program";
  else if (strncmp((const char *)bytes + 28, memory->space, SPACE) != 0)
    fault = "it is of another model";
  else if (first > length - HEAD || second != length - HEAD - first)
    fault = "it is cut off";
  if (fault != NULL) {
    g_set_error_literal(error, MNK_ERROR, MNK_ERROR_BAD_INPUT, fault);
    return FALSE;
  }
  *keyframes = (gsize)first;
  *tokens = (gsize)second;
  return TRUE;
}

/* Of the width of this model's tokens, however whole it is. */
static gboolean is_of_width(const MnkKeyframes *keyframes, guint dim) {
  MnkCluster cluster;
  for (guint i = 0; i < mnk_keyframes_count(keyframes); i++) {
    mnk_keyframes_get(keyframes, i, &cluster);
    if (mnk_tokens_dim(cluster.merged) != dim)
      return FALSE;
  }
  return TRUE;
}

static void put_in_place(MnkModelMemory *memory, MnkKeyframes *keyframes, MnkTokenMemory *tokens) {
  MnkCluster cluster;
  mnk_keyframes_free(memory->keyframes);
  memory->keyframes = keyframes;
  if (tokens != NULL && memory->setup.token_memory != 0) {
    mnk_token_memory_free(memory->token_memory);
    memory->token_memory = tokens;
  } else {
    mnk_token_memory_free(tokens);
  }
  for (guint i = 0; i < mnk_keyframes_count(keyframes); i++) {
    mnk_keyframes_get(keyframes, i, &cluster);
    memory->last_ms = MAX(memory->last_ms, cluster.last_ms);
  }
}

static gboolean restore(MnkModelMemory *memory, int fd, gsize length, GError **error) {
  g_autofree guint8 *bytes = read_whole(fd, length, error);
  gsize first, second;
  if (bytes == NULL || !check_head(memory, bytes, length, &first, &second, error))
    return FALSE;
  g_autoptr(MnkKeyframes) keyframes = mnk_keyframes_restore(bytes + HEAD, first, error);
  if (keyframes == NULL)
    return FALSE;
  if (!is_of_width(keyframes, memory->dim)) {
    g_set_error_literal(error, MNK_ERROR, MNK_ERROR_BAD_INPUT, "its tokens are of another width");
    return FALSE;
  }
  g_autoptr(MnkTokenMemory) tokens = NULL;
  if (second > 0) {
    tokens = mnk_token_memory_restore(bytes + HEAD + first, second, error);
    if (tokens == NULL)
      return FALSE;
  }
  put_in_place(memory, g_steal_pointer(&keyframes), g_steal_pointer(&tokens));
  return TRUE;
}

gboolean mnk_model_memory_restore(MnkModelMemory *memory, int fd, gsize length, GError **error) {
  gboolean ok = restore(memory, fd, length, error);
  close(fd);
  return ok;
}
