/* The two detectors behind mnk_shots. Pure functions of the trace. Private to vision. */
#ifndef MNK_VISION_SHOTS_PRIV_H
#define MNK_VISION_SHOTS_PRIV_H

#include "vision/trace_priv.h"

/* How long the frames after a cut are watched before it is believed: longer than a flash. */
enum { SHOTS_LOOKAHEAD_MS = 240 };

/* Is frame n the first of a new shot? Frames of the old shot begin with `first`; all that the trace
 * holds after n is looked at. *score: 0..1. */
gboolean mnk_cut_at(const MnkTrace *trace, guint64 first, guint64 n, float *score);

/* A dissolve or fade. Frame numbers of the first and last mixed frame; the new shot begins after.
 */
typedef struct {
  guint64 first_mixed, last_mixed;
  gint64 start_ms, end_ms;       /* of these two; the trace may have forgotten the first */
  gboolean from_blank, to_blank; /* a fade-in or a fade-out alone */
  float score;                   /* 0..1 */
} MnkBlend;

/* A blend that is over by frame `last` and began after frame `first`. */
gboolean mnk_blend_ending(const MnkTrace *trace, guint64 first, guint64 last, MnkBlend *out);

#endif
