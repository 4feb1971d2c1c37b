/* Standing questions: whether something holds now, from the first token alone. */
#include "local/worker_priv.h"

static gboolean add_present(MnkModelJob *job, MnkModelPrompt *prompt, guint room) {
  mnk_model_memory_lock(job->memory);
  const GPtrArray *recent = mnk_keyframes_recent(job->memory->keyframes);
  guint first = recent->len;
  for (guint used = 0; first > 0; first--) {
    used += mnk_model_tokens_size(mnk_tokens_count(recent->pdata[first - 1]));
    if (used > room || recent->len - first >= job->call.recent)
      break;
  }
  for (guint i = first; i < recent->len; i++)
    mnk_model_prompt_tokens(prompt, recent->pdata[i], NULL);
  job->answer.pts_ms = job->memory->last_ms;
  mnk_model_memory_unlock(job->memory);
  return first < recent->len;
}

gboolean mnk_likely_think(MnkModelJob *job, GError **error) {
  static const char *const ENGLISH[] = {"Yes", "No", NULL}, *const JAPANESE[] = {"はい", "いいえ",
                                                                                 NULL};
  const MnkModelCall *call = &job->call;
  gboolean japanese = g_str_has_prefix(call->lang, "ja");
  MnkVlm *vlm = job->office->vlm;
  const char *instructions = mnk_model_words(MNK_WORDS_LIKELY, call->lang);
  guint words =
      mnk_model_text_size(vlm, instructions) + mnk_model_text_size(vlm, call->question) + 16;
  g_auto(MnkModelPrompt) prompt;
  mnk_model_prompt_init(&prompt);
  mnk_model_prompt_text(&prompt, MNK_VLM_SYSTEM, instructions);
  mnk_model_prompt_text(&prompt, MNK_VLM_USER, "");
  if (words >= job->office->context) {
    g_set_error(error, MNK_ERROR, MNK_ERROR_LIMIT,
                "the question takes %u tokens, and the model has room for %u", words,
                job->office->context);
    return FALSE;
  }
  if (!add_present(job, &prompt, job->office->context - words)) {
    g_set_error_literal(error, MNK_ERROR, MNK_ERROR_NOT_FOUND, "nothing has been seen yet");
    return FALSE;
  }
  mnk_model_prompt_text(&prompt, MNK_VLM_TEXT, "\n");
  mnk_model_prompt_text(&prompt, MNK_VLM_TEXT, call->question);
  const MnkVlmRequest request = {
      .priority = MNK_VLM_WATCH,
      .parts = (const MnkVlmPart *)(gpointer)prompt.parts->data,
      .n_parts = prompt.parts->len,
      .prefix = 1,
      .tokens_max = 1,
      .choices = japanese ? JAPANESE : ENGLISH,
      .deadline_us = call->deadline_us,
  };
  return mnk_job_submit(job, &request, error);
}
