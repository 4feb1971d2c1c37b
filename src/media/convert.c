#include <math.h>

#include "base/base.h"
#include "media/frame_priv.h"
#include "media/scaler_priv.h"

static MnkMetric *conversions(void) {
  return mnk_counter("frame_conversions_total", "Frames whose pixels were written anew.", NULL);
}

guint64 mnk_frame_conversions(void) {
  return (guint64)mnk_metric_value(conversions());
}

MnkFrame *mnk_frame_convert(const MnkFrame *frame, MnkFrameFormat format, int max_side,
                            GError **error) {
  g_return_val_if_fail(frame && max_side > 0, NULL);
  double scale = MIN(1, (double)max_side / MAX(frame->width, frame->height));
  int width = MAX(1, (int)lrint(frame->width * scale));
  int height = MAX(1, (int)lrint(frame->height * scale));
  gboolean same_size = width == frame->width && height == frame->height;
  if (format == MNK_FRAME_DECODED || (format == frame->format && same_size))
    return mnk_frame_ref(frame);

  const MnkPicture *from = mnk_frame_picture(frame);
  g_autoptr(MnkFrame) made = mnk_frame_alloc(format, width, height, frame, error);
  if (!made)
    return NULL;
  AVFrame *upright = mnk_frame_picture(made)->picture;
  if (format == MNK_FRAME_I420)
    upright->colorspace = mnk_picture_matrix(from->picture);
  if (!mnk_scale(from->picture, from->orientation, upright, error))
    return NULL;
  made->copies = frame->copies + 1;
  mnk_metric_add(conversions(), 1);
  return g_steal_pointer(&made);
}
