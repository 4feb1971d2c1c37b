#include "facts/facts_priv.h"

#include <math.h>

/* A box may be taken for the same thing when the two overlap by this, or when the centres are
 * closer than this part of the mean size plus what the pause between frames allows. */
static const float MIN_OVERLAP = 0.25f;
static const float MAX_STEP = 0.18f; /* of the picture's width, per second */
/* A thing that has not been seen for this long is gone. */
static const gint64 FORGET_MS = 4500;

static float overlap(const MnkBox *a, const MnkBox *b) {
  float w = MIN(a->x + a->w, b->x + b->w) - MAX(a->x, b->x);
  float h = MIN(a->y + a->h, b->y + b->h) - MAX(a->y, b->y);
  if (w <= 0 || h <= 0)
    return 0;
  float both = w * h;
  return both / (a->w * a->h + b->w * b->h - both);
}

static float centre_distance(const MnkBox *a, const MnkBox *b) {
  return hypotf(a->x + a->w / 2 - b->x - b->w / 2, a->y + a->h / 2 - b->y - b->h / 2);
}

const MnkTrackHit *mnk_track_hit(const MnkTrack *track, guint index) {
  return &g_array_index(track->hits, MnkTrackHit, index);
}

void mnk_track_free(MnkTrack *track) {
  g_array_unref(track->hits);
  g_free(track);
}

const MnkConcept *mnk_track_concept(const MnkTrack *track, float *score) {
  guint best = 0;
  for (guint i = 1; i < track->n_names; i++)
    if (track->names[i].score > track->names[best].score)
      best = i;
  if (score != NULL)
    *score = track->names[best].score / (float)track->names[best].hits;
  return track->names[best].concept;
}

MnkBox mnk_track_mean_box(const MnkTrack *track) {
  MnkBox sum = {0};
  for (guint i = 0; i < track->hits->len; i++) {
    const MnkBox *box = &mnk_track_hit(track, i)->box;
    sum.x += box->x, sum.y += box->y, sum.w += box->w, sum.h += box->h;
  }
  float n = (float)track->hits->len;
  return (MnkBox){sum.x / n, sum.y / n, sum.w / n, sum.h / n};
}

static void vote(MnkTrack *track, const MnkConcept *concept, float score) {
  guint i = 0;
  while (i < track->n_names && track->names[i].concept != concept)
    i++;
  if (i == MNK_TRACK_NAMES)
    return;
  if (i == track->n_names) {
    track->names[i].concept = concept;
    track->n_names++;
  }
  track->names[i].score += score;
  track->names[i].hits++;
}

static gboolean may_be(const MnkTrack *track, const MnkConcept *concept, float overlapping) {
  const MnkConcept *own = mnk_track_concept(track, NULL);
  if (own == concept || mnk_concept_is_a(concept->name, own->name) ||
      mnk_concept_is_a(own->name, concept->name))
    return TRUE;
  return own->kind == concept->kind && overlapping >= 0.5f;
}

/* How well a detection continues a track: > 0, the more the better; 0: not at all. */
static float affinity(const MnkTrack *track, const MnkDetection *object, const MnkConcept *concept,
                      gint64 ms) {
  const MnkTrackHit *last = mnk_track_hit(track, track->hits->len - 1);
  float overlapping = overlap(&last->box, &object->box);
  if (last->ms == ms || ms - last->ms > FORGET_MS || !may_be(track, concept, overlapping))
    return 0;
  float size = sqrtf(last->box.w * last->box.h) / sqrtf(object->box.w * object->box.h);
  if (overlapping >= MIN_OVERLAP)
    return 1 + overlapping;
  float reach = MAX_STEP * (float)(ms - last->ms) / 1000.0f + 0.05f;
  float distance = centre_distance(&last->box, &object->box);
  return size < 1.8f && size > 0.55f && distance < reach ? 1 - distance / reach : 0;
}

static MnkTrack *track_new(void) {
  MnkTrack *track = g_new0(MnkTrack, 1);
  track->hits = g_array_new(FALSE, FALSE, sizeof(MnkTrackHit));
  return track;
}

static void extend(MnkTrack *track, const MnkDetection *object, const MnkConcept *concept,
                   const MnkObservation *obs) {
  MnkTrackHit hit = {obs->pts_ms, object->box};
  g_array_append_val(track->hits, hit);
  if (obs->type == MNK_OBS_FRAME || track->n_names == 0) {
    vote(track, concept, object->score);
    track->frame_hits++;
  }
}

/* Best pairs first: n is small (at most 32 detections). */
static void assign(GPtrArray *tracks, const MnkObservation *obs) {
  gboolean taken[MNK_OBS_MAX_OBJECTS] = {FALSE};
  for (;;) {
    float best = 0;
    guint best_object = 0;
    MnkTrack *best_track = NULL;
    for (guint i = 0; i < obs->n_objects; i++) {
      const MnkConcept *concept = taken[i] ? NULL : mnk_vocabulary_find(obs->objects[i].name);
      for (guint k = 0; concept != NULL && k < tracks->len; k++) {
        float value = affinity(tracks->pdata[k], &obs->objects[i], concept, obs->pts_ms);
        if (value > best)
          best = value, best_object = i, best_track = tracks->pdata[k];
      }
    }
    if (best_track == NULL)
      break;
    taken[best_object] = TRUE;
    const MnkDetection *object = &obs->objects[best_object];
    extend(best_track, object, mnk_vocabulary_find(object->name), obs);
  }
  for (guint i = 0; i < obs->n_objects; i++) {
    const MnkConcept *concept = mnk_vocabulary_find(obs->objects[i].name);
    if (taken[i] || concept == NULL || obs->objects[i].box.w <= 0 || obs->objects[i].box.h <= 0)
      continue;
    MnkTrack *track = track_new();
    extend(track, &obs->objects[i], concept, obs);
    g_ptr_array_add(tracks, track);
  }
}

static void follow_camera(GPtrArray *tracks, const MnkObservation *obs, gint64 before_ms) {
  if (!obs->motion.valid)
    return;
  float seconds = (float)(obs->pts_ms - before_ms) / 1000.0f;
  for (guint k = 0; k < tracks->len; k++) {
    MnkTrack *track = tracks->pdata[k];
    if (mnk_track_hit(track, track->hits->len - 1)->ms != before_ms)
      continue;
    track->shift_x += obs->motion.dx * seconds;
    track->shift_y += obs->motion.dy * seconds;
  }
}

GPtrArray *mnk_tracks_follow(MnkObservation *const *seen, guint n) {
  GPtrArray *tracks = g_ptr_array_new_with_free_func((GDestroyNotify)mnk_track_free);
  for (guint i = 0; i < n; i++) {
    if (i > 0)
      follow_camera(tracks, seen[i], seen[i - 1]->pts_ms);
    assign(tracks, seen[i]);
  }
  return tracks;
}
