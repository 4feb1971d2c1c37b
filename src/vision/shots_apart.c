/* Cuts between frames that lie too far apart for MnkShots: pushed ones, a few a second. */
#include "vision/vision.h"

#include <math.h>

enum { N = MNK_GATE_SIDE * MNK_GATE_SIDE };

/* On 60 clips at 2, 4 and 8 frames a second: hard cuts lie below 0.2 nearly always; what moves
 * within a shot lies above, but for whip pans. */
static const double LIKE = 0.15;
static const double FLAT = 9; /* variance of a picture in which there is nothing to compare */

gboolean mnk_shots_apart(const guint8 *before, const guint8 *now, float *score) {
  guint64 sum_a = 0, sum_b = 0, sum_aa = 0, sum_bb = 0, sum_ab = 0;
  for (guint i = 0; i < N; i++) {
    guint a = before[i], b = now[i];
    sum_a += a, sum_b += b;
    sum_aa += a * a, sum_bb += b * b, sum_ab += a * b;
  }
  double mean_a = (double)sum_a / N, mean_b = (double)sum_b / N;
  double var_a = (double)sum_aa / N - mean_a * mean_a, var_b = (double)sum_bb / N - mean_b * mean_b;
  if (var_a < FLAT || var_b < FLAT)
    return FALSE;
  double likeness = ((double)sum_ab / N - mean_a * mean_b) / sqrt(var_a * var_b);
  *score = (float)CLAMP(1 - likeness, 0, 1);
  return likeness < LIKE;
}
