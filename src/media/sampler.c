#include "media/sampler_priv.h"

#include <math.h>

gboolean mnk_grid_has_point(double fps, double from_ms, double to_ms) {
  double interval = 1000 / fps;
  double first = MAX(0, ceil(from_ms / interval)) * interval;
  return first < to_ms;
}

void mnk_sampler_init(MnkSampler *sampler, double fps) {
  *sampler = (MnkSampler){.fps = fps};
}

void mnk_sampler_clear(MnkSampler *sampler) {
  g_clear_pointer(&sampler->held, mnk_frame_unref);
}

static MnkFrame *decide(MnkSampler *sampler, double until_ms) {
  MnkFrame *frame = g_steal_pointer(&sampler->held);
  if (!frame)
    return NULL;
  frame->sampled =
      !sampler->has_begun || mnk_grid_has_point(sampler->fps, sampler->reaches_ms, until_ms);
  sampler->has_begun = TRUE;
  sampler->reaches_ms = until_ms;
  return frame;
}

MnkFrame *mnk_sampler_push(MnkSampler *sampler, MnkFrame *frame) {
  double middle = sampler->held ? (sampler->held->pts_ms + frame->pts_ms) / 2.0 : 0;
  MnkFrame *decided = decide(sampler, middle);
  sampler->held = frame;
  return decided;
}

MnkFrame *mnk_sampler_flush(MnkSampler *sampler, gint64 end_ms, gboolean starts_over) {
  MnkFrame *decided = decide(sampler, end_ms);
  if (starts_over)
    sampler->has_begun = FALSE;
  return decided;
}
