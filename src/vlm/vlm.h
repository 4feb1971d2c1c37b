/* vlm: a vision-language model from a GGUF pair, through libllama and libmtmd, in the worker.
 *
 * The libraries' interfaces are not stable, so only the files of this folder include their headers.
 * In a build without them every call that would need them fails with MNK_ERROR_UNSUPPORTED and
 * says how to get them. libllama calls abort() on some bad files: run mnk_vlm_probe in a child
 * before mnk_vlm_load in a process that matters.
 *
 * Two parts, each with a thread of its own, that may run at once: the tower (pictures to tokens;
 * calls come from one thread) and the decoder (jobs; its thread is inside). */
#ifndef MNK_VLM_H
#define MNK_VLM_H

#include "base/base.h"
#include "media/media.h"
#include "memory/memory.h"

gboolean mnk_vlm_is_built(void);
const char *mnk_vlm_library_version(void); /* "" when not built */

/* ---- Files, by their headers alone: no library, any thread ---- */

typedef enum {
  MNK_VLM_QWEN,    /* M-RoPE; pairs of frames, a grid that follows the picture */
  MNK_VLM_SMOLVLM, /* the overview tile alone */
  MNK_VLM_GEMMA,   /* images are attended without a mask: one block at a time */
  MNK_VLM_OTHER,   /* InternVL and what else libmtmd loads: as libmtmd lays it out */
} MnkVlmFamily;

enum { MNK_VLM_PARTS_MAX = 64 }; /* files of a text model */

typedef struct {
  MnkVlmFamily family;
  char name[128], architecture[64], projector[64];
  guint dim; /* of a token */
  guint layers, context_max;
  guint image_size, patch_size; /* pixels, that the tower was made for; 0: no projector */
  guint parts;                  /* files of the text model */
  guint64 tensors, parameters;  /* of the text model */
  guint64 model_bytes, projector_bytes;
  guint64 kv_bytes; /* of one token */
  guint64 needed;   /* bytes of memory with the given context; an estimate from above */
  char hash[65];    /* identifies the embedding space: SHA-256 over both files' headers
                       and the last of their weights */
} MnkVlmFiles;

/* Text model and projector belong together, both are whole, and both are known to be loadable.
 * model: of a text model in several parts the first, which is named as below. mmproj NULL: the text
 * model alone. Errors name the file and say what is wrong: MNK_ERROR_NOT_FOUND, _BAD_INPUT
 * (damaged, truncated, no GGUF), _CONFIG (a projector given as the model, a model without vision, a
 * projector of another family or width), _LIMIT (more memory than there is, in numbers). */
gboolean mnk_vlm_inspect(const char *model, const char *mmproj, guint context, MnkVlmFiles *out,
                         GError **error);
/* Of a file that is named as a part, "name-00002-of-00003.gguf": another part's name, which the
 * caller frees, and *own (may be NULL), which one it is itself. NULL: it is named otherwise. */
char *mnk_vlm_part(const char *path, guint part, guint *own);

/* ---- Model ---- */

typedef struct {
  const char *model, *mmproj;
  guint context;      /* tokens of the decoder, all sequences together; at most 262144 */
  guint sequences;    /* jobs that are held at once: 16 */
  guint image_tokens; /* most tokens of a frame, where the family lets one choose: 108 */
  int threads;        /* of generation; 0: cores - 1 */
  int threads_batch;  /* of the tower and of prompts; 0: cores */
  guint micro_batch;  /* tokens after which a job can be interrupted: 128 */
  gboolean gpu;
  gboolean logits_all; /* tests: scores are kept, and computed in float32 throughout */
} MnkVlmConfig;
void mnk_vlm_config_init(MnkVlmConfig *config);

typedef struct _MnkVlm MnkVlm;
/* Seconds to minutes. MNK_ERROR_NOT_FOUND, _BAD_INPUT, _CONFIG, _LIMIT. */
MnkVlm *mnk_vlm_load(const MnkVlmConfig *config, GError **error);
/* Jobs that still run end with MNK_ERROR_CANCELLED. */
void mnk_vlm_free(MnkVlm *vlm);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(MnkVlm, mnk_vlm_free)
const MnkVlmFiles *mnk_vlm_files(const MnkVlm *vlm);
guint mnk_vlm_frame_tokens(const MnkVlm *vlm); /* most that a frame gives; 0: not known yet */
guint mnk_vlm_pair(const MnkVlm *vlm);         /* pictures that one encoding can take: 1 or 2 */

/* For the child: loads, encodes a picture, decodes a token, and sees that all of it is finite. */
gboolean mnk_vlm_probe(const MnkVlmConfig *config, GError **error);

/* ---- Tower: one thread ---- */

/* RGB frames, n of them (at most mnk_vlm_pair, of one size), to one set of tokens with the first
 * one's time. Any size of picture; it is scaled to the family's. *cancel (atomic, NULL: none) set
 * from another thread ends it within half a layer: MNK_ERROR_CANCELLED, unless it was complete.
 * MNK_ERROR_BAD_INPUT: the tower gave values that are not finite. */
MnkTokens *mnk_vlm_encode(MnkVlm *vlm, MnkFrame *const *frames, guint n, gint *cancel,
                          GError **error);

/* ---- Words ---- */

/* The input embeddings of a text's tokens: rows x dim, caller frees; *n: how many. The text is
 * cut after n_max tokens. Any thread. */
float *mnk_vlm_rows(MnkVlm *vlm, const char *text, guint n_max, guint *n);
guint mnk_vlm_count(MnkVlm *vlm, const char *text); /* tokens */

/* ---- Jobs of the decoder ---- */

typedef enum {
  MNK_VLM_QUESTION,
  MNK_VLM_WATCH,
  MNK_VLM_CAPTION,
  MNK_VLM_PRIORITIES
} MnkVlmPriority;

typedef enum {
  MNK_VLM_SYSTEM,    /* text; first, at most one */
  MNK_VLM_USER,      /* a turn begins: parts up to the next turn are its content; text optional */
  MNK_VLM_ASSISTANT, /* an earlier answer, text */
  MNK_VLM_TEXT,      /* of the running turn */
  MNK_VLM_TOKENS,    /* of the running turn: a frame or a memory, between the model's own markers */
} MnkVlmPartKind;

/* Text never becomes special tokens, and media markers in it are taken out. */
typedef struct {
  MnkVlmPartKind kind;
  const char *text;
  MnkTokens *tokens; /* borrowed until submit returns; referenced then */
  /* Per token (time, row, column), for memories whose tokens come of many frames; NULL: as a frame
   * on its grid. Time never falls within a part. */
  const gint32 (*places)[3];
} MnkVlmPart;

typedef struct {
  MnkVlmPriority priority;
  const MnkVlmPart *parts; /* borrowed until submit returns */
  guint n_parts;
  guint prefix;      /* leading parts that many jobs share: kept in the KV cache between jobs */
  guint tokens_max;  /* of the answer */
  float temperature; /* 0: the likeliest */
  guint32 seed;
  const char *grammar;        /* GBNF, root "root"; NULL: free text */
  const char *const *stop;    /* NULL-terminated; NULL: the model's own end alone */
  const char *const *choices; /* NULL-terminated, first tokens differ: only their probabilities at
                                 the first token are wanted, nothing is generated */
  gint64 deadline_us;         /* monotonic; 0: none */
} MnkVlmRequest;

typedef struct {
  char *text; /* whole, valid UTF-8, without white space before it; of choices: the likeliest */
  guint prompt_tokens, visual_tokens, cached_tokens, answer_tokens;
  enum { MNK_VLM_END, MNK_VLM_STOP, MNK_VLM_TOKENS_MAX } finish;
  float choices[8];                               /* probabilities among the choices */
  double wait_ms, prompt_ms, first_ms, answer_ms; /* first: from submit to the first token */
  guint interrupted; /* times that it made way for something more urgent */
} MnkVlmAnswer;
void mnk_vlm_answer_clear(MnkVlmAnswer *answer);

typedef struct _MnkVlmJob MnkVlmJob;
typedef struct {
  void (*piece)(const char *text, gpointer user); /* whole characters; may be NULL */
  void (*done)(const MnkVlmAnswer *answer, const GError *error, gpointer user); /* once, last */
} MnkVlmEvents;
/* Any thread; events come on the decoder's. A question interrupts captions between micro-batches,
 * and they go on after it. Errors in done: MNK_ERROR_LIMIT (parts do not fit in the context: in
 * tokens), _CONFIG (grammar), _CANCELLED (also: deadline), _INTERNAL. */
MnkVlmJob *mnk_vlm_submit(MnkVlm *vlm, const MnkVlmRequest *request, const MnkVlmEvents *events,
                          gpointer user);
/* done comes with MNK_ERROR_CANCELLED, if it has not come already. */
void mnk_vlm_cancel(MnkVlmJob *job);
void mnk_vlm_job_unref(MnkVlmJob *job);
/* Jobs that are not done. */
guint mnk_vlm_waiting(const MnkVlm *vlm, MnkVlmPriority priority);

#endif
