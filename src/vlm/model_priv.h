/* What the parts of a loaded model share. */
#ifndef MNK_VLM_MODEL_PRIV_H
#define MNK_VLM_MODEL_PRIV_H

#include <llama.h>

#include "vlm/vlm.h"

typedef struct _MnkVlmTower MnkVlmTower;
typedef struct _MnkVlmWords MnkVlmWords;
typedef struct _MnkVlmDecoder MnkVlmDecoder;

/* What the model wants around the tokens of a picture. */
typedef struct {
  GArray *begin, *end; /* of llama_token */
} MnkVlmMarkers;

struct _MnkVlm {
  MnkVlmConfig config; /* its strings are owned */
  MnkVlmFiles files;
  struct llama_model *model;
  const struct llama_vocab *vocab;
  char *chat_template; /* NULL: the model has none */
  gboolean m_rope;     /* three positions a token: time, row, column */
  gboolean non_causal; /* pictures are attended without a mask: a block of tokens at a time */
  guint word_batch, token_batch; /* how many are evaluated at once */
  MnkVlmMarkers markers;
  MnkVlmTower *tower;
  MnkVlmWords *words;
  MnkVlmDecoder *decoder;
};

/* ---- log.c ---- */

/* The libraries' log goes to ours from here on. */
void mnk_vlm_log_install(void);
/* Between these, the last error that the libraries report on this thread is kept instead of
 * logged. */
void mnk_vlm_log_capture(void);
/* What was kept, as the end of a sentence: ": why", or "". Caller frees. */
char *mnk_vlm_log_captured(void);

/* ---- tower.c ---- */

/* Sets the model's tower, markers and kind of positions. */
gboolean mnk_vlm_tower_load(MnkVlm *vlm, GError **error);
void mnk_vlm_tower_free(MnkVlmTower *tower);

/* ---- words.c ---- */

gboolean mnk_vlm_words_load(MnkVlm *vlm, GError **error);
void mnk_vlm_words_free(MnkVlmWords *words);

/* ---- decoder.c ---- */

gboolean mnk_vlm_decoder_load(MnkVlm *vlm, GError **error);
/* Ends all jobs. */
void mnk_vlm_decoder_free(MnkVlmDecoder *decoder);

#endif
