#include "vision/ssd_priv.h"

#include <math.h>
#include <stdlib.h>

#include "vision/boxes_priv.h"

enum { MAX_RAW = 256 };

float mnk_sigmoid(float x) {
  return 1.0f / (1.0f + expf(-x));
}

guint mnk_ssd_anchors(const MnkSsd *ssd) {
  guint n = 0;

  for (guint i = 0; i < ssd->n_layers; i++)
    n += (guint)(ssd->layers[i].grid * ssd->layers[i].grid * ssd->layers[i].per_cell);
  return n;
}

static MnkSsdHit hit_at(const MnkSsd *ssd, const float *v, float score, float ax, float ay) {
  float side = (float)ssd->side;
  float cx = ax + v[0] / side, cy = ay + v[1] / side, w = v[2] / side, h = v[3] / side;
  MnkSsdHit hit = {.box = {cx - w / 2, cy - h / 2, w, h}, .score = score};

  for (guint i = 0; i < ssd->n_points; i++)
    hit.points[i] = (MnkPoint){ax + v[4 + 2 * i] / side, ay + v[5 + 2 * i] / side};
  return hit;
}

static gboolean all_finite(const float *v, guint n) {
  for (guint i = 0; i < n; i++)
    if (!isfinite(v[i]))
      return FALSE;
  return TRUE;
}

static guint gather(const MnkSsd *ssd, const float *boxes, const float *logits, MnkSsdHit *raw) {
  guint values = 4 + 2 * ssd->n_points, n = 0;
  float least = logf(ssd->score / (1 - ssd->score));

  for (guint l = 0; l < ssd->n_layers; l++) {
    int grid = ssd->layers[l].grid, per_cell = ssd->layers[l].per_cell;
    for (int i = 0; i < grid * grid * per_cell; i++, boxes += values, logits++) {
      int cell = i / per_cell, row = cell / grid, column = cell % grid;
      if (!(*logits >= least) || n == MAX_RAW || !all_finite(boxes, values))
        continue;
      raw[n++] =
          hit_at(ssd, boxes, mnk_sigmoid(*logits), (column + 0.5f) / grid, (row + 0.5f) / grid);
    }
  }
  return n;
}

static void add_weighted(MnkSsdHit *sum, const MnkSsdHit *hit, float weight, guint n_points) {
  sum->box.x += weight * hit->box.x;
  sum->box.y += weight * hit->box.y;
  sum->box.w += weight * hit->box.w;
  sum->box.h += weight * hit->box.h;
  for (guint i = 0; i < n_points; i++) {
    sum->points[i].x += weight * hit->points[i].x;
    sum->points[i].y += weight * hit->points[i].y;
  }
}

/* The best hit and all that overlap it as one; they leave the list. */
static MnkSsdHit join(const MnkSsd *ssd, MnkSsdHit *raw, guint *n) {
  MnkSsdHit best = raw[0], joined = {.score = raw[0].score};
  float total = 0;
  guint left = 0;

  for (guint i = 0; i < *n; i++)
    if (i == 0 || mnk_box_iou(&best.box, &raw[i].box) > ssd->overlap)
      total += raw[i].score;
  for (guint i = 0; i < *n; i++) {
    if (i == 0 || mnk_box_iou(&best.box, &raw[i].box) > ssd->overlap)
      add_weighted(&joined, &raw[i], raw[i].score / total, ssd->n_points);
    else
      raw[left++] = raw[i];
  }
  *n = left;
  return joined;
}

static int by_falling_score(const void *a, const void *b) {
  const MnkSsdHit *p = a, *q = b;

  return (p->score < q->score) - (p->score > q->score);
}

guint mnk_ssd_decode(const MnkSsd *ssd, const float *boxes, const float *logits,
                     MnkSsdHit hits[MNK_SSD_MAX_HITS]) {
  g_autofree MnkSsdHit *raw = g_new(MnkSsdHit, MAX_RAW);
  guint n = gather(ssd, boxes, logits, raw), found = 0;

  if (n > 1)
    qsort(raw, n, sizeof *raw, by_falling_score);
  while (n > 0 && found < MNK_SSD_MAX_HITS)
    hits[found++] = join(ssd, raw, &n);
  return found;
}

void mnk_ssd_to_picture(const MnkSsd *ssd, MnkSsdHit *hit, const MnkRect *place,
                        const MnkRect *from) {
  float sx = (float)from->w / place->w, sy = (float)from->h / place->h;
  float side = (float)ssd->side;

  hit->box = (MnkBox){from->x + (hit->box.x * side - place->x) * sx,
                      from->y + (hit->box.y * side - place->y) * sy, hit->box.w * side * sx,
                      hit->box.h * side * sy};
  for (guint i = 0; i < ssd->n_points; i++) {
    hit->points[i].x = from->x + (hit->points[i].x * side - place->x) * sx;
    hit->points[i].y = from->y + (hit->points[i].y * side - place->y) * sy;
  }
}
