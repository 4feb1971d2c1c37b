/* Postures by rule, from angles between joints that are seen. Every rule needs all the joints that
 * it speaks of, so that a half-hidden body gets no name. */
#include "vision/pose_priv.h"

#include <math.h>

static const float SEEN = 0.7f;

typedef struct {
  float x, y;
} Vec;

static gboolean seen(const MnkBodyPoint *p) {
  return p->visibility >= SEEN;
}

static gboolean pair_seen(const MnkBodyPoint *points, int first) {
  return seen(&points[first]) && seen(&points[first + 1]);
}

static Vec between(const MnkBodyPoint *from, const MnkBodyPoint *to) {
  return (Vec){to->x - from->x, to->y - from->y};
}

static Vec middle(const MnkBodyPoint *pair) {
  return (Vec){(pair[0].x + pair[1].x) / 2, (pair[0].y + pair[1].y) / 2};
}

static float length(Vec v) {
  return hypotf(v.x, v.y);
}

/* Degrees between a vector and straight down, 0..180. */
static float from_down(Vec v) {
  return fabsf(atan2f(v.x, v.y)) * (180 / G_PI);
}

/* Degrees between two vectors, 0..180. */
static float angle_between(Vec a, Vec b) {
  float n = length(a) * length(b);
  return n > 0 ? acosf(CLAMP((a.x * b.x + a.y * b.y) / n, -1, 1)) * (180 / G_PI) : 0;
}

static gboolean arms_raised(const MnkBodyPoint *p, Vec torso) {
  float clear = 0.25f * length(torso);

  if (!seen(&p[MNK_BODY_NOSE]) || !pair_seen(p, MNK_BODY_ELBOW) || !pair_seen(p, MNK_BODY_WRIST))
    return FALSE;
  for (int i = 0; i < 2; i++)
    if (p[MNK_BODY_WRIST + i].y > p[MNK_BODY_NOSE].y - clear ||
        p[MNK_BODY_ELBOW + i].y > p[MNK_BODY_SHOULDER + i].y)
      return FALSE;
  return TRUE;
}

typedef enum { LEG_UNKNOWN, LEG_STRAIGHT_DOWN, LEG_SEATED, LEG_FLAT } Leg;

static Leg leg(const MnkBodyPoint *p, int i, float torso) {
  const MnkBodyPoint *hip = &p[MNK_BODY_HIP + i], *knee = &p[MNK_BODY_KNEE + i];
  const MnkBodyPoint *ankle = &p[MNK_BODY_ANKLE + i];
  Vec thigh = between(hip, knee), shank = between(knee, ankle);

  if (!seen(hip) || !seen(knee) || !seen(ankle))
    return LEG_UNKNOWN;
  if (from_down(thigh) < 25 && from_down(shank) < 35 && thigh.y > 0.45f * torso &&
      shank.y > 0.4f * torso)
    return LEG_STRAIGHT_DOWN;
  /* A thigh that points at the camera is short; one seen from the side lies flat. */
  gboolean bent = angle_between(thigh, shank) > 45 || thigh.y < 0.3f * torso;
  if (bent && thigh.y < 0.45f * torso && thigh.y > -0.2f * torso && from_down(shank) < 40 &&
      shank.y > 0.35f * torso)
    return LEG_SEATED;
  if (fabsf(from_down(thigh) - 90) < 35 && fabsf(from_down(shank) - 90) < 40)
    return LEG_FLAT;
  return LEG_UNKNOWN;
}

const char *mnk_pose_posture(const MnkBodyPoint points[MNK_BODY_POINTS]) {
  if (!pair_seen(points, MNK_BODY_SHOULDER) || !pair_seen(points, MNK_BODY_HIP))
    return "";
  Vec shoulders = middle(&points[MNK_BODY_SHOULDER]), hips = middle(&points[MNK_BODY_HIP]);
  Vec torso = {hips.x - shoulders.x, hips.y - shoulders.y};
  float lean = from_down(torso), size = length(torso);
  Leg left = leg(points, 0, size), right = leg(points, 1, size);

  if (size < 12)
    return "";
  if (lean < 45 && arms_raised(points, torso))
    return "arms raised";
  if (lean < 25 && left == LEG_STRAIGHT_DOWN && right == LEG_STRAIGHT_DOWN)
    return "standing";
  if (lean < 40 && left == LEG_SEATED && right == LEG_SEATED)
    return "sitting";
  if (fabsf(lean - 90) < 25 && (left == LEG_FLAT || right == LEG_FLAT))
    return "lying";
  return "";
}
