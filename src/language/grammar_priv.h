/* Grammar: one language's words and wordings. A wording is a pattern in which
 *   {X}          is a slot: the grammar's slot function writes it
 *   {X:arg}      the same, with an argument for it
 *   {X|one|two}  is the word that agrees with slot X's things: the first when agreement gives 0 ...
 *   [ ... ]      is left out when a slot in it is empty
 * Slots of all languages: N news, M maybes, O olds, B olds without article, E olds or "them", R
 * opener, S setting, P spot in the picture, H the same or "there", A action, V posture, C camera, T
 * text, D duration, L light, W why, K "one of them". */
#ifndef MNK_LANGUAGE_GRAMMAR_PRIV_H
#define MNK_LANGUAGE_GRAMMAR_PRIV_H

#include "language/language.h"
#include "language/story_priv.h"

enum { MNK_VARIANTS = 3 };

typedef struct {
  const char *code;
  /* Wordings of each clause; at least one, NULL after the last. */
  const char *patterns[MNK_SAY_N][MNK_VARIANTS];
  const char *clause_joint, *sentence_joint, *full_stop;
  gboolean capitals; /* a sentence begins with a capital letter */
  /* Appends the slot's words; nothing when it has none. arg: "" when there is none. */
  void (*slot)(GString *out, char slot, const char *arg, const MnkClause *clause);
  guint (*agreement)(const MnkTopics *topics);
} MnkGrammar;

extern const MnkGrammar mnk_grammar_en;
extern const MnkGrammar mnk_grammar_ja;

/* The words of a story; variant: which wording, where a clause has several. Caller frees. */
char *mnk_realise(const MnkGrammar *grammar, const MnkStory *story, guint variant);

/* The things that slots N, M, O, B and actions (A: news, else olds) refer to. */
const MnkTopics *mnk_clause_topics(const MnkClause *clause, char slot);

/* A name and how it is put. "seashore": "at the seashore". */
typedef struct {
  const char *name, *phrase;
} MnkPhrase;

#endif
