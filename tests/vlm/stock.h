/* The libraries' own way from words and a picture to scores, with their headers alone: what the
 * adapter is compared with. */
#ifndef MNK_TEST_STOCK_H
#define MNK_TEST_STOCK_H

#include <llama.h>
#include <mtmd.h>

#include "tiny.h"

typedef struct {
  struct llama_model *model;
  struct llama_context *context;
  mtmd_context *tower;
} Stock;
void stock_open(Stock *stock, const TinyPair *pair);
void stock_close(Stock *stock);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Stock, stock_close)

/* One user's turn of words, a picture and words, as the model's template and libmtmd lay it out. Of
 * a model that cuts tiles, the whole picture alone is kept, between the markers that touch it. */
typedef struct {
  mtmd_input_chunks *chunks[4];
  const mtmd_input_chunk *parts[32]; /* in order, borrowed from chunks */
  guint n_parts;
} StockPrompt;
void stock_prompt(const Stock *stock, StockPrompt *prompt, const char *before,
                  const MnkFrame *picture, const char *after);
void stock_prompt_clear(StockPrompt *prompt);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(StockPrompt, stock_prompt_clear)
guint stock_prompt_tokens(const StockPrompt *prompt);
const mtmd_input_chunk *stock_prompt_picture(const StockPrompt *prompt);

/* The picture's rows, n x dim; caller frees. */
float *stock_encode(const Stock *stock, const StockPrompt *prompt, guint *n);
/* After the last token; caller frees. rows: taken for the picture's; NULL: it is encoded. */
float *stock_logits(const Stock *stock, const StockPrompt *prompt, float *rows, guint *n);

#endif
