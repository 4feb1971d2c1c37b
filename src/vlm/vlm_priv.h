/* For tests: what the decoder saw. */
#ifndef MNK_VLM_PRIV_H
#define MNK_VLM_PRIV_H

#include "vlm/vlm.h"

/* The scores of all words after the prompt of the job that began to answer last; with
 * config.logits_all alone. Caller frees; NULL: there was none. Any thread. */
float *mnk_vlm_last_logits(MnkVlm *vlm, guint *n);
/* Tokens of the prompts that were evaluated so far, those from the cache left out. */
guint64 mnk_vlm_evaluated(MnkVlm *vlm);
/* How often it gave up half-way what it computed. */
guint64 mnk_vlm_given_up(MnkVlm *vlm);

#endif
