/* Text to tokens. Any thread. */
#ifndef MNK_VLM_SPELL_PRIV_H
#define MNK_VLM_SPELL_PRIV_H

#include "vlm/model_priv.h"

/* Text of a person or another program: appends tokens of which none is special, whatever it says.
 * Media markers are taken out, what is not UTF-8 is replaced. */
void mnk_vlm_spell(const MnkVlm *vlm, const char *text, GArray *tokens);
/* A part of the chat template, whose special tokens are meant. */
void mnk_vlm_spell_template(const MnkVlm *vlm, const char *text, GArray *tokens);

#endif
