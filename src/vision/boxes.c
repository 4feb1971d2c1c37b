#include "vision/boxes_priv.h"

#include <stdlib.h>

float mnk_box_iou(const MnkBox *a, const MnkBox *b) {
  float w = MIN(a->x + a->w, b->x + b->w) - MAX(a->x, b->x);
  float h = MIN(a->y + a->h, b->y + b->h) - MAX(a->y, b->y);

  if (!(w > 0 && h > 0))
    return 0;
  return w * h / (a->w * a->h + b->w * b->h - w * h);
}

MnkBox mnk_box_clip(const MnkBox *box) {
  float left = CLAMP(box->x, 0, 1), right = CLAMP(box->x + box->w, 0, 1);
  float top = CLAMP(box->y, 0, 1), bottom = CLAMP(box->y + box->h, 0, 1);

  return (MnkBox){left, top, MAX(right - left, 0), MAX(bottom - top, 0)};
}

static int by_falling_score(const void *a, const void *b) {
  const MnkCandidate *p = a, *q = b;

  return (p->score < q->score) - (p->score > q->score);
}

guint mnk_candidates_suppress(MnkCandidate *candidates, guint n, float same_kind, float any_kind) {
  guint kept = 0;

  if (n > 1)
    qsort(candidates, n, sizeof *candidates, by_falling_score);
  for (guint i = 0; i < n; i++) {
    guint k = 0;
    for (; k < kept; k++) {
      float limit = candidates[k].kind == candidates[i].kind ? same_kind : any_kind;
      if (mnk_box_iou(&candidates[k].box, &candidates[i].box) > limit)
        break;
    }
    if (k == kept)
      candidates[kept++] = candidates[i];
  }
  return kept;
}
