/* Camera motion: pairs of small pictures some 160 ms apart, and the median of what they say. */
#include "vision/motion_priv.h"
#include "vision/vision.h"

#include <math.h>
#include <stdlib.h>

enum {
  PAIR_MS = 150,      /* frames this far apart are compared */
  PAIR_MAX_MS = 1500, /* farther apart they show different things */
  PAIRS_MAX = 64,
  SIDE_MIN = 32,
};

struct _MnkMotion {
  MnkPyramid *last; /* NULL: none to compare with */
  gint64 last_pts_ms;
  guint32 epoch;
  guint n, n_pairs; /* motions kept; pairs looked at since the last take */
  MnkCameraMotion motions[PAIRS_MAX];
};

MnkMotion *mnk_motion_new(void) {
  return g_new0(MnkMotion, 1);
}

void mnk_motion_free(MnkMotion *motion) {
  if (!motion)
    return;
  mnk_pyramid_free(motion->last);
  g_free(motion);
}

void mnk_motion_cut(MnkMotion *motion) {
  g_clear_pointer(&motion->last, mnk_pyramid_free);
}

/* Square pixels, the longer side MOTION_SIDE, no larger than the frame. NULL: too small. */
static MnkPyramid *shrink(const MnkFrame *frame) {
  int longer = MAX(frame->width, frame->height), side = MIN(longer, MOTION_SIDE);
  if (frame->width < SIDE_MIN || frame->height < SIDE_MIN)
    return NULL;
  int width = MAX(SIDE_MIN, (int)(((gint64)frame->width * side + longer / 2) / longer));
  int height = MAX(SIDE_MIN, (int)(((gint64)frame->height * side + longer / 2) / longer));
  guint8 luma[MOTION_SIDE * MOTION_SIDE];
  if (!mnk_frame_thumbnail(frame, luma, width, height))
    return NULL;
  return mnk_pyramid_new(luma, width, height);
}

static void compare(MnkMotion *motion, const MnkPyramid *now, double seconds) {
  const MnkPyramid *last = motion->last;
  int width = now->width[0], height = now->height[0];
  MnkTrack tracks[MOTION_POINTS];
  MnkSimilarity fit;
  if (width != last->width[0] || height != last->height[0])
    return;
  motion->n_pairs++;
  guint n = mnk_motion_track(last, now, tracks);
  if (!mnk_similarity_fit(tracks, n, width, height, &fit))
    return;
  motion->motions[motion->n++ % PAIRS_MAX] =
      (MnkCameraMotion){.valid = TRUE,
                        .dx = (float)(fit.dx / width / seconds),
                        .dy = (float)(fit.dy / width / seconds),
                        .zoom = (float)(log(fit.scale) / seconds),
                        .rotation = (float)(fit.rotation / seconds),
                        .inliers = (float)fit.inliers};
}

void mnk_motion_push(MnkMotion *motion, const MnkFrame *frame) {
  gint64 step = frame->pts_ms - motion->last_pts_ms;
  gboolean comparable = motion->last && frame->epoch == motion->epoch && step <= PAIR_MAX_MS;
  if (comparable && step < PAIR_MS)
    return;
  MnkPyramid *now = shrink(frame);
  if (now && comparable)
    compare(motion, now, (double)step / 1000);
  mnk_pyramid_free(motion->last);
  motion->last = now;
  motion->last_pts_ms = frame->pts_ms;
  motion->epoch = frame->epoch;
}

static int compare_floats(gconstpointer a, gconstpointer b) {
  float x = *(const float *)a, y = *(const float *)b;
  return (x > y) - (x < y);
}

/* Median of one field over all motions; sorts a copy. */
static float median(const MnkMotion *motion, guint n, gsize offset) {
  float values[PAIRS_MAX] = {0};
  for (guint i = 0; i < n; i++)
    values[i] = G_STRUCT_MEMBER(float, &motion->motions[i], offset);
  qsort(values, n, sizeof *values, compare_floats);
  return n % 2 == 1 ? values[n / 2] : (values[n / 2 - 1] + values[n / 2]) / 2;
}

void mnk_motion_take(MnkMotion *motion, MnkCameraMotion *out) {
  guint n = MIN(motion->n, PAIRS_MAX);
  *out = (MnkCameraMotion){0};
  if (n > 0 && 2 * motion->n >= motion->n_pairs)
    *out =
        (MnkCameraMotion){.valid = TRUE,
                          .dx = median(motion, n, G_STRUCT_OFFSET(MnkCameraMotion, dx)),
                          .dy = median(motion, n, G_STRUCT_OFFSET(MnkCameraMotion, dy)),
                          .zoom = median(motion, n, G_STRUCT_OFFSET(MnkCameraMotion, zoom)),
                          .rotation = median(motion, n, G_STRUCT_OFFSET(MnkCameraMotion, rotation)),
                          .inliers = median(motion, n, G_STRUCT_OFFSET(MnkCameraMotion, inliers))};
  motion->n = motion->n_pairs = 0;
}
