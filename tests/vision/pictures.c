#include "pictures.h"

#include <math.h>

enum { SIDE = 512 }; /* a power of two: pictures repeat */

struct _Picture {
  guint8 rgb[SIDE][SIDE][3];
};

static double lattice(guint seed, guint x, guint y, guint period) {
  guint h = seed * 0x9e3779b1u + (x % period) * 0x85ebca6bu + (y % period) * 0xc2b2ae35u;
  h ^= h >> 15;
  h *= 0x2c1b3c6du;
  h ^= h >> 12;
  h *= 0x297a2d39u;
  h ^= h >> 15;
  return (double)(h & 0xffff) / 0xffff;
}

/* Smooth noise with this many cells a side, 0..1. */
static double noise(guint seed, int x, int y, guint cells) {
  double u = (double)x * cells / SIDE, v = (double)y * cells / SIDE;
  guint i = (guint)u, j = (guint)v;
  double fx = u - i, fy = v - j;
  fx = fx * fx * (3 - 2 * fx);
  fy = fy * fy * (3 - 2 * fy);
  double top = lattice(seed, i, j, cells) * (1 - fx) + lattice(seed, i + 1, j, cells) * fx;
  double low = lattice(seed, i, j + 1, cells) * (1 - fx) + lattice(seed, i + 1, j + 1, cells) * fx;
  return top * (1 - fy) + low * fy;
}

Picture *picture_new(guint seed) {
  Picture *picture = g_new(Picture, 1);
  double tint[3];
  for (guint c = 0; c < 3; c++)
    tint[c] = 0.35 + 0.65 * lattice(seed + 77, c, 5, 1024);
  for (int y = 0; y < SIDE; y++)
    for (int x = 0; x < SIDE; x++) {
      double shape = 0.4 * noise(seed, x, y, 6) + 0.35 * noise(seed + 1, x, y, 16) +
                     0.25 * noise(seed + 2, x, y, 48);
      double edge = shape > 0.5 ? 1 : 0.25;
      for (guint c = 0; c < 3; c++) {
        double own = noise(seed + 10 + c, x, y, 5);
        double value = 255 * tint[c] * edge * (0.55 * shape + 0.45 * own) * 1.6;
        picture->rgb[y][x][c] = (guint8)CLAMP(value, 0, 255);
      }
    }
  return picture;
}

void picture_free(Picture *picture) {
  g_free(picture);
}

static double sample(const Picture *picture, double x, double y, int c) {
  double left = floor(x), top = floor(y), fx = x - left, fy = y - top;
  guint i = (guint)(gint64)left % SIDE, j = (guint)(gint64)top % SIDE;
  guint k = (i + 1) % SIDE, l = (j + 1) % SIDE;
  return (picture->rgb[j][i][c] * (1 - fx) + picture->rgb[j][k][c] * fx) * (1 - fy) +
         (picture->rgb[l][i][c] * (1 - fx) + picture->rgb[l][k][c] * fx) * fy;
}

void picture_view(const Picture *picture, Camera camera, guint8 *rgb, int width, int height) {
  double cosine = cos(camera.angle) / camera.zoom, sine = sin(camera.angle) / camera.zoom;
  double middle_x = (width - 1) / 2.0, middle_y = (height - 1) / 2.0;
  for (int y = 0; y < height; y++)
    for (int x = 0; x < width; x++) {
      double dx = x - middle_x - camera.x, dy = y - middle_y - camera.y;
      double sx = 1e6 * SIDE + SIDE / 2.0 + dx * cosine + dy * sine;
      double sy = 1e6 * SIDE + SIDE / 2.0 - dx * sine + dy * cosine;
      for (int c = 0; c < 3; c++)
        rgb[3 * (y * width + x) + c] = (guint8)(sample(picture, sx, sy, c) + 0.5);
    }
}

void view_mix(guint8 *a, const guint8 *b, gsize bytes, double share) {
  for (gsize i = 0; i < bytes; i++)
    a[i] = (guint8)((1 - share) * a[i] + share * b[i] + 0.5);
}

void view_fill(guint8 *rgb, gsize bytes, guint8 r, guint8 g, guint8 b) {
  for (gsize i = 0; i < bytes; i += 3) {
    rgb[i] = r;
    rgb[i + 1] = g;
    rgb[i + 2] = b;
  }
}

void view_light(guint8 *rgb, gsize bytes, double gain, double offset) {
  for (gsize i = 0; i < bytes; i++)
    rgb[i] = (guint8)CLAMP(gain * rgb[i] + offset, 0, 255);
}

/* The sum of three uniform numbers has the variance of one normal number of the same width. */
void view_noise(guint8 *rgb, gsize bytes, double deviation, GRand *rand) {
  for (gsize i = 0; i < bytes; i++) {
    guint32 bits = g_rand_int(rand);
    double sum = (bits & 1023) + ((bits >> 10) & 1023) + ((bits >> 20) & 1023);
    rgb[i] = (guint8)CLAMP(rgb[i] + (sum / 1023 - 1.5) * 2 * deviation, 0, 255);
  }
}
