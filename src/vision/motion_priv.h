/* What mnk_motion is made of: small pictures in a pyramid, blocks tracked from one to the next, and
 * a similarity fitted to the tracks. Pure functions. Private to vision. */
#ifndef MNK_VISION_MOTION_PRIV_H
#define MNK_VISION_MOTION_PRIV_H

#include <glib.h>

enum {
  MOTION_SIDE = 160, /* longest side of the pictures that are tracked */
  MOTION_LEVELS = 3,
  MOTION_POINTS = 96,
};

/* Luma at full, half and quarter size. */
typedef struct {
  int width[MOTION_LEVELS], height[MOTION_LEVELS];
  float *luma[MOTION_LEVELS]; /* owned */
} MnkPyramid;

/* luma: width x height bytes, both between 32 and MOTION_SIDE. */
MnkPyramid *mnk_pyramid_new(const guint8 *luma, int width, int height);
void mnk_pyramid_free(MnkPyramid *pyramid);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(MnkPyramid, mnk_pyramid_free)

typedef struct {
  float x, y; /* in the first picture */
  float u, v; /* shift to the second, pixels */
  gboolean found;
} MnkTrack;

/* Tracks the best textured block of each cell of a grid. Returns how many blocks have texture. */
guint mnk_motion_track(const MnkPyramid *from, const MnkPyramid *to, MnkTrack *tracks);

/* (x, y) goes to c + scale R(angle) ((x, y) - c) + (dx, dy) with c the middle of the picture. */
typedef struct {
  double dx, dy;   /* pixels, of the content to the right and down */
  double scale;    /* above 1: the content grows */
  double rotation; /* radians, of the content, clockwise as seen */
  double inliers;  /* share of the blocks found again that follow the fit */
} MnkSimilarity;

/* FALSE when too few blocks, in too small a part of the picture, move alike. */
gboolean mnk_similarity_fit(const MnkTrack *tracks, guint n, int width, int height,
                            MnkSimilarity *out);

#endif
