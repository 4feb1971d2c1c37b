/* A text model in several files, as llama.cpp's gguf-split writes them: each says which of how many
 * it is, the first alone says what the model is, and the library finds the others by their names.
 */
#include "vlm/header_priv.h"

#include <string.h>

static const char suffix[] = "-00000-of-00000.gguf";

/* ---- Names ---- */

/* The number of five digits that a name has in the place of the suffix's. */
static gboolean number_at(const char *digits, guint *out) {
  *out = 0;
  for (guint i = 0; i < 5; i++) {
    if (!g_ascii_isdigit(digits[i]))
      return FALSE;
    *out = *out * 10 + (guint)g_ascii_digit_value(digits[i]);
  }
  return TRUE;
}

char *mnk_vlm_part(const char *path, guint part, guint *own) {
  gsize length = strlen(path), tail = strlen(suffix);
  guint number, parts;
  if (length <= tail)
    return NULL;
  const char *end = path + length - tail;
  if (end[0] != '-' || !number_at(end + 1, &number) || !g_str_has_prefix(end + 6, "-of-") ||
      !number_at(end + 10, &parts) || !g_str_equal(end + 15, ".gguf"))
    return NULL;
  if (own)
    *own = number;
  return g_strdup_printf("%.*s-%05u-of-%05u.gguf", (int)(end - path), path, part, parts);
}

/* The name that the library gives to a part, from that of the first. Caller frees. */
static char *name_of(const MnkVlmHeader *first, guint part) {
  g_autofree char *own = g_strdup_printf("-00001-of-%05u.gguf", first->parts);
  return g_str_has_suffix(first->path, own) ? mnk_vlm_part(first->path, part, NULL) : NULL;
}

/* ---- Parts ---- */

static gboolean refuse_later(const MnkVlmHeader *header, GError **error) {
  guint64 part = header->info.split_no + 1, parts = header->info.splits;
  g_autofree char *first = mnk_vlm_part(header->path, 1, NULL);
  if (first && !g_file_test(first, G_FILE_TEST_EXISTS))
    return mnk_vlm_refuse(header, error, MNK_ERROR_NOT_FOUND,
                          "is part %" G_GUINT64_FORMAT " of %" G_GUINT64_FORMAT
                          " of a model, whose first part, %s, is missing",
                          part, parts, first);
  return mnk_vlm_refuse(header, error, MNK_ERROR_CONFIG,
                        "is part %" G_GUINT64_FORMAT " of %" G_GUINT64_FORMAT
                        " of a model; give its first part instead%s%s",
                        part, parts, first ? ": " : "", first ? first : "");
}

static gboolean check_first(MnkVlmHeader *first, GError **error) {
  const MnkGgufInfo *info = &first->info;
  if (info->split_no > 0)
    return refuse_later(first, error);
  if (info->splits > MNK_VLM_PARTS_MAX)
    return mnk_vlm_refuse(first, error, MNK_ERROR_LIMIT,
                          "is the first of %" G_GUINT64_FORMAT " parts, over the limit of %d",
                          info->splits, MNK_VLM_PARTS_MAX);
  first->parts = (guint)info->splits;
  g_autofree char *second = name_of(first, 2);
  if (second)
    return TRUE;
  return mnk_vlm_refuse(first, error, MNK_ERROR_CONFIG,
                        "is the first of %u parts of a model, and its name, by which the others "
                        "are found, does not end with -00001-of-%05u.gguf",
                        first->parts, first->parts);
}

/* What a file in the place of a part says of itself. */
static gboolean check_part(const MnkVlmHeader *first, const MnkVlmHeader *part, guint number,
                           GError **error) {
  const MnkGgufInfo *info = &part->info;
  if (info->splits <= 1)
    return mnk_vlm_refuse(part, error, MNK_ERROR_BAD_INPUT,
                          "is no part of a model, and belongs to %s by its name", first->path);
  if (info->splits != first->parts || info->split_no + 1 != number)
    return mnk_vlm_refuse(part, error, MNK_ERROR_BAD_INPUT,
                          "is part %" G_GUINT64_FORMAT " of %" G_GUINT64_FORMAT
                          ", and not %u of %u as its name says",
                          info->split_no + 1, info->splits, number, first->parts);
  gboolean other =
      info->architecture[0] != '\0' && !g_str_equal(info->architecture, first->info.architecture);
  if (other || info->split_tensors != first->info.split_tensors)
    return mnk_vlm_refuse(part, error, MNK_ERROR_BAD_INPUT, "is a part of another model than %s",
                          first->path);
  return TRUE;
}

static gboolean add_table(MnkVlmHeader *text, const MnkVlmHeader *part, GError **error) {
  MnkGgufInfo *info = &text->info;
  if (part->info.embedding_columns == 0)
    return TRUE;
  if (info->embedding_columns > 0)
    return mnk_vlm_refuse(part, error, MNK_ERROR_BAD_INPUT,
                          "is damaged: it has the table of words that %s has already",
                          text->words_path);
  info->embedding_type = part->info.embedding_type;
  info->embedding_offset = part->info.embedding_offset;
  info->embedding_columns = part->info.embedding_columns;
  info->embedding_rows = part->info.embedding_rows;
  g_free(text->words_path);
  text->words_path = g_strdup(part->path);
  return TRUE;
}

static gboolean add_part(MnkVlmHeader *text, guint number, GError **error) {
  g_auto(MnkVlmHeader) part = {0};
  g_autofree char *path = name_of(text, number);
  g_autoptr(GError) why = NULL;
  if (!mnk_vlm_header_read(&part, path, &why)) {
    if (!g_error_matches(why, MNK_ERROR, MNK_ERROR_NOT_FOUND)) {
      g_propagate_error(error, g_steal_pointer(&why));
      return FALSE;
    }
    return mnk_vlm_refuse(&part, error, MNK_ERROR_NOT_FOUND,
                          "is missing: the model that begins with %s is in %u parts", text->path,
                          text->parts);
  }
  if (!check_part(text, &part, number, error) || !add_table(text, &part, error))
    return FALSE;
  text->bytes += part.bytes;
  text->info.tensors += part.info.tensors;
  text->info.parameters += MIN(part.info.parameters, G_MAXUINT64 - text->info.parameters);
  g_checksum_update(text->sum, (const guchar *)g_checksum_get_string(part.sum), -1);
  return TRUE;
}

gboolean mnk_vlm_text_read(MnkVlmHeader *text, const char *path, GError **error) {
  if (!mnk_vlm_header_read(text, path, error))
    return FALSE;
  if (text->info.splits <= 1)
    return TRUE;
  if (!check_first(text, error))
    return FALSE;
  for (guint part = 2; part <= text->parts; part++)
    if (!add_part(text, part, error))
      return FALSE;
  if (text->info.tensors != text->info.split_tensors)
    return mnk_vlm_refuse(text, error, MNK_ERROR_BAD_INPUT,
                          "is the first of %u parts with %" G_GUINT64_FORMAT
                          " tensors together, where %" G_GUINT64_FORMAT " belong",
                          text->parts, text->info.tensors, text->info.split_tensors);
  return TRUE;
}
