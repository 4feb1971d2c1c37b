/* local: the user's own vision-language model (a GGUF pair), in a worker process of its own.
 *
 *   server:  key frames (JPEG), batches, questions  ->  the model worker
 *   worker:  clip -> tower -> memory (key frames, token memory) -> router -> decoder -> server
 *
 * One process serves all streams with one loaded model. It is tried in a child first, started,
 * watched and started again when it dies; each stream's memory then comes back from its last
 * checkpoint. A stream's tokens are its own: nothing is shared between streams. The server's half
 * lives in the thread-default main context and never waits. */
#ifndef MNK_LOCAL_H
#define MNK_LOCAL_H

#include "language/language.h"
#include "memory/memory.h"
#include "vlm/vlm.h"

/* ---- The model ---- */

typedef struct _MnkLocal MnkLocal;

typedef enum {
  MNK_LOCAL_TRYING, /* the probe runs */
  MNK_LOCAL_LOADING,
  MNK_LOCAL_READY,
  MNK_LOCAL_AWAY,   /* its process died and is started again */
  MNK_LOCAL_FAILED, /* it cannot be used; detail says why */
} MnkLocalState;
const char *mnk_local_state_name(MnkLocalState state);

/* MNK_OPT_MODEL_PATH: a file, or a folder. *out NULL and TRUE: none is configured. FALSE: the files
 * cannot be used, by their headers or for want of memory, with a sentence. Starts trying and
 * loading; changed is called at each change of state, never from within. */
gboolean mnk_local_new(const MnkSettings *settings, void (*changed)(gpointer user), gpointer user,
                       MnkLocal **out, GError **error);
/* Its streams are closed, and its backends freed, before. */
void mnk_local_free(MnkLocal *local);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(MnkLocal, mnk_local_free)
/* Finds the pair that path and mmproj (may be NULL) name; caller frees both. */
gboolean mnk_local_find(const char *path, const char *mmproj, char **model, char **projector,
                        GError **error);
/* Tries the pair in a child and waits for its end, MNK_OPT_MODEL_PROBE at most: loads it, shows it
 * a picture, has it write a word. MNK_ERROR_MODEL says what went wrong. */
gboolean mnk_local_try(const MnkSettings *settings, const char *model, const char *mmproj,
                       GError **error);
MnkLocalState mnk_local_state(const MnkLocal *local);
const char *mnk_local_detail(const MnkLocal *local); /* a sentence; "" when ready */
const MnkVlmFiles *mnk_local_files(const MnkLocal *local);
GPid mnk_local_pid(const MnkLocal *local); /* 0: down */

/* What all streams did together, since the start. */
typedef struct {
  guint64 deaths;
  guint64 frames, encoded, left_out, cached; /* frames = encoded + left_out + waiting */
  guint waiting;                             /* frames that wait for the tower */
  guint64 clips, captions, questions, watches, interrupted, failed;
  guint64 prompt_tokens, visual_tokens, cached_tokens, answer_tokens;
  double encode_ms, remember_ms, route_ms, prompt_ms, answer_ms; /* wall, sums */
  guint64 memory_bytes;                                          /* of all streams' memories */
  guint pressure; /* 0..100: how far the tower lags */
} MnkLocalCounters;
void mnk_local_counters(const MnkLocal *local, MnkLocalCounters *out);

/* Captions by this model, with the name "local": each batch names its stream, whose frames it has
 * or gets. Borrows local. */
MnkBackend *mnk_local_backend(MnkLocal *local);
/* Who writes, by MNK_OPT_BACKEND: "auto" takes a local model before a remote service. *local as of
 * mnk_local_new; *backend NULL: the template alone. A local model that is configured is loaded
 * whoever writes, for what it remembers. */
gboolean mnk_local_choose(const MnkSettings *settings, MnkHttpClient *client,
                          void (*changed)(gpointer user), gpointer user, MnkLocal **local,
                          MnkBackend **backend, GError **error);

/* ---- A stream's memory ---- */

typedef struct _MnkLocalStream MnkLocalStream;

/* settings: the stream's. snapshot: of an earlier run, or NULL; one that does not fit the model or
 * is damaged is left out with a warning. An id that is open already: NULL with MNK_ERROR_BAD_INPUT.
 */
MnkLocalStream *mnk_local_open(MnkLocal *local, const char *id, const MnkSettings *settings,
                               GBytes *snapshot, GError **error);
/* Its memory is gone. */
void mnk_local_close(MnkLocalStream *stream);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(MnkLocalStream, mnk_local_close)
void mnk_local_set(MnkLocalStream *stream, const MnkSettings *settings); /* LIVE options */
MnkLocalStream *mnk_local_find_stream(MnkLocal *local, const char *id);  /* NULL: not open */

/* A frame that may be remembered. importance 0..1: which go first when not all can be encoded; cut:
 * a scene begins with it. Never waits; what is left out is counted. */
void mnk_local_frame(MnkLocalStream *stream, GBytes *jpeg, gint64 pts_ms, float importance,
                     gboolean cut);
/* Nothing of an earlier video is left: for a source that begins anew. */
void mnk_local_forget(MnkLocalStream *stream);
/* idle: every frame that was given is encoded or left out. Once. */
void mnk_local_when_idle(MnkLocalStream *stream, void (*idle)(gpointer user), gpointer user);

typedef struct {
  guint64 frames, encoded, left_out;
  guint waiting, clusters, long_clusters, recent;
  gint64 first_ms, last_ms; /* what is remembered; last < first: nothing */
  guint64 bytes, bytes_max;
} MnkLocalMemory;
void mnk_local_memory(const MnkLocalStream *stream, MnkLocalMemory *out); /* as last told */

/* snapshot NULL with an error. Once, later, unless the stream is closed before. */
typedef void (*MnkLocalSaved)(GBytes *snapshot, const GError *error, gpointer user);
void mnk_local_save(MnkLocalStream *stream, MnkLocalSaved saved, gpointer user);

/* ---- Questions ---- */

typedef struct {
  const char *question;
  const MnkTurnOfTalk *turns; /* earlier ones, oldest first */
  guint n_turns;
  const char *log;  /* captions that may matter, a line each with its time; "" for none */
  const char *lang; /* "en", "ja": of the instructions */
  MnkRouter router;
  guint topk, recent, tokens_max; /* tokens_max: of the answer */
  guint visual_max;               /* 0: what fits */
  MnkHistory history;
  float margin, temperature;
  guint32 seed;
  gint64 deadline_us; /* monotonic */
} MnkLocalQuestion;

/* A stretch of the stream that the answer rests on. */
typedef struct {
  gint64 start_ms, end_ms;
  float score;     /* NAN: not scored */
  const char *why; /* "chosen", "neighbour", "buffer", "recent" */
  guint tokens;
} MnkEvidence;

typedef struct {
  char *text;
  GArray *evidence; /* of MnkEvidence, by time */
  MnkRouter router;
  gboolean history; /* the past was used */
  char *finish;     /* "stop", "length" */
  guint prompt_tokens, visual_tokens, cached_tokens, answer_tokens;
  double wait_ms, route_ms, prompt_ms, first_ms, answer_ms;
} MnkLocalAnswer;
void mnk_local_answer_clear(MnkLocalAnswer *answer);

typedef struct {
  void (*piece)(const char *text, gpointer user); /* may be NULL */
  void (*done)(const MnkLocalAnswer *answer, const GError *error, gpointer user);
} MnkLocalEvents;

typedef struct _MnkLocalAsk MnkLocalAsk;
/* Copies the question. done comes once, later, also when the stream is closed or the worker dies
 * (MNK_ERROR_WORKER: asking again is worth while). The handle is good until done. */
MnkLocalAsk *mnk_local_ask(MnkLocalStream *stream, const MnkLocalQuestion *question,
                           const MnkLocalEvents *events, gpointer user);
/* No event comes after this. */
void mnk_local_cancel(MnkLocalAsk *ask);

/* Whether the statement or question holds now: P(yes) of the recent frames, 0..1, and the time of
 * the newest of them. Asked behind questions and before captions; given up (MNK_ERROR_CANCELLED)
 * after MNK_OPT_MODEL_PROBE. */
typedef void (*MnkLocalLikely)(float probability, gint64 pts_ms, const GError *error,
                               gpointer user);
MnkLocalAsk *mnk_local_likely(MnkLocalStream *stream, const char *question, const char *lang,
                              MnkLocalLikely done, gpointer user);

/* ---- The worker's half ---- */

/* Serves one connection until it is told to quit or the server is gone. Returns the exit status. */
int mnk_local_worker_run(int fd);
/* The probe's child: tries the pair and says what is wrong on standard error. */
int mnk_local_probe_run(const MnkVlmConfig *config);

#endif
