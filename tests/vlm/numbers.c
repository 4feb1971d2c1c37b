/* Writes what the adapter computes of a prompt, for the comparison with other implementations:
 * numbers FAMILY WIDTH HEIGHT PICTURE OUT, the picture as raw RGB. OUT: 32-bit words,
 * little-endian: for each part its kind (0 text, 1 picture) and number of tokens, then the tokens'
 * numbers, or the columns of the picture's grid and its rows of floats; last -1, the size of the
 * vocabulary, and the scores after the last token. */
#include "stock.h"
#include "vlm/vlm_priv.h"

#include <stdio.h>
#include <stdlib.h>

static const char BEFORE[] = "(a person walks) ";
static const char AFTER[] = "(what happened before the dog runs?)";

static void put(FILE *out, const void *values, gsize n) {
  g_assert_cmpuint(fwrite(values, 4, n, out), ==, n);
}

static void put_head(FILE *out, gint32 kind, guint32 n) {
  put(out, &kind, 1);
  put(out, &n, 1);
}

static void put_tokens(FILE *out, const MnkTokens *tokens) {
  guint32 n = mnk_tokens_count(tokens), columns = mnk_tokens_columns(tokens);
  gsize dim = mnk_tokens_dim(tokens);
  g_autofree float *rows = g_new(float, n *dim);
  mnk_tokens_read(tokens, 0, n, rows);
  put_head(out, 1, n);
  put(out, &columns, 1);
  put(out, rows, n * dim);
}

static void put_parts(FILE *out, const StockPrompt *prompt, const MnkTokens *tokens) {
  for (guint i = 0; i < prompt->n_parts; i++) {
    if (mtmd_input_chunk_get_type(prompt->parts[i]) == MTMD_INPUT_CHUNK_TYPE_IMAGE) {
      put_tokens(out, tokens);
      continue;
    }
    gsize n;
    const llama_token *words = mtmd_input_chunk_get_tokens_text(prompt->parts[i], &n);
    put_head(out, 0, (guint32)n);
    put(out, words, n);
  }
}

static void put_scores(FILE *out, MnkVlm *vlm, MnkTokens *tokens) {
  const MnkVlmPart parts[] = {
      {.kind = MNK_VLM_USER},
      {.kind = MNK_VLM_TEXT, .text = BEFORE},
      {.kind = MNK_VLM_TOKENS, .tokens = tokens},
      {.kind = MNK_VLM_TEXT, .text = AFTER},
  };
  MnkVlmRequest request = {.parts = parts, .n_parts = G_N_ELEMENTS(parts), .tokens_max = 1};
  MnkVlmAnswer answer = {0};
  g_autoptr(GError) error = NULL;
  tiny_ask(vlm, &request, &answer, &error);
  g_assert_no_error(error);
  mnk_vlm_answer_clear(&answer);
  guint n;
  g_autofree float *values = mnk_vlm_last_logits(vlm, &n);
  g_assert_nonnull(values);
  put_head(out, -1, n);
  put(out, values, n);
}

int main(int argc, char **argv) {
  g_assert_cmpint(argc, ==, 6);
  g_auto(TinyPair) pair = {0};
  tiny_pair(&pair, argv[1]);
  pair.config.logits_all = TRUE;
  g_autoptr(GError) error = NULL;
  int width = (int)g_ascii_strtoll(argv[2], NULL, 10),
      height = (int)g_ascii_strtoll(argv[3], NULL, 10);
  g_autofree char *rgb = NULL;
  gsize size = 0;
  g_file_get_contents(argv[4], &rgb, &size, &error);
  g_assert_no_error(error);
  g_assert_cmpuint(size, ==, (gsize)width * (gsize)height * 3);
  MnkFrame *picture = mnk_frame_new_rgb((guint8 *)rgb, width, height, width * 3, 0);
  g_autoptr(MnkVlm) vlm = mnk_vlm_load(&pair.config, &error);
  g_assert_no_error(error);
  g_autoptr(MnkTokens) tokens = mnk_vlm_encode(vlm, &picture, 1, NULL, &error);
  g_assert_no_error(error);
  g_auto(Stock) stock = {0};
  stock_open(&stock, &pair);
  g_auto(StockPrompt) prompt = {0};
  stock_prompt(&stock, &prompt, BEFORE, picture, AFTER);
  mnk_frame_unref(picture);
  FILE *out = fopen(argv[5], "wb");
  g_assert_nonnull(out);
  put_parts(out, &prompt, tokens);
  put_scores(out, vlm, tokens);
  return fclose(out) == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
