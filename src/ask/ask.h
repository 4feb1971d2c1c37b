/* ask: questions about streams, in the server. Who answers: the local model from its memory of the
 * stream; else a remote backend, which gets key frames and captions; else the timeline's search,
 * which names intervals and says that no model is configured. Everything lives in the
 * thread-default main context. */
#ifndef MNK_ASK_H
#define MNK_ASK_H

#include "language/language.h"
#include "local/local.h"
#include "store/store.h"

/* ---- An answer ---- */

typedef struct {
  gint64 start_ms, end_ms;
  double score;         /* NAN: none */
  char *why;            /* "chosen", "neighbour", "buffer", "recent", "caption" */
  gint64 picture_ms;    /* time of a key frame in the store; < 0: none */
  char *caption, *text; /* id and text of a caption; NULL: none */
  guint tokens;
} MnkAnswerEvidence;

typedef struct {
  char *id, *stream, *question, *text;
  char *conversation;    /* to go on with; NULL: none */
  char *backend, *model; /* "local", "gemini", ..., "timeline"; model "" for the timeline */
  char *router, *finish; /* router "": none; finish "stop", "length" */
  gboolean history;
  GPtrArray *evidence; /* of MnkAnswerEvidence, by time */
  gint64 asked_ms;     /* the stream's clock when it was asked; < 0: nothing seen yet */
  guint64 prompt_tokens, visual_tokens, cached_tokens, answer_tokens;
  double log_ms, wait_ms, route_ms, prompt_ms, first_ms, answer_ms, total_ms;
} MnkAnswer;
void mnk_answer_free(MnkAnswer *answer);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(MnkAnswer, mnk_answer_free)
/* One JSON object; its members are in docs/api.md. */
void mnk_answer_write(const MnkAnswer *answer, GString *out);
/* "0:12-0:17, 1:04:00-1:04:09": the evidence as people read it; caller frees. */
char *mnk_answer_intervals(const MnkAnswer *answer);

/* ---- The service ---- */

typedef struct _MnkAsker MnkAsker;
/* The store is borrowed; NULL: there is no timeline. settings: QUESTION_*, CONVERSATION*_* of them;
 * may be set anew. */
MnkAsker *mnk_asker_new(const MnkSettings *settings, MnkStore *store);
/* Questions that run end without an event. */
void mnk_asker_free(MnkAsker *asker);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(MnkAsker, mnk_asker_free)
void mnk_asker_set(MnkAsker *asker, const MnkSettings *settings);

typedef struct {
  const char *stream, *question;
  const char *owner;          /* who asks: conversations of one are not seen by another; "" */
  const char *conversation;   /* NULL: a new one is begun when there is a turn to remember */
  const MnkTurnOfTalk *turns; /* earlier ones that the asker brings along, oldest first; NULL: none.
                                 With them nothing is remembered, and there is no conversation */
  guint n_turns;
  const char *system;          /* instructions besides, "" */
  MnkLocalStream *memory;      /* NULL: the local model does not know the stream */
  const char *model;           /* the local model's name, for the answer; NULL: unknown */
  MnkBackend *backend;         /* NULL: none; the local one when memory is given */
  gboolean has_model;          /* there is one, asked or not: how the timeline's answer begins */
  const MnkSettings *settings; /* the stream's, with what this question sets otherwise */
  gint64 now_ms;               /* the stream's clock; < 0: nothing seen */
  gboolean over;               /* the stream has ended */
} MnkAskRequest;

typedef struct {
  void (*piece)(const char *text, gpointer user); /* may be NULL */
  void (*done)(const MnkAnswer *answer, const GError *error, gpointer user);
} MnkAskEvents;

typedef struct _MnkAsk MnkAsk;
/* NULL with an error at once: MNK_ERROR_LIMIT (question too long, too many waiting),
 * MNK_ERROR_BAD_INPUT (empty, not UTF-8), _NOT_FOUND (conversation). Else done comes once, later.
 */
MnkAsk *mnk_ask(MnkAsker *asker, const MnkAskRequest *request, const MnkAskEvents *events,
                gpointer user, GError **error);
void mnk_ask_cancel(MnkAsk *ask); /* no event comes after this */
/* The stream's memory is about to go: questions that need it end with an error, later. Memory and
 * backend of a request are borrowed until its done. */
void mnk_asker_forget(MnkAsker *asker, const char *stream);
guint mnk_asker_waiting(const MnkAsker *asker);

typedef struct {
  guint64 asked, answered, failed, cancelled, refused, timeline;
} MnkAskerCounters;
void mnk_asker_counters(const MnkAsker *asker, MnkAskerCounters *out);

/* ---- Standing questions: "tell me when ..." ---- */

typedef struct {
  char *id, *stream, *question;
  gint64 every_ms, cooldown_ms;
  double threshold;
  guint64 polls, failures, fired;
  guint64 tokens;             /* that a remote model took for it */
  double probability;         /* of the last poll; NAN: none yet */
  gint64 polled_ms, fired_ms; /* stream time; < 0: never */
  char *fault;                /* why the last poll failed, or NULL */
} MnkStandingState;
void mnk_standing_state_clear(MnkStandingState *state);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(MnkStandingState, mnk_standing_state_clear)

/* It came true: from the first of the polls that agreed to the last one. Borrowed. */
typedef void (*MnkStandingFired)(const char *id, const char *question, gint64 start_ms,
                                 gint64 end_ms, double probability, gpointer user);

typedef struct _MnkStanding MnkStanding;
/* request: as for a question, borrowed until it returns, but for memory and backend, which are
 * borrowed until mnk_standing_free. MNK_ERROR_CONFIG: there is no model to ask. */
MnkStanding *mnk_standing_new(MnkAsker *asker, const char *id, const MnkAskRequest *request,
                              MnkStandingFired fired, gpointer user, GError **error);
void mnk_standing_free(MnkStanding *standing);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(MnkStanding, mnk_standing_free)
/* The stream has come so far; scene: a new one begins, so that it is asked at once. At most one
 * poll is on its way. */
void mnk_standing_advance(MnkStanding *standing, gint64 now_ms, gboolean scene);
void mnk_standing_state(const MnkStanding *standing, MnkStandingState *out);

/* The rule alone, for tests: two polls in a row at or above the threshold fire; then quiet for the
 * cool-down and until the probability has fallen below it by a tenth. Pure. */
typedef struct {
  double threshold;
  gint64 cooldown_ms;
  guint agreeing;
  gint64 since_ms, fired_ms;
  gboolean armed;
} MnkStandingRule;
void mnk_standing_rule_init(MnkStandingRule *rule, double threshold, gint64 cooldown_ms);
gboolean mnk_standing_rule_poll(MnkStandingRule *rule, double probability, gint64 now_ms);

#endif
