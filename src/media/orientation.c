#include "media/orientation_priv.h"

#include <stdlib.h>
#include <string.h>

MnkOrientation mnk_orientation_from_matrix(const gint32 *matrix) {
  MnkOrientation orientation = {FALSE, FALSE, FALSE};
  if (!matrix)
    return orientation;

  /* The matrix maps (x, y) to (a x + c y, b x + d y). */
  gint64 a = matrix[0], b = matrix[1], c = matrix[3], d = matrix[4];
  orientation.transpose = llabs(b) + llabs(c) > llabs(a) + llabs(d);
  orientation.flip_x = (orientation.transpose ? c : a) < 0;
  orientation.flip_y = (orientation.transpose ? b : d) < 0;
  return orientation;
}

MnkOrientation mnk_orientation_from_exif(guint value) {
  static const MnkOrientation orientations[] = {
      [1] = {FALSE, FALSE, FALSE}, [2] = {FALSE, TRUE, FALSE}, [3] = {FALSE, TRUE, TRUE},
      [4] = {FALSE, FALSE, TRUE},  [5] = {TRUE, FALSE, FALSE}, [6] = {TRUE, TRUE, FALSE},
      [7] = {TRUE, TRUE, TRUE},    [8] = {TRUE, FALSE, TRUE},
  };
  return orientations[value < G_N_ELEMENTS(orientations) ? value : 0];
}

int mnk_orientation_degrees(MnkOrientation orientation) {
  if (orientation.transpose)
    return orientation.flip_x ? 90 : 270;
  return orientation.flip_x && orientation.flip_y ? 180 : 0;
}

static void place_row_reversed(guint8 *to, const guint8 *from, int n, int pixel_bytes) {
  for (int x = 0; x < n; x++)
    memcpy(to + (gsize)(n - 1 - x) * pixel_bytes, from + (gsize)x * pixel_bytes, pixel_bytes);
}

/* One column of the coded rows becomes a run of one upright row. */
static inline void place_column(guint8 *to, gssize step, const guint8 *from, gssize stride, int n,
                                int pixel_bytes) {
  for (int y = 0; y < n; y++, to += step, from += stride)
    memcpy(to, from, pixel_bytes);
}

static void place_transposed(MnkOrientation orientation, const guint8 *rows, gssize stride, int row,
                             int n_rows, int pixel_bytes, const MnkPlane *upright) {
  int first_x = orientation.flip_x ? upright->width - 1 - row : row;
  gssize step = orientation.flip_x ? -pixel_bytes : pixel_bytes;
  for (int x = 0; x < upright->height; x++) {
    int y = orientation.flip_y ? upright->height - 1 - x : x;
    guint8 *to = upright->bytes + y * upright->stride + (gssize)first_x * pixel_bytes;
    const guint8 *from = rows + (gssize)x * pixel_bytes;
    /* The constant sizes let the compiler turn each copy into moves. */
    if (pixel_bytes == 3)
      place_column(to, step, from, stride, n_rows, 3);
    else
      place_column(to, step, from, stride, n_rows, 1);
  }
}

void mnk_orientation_place(MnkOrientation orientation, const guint8 *rows, gssize stride, int row,
                           int n_rows, int pixel_bytes, const MnkPlane *upright) {
  g_return_if_fail(pixel_bytes == 1 || pixel_bytes == 3);
  if (orientation.transpose) {
    place_transposed(orientation, rows, stride, row, n_rows, pixel_bytes, upright);
    return;
  }
  for (int i = 0; i < n_rows; i++) {
    int y = orientation.flip_y ? upright->height - 1 - (row + i) : row + i;
    guint8 *to = upright->bytes + y * upright->stride;
    if (orientation.flip_x)
      place_row_reversed(to, rows + i * stride, upright->width, pixel_bytes);
    else
      memcpy(to, rows + i * stride, (gsize)upright->width * pixel_bytes);
  }
}
