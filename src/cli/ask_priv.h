/* `manako ask`: what its files share.
 *
 *   ask.c    the command: watch, look, ask        show_answer.c
 *   spool.c  frames that wait for the model       lines.c  further questions */
#ifndef MNK_CLI_ASK_PRIV_H
#define MNK_CLI_ASK_PRIV_H

#include "ask/ask.h"
#include "cli/watching_priv.h"

/* ---- spool.c: a file is read faster than a model can look ---- */

typedef struct {
  GBytes *jpeg; /* owned */
  gint64 pts_ms;
  float importance; /* 0..1 */
  gboolean cut;
} MnkSpooled;

/* The most telling frames, spread over the time: when there are more than it holds, the one goes
 * that tells little and has near neighbours. */
typedef struct _MnkSpool MnkSpool;
MnkSpool *mnk_spool_new(guint max);
void mnk_spool_free(MnkSpool *spool);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(MnkSpool, mnk_spool_free)
/* In order of time. Takes its own reference of the picture. */
void mnk_spool_add(MnkSpool *spool, const MnkSpooled *frame);
/* The oldest; FALSE: there is none. Caller unrefs its picture. */
gboolean mnk_spool_take(MnkSpool *spool, MnkSpooled *frame);
guint mnk_spool_count(const MnkSpool *spool);
guint64 mnk_spool_left_out(const MnkSpool *spool); /* since the start */

/* ---- lines.c: standard input in the main context, a line at a time ---- */

typedef struct _MnkLines MnkLines;
/* line: without its end; NULL: there are no more. Called once for each mnk_lines_want. */
typedef void (*MnkLinesGot)(const char *line, gpointer user);
MnkLines *mnk_lines_new(int fd, gsize max, MnkLinesGot got, gpointer user);
void mnk_lines_free(MnkLines *lines);
void mnk_lines_want(MnkLines *lines);

/* ---- show_answer.c ---- */

/* A piece of an answer's text as it comes. */
gboolean mnk_show_piece(MnkOutput *output, const char *text, GError **error);
/* The rest of it: the text if no piece of it came, then what it rests on, to standard error. */
gboolean mnk_show_answer(MnkOutput *output, const MnkAnswer *answer, gboolean told, GError **error);
gboolean mnk_show_json(MnkOutput *output, const MnkAnswer *answer, GError **error);
/* For --stats: members of the line. */
void mnk_show_counts(MnkJsonWriter *w, const MnkAskerCounters *asked, const MnkLocal *local);

#endif
