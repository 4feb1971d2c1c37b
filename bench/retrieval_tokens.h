/* What retrieval_tokens writes and retrieval_bench reads: one record after the other, in this
 * machine's byte order. */
#ifndef RETRIEVAL_TOKENS_H
#define RETRIEVAL_TOKENS_H

#include <glib.h>

/* A view of a picture: the pooled features of GRID x GRID overlapping parts of it, as its tokens.
 */
enum { GRID = 3, TOKENS = GRID * GRID, DIM = 1280, NAMES = 512 };

typedef enum {
  VIEW_FRAME,
  VIEW_OTHER, /* most of it, seen otherwise */
  VIEW_PART,  /* a tenth of it */
  VIEW_KINDS,
} ViewKind;

typedef struct {
  guint32 picture; /* the same for all views of one; a moment of a clip counts as a picture */
  guint32 half;    /* 0: choosing, 1: held-out */
  guint32 kind;    /* ViewKind */
  guint32 asked;   /* 0: never the answer, of clips */
  char file[NAMES];
  char words[NAMES]; /* what a person says is to be seen, as in truth/labels.tsv */
  char names[NAMES]; /* what perception names in this view */
  float tokens[TOKENS][DIM];
} View;

#endif
