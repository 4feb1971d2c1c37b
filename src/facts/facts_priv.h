/* Parts of facts that only this folder sees. */
#ifndef MNK_FACTS_PRIV_H
#define MNK_FACTS_PRIV_H

#include "facts/facts.h"

/* ---- fusion.c: one frame ---- */

/* Makes the two models' words about one frame agree, in place: a detection and a label that mean
 * the same support each other, the narrower name wins, a weak detection yields to a strong label of
 * its kind, and a face implies a person. */
void mnk_fuse(MnkObservation *obs);

/* ---- tracks.c: boxes over time ---- */

enum { MNK_TRACK_NAMES = 4 };

typedef struct {
  gint64 ms;
  MnkBox box;
} MnkTrackHit;

/* One thing followed through a stretch of observations. */
typedef struct {
  struct {
    const MnkConcept *concept;
    float score; /* sum over hits */
    guint hits;
  } names[MNK_TRACK_NAMES];
  guint n_names;
  GArray *hits;           /* of MnkTrackHit, in time order */
  guint frame_hits;       /* hits on frames that perception looked at */
  float shift_x, shift_y; /* how far the camera moved the picture while it was followed */
} MnkTrack;

void mnk_track_free(MnkTrack *track);
/* seen: n observations of one scene in time order. Returns MnkTrack, owned. */
GPtrArray *mnk_tracks_follow(MnkObservation *const *seen, guint n);
const MnkTrackHit *mnk_track_hit(const MnkTrack *track, guint index);
/* The name with the most support, and its mean score. */
const MnkConcept *mnk_track_concept(const MnkTrack *track, float *score);
MnkBox mnk_track_mean_box(const MnkTrack *track);

/* ---- actions.c: what a track does ---- */

/* Appends at most one MNK_FACT_ACTION: enters, leaves, moves, comes closer, goes away. It needs a
 * camera that stands still or moves evenly, and a track that is long enough. */
void mnk_track_action(const MnkTrack *track, gint64 start_ms, gint64 end_ms, gboolean at_cut_start,
                      gboolean at_cut_end, GPtrArray *facts);

/* ---- texts.c: the same line read many times ---- */

/* Appends an MNK_FACT_TEXT for each line that was read often enough. */
void mnk_texts_collect(MnkObservation *const *seen, guint n, gint64 end_ms, GPtrArray *facts);

/* ---- summary.c: the facts of one scene ---- */

/* Fills facts, frames, luma and contrast of the scene from what was seen in [start_ms, end_ms). */
void mnk_scene_summarise(MnkScene *scene, MnkObservation *const *seen, guint n);

/* ---- change.c: lasting change ---- */

/* Index of the first observation of a new state that has lasted min_ms until now and differs from
 * the state before (which lasted min_ms too) in a main subject or text; 0: no change. */
guint mnk_change_point(MnkObservation *const *seen, guint n, gint64 start_ms, gint64 min_ms);

#endif
