#include "stock.h"

#include <mtmd-helper.h>
#include <string.h>

static void no_log(enum ggml_log_level level, const char *text, void *user) {
}

void stock_open(Stock *stock, const TinyPair *pair) {
  llama_log_set(no_log, NULL);
  mtmd_helper_log_set(no_log, NULL);
  llama_backend_init();
  stock->model = llama_model_load_from_file(pair->model, llama_model_default_params());
  g_assert_nonnull(stock->model);
  struct mtmd_context_params tower = mtmd_context_params_default();
  tower.use_gpu = tower.warmup = tower.print_timings = false;
  tower.n_threads = 1;
  tower.image_max_tokens = 64;
  tower.flash_attn_type = LLAMA_FLASH_ATTN_TYPE_DISABLED;
  stock->tower = mtmd_init_from_file(pair->mmproj, stock->model, tower);
  g_assert_nonnull(stock->tower);
  struct llama_context_params decoder = llama_context_default_params();
  decoder.n_ctx = decoder.n_batch = decoder.n_ubatch = 1024;
  decoder.n_threads = decoder.n_threads_batch = 1;
  /* as the adapter with logits_all: the library's attention would add up in float16 */
  decoder.type_k = decoder.type_v = GGML_TYPE_F32;
  decoder.flash_attn_type = LLAMA_FLASH_ATTN_TYPE_DISABLED;
  stock->context = llama_init_from_model(stock->model, decoder);
  g_assert_nonnull(stock->context);
}

void stock_close(Stock *stock) {
  g_clear_pointer(&stock->context, llama_free);
  g_clear_pointer(&stock->tower, mtmd_free);
  g_clear_pointer(&stock->model, llama_model_free);
}

/* ---- The prompt ---- */

/* The text of one turn, with the marker for the picture in it. */
static char *templated(const Stock *stock, const char *content) {
  struct llama_chat_message message = {.role = "user", .content = content};
  const char *layout = llama_model_chat_template(stock->model, NULL);
  char text[4096];
  int32_t n = llama_chat_apply_template(layout, &message, 1, true, text, sizeof text);
  g_assert_cmpint(n, >, 0);
  g_assert_cmpint(n, <, sizeof text);
  return g_strndup(text, (gsize)n);
}

static mtmd_input_chunks *tokenise(const Stock *stock, const char *text, gboolean begins,
                                   const mtmd_bitmap *bitmap) {
  mtmd_input_chunks *chunks = mtmd_input_chunks_init();
  mtmd_input_text input = {
      .text = text, .text_len = strlen(text), .add_special = begins, .parse_special = true};
  g_assert_cmpint(mtmd_tokenize(stock->tower, chunks, &input, &bitmap, bitmap ? 1 : 0), ==, 0);
  return chunks;
}

static guint count_pictures(const mtmd_input_chunks *chunks, gsize *last) {
  guint n = 0;
  for (gsize i = 0; i < mtmd_input_chunks_size(chunks); i++)
    if (mtmd_input_chunk_get_type(mtmd_input_chunks_get(chunks, i)) ==
        MTMD_INPUT_CHUNK_TYPE_IMAGE) {
      *last = i;
      n++;
    }
  return n;
}

static void take_all(StockPrompt *prompt, const mtmd_input_chunks *chunks) {
  for (gsize i = 0; i < mtmd_input_chunks_size(chunks); i++)
    prompt->parts[prompt->n_parts++] = mtmd_input_chunks_get(chunks, i);
}

/* SmolVLM's: what stands around the whole picture, the last of several. */
static void take_overview(const Stock *stock, StockPrompt *prompt, const char *text, gsize last) {
  const char *marker = strstr(text, mtmd_default_marker());
  g_autofree char *head = g_strndup(text, (gsize)(marker - text));
  g_autofree char *before = g_strconcat(head, "<fake_token_around_image><global-img>", NULL);
  g_autofree char *after =
      g_strconcat("<fake_token_around_image>", marker + strlen(mtmd_default_marker()), NULL);
  prompt->chunks[1] = tokenise(stock, before, TRUE, NULL);
  prompt->chunks[2] = tokenise(stock, after, FALSE, NULL);
  take_all(prompt, prompt->chunks[1]);
  prompt->parts[prompt->n_parts++] = mtmd_input_chunks_get(prompt->chunks[0], last);
  take_all(prompt, prompt->chunks[2]);
}

static mtmd_bitmap *bitmap_of(const MnkFrame *picture) {
  gsize row = (gsize)picture->width * 3;
  g_autofree guint8 *rgb = g_malloc(row * (gsize)picture->height);
  for (int y = 0; y < picture->height; y++)
    memcpy(rgb + (gsize)y * row, picture->planes[0] + (gsize)y * (gsize)picture->strides[0], row);
  return mtmd_bitmap_init((guint)picture->width, (guint)picture->height, rgb);
}

void stock_prompt(const Stock *stock, StockPrompt *prompt, const char *before,
                  const MnkFrame *picture, const char *after) {
  memset(prompt, 0, sizeof *prompt);
  g_autofree char *content = g_strconcat(before, mtmd_default_marker(), after, NULL);
  g_autofree char *text = templated(stock, content);
  mtmd_bitmap *bitmap = bitmap_of(picture);
  prompt->chunks[0] = tokenise(stock, text, TRUE, bitmap);
  mtmd_bitmap_free(bitmap);
  gsize last = 0;
  if (count_pictures(prompt->chunks[0], &last) == 1)
    take_all(prompt, prompt->chunks[0]);
  else
    take_overview(stock, prompt, text, last);
}

void stock_prompt_clear(StockPrompt *prompt) {
  for (guint i = 0; i < G_N_ELEMENTS(prompt->chunks); i++)
    g_clear_pointer(&prompt->chunks[i], mtmd_input_chunks_free);
}

guint stock_prompt_tokens(const StockPrompt *prompt) {
  gsize n = 0;
  for (guint i = 0; i < prompt->n_parts; i++)
    n += mtmd_input_chunk_get_n_tokens(prompt->parts[i]);
  return (guint)n;
}

const mtmd_input_chunk *stock_prompt_picture(const StockPrompt *prompt) {
  for (guint i = 0; i < prompt->n_parts; i++)
    if (mtmd_input_chunk_get_type(prompt->parts[i]) == MTMD_INPUT_CHUNK_TYPE_IMAGE)
      return prompt->parts[i];
  g_assert_not_reached();
}

/* ---- Numbers ---- */

float *stock_encode(const Stock *stock, const StockPrompt *prompt, guint *n) {
  const mtmd_input_chunk *picture = stock_prompt_picture(prompt);
  g_assert_cmpint(mtmd_encode_chunk(stock->tower, picture), ==, 0);
  *n = (guint)mtmd_input_chunk_get_n_tokens(picture);
  gsize bytes = (gsize)*n * (gsize)llama_model_n_embd_inp(stock->model) * sizeof(float);
  return g_memdup2(mtmd_get_output_embd(stock->tower), bytes);
}

float *stock_logits(const Stock *stock, const StockPrompt *prompt, float *rows, guint *n) {
  llama_memory_clear(llama_get_memory(stock->context), true);
  const mtmd_input_chunk *picture = stock_prompt_picture(prompt);
  llama_pos at = 0;
  for (guint i = 0; i < prompt->n_parts; i++) {
    const mtmd_input_chunk *part = prompt->parts[i];
    bool is_last = i == prompt->n_parts - 1;
    int32_t rc = part == picture && rows
                     ? mtmd_helper_decode_image_chunk(stock->tower, stock->context, part, rows, at,
                                                      0, 1024, &at, NULL, NULL)
                     : mtmd_helper_eval_chunk_single(stock->tower, stock->context, part, at, 0,
                                                     1024, is_last, &at);
    g_assert_cmpint(rc, ==, 0);
  }
  *n = (guint)llama_vocab_n_tokens(llama_model_get_vocab(stock->model));
  return g_memdup2(llama_get_logits_ith(stock->context, -1), (gsize)*n * sizeof(float));
}
