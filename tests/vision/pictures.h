/* Procedural pictures for the tests of shots and motion: coloured noise on several scales, looked
 * at through a camera that shifts, zooms and turns. Equal seeds give equal pictures everywhere. */
#ifndef MNK_TEST_PICTURES_H
#define MNK_TEST_PICTURES_H

#include "media/media.h"

typedef struct _Picture Picture;
Picture *picture_new(guint seed);
void picture_free(Picture *picture);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Picture, picture_free)

/* x, y: shift of the content in pixels; zoom > 1: larger; angle: clockwise, radians. */
typedef struct {
  double x, y, zoom, angle;
} Camera;

/* What the camera sees; the picture repeats beyond its sides. */
void picture_view(const Picture *picture, Camera camera, guint8 *rgb, int width, int height);

/* (1 - share) a + share b, into a. */
void view_mix(guint8 *a, const guint8 *b, gsize bytes, double share);
void view_fill(guint8 *rgb, gsize bytes, guint8 r, guint8 g, guint8 b);
/* Gain and offset, clipped. */
void view_light(guint8 *rgb, gsize bytes, double gain, double offset);
/* Noise of about this standard deviation; another for each call. */
void view_noise(guint8 *rgb, gsize bytes, double deviation, GRand *rand);

#endif
