/* Orientation: which of the eight ways a coded picture is turned to stand upright. */
#ifndef MNK_MEDIA_ORIENTATION_PRIV_H
#define MNK_MEDIA_ORIENTATION_PRIV_H

#include <glib.h>

/* First transpose (x and y change places), then flip in the upright picture's own directions. */
typedef struct {
  gboolean transpose, flip_x, flip_y;
} MnkOrientation;

/* From a container's 3x3 display matrix; the nearest of the eight. NULL: upright. */
MnkOrientation mnk_orientation_from_matrix(const gint32 *matrix);
/* From the EXIF tag of that name, 1 to 8; any other: upright. */
MnkOrientation mnk_orientation_from_exif(guint value);
/* Clockwise degrees: 0, 90, 180 or 270; mirroring is not told. */
int mnk_orientation_degrees(MnkOrientation orientation);

typedef struct {
  guint8 *bytes;
  gssize stride;
  int width, height; /* in pixels, upright */
} MnkPlane;
/* Writes rows of a coded plane of pixels of 1 or 3 bytes to where they belong in the upright one.
 * row: the first of the rows within the coded plane. */
void mnk_orientation_place(MnkOrientation orientation, const guint8 *rows, gssize stride, int row,
                           int n_rows, int pixel_bytes, const MnkPlane *upright);

#endif
