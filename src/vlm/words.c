/* A text's tokens, and their rows of the model's table. The rows are read from the file, a handful
 * at a time: the library gives no access to its own. */
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <string.h>
#include <unistd.h>

#include <ggml.h>

#include "vlm/header_priv.h"
#include "vlm/model_priv.h"
#include "vlm/spell_priv.h"

struct _MnkVlmWords {
  int fd;
  const struct ggml_type_traits *traits;
  enum ggml_type type;
  gsize row_bytes;
  guint64 offset, rows;
  guint columns; /* of the table; a token may be wider */
  float scale;
};

static gboolean table_fits(MnkVlmWords *words, const MnkVlm *vlm, const MnkGgufInfo *info) {
  if (info->embedding_columns == 0 || info->embedding_type >= GGML_TYPE_COUNT ||
      info->embedding_columns > vlm->files.dim)
    return FALSE;
  words->type = (enum ggml_type)info->embedding_type;
  words->traits = ggml_get_type_traits(words->type);
  if (words->traits->blck_size <= 0 ||
      info->embedding_columns % (guint64)words->traits->blck_size != 0)
    return FALSE;
  if (words->type != GGML_TYPE_F32 && !words->traits->to_float)
    return FALSE;
  words->columns = (guint)info->embedding_columns;
  words->row_bytes = ggml_row_size(words->type, words->columns);
  words->offset = info->embedding_offset;
  words->rows = info->embedding_rows;
  return TRUE;
}

gboolean mnk_vlm_words_load(MnkVlm *vlm, GError **error) {
  g_auto(MnkVlmHeader) text = {0};
  MnkVlmWords *words = vlm->words = g_new0(MnkVlmWords, 1);
  words->fd = -1;
  if (!mnk_vlm_text_read(&text, vlm->config.model, error))
    return FALSE;
  if (!table_fits(words, vlm, &text.info)) {
    g_set_error(error, MNK_ERROR, MNK_ERROR_UNSUPPORTED,
                "%s has its words' embeddings in a form that is not known here", text.words_path);
    return FALSE;
  }
  words->fd = open(text.words_path, O_RDONLY | O_CLOEXEC);
  if (words->fd < 0) {
    g_set_error(error, MNK_ERROR, MNK_ERROR_MODEL, "%s cannot be opened: %s", text.words_path,
                g_strerror(errno));
    return FALSE;
  }
  /* Gemma scales them on the way in. */
  gboolean scaled = g_str_has_prefix(vlm->files.architecture, "gemma");
  words->scale = scaled ? sqrtf((float)words->columns) : 1;
  return TRUE;
}

void mnk_vlm_words_free(MnkVlmWords *words) {
  if (!words)
    return;
  if (words->fd >= 0)
    close(words->fd);
  g_free(words);
}

static gboolean read_row(const MnkVlmWords *words, llama_token token, guint8 *raw, float *out) {
  if (token < 0 || (guint64)token >= words->rows)
    return FALSE;
  off_t at = (off_t)(words->offset + (guint64)token * words->row_bytes);
  for (gsize have = 0; have < words->row_bytes;) {
    gssize got = pread(words->fd, raw + have, words->row_bytes - have, at + (off_t)have);
    if (got < 0 && errno == EINTR)
      continue;
    if (got <= 0)
      return FALSE;
    have += (gsize)got;
  }
  if (words->type == GGML_TYPE_F32)
    memcpy(out, raw, words->row_bytes);
  else
    words->traits->to_float(raw, out, words->columns);
  for (guint i = 0; i < words->columns; i++)
    out[i] *= words->scale;
  return TRUE;
}

float *mnk_vlm_rows(MnkVlm *vlm, const char *text, guint n_max, guint *n) {
  const MnkVlmWords *words = vlm->words;
  g_autoptr(GArray) tokens = g_array_new(FALSE, FALSE, sizeof(llama_token));
  mnk_vlm_spell(vlm, text, tokens);
  guint wanted = MIN(tokens->len, n_max);
  float *rows = g_new0(float, MAX((gsize)wanted * vlm->files.dim, 1));
  g_autofree guint8 *raw = g_malloc(words->row_bytes);
  guint done = 0;
  while (done < wanted && read_row(words, g_array_index(tokens, llama_token, done), raw,
                                   rows + (gsize)done * vlm->files.dim))
    done++;
  *n = done;
  return rows;
}

guint mnk_vlm_count(MnkVlm *vlm, const char *text) {
  g_autoptr(GArray) tokens = g_array_new(FALSE, FALSE, sizeof(llama_token));
  mnk_vlm_spell(vlm, text, tokens);
  return tokens->len;
}
