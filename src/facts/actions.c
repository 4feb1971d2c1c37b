#include "facts/facts_priv.h"

#include <math.h>

/* Shortest track that can tell an action, and how far or how much it must go. */
static const guint MIN_HITS = 3;
static const float EDGE = 0.04f;       /* of the picture: a box this near its edge touches it */
static const float MIN_PATH = 0.12f;   /* of the picture's width */
static const float MIN_GROWTH = 1.7f;  /* of the area, first third to last third */
static const gint64 SETTLED_MS = 1500; /* it was not there, or is gone, for so long */

static MnkBox mean_of(const MnkTrack *track, guint first, guint n) {
  MnkBox sum = {0};
  for (guint i = first; i < first + n; i++) {
    const MnkBox *box = &mnk_track_hit(track, i)->box;
    sum.x += box->x, sum.y += box->y, sum.w += box->w, sum.h += box->h;
  }
  return (MnkBox){sum.x / (float)n, sum.y / (float)n, sum.w / (float)n, sum.h / (float)n};
}

static gboolean touches_edge(const MnkBox *box) {
  return box->x <= EDGE || box->y <= EDGE || box->x + box->w >= 1 - EDGE ||
         box->y + box->h >= 1 - EDGE;
}

/* The part of the path that goes straight on: net distance over the sum of the steps. */
static float straightness(const MnkTrack *track, gboolean horizontal) {
  float sum = 0, net = 0, before = 0;
  for (guint i = 0; i < track->hits->len; i++) {
    const MnkBox *box = &mnk_track_hit(track, i)->box;
    float at = horizontal ? box->x + box->w / 2 : box->y + box->h / 2;
    if (i > 0) {
      sum += fabsf(at - before);
      net += at - before;
    }
    before = at;
  }
  return sum > 0 ? fabsf(net) / sum : 0;
}

static const char *movement(const MnkTrack *track, const MnkBox *first, const MnkBox *last) {
  float dx = last->x + last->w / 2 - first->x - first->w / 2 - track->shift_x;
  float dy = last->y + last->h / 2 - first->y - first->h / 2 - track->shift_y;
  float growth = last->w * last->h / (first->w * first->h);
  gboolean clipped = touches_edge(first) || touches_edge(last);
  if (!clipped && growth >= MIN_GROWTH)
    return "comes closer";
  if (!clipped && growth <= 1 / MIN_GROWTH)
    return "goes away";
  if (fabsf(dx) >= MIN_PATH && fabsf(dx) >= fabsf(dy) && straightness(track, TRUE) >= 0.75f)
    return dx > 0 ? "moves right" : "moves left";
  if (fabsf(dy) >= MIN_PATH && straightness(track, FALSE) >= 0.75f)
    return dy > 0 ? "moves down" : "moves up";
  return NULL;
}

void mnk_track_action(const MnkTrack *track, gint64 start_ms, gint64 end_ms, gboolean at_cut_start,
                      gboolean at_cut_end, GPtrArray *facts) {
  guint n = track->hits->len;
  if (n < MIN_HITS || track->frame_hits < 2)
    return;
  const MnkTrackHit *first = mnk_track_hit(track, 0), *last = mnk_track_hit(track, n - 1);
  guint third = MAX(n / 3, 1);
  MnkBox begin = mean_of(track, 0, third), end = mean_of(track, n - third, third);
  const char *what = movement(track, &begin, &end);
  /* Coming in and going out are seen only where the picture's edge is crossed, not at a cut. */
  if (touches_edge(&first->box) && what != NULL &&
      first->ms - start_ms >= (at_cut_start ? SETTLED_MS : SETTLED_MS / 2))
    what = "enters";
  else if (touches_edge(&last->box) && what != NULL &&
           end_ms - last->ms >= (at_cut_end ? 2 * SETTLED_MS : SETTLED_MS))
    what = "leaves";
  if (what == NULL)
    return;
  MnkFact *fact = mnk_fact_new(MNK_FACT_ACTION, what);
  float score;
  fact->of = g_strdup(mnk_track_concept(track, &score)->name);
  fact->score = score;
  fact->box = end;
  fact->start_ms = first->ms;
  fact->end_ms = MIN(last->ms, end_ms);
  g_ptr_array_add(facts, fact);
}
