/* Sampler: which frames are nearest to the points of a grid. */
#ifndef MNK_MEDIA_SAMPLER_PRIV_H
#define MNK_MEDIA_SAMPLER_PRIV_H

#include "media/media.h"

/* Whether a point k / fps (k = 0, 1, ...) lies in [from_ms, to_ms). */
gboolean mnk_grid_has_point(double fps, double from_ms, double to_ms);

/* Holds one frame back until its successor tells how far it reaches. */
typedef struct {
  double fps;
  MnkFrame *held;     /* owned */
  double reaches_ms;  /* from here on the held frame is the nearest one */
  gboolean has_begun; /* a frame went before the held one */
} MnkSampler;

void mnk_sampler_init(MnkSampler *sampler, double fps);
void mnk_sampler_clear(MnkSampler *sampler);
/* Takes the next frame, gives back the one before it with its sampled flag set, or NULL. Frames
 * come in order of time. */
MnkFrame *mnk_sampler_push(MnkSampler *sampler, MnkFrame *frame);
/* The held frame, shown until end_ms, or NULL. The next one pushed counts as a first one if
 * starts_over, else as its successor. */
MnkFrame *mnk_sampler_flush(MnkSampler *sampler, gint64 end_ms, gboolean starts_over);

#endif
