/* From an RGB picture to a model's input: scaled, cropped or turned, converted to bytes or floats.
 */
#ifndef MNK_VISION_RESAMPLE_PRIV_H
#define MNK_VISION_RESAMPLE_PRIV_H

#include <glib.h>

#include "wire/wire.h"

/* Packed 8-bit RGB, borrowed. */
typedef struct {
  const guint8 *rgb;
  int width, height;
  int stride; /* bytes */
} MnkPicture;

typedef struct {
  int x, y, w, h;
} MnkRect;

/* How a model wants its input. */
typedef struct {
  int width, height;
  gboolean bytes;  /* guint8, RGB, HWC; the rest of this struct is then not looked at */
  gboolean planar; /* float CHW, else float HWC */
  gboolean bgr;
  float scale[3], bias[3]; /* value = byte * scale + bias, per channel in the model's order */
} MnkInputFormat;

/* Scales the part `from` of the picture (inside it, not empty) to the part `to` of the input
 * (inside it, not empty), by a triangle filter as wide as the step, so that shrinking averages; the
 * rest of the input becomes what black gives. */
void mnk_resample(const MnkPicture *picture, const MnkRect *from, const MnkInputFormat *format,
                  const MnkRect *to, void *out);

/* The whole picture without distortion, as large as fits, centred: its place in the input. */
MnkRect mnk_letterbox(const MnkPicture *picture, const MnkInputFormat *format);

/* Input pixel (u, v) shows the picture at x = a u + b v + c, y = d u + e v + f; pixel centres are
 * at halves. */
typedef struct {
  float a, b, c, d, e, f;
} MnkAffine;

/* The map for an output of out_w x out_h pixels whose rows run at `angle` radians (clockwise, as y
 * points down) through a rectangle of the picture, given by its centre and sides in pixels. */
MnkAffine mnk_affine_for(float cx, float cy, float w, float h, float angle, int out_w, int out_h);
void mnk_affine_apply(const MnkAffine *affine, float u, float v, float *x, float *y);

/* Fills the input's first columns through the map, bilinear, averaged where it shrinks (up to 4
 * times); beyond the picture its edge pixels go on. */
void mnk_warp(const MnkPicture *picture, const MnkAffine *affine, const MnkInputFormat *format,
              int columns, void *out);

#endif
