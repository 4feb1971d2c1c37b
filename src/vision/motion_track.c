/* Pyramidal Lucas-Kanade (Bouguet, "Pyramidal implementation of the Lucas Kanade feature tracker",
 * 2000) on blocks with texture in both directions (Shi and Tomasi, "Good features to track", 1994),
 * started from the shift of the whole picture so that fast pans are followed. */
#include "vision/motion_priv.h"

#include <math.h>
#include <string.h>

enum {
  RADIUS = 4, /* blocks of 9x9 */
  SIDE = 2 * RADIUS + 1,
  BLOCK = SIDE * SIDE,
  ITERATIONS = 8,
  CELL = 13, /* one block is chosen in each cell of this side */
  CANDIDATE_STEP = 3,
};

static const float TEXTURE_MIN = 8.0f;   /* smaller eigenvalue of the mean structure tensor */
static const float MISMATCH_MAX = 0.35f; /* of the block's variance */

typedef struct {
  int width, height;
  const float *luma;
} Plane;

static Plane plane_of(const MnkPyramid *pyramid, int level) {
  return (Plane){pyramid->width[level], pyramid->height[level], pyramid->luma[level]};
}

MnkPyramid *mnk_pyramid_new(const guint8 *luma, int width, int height) {
  MnkPyramid *pyramid = g_new0(MnkPyramid, 1);
  for (int level = 0; level < MOTION_LEVELS; level++) {
    int w = width >> level, h = height >> level;
    float *out = g_new(float, (gsize)w *(gsize)h);
    const float *up = level > 0 ? pyramid->luma[level - 1] : NULL;
    int up_width = level > 0 ? pyramid->width[level - 1] : 0;
    for (int y = 0; y < h; y++)
      for (int x = 0; x < w; x++) {
        const float *p = up ? up + 2 * y * up_width + 2 * x : NULL;
        out[y * w + x] =
            p ? (p[0] + p[1] + p[up_width] + p[up_width + 1]) / 4 : luma[y * width + x];
      }
    pyramid->luma[level] = out;
    pyramid->width[level] = w;
    pyramid->height[level] = h;
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

static float mean_of(Plane p) {
  float sum = 0;
  for (int i = 0; i < p.width * p.height; i++)
    sum += p.luma[i];
  return sum / (float)(p.width * p.height);
}

/* Mean absolute difference, less that of the means, where the pictures overlap. */
static float shifted_difference(Plane a, Plane b, int dx, int dy, float offset) {
  float sum = 0;
  int x0 = MAX(0, -dx), x1 = a.width - MAX(0, dx);
  int y0 = MAX(0, -dy), y1 = a.height - MAX(0, dy);
  for (int y = y0; y < y1; y++) {
    const float *p = a.luma + y * a.width, *q = b.luma + (y + dy) * b.width + dx;
    for (int x = x0; x < x1; x++)
      sum += fabsf(p[x] - q[x] + offset);
  }
  return sum / (float)((x1 - x0) * (y1 - y0));
}

static void find_whole_shift(Plane a, Plane b, int *best_dx, int *best_dy) {
  float offset = mean_of(b) - mean_of(a), best = G_MAXFLOAT;
  *best_dx = *best_dy = 0;
  for (int dy = -a.height * 2 / 5; dy <= a.height * 2 / 5; dy++)
    for (int dx = -a.width * 2 / 5; dx <= a.width * 2 / 5; dx++) {
      float difference = shifted_difference(a, b, dx, dy, offset);
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
  float mean, variance;
} Block;

/* A SIDE x SIDE block around (x, y), between pixels. FALSE when it leaves the picture. */
static gboolean sample(Plane p, float x, float y, float *out) {
  float left = x - RADIUS, top = y - RADIUS;
  int ix = (int)floorf(left), iy = (int)floorf(top);
  if (ix < 0 || iy < 0 || ix + SIDE >= p.width || iy + SIDE >= p.height)
    return FALSE;
  float fx = left - (float)ix, fy = top - (float)iy;
  float w00 = (1 - fx) * (1 - fy), w01 = fx * (1 - fy), w10 = (1 - fx) * fy, w11 = fx * fy;
  for (int j = 0; j < SIDE; j++) {
    const float *row = p.luma + (iy + j) * p.width + ix, *next = row + p.width;
    for (int i = 0; i < SIDE; i++)
      out[j * SIDE + i] = w00 * row[i] + w01 * row[i + 1] + w10 * next[i] + w11 * next[i + 1];
  }
  return TRUE;
}

static gboolean block_init(Block *block, Plane p, float x, float y) {
  float right[BLOCK], below[BLOCK];
  if (!sample(p, x - 1, y, block->gx) || !sample(p, x + 1, y, right) ||
      !sample(p, x, y - 1, block->gy) || !sample(p, x, y + 1, below) ||
      !sample(p, x, y, block->luma))
    return FALSE;
  block->xx = block->xy = block->yy = block->mean = block->variance = 0;
  for (int i = 0; i < BLOCK; i++) {
    block->gx[i] = (right[i] - block->gx[i]) / 2;
    block->gy[i] = (below[i] - block->gy[i]) / 2;
    block->xx += block->gx[i] * block->gx[i];
    block->xy += block->gx[i] * block->gy[i];
    block->yy += block->gy[i] * block->gy[i];
    block->mean += block->luma[i] / BLOCK;
  }
  for (int i = 0; i < BLOCK; i++)
    block->variance += (block->luma[i] - block->mean) * (block->luma[i] - block->mean) / BLOCK;
  return TRUE;
}

static float smaller_eigenvalue(const Block *b) {
  float half = (b->xx + b->yy) / 2, difference = (b->xx - b->yy) / 2;
  return (half - sqrtf(difference * difference + b->xy * b->xy)) / BLOCK;
}

/* ---- Tracking one block ---- */

/* Mean squared difference without that of the means; G_MAXFLOAT outside the picture. */
static float mismatch(const Block *block, Plane to, float x, float y) {
  float found[BLOCK], sum = 0, squares = 0;
  if (!sample(to, x, y, found))
    return G_MAXFLOAT;
  for (int i = 0; i < BLOCK; i++) {
    float e = found[i] - block->luma[i];
    sum += e;
    squares += e * e;
  }
  return squares / BLOCK - sum * sum / (BLOCK * BLOCK);
}

/* Gauss-Newton steps on the shift (u, v); the level of light may differ. FALSE: lost. */
static gboolean refine(const Block *block, Plane to, float x, float y, float *u, float *v) {
  float determinant = block->xx * block->yy - block->xy * block->xy;
  if (determinant < 1e-3f)
    return TRUE;
  for (int iteration = 0; iteration < ITERATIONS; iteration++) {
    float found[BLOCK], offset = 0, ex = 0, ey = 0;
    if (!sample(to, x + *u, y + *v, found))
      return FALSE;
    for (int i = 0; i < BLOCK; i++)
      offset += (found[i] - block->luma[i]) / BLOCK;
    for (int i = 0; i < BLOCK; i++) {
      float e = found[i] - block->luma[i] - offset;
      ex += e * block->gx[i];
      ey += e * block->gy[i];
    }
    float du = (block->xy * ey - block->yy * ex) / determinant;
    float dv = (block->xy * ex - block->xx * ey) / determinant;
    float length = hypotf(du, dv);
    float step = length > 2 ? 2 / length : 1;
    *u += du * step;
    *v += dv * step;
    if (length < 0.02f)
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

/* The place in the cell where the block has most texture. FALSE when it has too little. */
static gboolean choose_place(Plane p, int left, int top, MnkTrack *out) {
  float best = TEXTURE_MIN;
  Block block;
  for (int y = top; y < top + CELL; y += CANDIDATE_STEP)
    for (int x = left; x < left + CELL; x += CANDIDATE_STEP) {
      if (!block_init(&block, p, (float)x, (float)y))
        continue;
      float texture = smaller_eigenvalue(&block);
      if (texture > best) {
        best = texture;
        *out = (MnkTrack){.x = (float)x, .y = (float)y};
      }
    }
  return best > TEXTURE_MIN;
}

guint mnk_motion_track(const MnkPyramid *from, const MnkPyramid *to, MnkTrack *tracks) {
  int coarse = MOTION_LEVELS - 1, dx, dy;
  find_whole_shift(plane_of(from, coarse), plane_of(to, coarse), &dx, &dy);
  const float start[2] = {(float)(dx * (1 << coarse)), (float)(dy * (1 << coarse))};

  Plane finest = plane_of(from, 0);
  guint n = 0;
  for (int top = 0; top + CELL <= finest.height; top += CELL)
    for (int left = 0; left + CELL <= finest.width && n < MOTION_POINTS; left += CELL)
      if (choose_place(finest, left, top, &tracks[n]))
        track(from, to, start, &tracks[n++]);
  return n;
}
