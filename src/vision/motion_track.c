/* Pyramidal Lucas-Kanade (Bouguet, "Pyramidal implementation of the Lucas Kanade feature tracker",
 * 2000) on blocks with texture in both directions (Shi and Tomasi, "Good features to track", 1994),
 * started from the shift of the whole picture so that fast pans are followed. */
#include "vision/motion_priv.h"

#include <math.h>
#include <string.h>

enum {
  SIDE = 8, /* of a block; the loops over a row are as long as a vector register likes */
  BLOCK = SIDE * SIDE,
  PATCH_ROWS = SIDE + 2, /* a block and its neighbours, for gradients */
  PATCH_COLUMNS = SIDE + 4,
  ITERATIONS = 7,
  COARSE_PIXELS = (MOTION_SIDE >> (MOTION_LEVELS - 1)) * (MOTION_SIDE >> (MOTION_LEVELS - 1)),
  CELL = 13, /* one block is chosen in each cell of this side */
};

static const float MIDDLE = (SIDE - 1) / 2.0f;
static const float TEXTURE_MIN = 8.0f;   /* smaller eigenvalue of the mean structure tensor */
static const float MISMATCH_MAX = 0.35f; /* of the block's variance */
static const float CONVERGED = 0.02f;    /* pixels */

typedef struct {
  int width, height;
  const float *luma;
} Plane;

static Plane plane_of(const MnkPyramid *pyramid, int level) {
  return (Plane){pyramid->width[level], pyramid->height[level], pyramid->luma[level]};
}

static float *halve(const float *luma, int width, int height) {
  int w = width / 2, h = height / 2;
  float *out = g_new0(float, (gsize)w *(gsize)h);
  for (int y = 0; y < h; y++)
    for (int x = 0; x < w; x++) {
      const float *p = luma + 2 * y * width + 2 * x;
      out[y * w + x] = (p[0] + p[1] + p[width] + p[width + 1]) / 4;
    }
  return out;
}

MnkPyramid *mnk_pyramid_new(const guint8 *luma, int width, int height) {
  MnkPyramid *pyramid = g_new0(MnkPyramid, 1);
  pyramid->luma[0] = g_new0(float, (gsize)width *(gsize)height);
  for (int i = 0; i < width * height; i++)
    pyramid->luma[0][i] = luma[i];
  for (int level = 0; level < MOTION_LEVELS; level++) {
    pyramid->width[level] = width >> level;
    pyramid->height[level] = height >> level;
    if (level > 0)
      pyramid->luma[level] =
          halve(pyramid->luma[level - 1], pyramid->width[level - 1], pyramid->height[level - 1]);
  }
  return pyramid;
}

void mnk_pyramid_free(MnkPyramid *pyramid) {
  if (!pyramid)
    return;
  for (int level = 0; level < MOTION_LEVELS; level++)
    g_free(pyramid->luma[level]);
  g_free(pyramid);
}

/* ---- The shift of the whole picture ---- */

/* Integers, in 1/16, less the mean: their sums may be taken in any order, and so many at once. */
static void level_out(Plane p, gint16 *out) {
  int n = p.width * p.height;
  float sum = 0;
  for (int i = 0; i < n; i++)
    sum += p.luma[i];
  for (int i = 0; i < n; i++)
    out[i] = (gint16)lrintf(16 * (p.luma[i] - sum / (float)n));
}

/* Mean absolute difference where the pictures overlap. */
static float shifted_difference(Plane size, const gint16 *a, const gint16 *b, int dx, int dy) {
  int x0 = MAX(0, -dx), n = size.width - ABS(dx);
  int y0 = MAX(0, -dy), y1 = size.height - MAX(0, dy);
  gint64 sum = 0;
  for (int y = y0; y < y1; y++) {
    const gint16 *p = a + y * size.width + x0, *q = b + (y + dy) * size.width + x0 + dx;
    gint32 row = 0;
    for (int x = 0; x < n; x++)
      row += ABS(p[x] - q[x]);
    sum += row;
  }
  return (float)sum / (float)(n * (y1 - y0));
}

static void find_whole_shift(Plane from, Plane to, int *best_dx, int *best_dy) {
  gint16 a[COARSE_PIXELS] = {0}, b[COARSE_PIXELS] = {0};
  float best = G_MAXFLOAT;
  *best_dx = *best_dy = 0;
  level_out(from, a);
  level_out(to, b);
  for (int dy = -from.height * 2 / 5; dy <= from.height * 2 / 5; dy++)
    for (int dx = -from.width * 2 / 5; dx <= from.width * 2 / 5; dx++) {
      float difference = shifted_difference(from, a, b, dx, dy);
      if (difference < best) {
        best = difference;
        *best_dx = dx;
        *best_dy = dy;
      }
    }
}

/* ---- Blocks ---- */

typedef struct {
  float luma[BLOCK], gx[BLOCK], gy[BLOCK];
  float xx, xy, yy; /* structure tensor, sums */
  float variance;
} Block;

/* columns x rows pixels from (left, top) on, between pixels. FALSE when they leave the picture.
 * Inlined, so that the loop over a row has a fixed length. */
static G_ALWAYS_INLINE inline gboolean sample(Plane p, float left, float top, int columns, int rows,
                                              float *restrict out) {
  int ix = (int)floorf(left), iy = (int)floorf(top);
  if (ix < 0 || iy < 0 || ix + columns >= p.width || iy + rows >= p.height)
    return FALSE;
  float fx = left - (float)ix, fy = top - (float)iy;
  float w00 = (1 - fx) * (1 - fy), w01 = fx * (1 - fy), w10 = (1 - fx) * fy, w11 = fx * fy;
  for (int j = 0; j < rows; j++) {
    const float *restrict row = p.luma + (iy + j) * p.width + ix;
    const float *restrict next = row + p.width;
    for (int i = 0; i < columns; i++)
      out[j * columns + i] = w00 * row[i] + w01 * row[i + 1] + w10 * next[i] + w11 * next[i + 1];
  }
  return TRUE;
}

/* Eight sums side by side, so that the compiler may use vectors. */
static inline float sum_products(const float *restrict a, const float *restrict b) {
  float lanes[SIDE] = {0}, sum = 0;
  for (int j = 0; j < SIDE; j++)
    for (int i = 0; i < SIDE; i++)
      lanes[i] += a[j * SIDE + i] * b[j * SIDE + i];
  for (int i = 0; i < SIDE; i++)
    sum += lanes[i];
  return sum;
}

static inline float mean_of(const float *a) {
  float lanes[SIDE] = {0}, sum = 0;
  for (int j = 0; j < SIDE; j++)
    for (int i = 0; i < SIDE; i++)
      lanes[i] += a[j * SIDE + i];
  for (int i = 0; i < SIDE; i++)
    sum += lanes[i];
  return sum / BLOCK;
}

static gboolean block_init(Block *block, Plane p, float x, float y) {
  float patch[PATCH_ROWS * PATCH_COLUMNS];
  if (!sample(p, x - MIDDLE - 1, y - MIDDLE - 1, PATCH_COLUMNS, PATCH_ROWS, patch))
    return FALSE;
  for (int j = 0; j < SIDE; j++)
    for (int i = 0; i < SIDE; i++) {
      const float *q = patch + (j + 1) * PATCH_COLUMNS + i + 1;
      block->luma[j * SIDE + i] = q[0];
      block->gx[j * SIDE + i] = (q[1] - q[-1]) / 2;
      block->gy[j * SIDE + i] = (q[PATCH_COLUMNS] - q[-PATCH_COLUMNS]) / 2;
    }
  /* Without their mean: the level of light may differ. */
  float mean = mean_of(block->luma);
  for (int i = 0; i < BLOCK; i++)
    block->luma[i] -= mean;
  block->xx = sum_products(block->gx, block->gx);
  block->xy = sum_products(block->gx, block->gy);
  block->yy = sum_products(block->gy, block->gy);
  block->variance = sum_products(block->luma, block->luma) / BLOCK;
  return TRUE;
}

/* What of the picture at (x, y) is not the block, without the means. FALSE outside the picture. */
static gboolean subtract(const Block *block, Plane to, float x, float y, float *rest) {
  if (!sample(to, x - MIDDLE, y - MIDDLE, SIDE, SIDE, rest))
    return FALSE;
  float mean = mean_of(rest);
  for (int i = 0; i < BLOCK; i++)
    rest[i] -= mean + block->luma[i];
  return TRUE;
}

/* ---- Tracking one block ---- */

static float mismatch(const Block *block, Plane to, float x, float y) {
  float rest[BLOCK];
  return subtract(block, to, x, y, rest) ? sum_products(rest, rest) / BLOCK : G_MAXFLOAT;
}

/* Gauss-Newton steps on the shift (u, v). FALSE: it left the picture. */
static gboolean refine(const Block *block, Plane to, float x, float y, float *u, float *v) {
  float determinant = block->xx * block->yy - block->xy * block->xy;
  if (determinant < 1e-3f)
    return TRUE;
  for (int iteration = 0; iteration < ITERATIONS; iteration++) {
    float rest[BLOCK];
    if (!subtract(block, to, x + *u, y + *v, rest))
      return FALSE;
    float ex = sum_products(rest, block->gx), ey = sum_products(rest, block->gy);
    float du = (block->xy * ey - block->yy * ex) / determinant;
    float dv = (block->xy * ex - block->xx * ey) / determinant;
    float length = sqrtf(du * du + dv * dv), step = length > 2 ? 2 / length : 1;
    *u += du * step;
    *v += dv * step;
    if (length < CONVERGED)
      break;
  }
  return TRUE;
}

/* From the coarsest level that holds the block down to the finest; blocks at the border are in the
 * finer levels only. */
static void track(const MnkPyramid *from, const MnkPyramid *to, const float start[2],
                  MnkTrack *out) {
  float u = 0, v = 0;
  gboolean begun = FALSE;
  Block block = {0};
  out->found = FALSE;
  for (int level = MOTION_LEVELS - 1; level >= 0; level--) {
    float size = (float)(1 << level);
    float x = (out->x + 0.5f) / size - 0.5f, y = (out->y + 0.5f) / size - 0.5f;
    Plane target = plane_of(to, level);
    if (!block_init(&block, plane_of(from, level), x, y))
      continue;
    if (!begun) {
      float su = start[0] / size, sv = start[1] / size;
      gboolean moved = mismatch(&block, target, x + su, y + sv) < mismatch(&block, target, x, y);
      u = moved ? su : 0;
      v = moved ? sv : 0;
      begun = TRUE;
    }
    if (!refine(&block, target, x, y, &u, &v))
      return;
    if (level > 0) {
      u *= 2;
      v *= 2;
    }
  }
  out->u = u;
  out->v = v;
  out->found = mismatch(&block, plane_of(to, 0), out->x + u, out->y + v) <
               MISMATCH_MAX * block.variance + TEXTURE_MIN;
}

/* ---- Choosing blocks ---- */

/* Sums of the structure tensor over all above and left, for sums over any rectangle. */
typedef struct {
  int stride;
  double *xx, *xy, *yy; /* owned as one piece, xx first */
} Texture;

static void texture_clear(Texture *texture) {
  g_free(texture->xx);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Texture, texture_clear)

static void texture_init(Texture *texture, Plane p) {
  gsize n = (gsize)(p.width + 1) * (gsize)(p.height + 1);
  texture->stride = p.width + 1;
  texture->xx = g_new0(double, 3 * n);
  texture->xy = texture->xx + n;
  texture->yy = texture->xy + n;
  for (int y = 1; y + 1 < p.height; y++) {
    double xx = 0, xy = 0, yy = 0;
    for (int x = 1; x < p.width; x++) {
      const float *q = p.luma + y * p.width + x;
      double gx = x + 1 < p.width ? (double)(q[1] - q[-1]) / 2 : 0;
      double gy = (double)(q[p.width] - q[-p.width]) / 2;
      int at = (y + 1) * texture->stride + x + 1, above = at - texture->stride;
      xx += gx * gx;
      xy += gx * gy;
      yy += gy * gy;
      texture->xx[at] = texture->xx[above] + xx;
      texture->xy[at] = texture->xy[above] + xy;
      texture->yy[at] = texture->yy[above] + yy;
    }
  }
}

static double over_block(const Texture *texture, const double *sums, int left, int top) {
  const double *p = sums + top * texture->stride + left, *q = p + SIDE * texture->stride;
  return q[SIDE] - q[0] - p[SIDE] + p[0];
}

/* The smaller eigenvalue of the block's mean structure tensor. */
static float texture_at(const Texture *texture, int left, int top) {
  double xx = over_block(texture, texture->xx, left, top);
  double xy = over_block(texture, texture->xy, left, top);
  double yy = over_block(texture, texture->yy, left, top);
  double half = (xx + yy) / 2, difference = (xx - yy) / 2;
  return (float)((half - sqrt(difference * difference + xy * xy)) / BLOCK);
}

/* The place in the cell where a block has most texture. FALSE when it has too little. */
static gboolean choose_place(const Texture *texture, Plane p, int left, int top, MnkTrack *out) {
  float best = TEXTURE_MIN;
  for (int y = MAX(top - SIDE / 2, 2); y < MIN(top - SIDE / 2 + CELL, p.height - SIDE - 2); y++)
    for (int x = MAX(left - SIDE / 2, 2); x < MIN(left - SIDE / 2 + CELL, p.width - SIDE - 2);
         x++) {
      float value = texture_at(texture, x, y);
      if (value > best) {
        best = value;
        *out = (MnkTrack){.x = (float)x + MIDDLE, .y = (float)y + MIDDLE};
      }
    }
  return best > TEXTURE_MIN;
}

guint mnk_motion_track(const MnkPyramid *from, const MnkPyramid *to, MnkTrack *tracks) {
  int coarse = MOTION_LEVELS - 1, dx, dy;
  find_whole_shift(plane_of(from, coarse), plane_of(to, coarse), &dx, &dy);
  const float start[2] = {(float)(dx * (1 << coarse)), (float)(dy * (1 << coarse))};

  Plane finest = plane_of(from, 0);
  g_auto(Texture) texture;
  texture_init(&texture, finest);
  guint n = 0;
  for (int top = 0; top + CELL <= finest.height; top += CELL)
    for (int left = 0; left + CELL <= finest.width && n < MOTION_POINTS; left += CELL)
      if (choose_place(&texture, finest, left, top, &tracks[n]))
        track(from, to, start, &tracks[n++]);
  return n;
}
