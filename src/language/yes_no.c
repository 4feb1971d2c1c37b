/* Yes or no: what a word says, and how likely the candidates for a first token make each. */
#include "language/service_priv.h"

#include <math.h>
#include <string.h>

double mnk_yes_or_no(const char *text) {
  static const struct {
    const char *word;
    double says;
  } words[] = {{"yes", 1}, {"no", 0}, {"はい", 1}, {"いいえ", 0}, {"いえ", 0}};
  g_autofree char *folded = g_utf8_casefold(text, -1);
  const char *start = folded;
  while (*start && !g_unichar_isalnum(g_utf8_get_char(start)))
    start = g_utf8_next_char(start);
  for (guint i = 0; i < G_N_ELEMENTS(words); i++) {
    if (!g_str_has_prefix(start, words[i].word))
      continue;
    const char *after = start + strlen(words[i].word);
    if ((guchar)words[i].word[0] >= 0x80 || !g_ascii_isalnum(*after))
      return words[i].says;
  }
  return NAN;
}

/* A Japanese word may be several tokens. */
static double token_says(const char *token) {
  static const char *const BEGIN_NO[] = {"い", "いい", NULL};
  g_autofree char *word = g_strstrip(g_strdup(token));
  if (g_str_equal(word, "は"))
    return 1;
  return g_strv_contains(BEGIN_NO, word) ? 0 : mnk_yes_or_no(word);
}

void mnk_reply_grade(MnkReply *reply, const char *token, double log_probability) {
  reply->graded = TRUE;
  double says = token_says(token);
  if (isnan(says) || isnan(log_probability))
    return;
  double *sum = says > 0 ? &reply->yes : &reply->no;
  *sum = MIN(*sum + exp(MIN(log_probability, 0)), 1);
}
