/* Scaler: one pass of libswscale from a picture as decoded to an upright one. */
#ifndef MNK_MEDIA_SCALER_PRIV_H
#define MNK_MEDIA_SCALER_PRIV_H

#include <libavutil/frame.h>

#include "media/orientation_priv.h"

/* Whether Y runs from 0 to 255 rather than 16 to 235. */
gboolean mnk_picture_full_range(const AVFrame *picture);
/* The matrix of a YUV picture; where it says none, that of its size. */
enum AVColorSpace mnk_picture_matrix(const AVFrame *picture);

/* Fills upright (RGB24, YUV420P, YUV444P or GRAY8, with its size and buffers; full range, its
 * matrix that of the picture). Every pixel is written to it once; where the picture is turned, by
 * way of a strip of a few rows that stays in the processor's cache. */
gboolean mnk_scale(const AVFrame *picture, MnkOrientation orientation, AVFrame *upright,
                   GError **error);

#endif
