/* Trace: what the last seconds of video looked like, for finding shot boundaries. Private to
 * vision.
 *
 * Each frame becomes a signature: its luma on a 32x18 grid with the mean taken out, and its chroma
 * on a 16x9 grid. The inner products of every new signature with all that are kept are computed
 * once, when it comes; every distance, correlation and linear-blend test between any frames is
 * then a few operations on this Gram matrix, independent of the size of the picture. */
#ifndef MNK_VISION_TRACE_PRIV_H
#define MNK_VISION_TRACE_PRIV_H

#include "media/media.h"

enum {
  TRACE_WIDTH = 32,
  TRACE_HEIGHT = 18,
  TRACE_LUMA = TRACE_WIDTH * TRACE_HEIGHT,
  TRACE_CHROMA = TRACE_LUMA / 2, /* U and V on a grid of half the side */
  TRACE_DIMENSIONS = TRACE_LUMA + TRACE_CHROMA,
  TRACE_COARSE_DIMENSIONS = TRACE_LUMA / 4 + TRACE_CHROMA,
  TRACE_LUMA_BINS = 16,
  TRACE_CHROMA_BINS = 8, /* a side */
  TRACE_BINS = TRACE_LUMA_BINS + TRACE_CHROMA_BINS * TRACE_CHROMA_BINS,
  TRACE_KEEP_MS = 3700,
  TRACE_CAPACITY = 224, /* as long at 60 frames a second */
};

typedef enum {
  TRACE_FINE,
  TRACE_COARSE, /* luma on the grid of chroma too: motion matters less, fine texture is lost */
  TRACE_LEVELS,
} MnkTraceLevel;

typedef struct {
  gint64 pts_ms;
  float mean;                             /* of luma */
  gint16 vector[TRACE_DIMENSIONS];        /* luma less its mean; chroma less 128, twice */
  gint16 coarse[TRACE_COARSE_DIMENSIONS]; /* the same with luma on the grid of chroma, four times */
  guint8 luma[TRACE_LUMA];
  guint16 histogram[TRACE_BINS];
} MnkSignature;

/* Frames are named by their number since the start; first <= number < next are kept. */
typedef struct {
  guint64 first, next;
  MnkSignature frames[TRACE_CAPACITY];
  /* Per cell of luma; the half with the later frame first. */
  float dots[TRACE_LEVELS][TRACE_CAPACITY][TRACE_CAPACITY];
} MnkTrace;

MnkTrace *mnk_trace_new(void);
void mnk_trace_free(MnkTrace *trace);
void mnk_trace_clear(MnkTrace *trace);
/* FALSE when the frame cannot be read. */
gboolean mnk_trace_push(MnkTrace *trace, const MnkFrame *frame);

const MnkSignature *mnk_trace_at(const MnkTrace *trace, guint64 n);
gint64 mnk_trace_pts(const MnkTrace *trace, guint64 n);
/* Inner product per luma cell: a variance when a and b are the same frame. */
float mnk_trace_dot(const MnkTrace *trace, MnkTraceLevel level, guint64 a, guint64 b);
/* 0: the same; 1: nothing in common; up to 2. Little moved by light and contrast. */
float mnk_trace_distance(const MnkTrace *trace, guint64 a, guint64 b);
/* Half the L1 distance of the colour histograms, 0..1. Little moved by motion. */
float mnk_trace_histogram(const MnkTrace *trace, guint64 a, guint64 b);
/* Correlation of the two pictures' luma, -1..1; near 0 without structure. */
float mnk_trace_correlation(const MnkTrace *trace, guint64 a, guint64 b);
/* The best correlation of the two pictures' luma over shifts of up to half a picture, -1..1: near
 * 1 when the camera swept from one to the other. Costs as much as some hundred distances. */
float mnk_trace_swept(const MnkTrace *trace, guint64 a, guint64 b);
/* No structure and no colour to compare: black, white, grey. */
gboolean mnk_trace_is_blank(const MnkTrace *trace, guint64 n);

#endif
