#include "vlm/spell_priv.h"

#include <string.h>

#include <mtmd.h>

enum {
  /* Some tokenisers run over their input with regular expressions that need stack for each letter,
   * so a long text comes in pieces, cut before a space where there is one. */
  PIECE_BYTES = 4096,
};

/* ---- Cleaning ---- */

/* What is left after a marker was taken out can be one again: each one is looked for where it
 * ends. */
static char *without_markers(const char *text) {
  const char *marker = mtmd_default_marker();
  gsize length = strlen(marker);
  GString *clean = g_string_sized_new(strlen(text));
  for (; *text; text++) {
    g_string_append_c(clean, *text);
    if (clean->len >= length && memcmp(clean->str + clean->len - length, marker, length) == 0)
      g_string_truncate(clean, clean->len - length);
  }
  return g_string_free(clean, FALSE);
}

/* ---- Tokens ---- */

static void append(const struct llama_vocab *vocab, const char *text, gsize length,
                   gboolean special, GArray *tokens) {
  if (length == 0)
    return;
  guint before = tokens->len;
  /* at most a token for a byte, and a space put in front */
  g_array_set_size(tokens, before + (guint)length + 8);
  int n = llama_tokenize(vocab, text, (int32_t)length, &g_array_index(tokens, llama_token, before),
                         (int32_t)length + 8, false, special);
  g_array_set_size(tokens, before + (guint)MAX(n, 0));
}

static gboolean looks_special(const struct llama_vocab *vocab, llama_token token) {
  if (token < 0 || token >= llama_vocab_n_tokens(vocab))
    return TRUE;
  enum llama_token_attr attributes = llama_vocab_get_attr(vocab, token);
  if ((attributes & (LLAMA_TOKEN_ATTR_CONTROL | LLAMA_TOKEN_ATTR_UNKNOWN)) != 0 ||
      llama_vocab_is_eog(vocab, token))
    return TRUE;
  if ((attributes & LLAMA_TOKEN_ATTR_USER_DEFINED) == 0)
    return FALSE;
  const char *text = llama_vocab_get_text(vocab, token);
  gsize length = strlen(text);
  return length > 2 && strchr("<[", text[0]) && strchr(">]|", text[length - 1]);
}

static gboolean any_special(const struct llama_vocab *vocab, const GArray *tokens, guint from) {
  for (guint i = from; i < tokens->len; i++)
    if (looks_special(vocab, g_array_index(tokens, llama_token, i)))
      return TRUE;
  return FALSE;
}

static void drop_special(const struct llama_vocab *vocab, GArray *tokens, guint from) {
  guint kept = from;
  for (guint i = from; i < tokens->len; i++) {
    llama_token token = g_array_index(tokens, llama_token, i);
    if (!looks_special(vocab, token))
      g_array_index(tokens, llama_token, kept++) = token;
  }
  g_array_set_size(tokens, kept);
}

/* A vocabulary may hold its special tokens as words that the tokeniser always finds. They begin
 * with a bracket, so the text is cut behind each; what is found even then is left out. */
static void append_cut(const struct llama_vocab *vocab, const char *text, gsize length,
                       GArray *tokens) {
  guint before = tokens->len;
  gsize start = 0;
  for (gsize i = 0; i < length; i++) {
    if (text[i] != '<' && text[i] != '[')
      continue;
    append(vocab, text + start, i + 1 - start, FALSE, tokens);
    start = i + 1;
  }
  append(vocab, text + start, length - start, FALSE, tokens);
  drop_special(vocab, tokens, before);
}

static void append_plain(const struct llama_vocab *vocab, const char *text, gsize length,
                         GArray *tokens) {
  guint before = tokens->len;
  append(vocab, text, length, FALSE, tokens);
  if (!any_special(vocab, tokens, before))
    return;
  g_array_set_size(tokens, before);
  append_cut(vocab, text, length, tokens);
}

static gsize piece_length(const char *text, gsize left) {
  if (left <= PIECE_BYTES)
    return left;
  for (gsize n = PIECE_BYTES; n > PIECE_BYTES / 2; n--)
    if (g_ascii_isspace(text[n]))
      return n;
  return (gsize)(g_utf8_find_prev_char(text, text + PIECE_BYTES + 1) - text);
}

void mnk_vlm_spell(const MnkVlm *vlm, const char *text, GArray *tokens) {
  g_autofree char *valid = g_utf8_make_valid(text, -1);
  g_autofree char *clean = without_markers(valid);
  gsize left = strlen(clean);
  for (const char *at = clean; left > 0;) {
    gsize n = piece_length(at, left);
    append_plain(vlm->vocab, at, n, tokens);
    at += n;
    left -= n;
  }
}

void mnk_vlm_spell_template(const MnkVlm *vlm, const char *text, GArray *tokens) {
  append(vlm->vocab, text, strlen(text), TRUE, tokens);
}
