/* A pair of files, by their headers. */
#include "vlm/vlm.h"

#include "vlm/families_priv.h"
#include "vlm/footprint_priv.h"
#include "vlm/header_priv.h"

enum { LAYERS_MAX = 1024, WIDTH_MAX = 65536 };

/* ---- What is in them ---- */

static gboolean is_projector(const MnkVlmHeader *header) {
  return g_str_equal(header->info.architecture, "clip") || g_str_equal(header->info.type, "mmproj");
}

/* Numbers with which the library is known to stop the process. */
static gboolean check_numbers(const MnkVlmHeader *header, GError **error) {
  const MnkGgufInfo *info = &header->info;
  if (info->block_count == 0 || info->block_count > LAYERS_MAX)
    return mnk_vlm_refuse(header, error, MNK_ERROR_BAD_INPUT,
                          "is damaged: it says that it has %" G_GUINT64_FORMAT " layers",
                          info->block_count);
  if (info->embedding_length == 0 || info->embedding_length > WIDTH_MAX)
    return mnk_vlm_refuse(header, error, MNK_ERROR_BAD_INPUT,
                          "is damaged: it says that its width is %" G_GUINT64_FORMAT,
                          info->embedding_length);
  if (info->heads == 0 || info->heads > info->embedding_length)
    return mnk_vlm_refuse(header, error, MNK_ERROR_BAD_INPUT,
                          "is damaged: it says that it has %" G_GUINT64_FORMAT " attention heads",
                          info->heads);
  if (info->heads_kv > info->heads)
    return mnk_vlm_refuse(header, error, MNK_ERROR_BAD_INPUT,
                          "is damaged: it says that it has more heads of keys than of queries");
  if (info->key_length > WIDTH_MAX || info->value_length > WIDTH_MAX)
    return mnk_vlm_refuse(header, error, MNK_ERROR_BAD_INPUT, "is damaged: its heads are too wide");
  return TRUE;
}

static gboolean check_text(const MnkVlmHeader *header, GError **error) {
  if (is_projector(header))
    return mnk_vlm_refuse(
        header, error, MNK_ERROR_CONFIG,
        "is a projector (mmproj), not a language model; give it as the projector");
  if (header->info.architecture[0] == '\0')
    return mnk_vlm_refuse(header, error, MNK_ERROR_BAD_INPUT, "does not say which model it is");
  if (header->info.vocabulary == 0)
    return mnk_vlm_refuse(header, error, MNK_ERROR_BAD_INPUT, "has no vocabulary");
  if (!check_numbers(header, error))
    return FALSE;
  if (header->info.embedding_columns != header->info.embedding_length ||
      header->info.embedding_rows < header->info.vocabulary)
    return mnk_vlm_refuse(header, error, MNK_ERROR_BAD_INPUT,
                          "is damaged: its table of words is not of the size that it says");
  return TRUE;
}

static gboolean check_projector(const MnkVlmHeader *header, GError **error) {
  const MnkGgufInfo *info = &header->info;
  if (!is_projector(header))
    return mnk_vlm_refuse(header, error, MNK_ERROR_CONFIG,
                          "is a language model (%s), not a projector (mmproj)", info->architecture);
  if (info->splits > 1)
    return mnk_vlm_refuse(header, error, MNK_ERROR_UNSUPPORTED,
                          "is one of %" G_GUINT64_FORMAT
                          " parts of a projector, which must be one file",
                          info->splits);
  if (info->projector[0] == '\0' || !info->vision)
    return mnk_vlm_refuse(header, error, MNK_ERROR_CONFIG, "is a projector that takes no pictures");
  if (info->patch_size == 0 || info->patch_size > 1024 || info->image_size > 65536)
    return mnk_vlm_refuse(header, error, MNK_ERROR_BAD_INPUT,
                          "is damaged: it says that its patches have a side of %" G_GUINT64_FORMAT,
                          info->patch_size);
  if (info->image_size < info->patch_size)
    return mnk_vlm_refuse(header, error, MNK_ERROR_BAD_INPUT,
                          "is damaged: it says that its pictures have a side of %" G_GUINT64_FORMAT,
                          info->image_size);
  if (info->patch_columns > 0 && info->patch_columns != info->patch_size)
    return mnk_vlm_refuse(header, error, MNK_ERROR_BAD_INPUT,
                          "is damaged: its patches are not of the size that it says");
  if (!check_numbers(header, error))
    return FALSE;
  if (info->embedding_length % info->heads != 0)
    return mnk_vlm_refuse(header, error, MNK_ERROR_BAD_INPUT,
                          "is damaged: its width is no multiple of its attention heads");
  return TRUE;
}

/* What the library takes for something else instead of an error. */
static gboolean check_kind(const MnkVlmHeader *text, const MnkVlmHeader *tower, GError **error) {
  const MnkGgufInfo *info = &tower->info;
  guint64 side = info->image_size / info->patch_size;
  gboolean placed =
      g_str_equal(info->projector, "idefics3") || g_str_equal(info->projector, "gemma3");
  if (placed && info->patch_places != side * side)
    return mnk_vlm_refuse(tower, error, MNK_ERROR_BAD_INPUT,
                          "is damaged: it has places for %" G_GUINT64_FORMAT
                          " patches, and its pictures have %" G_GUINT64_FORMAT,
                          info->patch_places, side * side);
  if (g_str_equal(info->projector, "qwen2.5vl_merger") && info->window_pattern == 0)
    return mnk_vlm_refuse(tower, error, MNK_ERROR_BAD_INPUT,
                          "is damaged: it does not say which layers see the whole picture");
  if (g_str_equal(text->info.architecture, "gemma3") && text->info.window == 0)
    return mnk_vlm_refuse(text, error, MNK_ERROR_BAD_INPUT,
                          "is damaged: it does not say how far its layers see");
  return TRUE;
}

/* Belong together. */
static gboolean check_pair(const MnkVlmHeader *text, const MnkVlmHeader *tower,
                           const MnkVlmProjector **found, GError **error) {
  const MnkVlmProjector *projector = mnk_vlm_projector_find(tower->info.projector);
  if (!projector)
    return mnk_vlm_refuse(tower, error, MNK_ERROR_UNSUPPORTED,
                          "is of a kind that is not known here (%s)", tower->info.projector);
  if (!mnk_vlm_projector_fits(projector, text->info.architecture))
    return mnk_vlm_refuse(tower, error, MNK_ERROR_CONFIG,
                          "is the projector of another model: it is for %s, and %s is a %s model",
                          projector->name, text->path, text->info.architecture);
  if (projector->width_told && tower->info.projection_dim != text->info.embedding_length)
    return mnk_vlm_refuse(
        tower, error, MNK_ERROR_CONFIG,
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

static void describe(MnkVlmFiles *out, const MnkVlmHeader *text, const MnkVlmHeader *tower) {
  const MnkGgufInfo *info = &text->info;
  g_strlcpy(out->name, info->name, sizeof out->name);
  g_strlcpy(out->architecture, info->architecture, sizeof out->architecture);
  out->dim = (guint)info->embedding_length;
  out->layers = (guint)info->block_count;
  out->context_max = (guint)MIN(info->context_length, G_MAXUINT);
  out->kv_bytes = kv_bytes(info);
  out->parts = text->parts;
  out->tensors = info->tensors;
  out->parameters = info->parameters;
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
  g_auto(MnkVlmHeader) text = {0}, tower = {0};
  const MnkVlmProjector *projector = NULL;
  *out = (MnkVlmFiles){.family = MNK_VLM_OTHER};
  if (!mnk_vlm_text_read(&text, model, error) || !check_text(&text, error))
    return FALSE;
  if (mmproj && (!mnk_vlm_header_read(&tower, mmproj, error) || !check_projector(&tower, error) ||
                 !check_pair(&text, &tower, &projector, error)))
    return FALSE;
  describe(out, &text, mmproj ? &tower : NULL);
  if (projector)
    out->family = projector->family;
  out->needed = mnk_vlm_memory_needed(out, context, text.info.vocabulary);
  return mnk_vlm_memory_check(out, context, error);
}
