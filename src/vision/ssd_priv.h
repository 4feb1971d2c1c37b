/* Detectors with fixed anchors and key points, as in BlazeFace (Bazarevsky et al., 2019): faces and
 * bodies. */
#ifndef MNK_VISION_SSD_PRIV_H
#define MNK_VISION_SSD_PRIV_H

#include <glib.h>

#include "vision/resample_priv.h"

enum { MNK_SSD_MAX_LAYERS = 3, MNK_SSD_MAX_POINTS = 6, MNK_SSD_MAX_HITS = 32 };

/* Anchors stand in the middle of the cells of square grids, row by row, several to a cell; their
 * size is the whole input. */
typedef struct {
  int side; /* of the input, pixels */
  guint n_layers;
  struct {
    int grid, per_cell;
  } layers[MNK_SSD_MAX_LAYERS];
  guint n_points;
  float score;   /* least score of a hit */
  float overlap; /* hits that overlap more are one */
} MnkSsd;

typedef struct {
  float x, y;
} MnkPoint;

/* In parts of the input; the points in the model's order. */
typedef struct {
  MnkBox box;
  float score;
  MnkPoint points[MNK_SSD_MAX_POINTS];
} MnkSsdHit;

guint mnk_ssd_anchors(const MnkSsd *ssd);
/* boxes: for each anchor 4 + 2 * n_points values in input pixels: centre x and y (from the
 * anchor's), width, height, points; logits: one for each anchor. Hits that overlap are joined, each
 * with its score as weight. Returns at most MNK_SSD_MAX_HITS, best first. */
guint mnk_ssd_decode(const MnkSsd *ssd, const float *boxes, const float *logits,
                     MnkSsdHit hits[MNK_SSD_MAX_HITS]);
/* Maps from parts of the input to pixels of the picture: place is where in the input (pixels) the
 * part `from` of the picture lies. */
void mnk_ssd_to_picture(const MnkSsd *ssd, MnkSsdHit *hit, const MnkRect *place,
                        const MnkRect *from);

/* 1 / (1 + exp(-x)). */
float mnk_sigmoid(float x);

#endif
