/* What the readers and writers of batches share. */
#ifndef MNK_LANGUAGE_BATCH_PRIV_H
#define MNK_LANGUAGE_BATCH_PRIV_H

#include "language/backend.h"

enum {
  MNK_BATCH_EVENTS_MAX = 64,     /* in one answer */
  MNK_BATCH_TEXT_BYTES = 2048,   /* of one event */
  MNK_BATCH_FRAMES_MAX = 65536,  /* of one batch, sent or not */
  MNK_ANSWER_BYTES_MAX = 262144, /* of a model's JSON */
};

/* Shares the pictures. */
MnkBatch *mnk_batch_copy(const MnkBatch *batch);

/* Text from outside as one line of plain text: terminal escape sequences, control, format,
 * bidirectional and private characters removed, white space single, at most max bytes, cut between
 * characters. Joiners stay: scripts and emoji need them. Caller frees. */
char *mnk_text_plain(const char *text, gsize max);
/* Past the escape sequence that begins at p, in valid text; p itself when none does. *whole: FALSE
 * when the text ends before it does. */
const char *mnk_text_skip_escape(const char *p, gboolean *whole);
/* No control, format, private character; joiners are plain. */
gboolean mnk_text_is_plain(gunichar c);

#endif
