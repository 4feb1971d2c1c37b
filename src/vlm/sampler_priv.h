/* Which word comes next. One thread. */
#ifndef MNK_VLM_SAMPLER_PRIV_H
#define MNK_VLM_SAMPLER_PRIV_H

#include "vlm/model_priv.h"

typedef struct _MnkVlmSampler MnkVlmSampler;
/* NULL with MNK_ERROR_CONFIG: the grammar does not parse. Any thread. */
MnkVlmSampler *mnk_vlm_sampler_new(const MnkVlm *vlm, const MnkVlmRequest *request, GError **error);
void mnk_vlm_sampler_free(MnkVlmSampler *sampler);
/* A word by its scores, one for each of the vocabulary. scratch: room for as many. FALSE with
 * MNK_ERROR_INTERNAL: scores that are not finite, or a grammar that nothing fits. */
gboolean mnk_vlm_sampler_next(MnkVlmSampler *sampler, const float *scores,
                              llama_token_data *scratch, llama_token *out, GError **error);

/* The first words of choices. NULL with MNK_ERROR_CONFIG: none, too many, or two begin alike. */
GArray *mnk_vlm_choices(const MnkVlm *vlm, const char *const *choices, GError **error);
/* Their probabilities among each other. */
gboolean mnk_vlm_choose(const float *scores, const GArray *first, float *out, GError **error);

#endif
