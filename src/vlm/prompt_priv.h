/* Parts of a request, laid out: tokens, positions, and chunks that are evaluated one at a time. */
#ifndef MNK_VLM_PROMPT_PRIV_H
#define MNK_VLM_PROMPT_PRIV_H

#include "vlm/model_priv.h"

enum { MNK_VLM_HASH_BYTES = 32 };

/* What goes into the model in one call: words or rows of one set of tokens, never both. */
typedef struct {
  MnkTokens *tokens; /* borrowed from the prompt; NULL: words */
  guint first, n;    /* words: in ids; tokens: in the set */
  guint places;      /* tokens of a model with three positions: in the prompt's places */
  gint32 position;   /* of the first one; time, where there are three */
  /* The chunk to go back to when this one was given up half-way: positions are forgotten from that
   * one's on, and tokens of one frame share their time. */
  guint restart;
} MnkVlmChunk;

typedef struct {
  gint32 time, row, column;
} MnkVlmPlace;

/* The end of one of the leading parts that are kept: everything up to it has this hash. */
typedef struct {
  guint chunk, items; /* how many come before */
  guint8 hash[MNK_VLM_HASH_BYTES];
} MnkVlmMark;

typedef struct {
  GArray *ids;     /* llama_token: of all words */
  GArray *places;  /* MnkVlmPlace */
  GPtrArray *held; /* references to all sets of tokens */
  GArray *chunks;  /* MnkVlmChunk */
  GArray *marks;   /* MnkVlmMark */
  guint items;     /* words and tokens */
  guint visual;    /* tokens */
  gint32 next;     /* the position after all of it */
} MnkVlmPrompt;

/* Errors: MNK_ERROR_INTERNAL (parts in an
 * order, of a width or at places that cannot be), _UNSUPPORTED (chat template). */
MnkVlmPrompt *mnk_vlm_prompt_new(const MnkVlm *vlm, const MnkVlmRequest *request, GError **error);
void mnk_vlm_prompt_free(MnkVlmPrompt *prompt);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(MnkVlmPrompt, mnk_vlm_prompt_free)
/* More words at the end: those of the answer so far, to be evaluated anew. */
void mnk_vlm_prompt_append(const MnkVlm *vlm, MnkVlmPrompt *prompt, const llama_token *ids,
                           guint n);

/* ---- template.c ---- */

typedef enum { MNK_VLM_ROLE_SYSTEM, MNK_VLM_ROLE_USER, MNK_VLM_ROLE_ASSISTANT } MnkVlmRole;

/* What the model's chat template puts before, between and after the contents of n turns: n + 1
 * texts, NULL-terminated, ending where the assistant begins to speak. */
char **mnk_vlm_template(const MnkVlm *vlm, const MnkVlmRole *roles, guint n, GError **error);

#endif
