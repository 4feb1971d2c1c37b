#include "facts/facts_priv.h"

#include <string.h>

/* How much a label's score counts for a detection of the same thing: the label speaks of the
 * picture as a whole and cannot tell which box it means. */
static const float LABEL_WEIGHT = 0.8f;
/* A detection below this is open to a better name. */
static const float WEAK_DETECTION = 0.5f;
static const float STRONG_LABEL = 0.5f;
static const float SURE_LABEL = 0.6f;
/* A thing that a label names is seldom smaller than this part of the picture. */
static const float LABEL_MIN_AREA = 0.06f;

static float box_area(const MnkBox *box) {
  return box->w * box->h;
}

static float either(float a, float b) {
  return 1.0f - (1.0f - a) * (1.0f - b);
}

static gboolean related(const char *a, const char *b) {
  return mnk_concept_is_a(a, b) || mnk_concept_is_a(b, a);
}

/* Animals and vehicles are told apart by their looks alone, and the detector knows few of them. */
static gboolean confusable(const char *a, const char *b) {
  const MnkConcept *ca = mnk_vocabulary_find(a), *cb = mnk_vocabulary_find(b);
  return ca != NULL && cb != NULL && ca->kind == cb->kind &&
         (ca->kind == MNK_CONCEPT_ANIMAL || ca->kind == MNK_CONCEPT_VEHICLE);
}

static gboolean detector_knows(const char *name) {
  for (guint i = 0; i < 80; i++) {
    const MnkConcept *concept = mnk_vocabulary_coco(i);
    if (concept != NULL && related(concept->name, name))
      return TRUE;
  }
  return FALSE;
}

static gboolean any_box_is(const MnkObservation *obs, const char *name) {
  for (guint i = 0; i < obs->n_objects; i++)
    if (related(obs->objects[i].name, name))
      return TRUE;
  return FALSE;
}

/* The label that is the better word for a detection of its kind: one that the detector has no class
 * for, or one that is much surer and that no other box stands for. */
static const MnkLabel *better_word(const MnkDetection *object, const MnkObservation *obs) {
  const MnkLabel *best = obs->n_labels > 0 ? &obs->labels[0] : NULL;
  if (best == NULL || !confusable(best->name, object->name) ||
      box_area(&object->box) < LABEL_MIN_AREA)
    return NULL;
  if (best->score >= SURE_LABEL && !detector_knows(best->name))
    return best;
  gboolean weak = best->score >= STRONG_LABEL && object->score < WEAK_DETECTION;
  return weak && !any_box_is(obs, best->name) ? best : NULL;
}

static void fuse_detection(MnkDetection *object, const MnkObservation *obs) {
  const MnkLabel *better = better_word(object, obs);
  for (guint i = 0; i < obs->n_labels && better == NULL; i++) {
    const MnkLabel *label = &obs->labels[i];
    if (!related(label->name, object->name))
      continue;
    if (mnk_concept_is_a(label->name, object->name) && label->score >= 0.4f)
      g_strlcpy(object->name, label->name, sizeof object->name);
    object->score = either(object->score, LABEL_WEIGHT * label->score);
    return;
  }
  if (better != NULL) {
    g_strlcpy(object->name, better->name, sizeof object->name);
    object->score = MAX(better->score, object->score);
  }
}

static gboolean face_in_person(const MnkDetection *face, const MnkDetection *person) {
  float x = face->box.x + face->box.w / 2, y = face->box.y + face->box.h / 2;
  return x >= person->box.x && x <= person->box.x + person->box.w && y >= person->box.y &&
         y <= person->box.y + person->box.h;
}

/* A body below the face, as far as the picture reaches: about three faces wide and seven high. */
static MnkBox body_of_face(const MnkBox *face) {
  float left = MAX(face->x - face->w, 0), right = MIN(face->x + 2 * face->w, 1);
  float top = MAX(face->y - face->h * 0.3f, 0), bottom = MIN(face->y + 6 * face->h, 1);
  return (MnkBox){left, top, right - left, bottom - top};
}

/* Apes and monkeys have faces too. */
static gboolean is_animal_portrait(const MnkObservation *obs) {
  const MnkConcept *best = obs->n_labels > 0 ? mnk_vocabulary_find(obs->labels[0].name) : NULL;
  return best != NULL && best->kind == MNK_CONCEPT_ANIMAL && obs->labels[0].score >= SURE_LABEL;
}

static void add_people_of_faces(MnkObservation *obs) {
  guint n = obs->n_objects;
  for (guint i = 0; i < obs->n_faces; i++) {
    const MnkDetection *face = &obs->faces[i];
    gboolean known = FALSE;
    for (guint k = 0; k < n; k++) {
      MnkDetection *object = &obs->objects[k];
      if (!mnk_concept_is_a(object->name, "person") || !face_in_person(face, object))
        continue;
      object->score = either(object->score, 0.6f * face->score);
      known = TRUE;
    }
    if (known || obs->n_objects == MNK_OBS_MAX_OBJECTS)
      continue;
    MnkDetection *person = &obs->objects[obs->n_objects++];
    memset(person, 0, sizeof *person);
    g_strlcpy(person->name, "person", sizeof person->name);
    person->score = 0.9f * face->score;
    person->box = body_of_face(&face->box);
  }
}

void mnk_fuse(MnkObservation *obs) {
  for (guint i = 0; i < obs->n_objects; i++)
    fuse_detection(&obs->objects[i], obs);
  if (is_animal_portrait(obs) && !any_box_is(obs, "person"))
    obs->n_faces = 0;
  add_people_of_faces(obs);
}
