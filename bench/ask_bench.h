/* The parts of ask_bench. Each prints its figures as JSON lines and returns FALSE when it could not
 * measure. */
#ifndef ASK_BENCH_H
#define ASK_BENCH_H

#include "local/local.h"

typedef struct {
  const char *shape; /* how the model is called in the figures */
  const char *model, *mmproj;
  guint rounds;
  int threads;
} Bench;

double bench_median(GArray *values); /* of double; sorts them */
/* RGB noise round a colour that seed chooses: no two are alike. */
MnkFrame *bench_frame(guint32 seed, gint64 pts_ms);

/* ask_bench_long.c: through the worker process, from memories of short and long streams. */
gboolean bench_long(const Bench *bench);
/* ask_bench_share.c: through the worker process: two streams against one; a question while a batch
 * of captions is with the model. */
gboolean bench_streams(const Bench *bench);
gboolean bench_captions(const Bench *bench);
/* ask_bench_bare.c: against libmtmd and libllama called directly. */
gboolean bench_bare(const Bench *bench);

/* ---- ask_bench_model.c: the model worker, driven from here until something has come ---- */

typedef struct {
  MnkLocal *local;
  MnkSettings *settings;
  GMainLoop *loop;
} Model;
/* Ready, or NULL with a message printed. */
Model *bench_model_new(const Bench *bench);
void bench_model_free(Model *model);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Model, bench_model_free)
/* Waits until *flag. */
void bench_wait(Model *model, const gboolean *flag);

typedef struct {
  gint64 start_us;
  double first_ms, all_ms; /* from asking to the first word, and to the end; here, not there */
  guint visual_tokens, prompt_tokens, cached_tokens, moments;
  double route_ms, prompt_ms, wait_ms;
  gboolean done, failed;
} Asked;
/* Asks; asked is filled in later. */
void bench_ask(Model *model, MnkLocalStream *stream, const char *question, guint visual_max,
               guint tokens, Asked *asked);

#endif
