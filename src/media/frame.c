#include "media/frame_priv.h"

#include <libavutil/imgutils.h>
#include <libavutil/pixdesc.h>
#include <math.h>

#include "base/base.h"
#include "media/libav_priv.h"

/* Pixels longer or taller than this are a damaged header, not a film format. */
enum { ASPECT_MAX = 8 };

MnkFrame *mnk_frame_ref(const MnkFrame *frame) {
  g_return_val_if_fail(frame, NULL);
  g_atomic_ref_count_inc(&((MnkPicture *)frame)->refs);
  return (MnkFrame *)frame;
}

void mnk_frame_unref(MnkFrame *frame) {
  if (!frame)
    return;
  MnkPicture *picture = (MnkPicture *)frame;
  if (!g_atomic_ref_count_dec(&picture->refs))
    return;
  av_frame_free(&picture->picture);
  g_free(picture);
}

void mnk_shown_size(int width, int height, AVRational aspect, MnkOrientation orientation,
                    int *shown_width, int *shown_height) {
  double ratio = aspect.num > 0 && aspect.den > 0 ? av_q2d(aspect) : 1;
  if (ratio > ASPECT_MAX || ratio < 1.0 / ASPECT_MAX)
    ratio = 1;
  int w = ratio > 1 ? MAX(1, (int)lrint(width * ratio)) : width;
  int h = ratio < 1 ? MAX(1, (int)lrint(height / ratio)) : height;
  *shown_width = orientation.transpose ? h : w;
  *shown_height = orientation.transpose ? w : h;
}

static MnkPicture *picture_new(MnkFrameFormat format, AVFrame *pixels) {
  MnkPicture *picture = g_new0(MnkPicture, 1);
  g_atomic_ref_count_init(&picture->refs);
  picture->frame.format = format;
  picture->picture = pixels;
  return picture;
}

MnkFrame *mnk_frame_take_decoded(AVFrame *pixels, MnkOrientation orientation, AVRational aspect) {
  MnkPicture *picture = picture_new(MNK_FRAME_DECODED, pixels);
  picture->orientation = orientation;
  picture->frame.key = mnk_av_frame_is_key(pixels);
  mnk_shown_size(pixels->width, pixels->height, aspect, orientation, &picture->frame.width,
                 &picture->frame.height);
  return &picture->frame;
}

static MnkFrame *planes_taken(MnkFrameFormat format, AVFrame *pixels, const MnkFrame *like) {
  MnkFrame *frame = &picture_new(format, pixels)->frame;
  if (like) {
    *frame = *like;
    frame->format = format;
  }
  frame->width = pixels->width;
  frame->height = pixels->height;
  for (int i = 0; i < 3; i++) {
    frame->planes[i] = pixels->data[i];
    frame->strides[i] = pixels->linesize[i];
  }
  return frame;
}

MnkFrame *mnk_frame_alloc(MnkFrameFormat format, int width, int height, const MnkFrame *like,
                          GError **error) {
  AVFrame *pixels = av_frame_alloc();
  if (pixels) {
    pixels->format = format == MNK_FRAME_RGB ? AV_PIX_FMT_RGB24 : AV_PIX_FMT_YUV420P;
    pixels->color_range = AVCOL_RANGE_JPEG;
    pixels->colorspace = format == MNK_FRAME_RGB ? AVCOL_SPC_RGB : AVCOL_SPC_BT470BG;
    pixels->width = width;
    pixels->height = height;
  }
  if (!pixels || av_frame_get_buffer(pixels, 0) < 0) {
    av_frame_free(&pixels);
    g_set_error(error, MNK_ERROR, MNK_ERROR_LIMIT, "No memory for a picture of %d x %d pixels",
                width, height);
    return NULL;
  }

  return planes_taken(format, pixels, like);
}

MnkFrame *mnk_frame_take_rgb(AVFrame *pixels) {
  MnkFrame *frame = planes_taken(MNK_FRAME_RGB, pixels, NULL);
  frame->sampled = frame->key = TRUE;
  return frame;
}

MnkFrame *mnk_frame_new_rgb(const guint8 *rgb, int width, int height, int stride, gint64 pts_ms) {
  g_return_val_if_fail(rgb && width > 0 && height > 0 && stride >= 3 * width, NULL);
  MnkFrame *frame = mnk_frame_alloc(MNK_FRAME_RGB, width, height, NULL, NULL);
  g_return_val_if_fail(frame, NULL);
  const AVFrame *pixels = mnk_frame_picture(frame)->picture;
  av_image_copy_plane(pixels->data[0], pixels->linesize[0], rgb, stride, 3 * width, height);
  frame->pts_ms = pts_ms;
  frame->sampled = TRUE;
  frame->key = TRUE;
  return frame;
}
