/* The realiser: fills a grammar's patterns, the same way for all languages. */
#include "language/grammar_priv.h"

#include <string.h>

const MnkTopics *mnk_clause_topics(const MnkClause *clause, char slot) {
  switch (slot) {
  case 'N':
    return &clause->news;
  case 'M':
    return &clause->maybes;
  case 'O':
  case 'B':
  case 'E':
    return &clause->olds;
  default:
    return clause->news.n > 0 ? &clause->news : &clause->olds;
  }
}

/* The index-th of the words between bars; the last when there are fewer. */
static void append_choice(GString *out, const char *words, gsize length, guint index) {
  const char *at = words, *end = words + length;
  const char *bar = memchr(at, '|', (gsize)(end - at));
  while (index > 0 && bar != NULL) {
    at = bar + 1;
    bar = memchr(at, '|', (gsize)(end - at));
    index--;
  }
  g_string_append_len(out, at, (bar != NULL ? bar : end) - at);
}

/* {X}, {X:arg} or {X|a|b}: at is behind the brace. FALSE when it came out empty. */
static gboolean append_slot(GString *out, const MnkGrammar *grammar, const char *at, gsize length,
                            const MnkClause *clause) {
  gsize before = out->len;
  if (length > 1 && at[1] == '|') {
    guint index = grammar->agreement(mnk_clause_topics(clause, at[0]));
    append_choice(out, at + 2, length - 2, index);
    return TRUE;
  }
  g_autofree char *arg = length > 2 ? g_strndup(at + 2, length - 2) : g_strdup("");
  grammar->slot(out, at[0], arg, clause);
  return out->len > before;
}

/* Appends the pattern from at up to end; FALSE when a slot in it came out empty. */
static gboolean append_pattern(GString *out, const MnkGrammar *grammar, const char *at,
                               const char *end, const MnkClause *clause) {
  gboolean complete = TRUE;
  while (at < end) {
    if (*at == '{') {
      const char *close = memchr(at, '}', (gsize)(end - at));
      complete &= append_slot(out, grammar, at + 1, (gsize)(close - at - 1), clause);
      at = close + 1;
    } else if (*at == '[') {
      const char *close = memchr(at, ']', (gsize)(end - at));
      gsize before = out->len;
      if (!append_pattern(out, grammar, at + 1, close, clause))
        g_string_truncate(out, before);
      at = close + 1;
    } else {
      g_string_append_c(out, *at++);
    }
  }
  return complete;
}

static void append_clause(GString *out, const MnkGrammar *grammar, const MnkClause *clause,
                          guint variant) {
  const char *const *patterns = grammar->patterns[clause->say];
  guint n = 1;
  while (n < MNK_VARIANTS && patterns[n] != NULL)
    n++;
  const char *pattern = patterns[variant % n];
  append_pattern(out, grammar, pattern, pattern + strlen(pattern), clause);
}

char *mnk_realise(const MnkGrammar *grammar, const MnkStory *story, guint variant) {
  GString *out = g_string_new(NULL);
  for (guint s = 0; s < MNK_STORY_SENTENCES; s++) {
    if (story->n[s] == 0)
      continue;
    if (out->len > 0)
      g_string_append(out, grammar->sentence_joint);
    gsize start = out->len;
    for (guint i = 0; i < story->n[s]; i++) {
      if (i > 0)
        g_string_append(out, grammar->clause_joint);
      append_clause(out, grammar, &story->clauses[s][i], variant);
    }
    if (grammar->capitals)
      out->str[start] = g_ascii_toupper(out->str[start]);
    g_string_append(out, grammar->full_stop);
  }
  return g_string_free(out, FALSE);
}
