/* Backends that write captions from key frames: one request for each batch, answered with events
 * that name frames by their index, never seconds. Server; no model runs in this process. */
#ifndef MNK_LANGUAGE_BACKEND_H
#define MNK_LANGUAGE_BACKEND_H

#include "base/base.h"
#include "net/net.h"

/* ---- A batch ---- */

typedef struct {
  guint index; /* the frame's place in the batch, counting frames that are not sent too */
  gint64 pts_ms;
  float importance; /* 0..1: why it was chosen */
  GBytes *jpeg;     /* owned */
} MnkBatchFrame;

typedef struct {
  char *stream;
  guint n_frames;     /* of the batch */
  gint64 *pts_ms;     /* of each, owned */
  gint64 end_ms;      /* the batch's last frame holds until here */
  GPtrArray *frames;  /* of MnkBatchFrame: the selected ones, in time order */
  char *context;      /* texts of the captions before, without times; "" at the start */
  char *running;      /* the event that the batch before left open; "" if none */
  char *known;        /* what the embedded perception knows: facts in words; "" if nothing */
  char *prompt;       /* the user's, "" for the default */
  char *lang;         /* "en", "ja" */
  float temperature;  /* < 0: the backend's (mnk_batch_new sets it so) */
  gint64 deadline_us; /* monotonic: later than this nobody wants the answer */
} MnkBatch;
MnkBatch *mnk_batch_new(void);
void mnk_batch_free(MnkBatch *batch);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(MnkBatch, mnk_batch_free)
void mnk_batch_frame_free(MnkBatchFrame *frame);

/* An event that a model told, mapped to the clock: start = pts[start], end = pts[end] plus the
 * batch's median step, clamped to the batch, sorted, no duplicates. */
typedef struct {
  gint64 start_ms, end_ms;
  guint start_frame, end_frame;
  gboolean open; /* reaches to the batch's last frame: the next batch may lengthen it */
  float confidence;
  char *text; /* control, ANSI and bidirectional characters removed, at most 2 KiB */
} MnkBatchEvent;
void mnk_batch_event_free(MnkBatchEvent *event);

/* Reads and checks a model's JSON ({"events":[{start_frame,end_frame,text,confidence}]}) against
 * the batch. Errors are sentences fit for the repair request. Pure; of MnkBatchEvent. */
GPtrArray *mnk_batch_read_events(const MnkBatch *batch, const char *json, gsize length,
                                 GError **error);
/* Picks at most max of n frames: the batch's first and last, then by falling importance, spread
 * over time. Returns indices in rising order; caller unrefs. Pure. */
GArray *mnk_batch_select(const float *importance, guint n, guint max);
/* Token-set Jaccard of two texts, 0..1 (words; in Japanese, pairs of characters); 0 when neither
 * has any. Pure. */
float mnk_text_jaccard(const char *a, const char *b);

/* ---- Backends ---- */

typedef struct _MnkBackend MnkBackend;

typedef enum {
  MNK_BACKEND_UNCHECKED,
  MNK_BACKEND_OK,
  MNK_BACKEND_DEGRADED, /* the last calls failed, the next is tried */
  MNK_BACKEND_DOWN,     /* the breaker is open, or a failure that a retry cannot mend */
} MnkBackendState;
const char *mnk_backend_state_name(MnkBackendState state);

typedef struct {
  GPtrArray *events; /* of MnkBatchEvent; empty: nothing worth telling */
  guint64 prompt_tokens, answer_tokens;
  guint attempts;
  gboolean repaired;
  char *model; /* as the service names it */
} MnkBackendAnswer;

/* Once, later than the call: answer (borrowed), or an error that says why the batch got none. */
typedef void (*MnkBackendDone)(const MnkBackendAnswer *answer, const GError *error, gpointer user);

/* The backend that the settings name (MNK_OPT_BACKEND: "auto" takes the first that is configured;
 * without any, *out is NULL and TRUE is returned: the template is enough). Reads keys and prompt
 * files now, once. FALSE: the configuration cannot work (no key, no project, bad URL), with what
 * to set. */
gboolean mnk_backend_new(const MnkSettings *settings, MnkHttpClient *client, MnkBackend **out,
                         GError **error);
/* Calls that run end without their done. */
void mnk_backend_free(MnkBackend *backend);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(MnkBackend, mnk_backend_free)
const char *mnk_backend_name(const MnkBackend *backend);  /* "gemini", "vertex", "openai" */
const char *mnk_backend_model(const MnkBackend *backend); /* as configured */
MnkBackendState mnk_backend_state(const MnkBackend *backend);
const char *
mnk_backend_detail(const MnkBackend *backend); /* a sentence about the state, "" if ok */
guint mnk_backend_images_max(const MnkBackend *backend);
/* Asks the service whether it knows the model and the key. done: error NULL when it does; a network
 * failure is told as MNK_ERROR_SOURCE and need not stop the start, an unknown or retired model or a
 * refused key is MNK_ERROR_CONFIG. */
typedef void (*MnkBackendChecked)(const GError *error, gpointer user);
void mnk_backend_check(MnkBackend *backend, MnkBackendChecked done, gpointer user);
/* The batch is copied as far as needed. Retries, repair and deadline are inside (see
 * language/retry.c). Calls of one backend run side by side; their number is bounded
 * (MNK_OPT_BACKEND_CALLS), more wait their turn within their deadline. */
void mnk_backend_caption(MnkBackend *backend, const MnkBatch *batch, MnkBackendDone done,
                         gpointer user);
/* No done comes for the calls that were made with this user; for one that goes away. */
void mnk_backend_cancel(MnkBackend *backend, gpointer user);
/* All calls so far: counts by outcome, tokens; for /healthz and tests. */
typedef struct {
  guint64 calls, ok, failed, retries, repairs, stale, refused_by_breaker;
  guint64 prompt_tokens, answer_tokens;
} MnkBackendCounters;
void mnk_backend_counters(const MnkBackend *backend, MnkBackendCounters *out);

/* ---- Embedding of texts (Vertex endpoint of the kind that seed users run) ---- */

typedef struct _MnkEmbedder MnkEmbedder;
/* *out NULL and TRUE: none configured. */
gboolean mnk_embedder_new(const MnkSettings *settings, MnkHttpClient *client, MnkEmbedder **out,
                          GError **error);
void mnk_embedder_free(MnkEmbedder *embedder);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(MnkEmbedder, mnk_embedder_free)
/* vector: n floats of unit length, borrowed; NULL with an error. Texts are sent in batches
 * (MNK_OPT_VERTEX_BERT_BATCH_SIZE), at the latest after 200 ms. */
typedef void (*MnkEmbedded)(const float *vector, guint n, const GError *error, gpointer user);
void mnk_embedder_text(MnkEmbedder *embedder, const char *text, MnkEmbedded done, gpointer user);
/* No done comes for the texts that were given with this user. */
void mnk_embedder_cancel(MnkEmbedder *embedder, gpointer user);

/* ---- Questions ---- */

typedef enum { MNK_HISTORY_AUTO, MNK_HISTORY_ALWAYS, MNK_HISTORY_NEVER } MnkHistory;
const char *mnk_history_name(MnkHistory history);
gboolean mnk_history_from_name(const char *name, MnkHistory *history);

/* Free text as it comes, made plain piece by piece: what mnk_batch_read_events does to a caption's
 * text, but line breaks stay, as single line feeds; and thoughts (<think>...</think> at the
 * beginning) are left out. */
typedef struct _MnkPlainText MnkPlainText;
MnkPlainText *mnk_plain_text_new(gsize max);
void mnk_plain_text_free(MnkPlainText *plain);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(MnkPlainText, mnk_plain_text_free)
/* Takes UTF-8 cut anywhere; appends to out what is certain by now: whole characters. FALSE: it has
 * grown past max bytes, and what is more is left out. */
gboolean mnk_plain_text_push(MnkPlainText *plain, const char *bytes, gsize length, GString *out);
/* No more comes. */
void mnk_plain_text_end(MnkPlainText *plain, GString *out);

/* An earlier question and its answer. */
typedef struct {
  char *question, *answer;
} MnkTurnOfTalk;

/* Whether a question refers to what is past, by its words (English and Japanese). Pure. */
gboolean mnk_question_is_of_the_past(const char *question);

typedef struct {
  const char *question, *lang, *stream;
  const char *system;         /* the operator's instructions besides; "" for none */
  const MnkTurnOfTalk *turns; /* oldest first */
  guint n_turns;
  const char *log;         /* captions that may matter, a line each with its time; "" for none */
  const GPtrArray *frames; /* of MnkBatchFrame, in time order: at most mnk_backend_images_max */
  gint64 now_ms;           /* the stream's clock; < 0: it has ended */
  float temperature;       /* < 0: the backend's */
  guint tokens_max;
  gint64 deadline_us; /* monotonic */
  /* It is answered with yes or no, and how likely each is is wanted: of the candidates for the
   * first token. Not streamed; the text may then be a part of a word, or empty. */
  gboolean yes_or_no;
} MnkBackendQuestion;

/* What an answer, or the first word of one, says, in English or Japanese: 1 yes, 0 no, NAN neither.
 * Pure. */
double mnk_yes_or_no(const char *text);

typedef struct {
  char *text, *model;
  gboolean cut; /* it ran into tokens_max */
  guint64 prompt_tokens, answer_tokens;
  guint attempts;
  double first_ms, answer_ms;
  double yes, no; /* of a yes_or_no question: probabilities; both 0: not told */
} MnkBackendReply;

typedef struct {
  void (*piece)(const char *text, gpointer user); /* whole characters, as they come; may be NULL */
  void (*done)(const MnkBackendReply *reply, const GError *error, gpointer user); /* once, last */
} MnkBackendTalk;
/* The question is copied. Free text, streamed where the service can; retried only while nothing has
 * come. What is told is plain text (see MnkPlainText). mnk_backend_cancel ends it, too. */
void mnk_backend_ask(MnkBackend *backend, const MnkBackendQuestion *question,
                     const MnkBackendTalk *talk, gpointer user);

/* ---- A backend that is no remote service ---- */

typedef struct {
  const char *name;
  void (*caption)(gpointer self, const MnkBatch *batch, MnkBackendDone done, gpointer user);
  void (*ask)(gpointer self, const MnkBackendQuestion *question, const MnkBackendTalk *talk,
              gpointer user);
  void (*cancel)(gpointer self, gpointer user);
  void (*check)(gpointer self, MnkBackendChecked done, gpointer user); /* may be NULL */
  MnkBackendState (*state)(gpointer self);
  const char *(*detail)(gpointer self);
  const char *(*model)(gpointer self);
  guint (*images_max)(gpointer self);
  void (*counters)(gpointer self, MnkBackendCounters *out);
  void (*free)(gpointer self);
} MnkBackendClass;
/* The class is copied, its name is not; self goes to its free. Without check of its own,
 * mnk_backend_check answers at once: MNK_ERROR_SOURCE while the state is down. */
MnkBackend *mnk_backend_new_own(const MnkBackendClass *klass, gpointer self);

#endif
