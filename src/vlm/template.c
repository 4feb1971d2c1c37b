/* The library knows chat templates by their text, and puts contents in as they are. It is given a
 * stand-in for each content, so that what a person wrote is never read together with the template's
 * special tokens. */
#include <string.h>

#include "vlm/prompt_priv.h"

enum { STAND_IN = 32 };

/* Of letters that no template treats in a special way. */
static void stand_in(char *out, guint i) {
  g_snprintf(out, STAND_IN, "mnkContent%uEnd", i);
}

static const char *role_name(MnkVlmRole role) {
  static const char *const names[] = {
      [MNK_VLM_ROLE_SYSTEM] = "system",
      [MNK_VLM_ROLE_USER] = "user",
      [MNK_VLM_ROLE_ASSISTANT] = "assistant",
  };
  return names[role];
}

static char *apply(const char *chat_template, const MnkVlmRole *roles, guint n) {
  g_autofree struct llama_chat_message *messages = g_new(struct llama_chat_message, n);
  g_autofree char *contents = g_malloc((gsize)n * STAND_IN);
  for (guint i = 0; i < n; i++) {
    stand_in(contents + (gsize)i * STAND_IN, i);
    messages[i] = (struct llama_chat_message){role_name(roles[i]), contents + (gsize)i * STAND_IN};
  }
  int32_t length = llama_chat_apply_template(chat_template, messages, n, true, NULL, 0);
  if (length < 0)
    return NULL;
  char *text = g_malloc0((gsize)length + 1);
  llama_chat_apply_template(chat_template, messages, n, true, text, length);
  return text;
}

/* NULL: a content was left out. */
static char **split(const char *text, guint n) {
  g_autoptr(GStrvBuilder) pieces = g_strv_builder_new();
  for (guint i = 0; i < n; i++) {
    char content[STAND_IN];
    stand_in(content, i);
    const char *at = strstr(text, content);
    if (!at)
      return NULL;
    g_autofree char *piece = g_strndup(text, (gsize)(at - text));
    g_strv_builder_add(pieces, piece);
    text = at + strlen(content);
  }
  g_strv_builder_add(pieces, text);
  return g_strv_builder_end(pieces);
}

static const char *family_template(MnkVlmFamily family) {
  switch (family) {
  case MNK_VLM_SMOLVLM:
    return "smolvlm";
  case MNK_VLM_GEMMA:
    return "gemma";
  case MNK_VLM_QWEN:
  case MNK_VLM_OTHER:
    break;
  }
  return "chatml";
}

char **mnk_vlm_template(const MnkVlm *vlm, const MnkVlmRole *roles, guint n, GError **error) {
  const char *tries[] = {vlm->chat_template, family_template(vlm->files.family)};
  for (guint i = 0; i < G_N_ELEMENTS(tries); i++) {
    g_autofree char *text = tries[i] ? apply(tries[i], roles, n) : NULL;
    char **pieces = text ? split(text, n) : NULL;
    if (pieces)
      return pieces;
  }
  g_set_error_literal(error, MNK_ERROR, MNK_ERROR_UNSUPPORTED,
                      "the model's chat template cannot hold this conversation");
  return NULL;
}
