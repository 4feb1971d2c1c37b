/* Pictures to tokens, through libmtmd. */
#include <math.h>
#include <string.h>

#include <mtmd.h>

#include "vlm/families_priv.h"
#include "vlm/model_priv.h"

enum {
  /* In Qwen's tower 2 x 2 patches become a token. */
  QWEN_MERGED = 2,
  /* SmolVLM cuts a picture into tiles and encodes all of them before the whole one; with this there
   * is one tile at most, and only the whole one is encoded. */
  SMOLVLM_TOKENS = 64,
  IMAGE_TOKENS_MIN = 8,
  /* A picture that stands for all others where their number of tokens is asked for. */
  SAMPLE_WIDTH = 640,
  SAMPLE_HEIGHT = 480,
};

struct _MnkVlmTower {
  mtmd_context *context;
  const MnkVlmProjector *projector;
  guint dim, align, image_size, image_tokens;
  guint pair;
  gint frame_tokens; /* atomic: the most so far */
  gint *cancel;      /* of the encoding under way */
  gboolean stopped;  /* it was given up: what it gave is worthless */
};

typedef struct {
  mtmd_bitmap *bitmaps[2];
  mtmd_input_chunks *chunks;
} Pictures;

static void pictures_clear(Pictures *pictures) {
  for (guint i = 0; i < G_N_ELEMENTS(pictures->bitmaps); i++)
    g_clear_pointer(&pictures->bitmaps[i], mtmd_bitmap_free);
  g_clear_pointer(&pictures->chunks, mtmd_input_chunks_free);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Pictures, pictures_clear)

/* ---- What libmtmd makes of pictures ---- */

/* bitmaps: n of them, set. */
static gboolean tokenize(MnkVlmTower *tower, Pictures *pictures, guint n, GError **error) {
  g_autoptr(GString) markers = g_string_new(NULL);
  for (guint i = 0; i < n; i++) {
    g_string_append(markers, mtmd_default_marker());
    mtmd_bitmap_set_mergeable(pictures->bitmaps[i], n > 1);
  }
  struct mtmd_input_text text = {
      .text = markers->str,
      .text_len = markers->len,
      .add_special = false,
      .parse_special = true,
  };
  pictures->chunks = mtmd_input_chunks_init();
  mnk_vlm_log_capture();
  int rc = mtmd_tokenize(tower->context, pictures->chunks, &text,
                         (const mtmd_bitmap *const *)pictures->bitmaps, n);
  g_autofree char *why = mnk_vlm_log_captured();
  if (rc == 0)
    return TRUE;
  g_set_error(error, MNK_ERROR, MNK_ERROR_BAD_INPUT, "the model does not take the picture%s", why);
  return FALSE;
}

static gboolean is_picture(const mtmd_input_chunks *chunks, gsize i) {
  return mtmd_input_chunk_get_type(mtmd_input_chunks_get(chunks, i)) == MTMD_INPUT_CHUNK_TYPE_IMAGE;
}

/* The chunk of the whole picture, among those of its tiles; G_MAXSIZE: none. *n: how many there
 * are. */
static gsize find_picture(const MnkVlmTower *tower, const mtmd_input_chunks *chunks, guint *n) {
  gsize found = G_MAXSIZE, all = mtmd_input_chunks_size(chunks);
  *n = 0;
  for (gsize i = 0; i < all; i++) {
    if (!is_picture(chunks, i))
      continue;
    if (found == G_MAXSIZE || !tower->projector->overview_first)
      found = i;
    (*n)++;
  }
  return found;
}

static guint columns_of(const MnkVlm *vlm, const mtmd_input_chunk *chunk, guint n) {
  if (vlm->m_rope) {
    const mtmd_image_tokens *tokens = mtmd_input_chunk_get_tokens_image(chunk);
    guint columns = 0;
    for (guint i = 0; i < n; i++)
      columns = MAX(columns, mtmd_image_tokens_get_decoder_pos(tokens, 0, i).x + 1);
    return columns > 0 && n % columns == 0 ? columns : 0;
  }
  guint side = (guint)lround(sqrt(n));
  return side * side == n ? side : 0;
}

/* ---- Markers ---- */

static gboolean is_special(const struct llama_vocab *vocab, llama_token token) {
  return (llama_vocab_get_attr(vocab, token) &
          (LLAMA_TOKEN_ATTR_CONTROL | LLAMA_TOKEN_ATTR_USER_DEFINED)) != 0;
}

/* Of the text beside a picture: all of it, or of a picture among tiles the run of special tokens
 * that touches it. libmtmd puts in tokens that the vocabulary lacks, as -1. */
static GArray *marker(const MnkVlm *vlm, const mtmd_input_chunks *chunks, gsize at, int step,
                      gboolean tiled) {
  GArray *marks = g_array_new(FALSE, FALSE, sizeof(llama_token));
  gsize beside = at + (gsize)step; /* of 0 and -1 the sum is beyond the end */
  if (beside >= mtmd_input_chunks_size(chunks) || is_picture(chunks, beside))
    return marks;
  gsize n;
  const llama_token *tokens =
      mtmd_input_chunk_get_tokens_text(mtmd_input_chunks_get(chunks, beside), &n);
  llama_token words = llama_vocab_n_tokens(vlm->vocab);
  for (gsize i = 0; i < n; i++) {
    llama_token token = tokens[step < 0 ? n - 1 - i : i];
    gboolean known = token >= 0 && token < words;
    if (tiled && !(known && is_special(vlm->vocab, token)))
      break;
    if (known && step < 0)
      g_array_prepend_val(marks, token);
    else if (known)
      g_array_append_val(marks, token);
  }
  return marks;
}

/* From pictures without pixels: the markers, how many tokens a picture has, and whether two
 * become one. */
static gboolean learn(MnkVlm *vlm, GError **error) {
  MnkVlmTower *tower = vlm->tower;
  for (guint n = 1; n <= 2; n++) {
    g_auto(Pictures) pictures = {0};
    for (guint i = 0; i < n; i++)
      pictures.bitmaps[i] = mtmd_bitmap_init(SAMPLE_WIDTH, SAMPLE_HEIGHT, NULL);
    if (!tokenize(tower, &pictures, n, error))
      return FALSE;
    guint found;
    gsize at = find_picture(tower, pictures.chunks, &found);
    if (found == 0) {
      g_set_error(error, MNK_ERROR, MNK_ERROR_CONFIG, "%s takes no pictures", vlm->config.mmproj);
      return FALSE;
    }
    if (n == 2) {
      tower->pair = found == 1 ? 2 : 1;
      break;
    }
    const mtmd_input_chunk *chunk = mtmd_input_chunks_get(pictures.chunks, at);
    tower->frame_tokens = (gint)mtmd_input_chunk_get_n_tokens(chunk);
    vlm->markers.begin = marker(vlm, pictures.chunks, at, -1, found > 1);
    vlm->markers.end = marker(vlm, pictures.chunks, at, 1, found > 1);
    if (found > 1)
      break; /* a model of tiles takes one picture at a time */
  }
  return TRUE;
}

/* ---- Loading ---- */

/* libmtmd cannot be told to stop, but the scheduler asks after each tensor that it was asked to
 * show whether to go on. */
static bool on_tensor(struct ggml_tensor *tensor, bool ask, void *user) {
  MnkVlmTower *tower = user;
  if (ask)
    return tower->cancel && (g_str_has_prefix(tensor->name, "layer_out") ||
                             g_str_has_prefix(tensor->name, "ffn_inp"));
  if (!g_atomic_int_get(tower->cancel))
    return true;
  tower->stopped = TRUE;
  return false;
}

static struct mtmd_context_params tower_params(const MnkVlm *vlm) {
  struct mtmd_context_params params = mtmd_context_params_default();
  params.use_gpu = vlm->config.gpu;
  params.print_timings = false;
  params.warmup = false;
  params.n_threads = vlm->config.threads_batch;
  params.cb_eval = on_tensor;
  params.cb_eval_user_data = vlm->tower;
  if (vlm->config.logits_all)
    params.flash_attn_type = LLAMA_FLASH_ATTN_TYPE_DISABLED;
  if (vlm->files.family == MNK_VLM_GEMMA)
    return params;
  gboolean tiles = vlm->files.family == MNK_VLM_SMOLVLM;
  params.image_max_tokens = tiles ? SMOLVLM_TOKENS : (int)vlm->config.image_tokens;
  if (!tiles)
    params.image_min_tokens = MIN(IMAGE_TOKENS_MIN, params.image_max_tokens);
  return params;
}

gboolean mnk_vlm_tower_load(MnkVlm *vlm, GError **error) {
  vlm->markers.begin = g_array_new(FALSE, FALSE, sizeof(llama_token));
  vlm->markers.end = g_array_new(FALSE, FALSE, sizeof(llama_token));
  enum llama_rope_type rope = llama_model_rope_type(vlm->model);
  vlm->m_rope = rope == LLAMA_ROPE_TYPE_MROPE || rope == LLAMA_ROPE_TYPE_IMROPE;
  if (!vlm->config.mmproj)
    return TRUE;
  MnkVlmTower *tower = vlm->tower = g_new0(MnkVlmTower, 1);
  tower->projector = mnk_vlm_projector_find(vlm->files.projector);
  tower->dim = vlm->files.dim;
  tower->align = vlm->files.patch_size * QWEN_MERGED;
  tower->image_size = vlm->files.image_size;
  tower->image_tokens = vlm->config.image_tokens;
  tower->pair = 1;
  mnk_vlm_log_capture();
  tower->context = mtmd_init_from_file(vlm->config.mmproj, vlm->model, tower_params(vlm));
  g_autofree char *why = mnk_vlm_log_captured();
  if (!tower->context || !mtmd_support_vision(tower->context)) {
    g_set_error(error, MNK_ERROR, MNK_ERROR_BAD_INPUT, "%s cannot be loaded%s", vlm->config.mmproj,
                why);
    return FALSE;
  }
  if (vlm->m_rope != mtmd_decode_use_mrope(tower->context)) {
    g_set_error(error, MNK_ERROR, MNK_ERROR_CONFIG,
                "%s is the projector of another model: it counts positions in another way",
                vlm->config.mmproj);
    return FALSE;
  }
  vlm->non_causal = mtmd_decode_use_non_causal(tower->context, NULL);
  g_array_unref(vlm->markers.begin);
  g_array_unref(vlm->markers.end);
  vlm->markers = (MnkVlmMarkers){0};
  return learn(vlm, error);
}

void mnk_vlm_tower_free(MnkVlmTower *tower) {
  if (!tower)
    return;
  g_clear_pointer(&tower->context, mtmd_free);
  g_free(tower);
}

guint mnk_vlm_frame_tokens(const MnkVlm *vlm) {
  return vlm->tower ? (guint)g_atomic_int_get(&vlm->tower->frame_tokens) : 0;
}

guint mnk_vlm_pair(const MnkVlm *vlm) {
  return vlm->tower ? vlm->tower->pair : 1;
}

/* ---- Encoding ---- */

/* The long side that a picture needs at most. libmtmd samples single pixels when it makes a picture
 * smaller, so most of the way is gone before, over areas. */
static int side_wanted(const MnkVlm *vlm, const MnkFrame *frame) {
  const MnkVlmTower *tower = vlm->tower;
  double width = frame->width, height = frame->height;
  double longest = MAX(width, height), shortest = MIN(width, height);
  if (vlm->files.family != MNK_VLM_QWEN) {
    double side = tower->image_size > 0 ? tower->image_size : longest;
    return (int)ceil(MIN(side * longest / shortest, 2 * side));
  }
  double area = (double)tower->image_tokens * tower->align * tower->align;
  if (width * height <= area)
    return (int)longest;
  double side = floor(longest * sqrt(area / (width * height)) / tower->align) * tower->align;
  return (int)MAX(side, tower->align);
}

static mtmd_bitmap *bitmap_of(const MnkVlm *vlm, const MnkFrame *frame, GError **error) {
  g_autoptr(MnkFrame) rgb = mnk_frame_convert(frame, MNK_FRAME_RGB, side_wanted(vlm, frame), error);
  if (!rgb)
    return NULL;
  gsize row = (gsize)rgb->width * 3;
  g_autofree guint8 *pixels = g_malloc(row * (gsize)rgb->height);
  for (int y = 0; y < rgb->height; y++)
    memcpy(pixels + (gsize)y * row, rgb->planes[0] + (gssize)y * rgb->strides[0], row);
  return mtmd_bitmap_init((uint32_t)rgb->width, (uint32_t)rgb->height, pixels);
}

static gboolean encode_chunk(MnkVlmTower *tower, const mtmd_input_chunk *chunk, gint *cancel,
                             GError **error) {
  tower->cancel = cancel;
  tower->stopped = FALSE;
  mnk_vlm_log_capture();
  int rc = mtmd_encode_chunk(tower->context, chunk);
  g_autofree char *why = mnk_vlm_log_captured();
  tower->cancel = NULL;
  if (tower->stopped) {
    g_set_error_literal(error, MNK_ERROR, MNK_ERROR_CANCELLED,
                        "the picture is not wanted any more");
    return FALSE;
  }
  if (rc == 0 && mtmd_get_output_embd(tower->context))
    return TRUE;
  g_set_error(error, MNK_ERROR, MNK_ERROR_INTERNAL, "the model cannot encode the picture%s", why);
  return FALSE;
}

static gboolean check_frames(const MnkVlm *vlm, MnkFrame *const *frames, guint n, GError **error) {
  if (!vlm->tower) {
    g_set_error_literal(error, MNK_ERROR, MNK_ERROR_CONFIG,
                        "the model was loaded without a projector and sees no pictures");
    return FALSE;
  }
  gboolean same = n > 0 && n <= vlm->tower->pair;
  for (guint i = 1; i < n && same; i++)
    same = frames[i]->width == frames[0]->width && frames[i]->height == frames[0]->height;
  if (!same)
    g_set_error(error, MNK_ERROR, MNK_ERROR_INTERNAL, "%u pictures cannot be encoded together", n);
  return same;
}

MnkTokens *mnk_vlm_encode(MnkVlm *vlm, MnkFrame *const *frames, guint n, gint *cancel,
                          GError **error) {
  MnkVlmTower *tower = vlm->tower;
  g_auto(Pictures) pictures = {0};
  if (!check_frames(vlm, frames, n, error))
    return NULL;
  for (guint i = 0; i < n; i++)
    if (!(pictures.bitmaps[i] = bitmap_of(vlm, frames[i], error)))
      return NULL;
  if (!tokenize(tower, &pictures, n, error))
    return NULL;
  guint found;
  gsize at = find_picture(tower, pictures.chunks, &found);
  if (at == G_MAXSIZE) {
    g_set_error_literal(error, MNK_ERROR, MNK_ERROR_BAD_INPUT, "the picture has no tokens");
    return NULL;
  }
  const mtmd_input_chunk *chunk = mtmd_input_chunks_get(pictures.chunks, at);
  if (!encode_chunk(tower, chunk, cancel, error))
    return NULL;
  guint tokens = (guint)mtmd_input_chunk_get_n_tokens(chunk);
  if ((gint)tokens > g_atomic_int_get(&tower->frame_tokens))
    g_atomic_int_set(&tower->frame_tokens, (gint)tokens);
  MnkTokens *made = mnk_tokens_new(mtmd_get_output_embd(tower->context), tokens, tower->dim,
                                   columns_of(vlm, chunk, tokens), frames[0]->pts_ms, error);
  if (!made)
    g_prefix_error(error, "the model's view of the picture is unusable: ");
  return made;
}
