/* What the tests of the local model have in common: a model that sees colours, pictures of one
 * colour, and a main context that runs until something has come. */
#ifndef TESTS_LOCAL_BENCH_H
#define TESTS_LOCAL_BENCH_H

#include "local/local.h"

typedef struct {
  MnkSettings *settings;
  MnkLocal *local;
  guint changes;
} Bench;

/* Runs as the worker when it is told to by its arguments; else the tests. */
int bench_main(int argc, char **argv, void (*add_tests)(void));

/* FALSE: the test is skipped, as the build has no library. family "colour". */
gboolean bench_begin(Bench *bench, const char *family);
void bench_set(Bench *bench, MnkOptionId id, const char *value);
/* Makes the model; it must not fail at once. */
void bench_start(Bench *bench);
void bench_start_ready(Bench *bench);
void bench_end(Bench *bench);

MnkLocalStream *bench_open(Bench *bench, const char *id, GBytes *snapshot);
/* Iterates until *flag; fails the test after half a minute. */
void bench_wait(const gboolean *flag);
void bench_wait_state(Bench *bench, MnkLocalState state);
void bench_wait_idle(MnkLocalStream *stream);
/* Iterates for a while in any case. */
void bench_pass(guint ms);

GBytes *bench_picture(const char *colour);
/* One frame a second of that colour, from second from on, n of them; the first is a cut. */
void bench_show(MnkLocalStream *stream, const char *colour, guint from, guint n);

/* An answer with its pieces, and how it came. */
typedef struct {
  gboolean done;
  char *text, *pieces, *finish;
  GArray *evidence;
  gboolean history;
  guint prompt_tokens, visual_tokens, cached_tokens, answer_tokens;
  GError *error;
  GString *heard;
} Answer;
void bench_question_init(MnkLocalQuestion *question, const char *text);
/* Caller clears. */
MnkLocalAsk *bench_ask_later(MnkLocalStream *stream, const MnkLocalQuestion *question,
                             Answer *answer);
void bench_ask(MnkLocalStream *stream, const MnkLocalQuestion *question, Answer *answer);
void bench_answer_clear(Answer *answer);

GBytes *bench_save(MnkLocalStream *stream, GError **error);
float bench_likely(MnkLocalStream *stream, const char *question, gint64 *pts_ms);
/* frames = encoded + left_out + waiting, in all and in this stream (NULL: none). */
void bench_check_counts(Bench *bench, MnkLocalStream *stream);

#endif
