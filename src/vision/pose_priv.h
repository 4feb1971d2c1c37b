/* Postures from body landmarks; pure. */
#ifndef MNK_VISION_POSE_PRIV_H
#define MNK_VISION_POSE_PRIV_H

#include <glib.h>

enum {
  MNK_BODY_NOSE = 0,
  MNK_BODY_SHOULDER = 11, /* left; the right one of each pair follows */
  MNK_BODY_ELBOW = 13,
  MNK_BODY_WRIST = 15,
  MNK_BODY_HIP = 23,
  MNK_BODY_KNEE = 25,
  MNK_BODY_ANKLE = 27,
  MNK_BODY_POINTS = 33,
};

/* In picture pixels; visibility: 0..1, 0 for what lies outside of the picture. */
typedef struct {
  float x, y, visibility;
} MnkBodyPoint;

/* "arms raised", "standing", "sitting", "lying", or "" when that cannot be measured safely. */
const char *mnk_pose_posture(const MnkBodyPoint points[MNK_BODY_POINTS]);

#endif
