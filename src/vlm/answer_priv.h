/* The text of an answer as it grows out of pieces that may end within a character. Pure. */
#ifndef MNK_VLM_ANSWER_PRIV_H
#define MNK_VLM_ANSWER_PRIV_H

#include "vlm/vlm.h"

typedef struct {
  GString *raw;  /* bytes that are not a whole character yet */
  GString *text; /* valid UTF-8; what a stop text began is not in it */
  gsize told;    /* bytes of text that were passed on */
  char **stop;   /* owned; NULL: none */
} MnkVlmText;

void mnk_vlm_text_init(MnkVlmText *text, const char *const *stop);
void mnk_vlm_text_clear(MnkVlmText *text);
/* Appends bytes. TRUE: a stop text came, and the text ends before it. */
gboolean mnk_vlm_text_add(MnkVlmText *text, const char *bytes, gsize n);
/* What can be passed on now, owned by the caller; NULL: nothing. last: there will be no more. */
char *mnk_vlm_text_tell(MnkVlmText *text, gboolean last);

#endif
