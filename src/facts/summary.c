#include "facts/facts_priv.h"

#include <math.h>

/* What a fact needs to be one; chosen on the pictures listed in docs/figures.md. */
static const float MIN_LABEL = 0.25f;   /* mean over the scene's frames */
static const float MIN_BROAD = 0.6f;    /* of a word so broad that noise adds up to it */
static const float MIN_TRACK = 0.3f;    /* mean score of a track that was seen several times */
static const float MIN_ONCE = 0.45f;    /* of one that was seen once */
static const float MIN_PRESENCE = 0.3f; /* share of the scene's frames */
static const float MIN_FACE = 0.5f;
static const float PAN_SPEED = 0.05f;     /* picture widths per second */
static const float ZOOM_SPEED = 0.03f;    /* log scale per second */
static const float CAMERA_SHARE = 0.6f;   /* of the scene's time, */
static const gint64 CAMERA_MIN_MS = 1500; /* and at least so long */

/* ---- objects ---- */

typedef struct {
  const MnkConcept *concept;
  GPtrArray *tracks; /* borrowed */
} Group;

static gboolean track_holds(const MnkTrack *track, guint frames) {
  float score;
  mnk_track_concept(track, &score);
  if (frames >= 2 && track->frame_hits < 2)
    return score >= MIN_ONCE + 0.15f;
  if (frames < 2)
    return score >= MIN_ONCE;
  float presence = (float)track->frame_hits / (float)frames;
  return score >= MIN_TRACK && (presence >= MIN_PRESENCE || track->frame_hits >= 3);
}

/* A track's mean score, raised by how often the thing was seen again. */
static float track_score(const MnkTrack *track) {
  float score;
  mnk_track_concept(track, &score);
  float again = MIN((float)(track->frame_hits - 1) / 4.0f, 1.0f);
  return score + (1 - score) * 0.5f * MAX(again, 0.0f);
}

/* The usual number at once: the median over the moments at which any was there. */
static guint usual_count(const GPtrArray *tracks, MnkObservation *const *seen, guint n) {
  g_autoptr(GArray) counts = g_array_new(FALSE, FALSE, sizeof(guint));
  for (guint i = 0; i < n; i++) {
    guint count = 0;
    for (guint k = 0; k < tracks->len; k++) {
      const MnkTrack *track = tracks->pdata[k];
      gint64 first = mnk_track_hit(track, 0)->ms;
      gint64 last = mnk_track_hit(track, track->hits->len - 1)->ms;
      count += seen[i]->pts_ms >= first && seen[i]->pts_ms <= last;
    }
    if (count > 0)
      g_array_append_val(counts, count);
  }
  if (counts->len == 0)
    return 1;
  guint *values = (guint *)(void *)counts->data;
  for (guint i = 1; i < counts->len; i++)
    for (guint k = i; k > 0 && values[k] < values[k - 1]; k--) {
      guint swap = values[k];
      values[k] = values[k - 1];
      values[k - 1] = swap;
    }
  return values[counts->len / 2];
}

static void add_group(const Group *group, MnkObservation *const *seen, guint n, gint64 end_ms,
                      GPtrArray *facts) {
  MnkFact *fact = mnk_fact_new(MNK_FACT_OBJECT, group->concept->name);
  float largest = -1;
  fact->start_ms = G_MAXINT64;
  for (guint k = 0; k < group->tracks->len; k++) {
    const MnkTrack *track = group->tracks->pdata[k];
    MnkBox box = mnk_track_mean_box(track);
    if (box.w * box.h > largest) {
      largest = box.w * box.h;
      fact->box = box;
    }
    gint64 last = mnk_track_hit(track, track->hits->len - 1)->ms;
    fact->score = MAX(fact->score, track_score(track));
    fact->start_ms = MIN(fact->start_ms, mnk_track_hit(track, 0)->ms);
    fact->end_ms = MAX(fact->end_ms, last + seen[n - 1]->step_ms);
  }
  fact->end_ms = MIN(fact->end_ms, end_ms);
  fact->count = usual_count(group->tracks, seen, n);
  g_ptr_array_add(facts, fact);
}

static void add_objects(MnkScene *scene, const GPtrArray *tracks, MnkObservation *const *seen,
                        guint n) {
  g_autoptr(GArray) groups = g_array_new(FALSE, FALSE, sizeof(Group));
  for (guint i = 0; i < tracks->len; i++) {
    MnkTrack *track = tracks->pdata[i];
    if (!track_holds(track, scene->frames))
      continue;
    const MnkConcept *concept = mnk_track_concept(track, NULL);
    guint k = 0;
    while (k < groups->len && g_array_index(groups, Group, k).concept != concept)
      k++;
    if (k == groups->len) {
      Group group = {concept, g_ptr_array_new()};
      g_array_append_val(groups, group);
    }
    g_ptr_array_add(g_array_index(groups, Group, k).tracks, track);
  }
  for (guint k = 0; k < groups->len; k++) {
    add_group(&g_array_index(groups, Group, k), seen, n, scene->end_ms, scene->facts);
    g_ptr_array_unref(g_array_index(groups, Group, k).tracks);
  }
}

static void add_actions(MnkScene *scene, const GPtrArray *tracks) {
  for (guint i = 0; i < tracks->len; i++) {
    const MnkTrack *track = tracks->pdata[i];
    if (track_holds(track, scene->frames))
      mnk_track_action(track, scene->start_ms, scene->end_ms, scene->starts_at_cut,
                       scene->ends_at_cut, scene->facts);
  }
}

/* ---- labels ---- */

/* What a box says already need not be said of the whole picture. */
static MnkFact *object_like(const GPtrArray *facts, const char *name) {
  for (guint i = 0; i < facts->len; i++) {
    MnkFact *fact = facts->pdata[i];
    if (fact->kind == MNK_FACT_OBJECT &&
        (mnk_concept_is_a(fact->name, name) || mnk_concept_is_a(name, fact->name)))
      return fact;
  }
  return NULL;
}

/* "Animal" is the sum over some four hundred classes. */
static float least_score(const MnkConcept *concept) {
  gboolean broad = concept->broader == NULL && concept->kind == MNK_CONCEPT_ANIMAL;
  return broad ? MIN_BROAD : MIN_LABEL;
}

static void add_label(MnkScene *scene, const char *name, float score, const MnkObservation *first,
                      const MnkObservation *last) {
  const MnkConcept *concept = mnk_vocabulary_find(name);
  if (concept == NULL || score < least_score(concept))
    return;
  if (object_like(scene->facts, name) != NULL)
    return;
  MnkFact *fact = mnk_fact_new(MNK_FACT_SCENE, name);
  fact->score = score;
  fact->start_ms = first->pts_ms;
  fact->end_ms = MIN(last->pts_ms + last->step_ms, scene->end_ms);
  g_ptr_array_add(scene->facts, fact);
}

typedef struct {
  float sum;
  const MnkObservation *first, *last;
} LabelSum;

static void add_labels(MnkScene *scene, MnkObservation *const *seen, guint n) {
  g_autoptr(GHashTable) sums = g_hash_table_new_full(g_str_hash, g_str_equal, NULL, g_free);
  gboolean any_frame = FALSE;
  guint counted = 0;
  for (guint i = 0; i < n; i++) {
    /* What holds on from the scene before counts only until a frame of this one was looked at. */
    gboolean counts = seen[i]->type == MNK_OBS_FRAME || !any_frame;
    any_frame |= seen[i]->type == MNK_OBS_FRAME;
    counted += counts;
    for (guint k = 0; k < seen[i]->n_labels; k++) {
      const MnkLabel *label = &seen[i]->labels[k];
      LabelSum *sum = g_hash_table_lookup(sums, label->name);
      if (sum == NULL) {
        sum = g_new0(LabelSum, 1);
        sum->first = seen[i];
        g_hash_table_insert(sums, (gpointer)label->name, sum);
      }
      sum->last = seen[i];
      if (counts)
        sum->sum += label->score;
    }
  }
  GHashTableIter iter;
  gpointer name, value;
  g_hash_table_iter_init(&iter, sums);
  while (g_hash_table_iter_next(&iter, &name, &value)) {
    const LabelSum *sum = value;
    add_label(scene, name, MIN(sum->sum / (float)MAX(counted, 1), 1), sum->first, sum->last);
  }
}

/* ---- faces and postures ---- */

static void add_faces(MnkScene *scene, MnkObservation *const *seen, guint n) {
  guint frames = 0, with = 0, most = 0;
  float sum = 0;
  const MnkObservation *first = NULL, *last = NULL;
  for (guint i = 0; i < n; i++) {
    guint here = 0;
    for (guint k = 0; k < seen[i]->n_faces; k++)
      here += seen[i]->faces[k].score >= MIN_FACE;
    frames += 1;
    if (here == 0)
      continue;
    with++;
    most = MAX(most, here);
    sum += seen[i]->faces[0].score;
    first = first != NULL ? first : seen[i];
    last = seen[i];
  }
  if (with == 0 || (float)with < 0.4f * (float)frames)
    return;
  MnkFact *fact = mnk_fact_new(MNK_FACT_FACE, "face");
  fact->count = most;
  fact->score = MIN(sum / (float)with, 1);
  fact->box = last->faces[0].box;
  fact->start_ms = first->pts_ms;
  fact->end_ms = MIN(last->pts_ms + last->step_ms, scene->end_ms);
  g_ptr_array_add(scene->facts, fact);
}

/* A posture is told when most frames that show a body agree on it. */
static void add_posture(MnkScene *scene, MnkObservation *const *seen, guint n) {
  const MnkDetection *best = NULL;
  const MnkObservation *first = NULL, *last = NULL;
  guint bodies = 0, agree = 0;
  float sum = 0;
  for (guint i = 0; i < n; i++) {
    if (seen[i]->n_poses == 0)
      continue;
    const MnkDetection *pose = &seen[i]->poses[0];
    bodies++;
    if (pose->name[0] == '\0' || (best != NULL && !g_str_equal(best->name, pose->name)))
      continue;
    best = pose;
    first = first != NULL ? first : seen[i];
    last = seen[i];
    agree++;
    sum += pose->score;
  }
  if (best == NULL || (float)agree < 0.6f * (float)bodies)
    return;
  MnkFact *fact = mnk_fact_new(MNK_FACT_POSE, best->name);
  fact->score = MIN(sum / (float)agree, 1);
  fact->box = best->box;
  fact->start_ms = first->pts_ms;
  fact->end_ms = MIN(last->pts_ms + last->step_ms, scene->end_ms);
  g_ptr_array_add(scene->facts, fact);
}

/* ---- camera ---- */

static const char *camera_move(const MnkCameraMotion *motion) {
  float pan = fabsf(motion->dx), tilt = fabsf(motion->dy), zoom = fabsf(motion->zoom);
  if (!motion->valid)
    return NULL;
  /* A zoom moves the middle of the picture little; at its edge it moves half of what it grows. */
  if (zoom >= ZOOM_SPEED && zoom / 2 >= MAX(pan, tilt))
    return motion->zoom > 0 ? "zoom in" : "zoom out";
  if (pan >= PAN_SPEED && pan >= tilt)
    return motion->dx > 0 ? "pan left" : "pan right";
  if (tilt >= PAN_SPEED)
    return motion->dy > 0 ? "tilt up" : "tilt down";
  return "still";
}

static void add_camera(MnkScene *scene, MnkObservation *const *seen, guint n) {
  static const char *const NAMES[] = {"pan left", "pan right", "tilt up", "tilt down",
                                      "zoom in",  "zoom out",  "still"};
  for (guint k = 0; k < G_N_ELEMENTS(NAMES); k++) {
    guint judged = 0, agree = 0;
    float inliers = 0;
    const MnkObservation *first = NULL, *last = NULL;
    for (guint i = 0; i < n; i++) {
      const char *move = camera_move(&seen[i]->motion);
      judged += move != NULL;
      if (g_strcmp0(move, NAMES[k]) != 0)
        continue;
      agree++;
      inliers += seen[i]->motion.inliers;
      first = first != NULL ? first : seen[i];
      last = seen[i];
    }
    if (agree < 2 || agree * seen[0]->step_ms < CAMERA_MIN_MS ||
        (float)agree < CAMERA_SHARE * (float)judged)
      continue;
    MnkFact *fact = mnk_fact_new(MNK_FACT_CAMERA, NAMES[k]);
    fact->score = MIN(inliers / (float)agree, 1);
    /* An observation's motion is what happened before it. */
    fact->start_ms = MAX(first->pts_ms - first->step_ms, scene->start_ms);
    fact->end_ms = last->pts_ms;
    g_ptr_array_add(scene->facts, fact);
  }
}

/* ---- all ---- */

static gint by_score(gconstpointer a, gconstpointer b) {
  const MnkFact *x = *(MnkFact *const *)a, *y = *(MnkFact *const *)b;
  if (x->score != y->score)
    return x->score > y->score ? -1 : 1;
  if (x->kind != y->kind)
    return x->kind < y->kind ? -1 : 1;
  return g_strcmp0(x->name, y->name);
}

void mnk_scene_summarise(MnkScene *scene, MnkObservation *const *seen, guint n) {
  g_ptr_array_set_size(scene->facts, 0);
  scene->frames = 0;
  scene->luma = scene->contrast = 0;
  if (n == 0)
    return;
  for (guint i = 0; i < n; i++) {
    scene->frames += seen[i]->type == MNK_OBS_FRAME;
    scene->luma += seen[i]->luma / (float)n;
    scene->contrast += seen[i]->contrast / (float)n;
  }
  g_autoptr(GPtrArray) tracks = mnk_tracks_follow(seen, n);
  add_objects(scene, tracks, seen, n);
  add_labels(scene, seen, n);
  add_faces(scene, seen, n);
  add_posture(scene, seen, n);
  mnk_texts_collect(seen, n, scene->end_ms, scene->facts);
  add_actions(scene, tracks);
  add_camera(scene, seen, n);
  for (guint i = 0; i < scene->facts->len; i++) {
    MnkFact *fact = scene->facts->pdata[i];
    fact->start_ms = MAX(fact->start_ms, scene->start_ms);
    fact->end_ms = MAX(fact->end_ms, fact->start_ms);
    fact->score = CLAMP(fact->score, 0, 1);
  }
  g_ptr_array_sort(scene->facts, by_score);
}
