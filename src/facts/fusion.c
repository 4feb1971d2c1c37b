#include "facts/facts_priv.h"

#include <string.h>

/* How much a label's score counts for a detection of the same thing: the label speaks of the
 * picture as a whole and cannot tell which box it means. */
static const float LABEL_WEIGHT = 0.8f;
/* A detection below this is open to a better name. */
static const float WEAK_DETECTION = 0.5f;
static const float STRONG_LABEL = 0.5f;
static const float SURE_LABEL = 0.6f;
/* A label that only a broader word is sure of says little for the narrower one of a detection. */
static const float BROADER_WEIGHT = 0.5f;
/* Both models know the two words: from here on the label wins against a weak detection. */
static const float WINNING_LABEL = 0.8f;
/* With so many classes of its own for a thing, the classifier's silence on it counts. */
static const guint MANY_CLASSES = 20;
/* How much a posture that could be read says for the person: hands and posts have some, too. */
static const float POSE_WEIGHT = 0.25f;
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

static gboolean classifier_knows_well(const char *name) {
  guint n = 0;
  for (guint i = 0; i < 1000; i++) {
    const MnkConcept *concept = mnk_vocabulary_imagenet(i);
    n += concept != NULL && mnk_concept_is_a(concept->name, name);
  }
  return n >= MANY_CLASSES;
}

static gboolean any_box_is(const MnkObservation *obs, const char *name) {
  for (guint i = 0; i < obs->n_objects; i++)
    if (related(obs->objects[i].name, name))
      return TRUE;
  return FALSE;
}

/* Whether the picture's first label and a detection large enough to be meant by it disagree about
 * what one animal or vehicle is. */
static gboolean disagree(const MnkDetection *object, const MnkObservation *obs) {
  return obs->n_labels > 0 && box_area(&object->box) >= LABEL_MIN_AREA &&
         confusable(obs->labels[0].name, object->name) &&
         !related(obs->labels[0].name, object->name);
}

/* What is true of both names; NULL: nothing. */
static const char *common_word(const char *a, const char *b) {
  const MnkConcept *concept = mnk_vocabulary_find(a);
  while (concept != NULL && !mnk_concept_is_a(b, concept->name))
    concept = mnk_vocabulary_find(concept->broader);
  return concept != NULL ? concept->name : NULL;
}

static void rename_detection(MnkDetection *object, const char *name, float score) {
  g_strlcpy(object->name, name, sizeof object->name);
  object->score = MAX(object->score, score);
}

/* The label wins if the detector has no class for it or is unsure and alone; two that know better
 * and still disagree leave what is true of both. */
static gboolean settle_disagreement(MnkDetection *object, const MnkObservation *obs) {
  const MnkLabel *label = &obs->labels[0];
  gboolean unknown = label->score >= SURE_LABEL && !detector_knows(label->name);
  gboolean weak = label->score >= STRONG_LABEL && object->score < WEAK_DETECTION &&
                  !any_box_is(obs, label->name);
  const char *common = common_word(label->name, object->name);
  if (unknown || (weak && label->score >= WINNING_LABEL))
    rename_detection(object, label->name, label->score);
  else if (weak && common != NULL)
    rename_detection(object, common, label->score);
  else
    return FALSE;
  return TRUE;
}

/* The same or a narrower word supports a detection fully, a broader one half. */
static void support(MnkDetection *object, const MnkLabel *label, gboolean first) {
  if (mnk_concept_is_a(label->name, object->name)) {
    if (label->score >= 0.4f)
      g_strlcpy(object->name, label->name, sizeof object->name);
    object->score = either(object->score, LABEL_WEIGHT * label->score);
  } else if (first && label->score >= SURE_LABEL && classifier_knows_well(object->name)) {
    rename_detection(object, label->name, label->score);
  } else {
    object->score = either(object->score, BROADER_WEIGHT * label->score);
  }
}

static void fuse_detection(MnkDetection *object, const MnkObservation *obs) {
  if (disagree(object, obs) && settle_disagreement(object, obs))
    return;
  for (guint i = 0; i < obs->n_labels; i++)
    if (related(obs->labels[i].name, object->name)) {
      support(object, &obs->labels[i], i == 0);
      return;
    }
}

static gboolean centre_within(const MnkBox *part, const MnkBox *whole) {
  float x = part->x + part->w / 2, y = part->y + part->h / 2;
  return x >= whole->x && x <= whole->x + whole->w && y >= whole->y && y <= whole->y + whole->h;
}

static void support_people_by_poses(MnkObservation *obs) {
  for (guint i = 0; i < obs->n_poses; i++)
    for (guint k = 0; k < obs->n_objects; k++) {
      const MnkDetection *pose = &obs->poses[i];
      MnkDetection *object = &obs->objects[k];
      if (mnk_concept_is_a(object->name, "person") && centre_within(&pose->box, &object->box))
        object->score = either(object->score, POSE_WEIGHT * pose->score);
    }
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
      if (!mnk_concept_is_a(object->name, "person") || !centre_within(&face->box, &object->box))
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
  support_people_by_poses(obs);
  add_people_of_faces(obs);
}
