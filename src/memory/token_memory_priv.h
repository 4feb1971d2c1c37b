/* The token memory's state, shared by its modes. */
#ifndef MNK_TOKEN_MEMORY_PRIV_H
#define MNK_TOKEN_MEMORY_PRIV_H

#include "memory/memory.h"

/* Memory that one update needs and the next may use again: grows, and never past the largest
 * update. */
typedef struct {
  gpointer data;
  gsize bytes;
} MnkScratch;

/* At least n values of size bytes; what was in it is lost. */
gpointer mnk_scratch_get(MnkScratch *scratch, gsize n, gsize size);
/* The same, and what was in it stays. */
gpointer mnk_scratch_grow(MnkScratch *scratch, gsize n, gsize size);

typedef enum {
  MNK_SCRATCH_FRAME, /* a frame's rows as floats */
  MNK_SCRATCH_NORMS, /* the rest: see kmeans.c */
  MNK_SCRATCH_MOVED,
  MNK_SCRATCH_DOTS,
  MNK_SCRATCH_CHANGED,
  MNK_SCRATCH_CHANGED_DOTS,
  MNK_SCRATCH_ROW,
  MNK_SCRATCH_INDICES,
  MNK_SCRATCH_STATS,
  MNK_SCRATCH_N,
} MnkScratchUse;

struct _MnkTokenMemory {
  MnkTokenMemoryConfig config;
  guint count;      /* centres in use */
  guint oldest;     /* MNK_TOKEN_MEMORY_NONE: the slot that is written next */
  float *centres;   /* config.tokens x dim */
  float *norms;     /* squared length of each centre; what a restore computes anew */
  MnkCentre *stats; /* config.tokens */
  GArray *labels;   /* of guint32 */
  MnkScratch scratch[MNK_SCRATCH_N];
};

/* New rows, and what is known of them. */
typedef struct {
  const float *rows;
  guint n, columns;
  guint first; /* place of the first of them in the frame */
  gint64 pts_ms;
} MnkNewRows;

float *mnk_token_memory_centre(const MnkTokenMemory *memory, guint index);
/* The stats of one row that is alone. */
MnkCentre mnk_new_rows_stats(const MnkNewRows *rows, guint index);
/* Makes one more centre of a row. */
void mnk_token_memory_append(MnkTokenMemory *memory, const MnkNewRows *rows, guint index);
void mnk_token_memory_write(MnkTokenMemory *memory, guint at, const MnkNewRows *rows, guint index);
/* Weighted means of stats; counts saturate. a is added to. */
void mnk_centre_join(MnkCentre *a, const MnkCentre *b);

/* labels: n entries. */
void mnk_kmeans_add(MnkTokenMemory *memory, const MnkNewRows *fresh, guint32 *labels);
void mnk_places_add(MnkTokenMemory *memory, const MnkNewRows *fresh, guint32 *labels);
void mnk_adjacent_add(MnkTokenMemory *memory, const MnkNewRows *fresh, guint32 *labels);
void mnk_newest_add(MnkTokenMemory *memory, const MnkNewRows *fresh, guint32 *labels);

/* After a restore, or where centres were written without it. */
void mnk_token_memory_measure(MnkTokenMemory *memory, guint first, guint n);

#endif
