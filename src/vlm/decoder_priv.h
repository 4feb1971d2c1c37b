/* The decoder's thread: jobs, the sequences that they are in, and what is kept between them. */
#ifndef MNK_VLM_DECODER_PRIV_H
#define MNK_VLM_DECODER_PRIV_H

#include "vlm/answer_priv.h"
#include "vlm/prompt_priv.h"
#include "vlm/sampler_priv.h"

enum {
  MNK_VLM_PREFIXES = 8, /* sequences in which beginnings of prompts are kept */
  MNK_VLM_NO_SEQUENCE = -1,
};

/* ---- job.c: jobs, and the way from the callers' threads to the decoder's ---- */

/* Shared by the decoder and all jobs; outlives both as long as somebody holds a job. */
typedef struct {
  gatomicrefcount refs;
  GMutex mutex;
  GCond changed;
  GQueue incoming; /* of MnkVlmJob, owned */
  gboolean closed; /* no decoder takes jobs any more */
  /* Read while the library computes, to see whether to give up. */
  gint stop;                     /* atomic */
  gint jobs[MNK_VLM_PRIORITIES]; /* atomic: not done */
} MnkVlmQueue;

MnkVlmQueue *mnk_vlm_queue_new(void);
MnkVlmQueue *mnk_vlm_queue_ref(MnkVlmQueue *queue);
void mnk_vlm_queue_unref(MnkVlmQueue *queue);
/* Moves what has come to the end of jobs. wait: until something has, or the queue is stopped. */
void mnk_vlm_queue_take(MnkVlmQueue *queue, GPtrArray *jobs, gboolean wait);
/* Wakes the decoder, whose thread then ends. */
void mnk_vlm_queue_stop(MnkVlmQueue *queue);
/* The most urgent of the jobs that are not done; MNK_VLM_PRIORITIES: there are none. */
MnkVlmPriority mnk_vlm_queue_urgent(MnkVlmQueue *queue);

struct _MnkVlmJob {
  gatomicrefcount refs;
  MnkVlmQueue *queue;
  gint cancelled; /* atomic */

  /* Set when it is made. */
  MnkVlmPriority priority;
  guint tokens_max;
  gint64 deadline_us, submitted_us;
  MnkVlmEvents events;
  gpointer user;
  MnkVlmPrompt *prompt;
  MnkVlmSampler *sampler;
  GArray *choices; /* of llama_token; NULL: an answer is wanted */
  char **choice_texts;
  GError *error; /* what is wrong with the request */

  /* The decoder's thread alone. */
  llama_seq_id sequence;
  guint chunk;   /* the next one of the prompt */
  guint cells;   /* of the context, that it may come to need */
  gint64 shares; /* number of the kept beginning whose cells are also its own; 0: none */
  gboolean answering;
  llama_token last; /* said, but not evaluated yet */
  GArray *said;     /* all words of the answer, llama_token */
  guint appended;   /* of them, that are part of the prompt since it had to begin anew */
  MnkVlmText text;
  MnkVlmAnswer answer;
  gint64 started_us, first_us;
};

MnkVlmJob *mnk_vlm_job_ref(MnkVlmJob *job);
/* Tells what came of it, once. error: taken; NULL: it went well. */
void mnk_vlm_job_done(MnkVlmJob *job, GError *error);
/* Whether it should go on no more; *why, may be NULL: MNK_ERROR_CANCELLED. Never blocks. */
gboolean mnk_vlm_job_is_unwanted(MnkVlmJob *job, GError **why);

/* ---- prefix.c: beginnings of prompts that are kept in the context ---- */

typedef struct {
  gint64 number; /* counts up; 0: empty */
  gint64 used;
  guint items;
  guint8 hash[MNK_VLM_HASH_BYTES];
} MnkVlmPrefix;

typedef struct {
  struct llama_context *context;
  llama_seq_id first; /* the sequences from this one on are theirs */
  gint64 count;
  MnkVlmPrefix kept[MNK_VLM_PREFIXES];
} MnkVlmPrefixes;

/* Goes on from the longest beginning that is kept, if any: the job's sequence, next chunk and
 * counts are set. */
void mnk_vlm_prefix_use(MnkVlmPrefixes *prefixes, MnkVlmJob *job);
/* Keeps what the job's sequence holds now, in the place of what was used longest ago. */
void mnk_vlm_prefix_keep(MnkVlmPrefixes *prefixes, MnkVlmJob *job, const MnkVlmMark *mark);
/* Lets go of the one that was used longest ago; but: never this one. FALSE: there is none. */
gboolean mnk_vlm_prefix_drop(MnkVlmPrefixes *prefixes, gint64 but);
/* Words and tokens of one that is kept, 0 when it is not; with 0 of all of them. */
guint mnk_vlm_prefix_items(const MnkVlmPrefixes *prefixes, gint64 number);

/* ---- decoder.c ---- */

struct _MnkVlmDecoder {
  MnkVlm *vlm;
  MnkVlmQueue *queue;
  GThread *thread;
  struct llama_context *context;
  llama_memory_t memory;
  guint cells; /* of the context */

  /* The thread's alone. */
  GPtrArray *waiting; /* jobs without a sequence, in the order they came; owned */
  GPtrArray *held;    /* jobs in a sequence, likewise */
  MnkVlmPrefixes prefixes;
  guint64 taken;             /* bit set of the jobs' sequences */
  MnkVlmPriority running;    /* what is computed */
  MnkVlmJob *prompting;      /* whose prompt is evaluated; NULL: answers go on */
  struct llama_batch batch;  /* room for words, and for rows without its own memory */
  float *rows;               /* of one chunk of tokens */
  llama_pos *positions;      /* of one chunk, four for each */
  llama_token_data *scratch; /* one for each word of the vocabulary */

  GMutex seen_mutex; /* for tests */
  float *seen;       /* scores after the last prompt */
  guint64 evaluated, given_up;
};

/* ---- steps.c ---- */

/* Evaluates the next chunk of a job's prompt; with the last one its answer begins. The job may be
 * done after it. */
void mnk_vlm_step_prompt(MnkVlmDecoder *decoder, MnkVlmJob *job);
/* One word more for all jobs of a priority that answer. */
void mnk_vlm_step_answers(MnkVlmDecoder *decoder, MnkVlmPriority priority);
/* Takes the job out of its sequence and tells what came of it. error is taken. */
void mnk_vlm_finish(MnkVlmDecoder *decoder, MnkVlmJob *job, GError *error);
/* Takes a job out of its sequence, to wait and begin anew with what it has said. */
void mnk_vlm_suspend(MnkVlmDecoder *decoder, MnkVlmJob *job);

#endif
