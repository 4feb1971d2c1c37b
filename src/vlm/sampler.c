#include "vlm/sampler_priv.h"

#include <math.h>

#include "vlm/spell_priv.h"

enum { TOP_K = 40 };

struct _MnkVlmSampler {
  guint words;
  const struct llama_vocab *vocab;
  struct llama_sampler *grammar; /* NULL: free text */
  struct llama_sampler *chain;
};

static struct llama_sampler *new_chain(const MnkVlmRequest *request) {
  struct llama_sampler *chain = llama_sampler_chain_init(llama_sampler_chain_default_params());
  if (!(request->temperature > 0)) {
    llama_sampler_chain_add(chain, llama_sampler_init_greedy());
    return chain;
  }
  llama_sampler_chain_add(chain, llama_sampler_init_top_k(TOP_K));
  llama_sampler_chain_add(chain, llama_sampler_init_temp(request->temperature));
  llama_sampler_chain_add(chain, llama_sampler_init_dist(request->seed));
  return chain;
}

MnkVlmSampler *mnk_vlm_sampler_new(const MnkVlm *vlm, const MnkVlmRequest *request,
                                   GError **error) {
  struct llama_sampler *grammar = NULL;
  if (request->grammar) {
    mnk_vlm_log_capture();
    if (request->grammar[0] != '\0') /* an empty one would let everything pass */
      grammar = llama_sampler_init_grammar(vlm->vocab, request->grammar, "root");
    g_autofree char *why = mnk_vlm_log_captured();
    if (!grammar) {
      g_set_error(error, MNK_ERROR, MNK_ERROR_CONFIG, "the grammar of the answer is wrong%s", why);
      return NULL;
    }
  }
  MnkVlmSampler *sampler = g_new0(MnkVlmSampler, 1);
  sampler->words = (guint)llama_vocab_n_tokens(vlm->vocab);
  sampler->vocab = vlm->vocab;
  sampler->grammar = grammar;
  sampler->chain = new_chain(request);
  return sampler;
}

void mnk_vlm_sampler_free(MnkVlmSampler *sampler) {
  if (!sampler)
    return;
  if (sampler->grammar)
    llama_sampler_free(sampler->grammar);
  llama_sampler_free(sampler->chain);
  g_free(sampler);
}

static gboolean fail(GError **error, const char *what) {
  g_set_error_literal(error, MNK_ERROR, MNK_ERROR_INTERNAL, what);
  return FALSE;
}

/* A score of minus infinity rules a word out; another that is not finite is a fault. */
static gboolean is_score(float score) {
  return isfinite(score) || score == -INFINITY;
}

/* Accepting a word that the grammar forbids would stop the process. */
static gboolean any_left(const llama_token_data_array *all) {
  for (gsize i = 0; i < all->size; i++)
    if (all->data[i].logit > -INFINITY)
      return TRUE;
  return FALSE;
}

gboolean mnk_vlm_sampler_next(MnkVlmSampler *sampler, const float *scores,
                              llama_token_data *scratch, llama_token *out, GError **error) {
  for (guint i = 0; i < sampler->words; i++) {
    if (!is_score(scores[i]))
      return fail(error, "the model gave scores that are not finite");
    scratch[i] = (llama_token_data){.id = (llama_token)i, .logit = scores[i]};
  }
  llama_token_data_array all = {.data = scratch, .size = sampler->words, .selected = -1};
  if (sampler->grammar)
    llama_sampler_apply(sampler->grammar, &all);
  if (!any_left(&all))
    return fail(error, "no word of the model fits the grammar of the answer");
  llama_sampler_apply(sampler->chain, &all);
  if (all.selected < 0 || (gsize)all.selected >= all.size ||
      !(all.data[all.selected].logit > -INFINITY))
    return fail(error, "no word could be chosen");
  *out = all.data[all.selected].id;
  /* its end is the end of the answer: nothing follows it */
  if (sampler->grammar && !llama_vocab_is_eog(sampler->vocab, *out))
    llama_sampler_accept(sampler->grammar, *out);
  llama_sampler_accept(sampler->chain, *out);
  return TRUE;
}

/* ---- Choices ---- */

static gboolean fail_choices(GError **error, const char *what) {
  g_set_error_literal(error, MNK_ERROR, MNK_ERROR_CONFIG, what);
  return FALSE;
}

static gboolean add_choice(const MnkVlm *vlm, const char *choice, GArray *first, GError **error) {
  g_autoptr(GArray) ids = g_array_new(FALSE, FALSE, sizeof(llama_token));
  mnk_vlm_spell(vlm, choice, ids);
  if (ids->len == 0)
    return fail_choices(error, "a choice has no words");
  llama_token id = g_array_index(ids, llama_token, 0);
  for (guint i = 0; i < first->len; i++)
    if (g_array_index(first, llama_token, i) == id)
      return fail_choices(error, "two choices begin with the same word");
  g_array_append_val(first, id);
  return TRUE;
}

GArray *mnk_vlm_choices(const MnkVlm *vlm, const char *const *choices, GError **error) {
  g_autoptr(GArray) first = g_array_new(FALSE, FALSE, sizeof(llama_token));
  for (guint i = 0; choices[i]; i++) {
    if (i == G_N_ELEMENTS(((MnkVlmAnswer *)NULL)->choices)) {
      fail_choices(error, "there are too many choices");
      return NULL;
    }
    if (!add_choice(vlm, choices[i], first, error))
      return NULL;
  }
  if (first->len == 0) {
    fail_choices(error, "there are no choices");
    return NULL;
  }
  return g_steal_pointer(&first);
}

gboolean mnk_vlm_choose(const float *scores, const GArray *first, float *out, GError **error) {
  float best = -INFINITY, sum = 0;
  for (guint i = 0; i < first->len; i++) {
    out[i] = scores[g_array_index(first, llama_token, i)];
    if (!is_score(out[i]))
      return fail(error, "the model gave scores that are not finite");
    best = MAX(best, out[i]);
  }
  if (best == -INFINITY)
    return fail(error, "no choice can be the answer");
  for (guint i = 0; i < first->len; i++)
    sum += out[i] = expf(out[i] - best);
  for (guint i = 0; i < first->len; i++)
    out[i] /= sum;
  return TRUE;
}
