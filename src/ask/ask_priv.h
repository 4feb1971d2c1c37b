/* What the files of the question service share.
 *
 *   asker.c     the service: limits, counters        question.c  one question on its way
 *   gather.c    what the store knows of it           evidence.c  what an answer rests on
 *   timeline.c  answers without a model              talks.c     conversations
 *   words.c     texts from outside                   answer.c    answers as JSON
 *   standing.c  standing questions                   measure.c   times and counts
 *   jobs.c      what the store is asked, later */
#ifndef MNK_ASK_PRIV_H
#define MNK_ASK_PRIV_H

#include "ask/ask.h"

/* ---- words.c: pure ---- */

enum { MNK_ASK_WORDS_MAX = 8, MNK_ASK_ANSWER_BYTES = 262144 };
/* The words of a question that a search of the timeline may find: no question words, no particles;
 * in Japanese, runs of Kanji and of Katakana. NULL-terminated; caller frees. */
char **mnk_ask_words(const char *question);
/* Plain text with its lines; caller frees. */
char *mnk_ask_plain(const char *text);
/* One line of plain text in which no character begins a marker of a chat template. Caller frees. */
char *mnk_ask_line(const char *text, gsize max);
/* The same for a question or an instruction, whose lines stay and whose brackets, too, where no
 * marker can begin. */
char *mnk_ask_harmless(const char *text);
/* "ja" for a question with Kana or Kanji, "en" for one with other letters, else the fallback. */
const char *mnk_ask_lang(const char *question, const char *fallback);
gboolean mnk_ask_is_blank(const char *text);

/* ---- gather.c: on the store's reading thread ---- */

/* How many captions of each kind, and how many pictures. */
typedef struct {
  guint hits, recent, overview, pictures;
} MnkGatherLimits;

typedef struct {
  char *stream, *question;
  MnkHistory history;
  gint64 now_ms; /* nothing later; < 0: no limit */
  MnkGatherLimits limits;
} MnkGatherWish;
void mnk_gather_wish_clear(MnkGatherWish *wish);

typedef struct {
  MnkCaption *caption;
  double score;    /* of the search; NAN: not found by it */
  gboolean recent; /* one of the newest */
} MnkGatheredCaption;

typedef struct {
  GPtrArray *captions; /* of MnkGatheredCaption, by time */
  GPtrArray *frames;   /* of MnkBatchFrame, by time */
  gboolean past;       /* there is more than the newest ones */
  double ms;
} MnkGathered;
MnkGathered *mnk_gathered_new(void);
void mnk_gathered_free(MnkGathered *gathered);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(MnkGathered, mnk_gathered_free)
/* A stream that the store does not know gives nothing. */
MnkGathered *mnk_gather(MnkStore *store, const MnkGatherWish *wish, GError **error);
/* "0:05-0:09 A dog sits." line by line; caller frees. */
char *mnk_gathered_log(const MnkGathered *gathered);

/* ---- evidence.c ---- */

enum { MNK_EVIDENCE_CAPTIONS = 4, MNK_EVIDENCE_MAX = 32 };
MnkAnswerEvidence *mnk_evidence_new(gint64 start_ms, gint64 end_ms, double score, const char *why);
void mnk_evidence_free(MnkAnswerEvidence *evidence);
MnkAnswerEvidence *mnk_evidence_of_caption(const MnkGatheredCaption *gathered);
/* What a model was shown: the pictures with their captions, and the best hits. */
void mnk_evidence_add_shown(GPtrArray *evidence, const MnkGathered *gathered);
/* The best hits alone, at most max of them; what is there already is left out. */
void mnk_evidence_add_hits(GPtrArray *evidence, const MnkGathered *gathered, guint max);
void mnk_evidence_sort(GPtrArray *evidence);
/* Fills in the pictures and captions that the store has of each stretch; on its reading thread. */
void mnk_evidence_join(GPtrArray *evidence, MnkStore *store, const char *stream);
/* "0:12-0:17"; caller frees. */
char *mnk_interval_text(gint64 start_ms, gint64 end_ms);

/* ---- timeline.c: pure ---- */

/* Text and evidence of an answer that no model gives. has_model: none was asked, though there is
 * one. */
void mnk_timeline_answer(MnkAnswer *answer, const MnkGathered *gathered, const char *lang,
                         gboolean has_model);

/* ---- talks.c: conversations ---- */

typedef struct _MnkTalks MnkTalks;
MnkTalks *mnk_talks_new(void);
void mnk_talks_free(MnkTalks *talks);
/* The least recently used go first. */
void mnk_talks_set_limits(MnkTalks *talks, guint talks_max, guint turns_max);
/* Copies of the turns, oldest first, of MnkTurnOfTalk; caller unrefs. NULL with
 * MNK_ERROR_NOT_FOUND: there is none, or it is another's, or about another stream. */
GArray *mnk_talks_turns(MnkTalks *talks, const char *id, const char *owner, const char *stream,
                        GError **error);
GArray *mnk_talk_turns_new(void);
/* The id that goes on: a new one when id is NULL. NULL: no turn is remembered. Caller frees. */
char *mnk_talks_add(MnkTalks *talks, const char *id, const char *owner, const char *stream,
                    const char *question, const char *answer);
guint mnk_talks_count(const MnkTalks *talks);
/* The prefix and 128 bits that nobody can guess, as text; caller frees. */
char *mnk_ask_new_id(const char *prefix);

/* ---- measure.c ---- */

void mnk_measure_answer(const MnkAnswer *answer);
void mnk_measure_end(const char *backend, const char *outcome);
void mnk_measure_poll(const char *outcome);

/* ---- jobs.c: what the store is asked, later; in the caller's main context ---- */

typedef struct _MnkAskJob MnkAskJob;
/* gathered is the callee's, also when it is empty; NULL with an error. Once. */
typedef void (*MnkGatherDone)(MnkGathered *gathered, const GError *error, gpointer user);
/* store NULL: nothing is known. Takes what wish holds. */
MnkAskJob *mnk_gather_start(MnkStore *store, MnkGatherWish *wish, MnkGatherDone done,
                            gpointer user);
/* The evidence is the store's until done. */
typedef void (*MnkJoinDone)(gpointer user);
MnkAskJob *mnk_evidence_join_start(MnkStore *store, const char *stream, GPtrArray *evidence,
                                   MnkJoinDone done, gpointer user);
/* No done comes; NULL is none. */
void mnk_ask_job_cancel(MnkAskJob *job);

/* Once, later, in the thread-default context. */
GSource *mnk_ask_timer(gint64 delay_ms, GSourceFunc func, gpointer user);
void mnk_ask_timer_clear(GSource **timer);

/* ---- asker.c ---- */

struct _MnkAsker {
  MnkSettings *settings;
  MnkStore *store; /* NULL: no timeline */
  MnkTalks *talks;
  GQueue asks; /* of MnkAsk */
  MnkAskerCounters counters;
};
/* Why a question cannot be asked at all. */
gboolean mnk_asker_may_ask(const MnkAsker *asker, const char *question, GError **error);

/* ---- question.c ---- */

typedef enum { MNK_ASKED_OF_TIMELINE, MNK_ASKED_OF_LOCAL, MNK_ASKED_OF_BACKEND } MnkAskedOf;
/* The local model where it knows the stream, else the backend, else the timeline. */
MnkAskedOf mnk_ask_whom(const MnkAskRequest *request);
void mnk_ask_free(MnkAsk *ask);
/* Its memory goes. */
void mnk_ask_forget(MnkAsk *ask, const char *stream);

#endif
