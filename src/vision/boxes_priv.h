/* Boxes: overlap and non-maximum suppression. */
#ifndef MNK_VISION_BOXES_PRIV_H
#define MNK_VISION_BOXES_PRIV_H

#include <glib.h>

#include "wire/wire.h"

/* A box that a detector proposes, in any unit. */
typedef struct {
  MnkBox box;
  float score;
  int kind;
} MnkCandidate;

/* Intersection over union, 0 for empty boxes. */
float mnk_box_iou(const MnkBox *a, const MnkBox *b);
/* The box without what lies outside of 0..1. */
MnkBox mnk_box_clip(const MnkBox *box);
/* Sorts by falling score and keeps the candidates that overlap none kept before by more than
 * same_kind (of its own kind) or any_kind. Returns how many stay, at the front. */
guint mnk_candidates_suppress(MnkCandidate *candidates, guint n, float same_kind, float any_kind);

#endif
