/* The model worker: what its files share.
 *
 *   worker.c    messages of the server         encoder.c   clips through the tower
 *   memory.c    what is remembered             snapshot.c  saved and restored
 *   job.c       the life of a call             prompt.c    parts of a prompt, and whether they fit
 *   question.c, likely.c, caption.c            what the model is asked
 *
 * Threads. main receives, and waits for nobody: what it has to say goes through the outbox. The
 * encoder loads the model, then looks at clips in the order in which they came. The thinker routes
 * questions and makes prompts of them; captions follow the clips that they need. The clerk saves
 * and restores. The decoder is inside the model. All but main send by themselves, with no lock
 * held, and stand still while the server does not read.
 *
 * A stream's memory is reached through the stream's number alone, by main alone; what is under way
 * for a stream holds a reference to that memory and knows no other. */
#ifndef MNK_LOCAL_WORKER_PRIV_H
#define MNK_LOCAL_WORKER_PRIV_H

#include "local/messages_priv.h"
#include "vlm/vlm.h"

typedef struct _MnkModelMemory MnkModelMemory;
typedef struct _MnkModelJob MnkModelJob;
typedef struct _MnkEncoder MnkEncoder;

/* ---- What all share; outlives them ---- */

typedef struct {
  MnkChannel *channel;
  MnkVlm *vlm; /* NULL until it is loaded; then the same to the end */
  guint context;
  MnkIndexer *indexer; /* NULL: none */
  MnkQueue *thinker;   /* of MnkModelJob: their prompts are to be made; calls of people first */
  GMutex lock;         /* of what follows */
  MnkLocalCounters counters;
  gboolean counted; /* since they were told last */
  GHashTable *jobs; /* number -> MnkModelJob */
} MnkModelOffice;

/* Adds what is in more to the counters. Any thread. */
void mnk_office_count(MnkModelOffice *office, const MnkLocalCounters *more);

/* ---- memory.c ---- */

/* Tokens of a frame or a pair of frames, kept at hand. */
typedef struct {
  gint64 first_ms, last_ms;
  MnkTokens *tokens;
  guint8 *keep; /* one for each token: not like the one before; NULL: all */
} MnkSeen;

/* Reached under its lock; counted. */
struct _MnkModelMemory {
  gint refs;
  GMutex lock;
  GCond restored;
  gboolean restoring; /* nobody but the clerk may use it */
  MnkModelStream setup;
  char space[65]; /* the embedding space that its tokens are of */
  guint dim, frame_tokens;
  MnkKeyframes *keyframes;
  MnkTokenMemory *token_memory; /* NULL: none is wanted */
  MnkTokenDrop *drop;
  GQueue seen;    /* of MnkSeen, newest last */
  guint64 order;  /* clips so far */
  gint64 last_ms; /* G_MININT64: nothing yet */
};

/* Takes the setup. restoring: nobody gets its lock before mnk_model_memory_restored. */
MnkModelMemory *mnk_model_memory_new(MnkModelStream *setup, MnkVlm *vlm, gboolean restoring);
MnkModelMemory *mnk_model_memory_ref(MnkModelMemory *memory);
void mnk_model_memory_unref(MnkModelMemory *memory);
/* Waits until it is restored. */
void mnk_model_memory_lock(MnkModelMemory *memory);
void mnk_model_memory_unlock(MnkModelMemory *memory);
/* These lock by themselves. */
void mnk_model_memory_set(MnkModelMemory *memory, const MnkModelStream *setup);
/* A reference to the tokens at hand, with a copy of what is to be kept of them (NULL: all). */
MnkTokens *mnk_model_memory_find(MnkModelMemory *memory, gint64 pts_ms, guint8 **keep);
gboolean mnk_model_memory_has(MnkModelMemory *memory, gint64 pts_ms);
/* Tokens of the frames from their own time to last_ms. Those that are older than what is remembered
 * are kept at hand alone. */
void mnk_model_memory_add(MnkModelMemory *memory, MnkTokens *tokens, gint64 last_ms);
/* Ends a clip, and tells how things stand. */
void mnk_model_memory_end_clip(MnkModelMemory *memory, guint64 *order, MnkLocalMemory *out);
/* How things stand. This one does not lock: for who has the lock, or restores it. */
void mnk_model_memory_measure(const MnkModelMemory *memory, MnkLocalMemory *out);
/* Ends the restoring. */
void mnk_model_memory_restored(MnkModelMemory *memory);

/* ---- snapshot.c ---- */

/* Of one that is restoring. Takes fd. FALSE: it stays empty. */
gboolean mnk_model_memory_restore(MnkModelMemory *memory, int fd, gsize length, GError **error);
/* Writes it to fd, from the start. */
gboolean mnk_model_memory_save(MnkModelMemory *memory, int fd, gsize *length, guint64 *order,
                               GError **error);

/* ---- encoder.c ---- */

/* Loads the model and says that it is ready, or how it has failed. */
MnkEncoder *mnk_encoder_new(MnkModelOffice *office, const MnkVlmConfig *config);
gboolean mnk_encoder_is_loading(MnkEncoder *encoder);
/* Breaks off what it does. */
void mnk_encoder_free(MnkEncoder *encoder);
/* Takes clip and fd. */
void mnk_encoder_clip(MnkEncoder *encoder, guint32 stream, MnkModelMemory *memory,
                      MnkModelClip *clip, int fd);
/* Hands the job to the thinker when all clips before it are done. Takes it. */
void mnk_encoder_follow(MnkEncoder *encoder, MnkModelJob *job);

/* ---- job.c ---- */

struct _MnkModelJob {
  gint refs;
  MnkModelOffice *office;
  MnkMessageType type; /* _ASK, _LIKELY, _CAPTION */
  guint32 stream;
  MnkModelCall call;
  MnkModelMemory *memory;
  gint64 asked_us;
  MnkModelAnswer answer; /* what is known of it before the model speaks */
  MnkVlmJob *running;    /* under the office's lock */
  gboolean cancelled;    /* the same */
};

/* Takes the call. Known to the office from now on, until its answer is told. */
MnkModelJob *mnk_job_new(MnkModelOffice *office, MnkMessageType type, guint32 stream,
                         MnkModelCall *call, MnkModelMemory *memory);
void mnk_job_unref(MnkModelJob *job);
void mnk_job_cancel(MnkModelOffice *office, guint number);
/* Makes the prompt and gives it to the model; takes the job. */
void mnk_job_think(MnkModelJob *job);
/* Asks the model. FALSE with an error: it was cancelled. */
gboolean mnk_job_submit(MnkModelJob *job, const MnkVlmRequest *request, GError **error);

/* ---- prompt.c ---- */

typedef struct {
  GArray *parts;    /* of MnkVlmPart */
  GPtrArray *owned; /* texts and places */
  GPtrArray *tokens;
} MnkModelPrompt;

void mnk_model_prompt_init(MnkModelPrompt *prompt);
void mnk_model_prompt_clear(MnkModelPrompt *prompt);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(MnkModelPrompt, mnk_model_prompt_clear)
/* Copies the text. */
void mnk_model_prompt_text(MnkModelPrompt *prompt, MnkVlmPartKind kind, const char *text);
/* Takes the places (NULL: as a frame on its grid). */
void mnk_model_prompt_tokens(MnkModelPrompt *prompt, MnkTokens *tokens, gint32 (*places)[3]);
/* Tokens of what it holds, from above. */
guint mnk_model_prompt_size(const MnkModelPrompt *prompt, MnkVlm *vlm);
guint mnk_model_text_size(MnkVlm *vlm, const char *text);
guint mnk_model_tokens_size(guint tokens);

typedef enum { MNK_WORDS_QUESTION, MNK_WORDS_LIKELY, MNK_WORDS_CAPTION } MnkModelWords;
const char *mnk_model_words(MnkModelWords words, const char *lang); /* the instructions */

/* ---- question.c, likely.c, caption.c: FALSE with an error, or the job is with the model ---- */

gboolean mnk_question_think(MnkModelJob *job, GError **error);
gboolean mnk_likely_think(MnkModelJob *job, GError **error);
gboolean mnk_caption_think(MnkModelJob *job, GError **error);
/* Closes a JSON text that was cut by the limit of tokens after its last whole event; caller frees.
 * NULL: there is none. Pure. */
char *mnk_caption_mend(const char *json);
/* Turns round what a grammar of many frames lets pass: a last frame before the first. Pure. */
void mnk_caption_order(char *json);
/* The grammar of the events of a batch: numbers below n_frames; up to 96 frames no event ends
 * before it starts. Pure; caller frees. */
char *mnk_caption_grammar(guint n_frames);
/* What a question is routed by: its words that carry meaning, when three of them are left. Pure;
 * caller frees. */
char *mnk_question_content(const char *question);

#endif
