/* Content planning: which facts of a scene are worth saying, and how surely. */
#include "language/content_priv.h"

#include <string.h>

/* Scores from which a name is said plainly, with "probably", and by its broader name only. */
static const float SURE = 0.75f;
static const float PROBABLE = 0.5f;
static const float VAGUE = 0.35f;
/* A thing that was named in the scene before needs this much to be taken for still there. */
static const float STILL_SURE = 0.5f;
static const float STILL_PROBABLE = 0.3f;

static const float MIN_ACTION = 0.45f;
static const float MIN_CAMERA = 0.4f;
static const float MIN_POSTURE = 0.5f;

static const float FACE_CLOSE_UP = 0.45f; /* of the picture's height */
static const float FILLING_AREA = 0.6f;   /* a thing so large leaves little room for another */
static const float RIVAL_AREA = 0.2f; /* a box so large is what a name of the whole picture means */
static const float NEAR_AREA = 0.3f;  /* a thing so large is near, */
static const float FAR_SHARE = 8;     /* and one so many times smaller is far */
static const float TRIFLE_AREA = 0.015f; /* a thing so small is not worth a word beside others */

/* A face that belongs to no known person. */
static const MnkConcept FACE = {"face", "faces", "顔", "つ", NULL, MNK_CONCEPT_THING};

static float unit(float value) {
  return value >= 0 && value <= 1 ? value : value > 1 ? 1 : 0; /* not a number: 0 */
}

static float area(const MnkBox *box) {
  return unit(box->w) * unit(box->h);
}

static gboolean is_person(const MnkTopic *topic) {
  return topic->concept->kind == MNK_CONCEPT_PERSON;
}

static gboolean related(const MnkConcept *a, const MnkConcept *b) {
  return a == b || mnk_concept_is_a(a->name, b->name) || mnk_concept_is_a(b->name, a->name);
}

const MnkTopic *mnk_content_find(const MnkContent *content, const MnkTopic *topic) {
  for (guint i = 0; i < content->n_topics; i++)
    if (related(content->topics[i].exact, topic->exact))
      return &content->topics[i];
  return NULL;
}

/* ---- topics ---- */

/* Two names for one thing become one topic. The narrower name wins when it is sure enough, but a
 * name of the whole picture does not say what each of several things is. */
static void merge_topic(MnkTopic *have, const MnkTopic *more) {
  const MnkTopic *narrow = have, *wide = more;
  if (mnk_concept_is_a(more->exact->name, have->exact->name))
    narrow = more, wide = have;
  gboolean several = MAX(have->count, more->count) > 1;
  gboolean use_narrow = narrow->score >= PROBABLE && (narrow->counted || !several);
  if (narrow->exact != wide->exact && narrow->score >= wide->score && !several)
    use_narrow = TRUE;
  const MnkConcept *concept = use_narrow ? narrow->exact : wide->exact;
  if (more->counted && (!have->counted || area(&more->box) > area(&have->box)))
    have->box = more->box;
  have->exact = have->concept = concept;
  have->count = MAX(have->count, more->count);
  have->counted |= more->counted;
  have->score = MAX(have->score, more->score);
}

static void add_topic(MnkContent *content, const MnkTopic *topic) {
  for (guint i = 0; i < content->n_topics; i++)
    if (related(content->topics[i].exact, topic->exact)) {
      merge_topic(&content->topics[i], topic);
      return;
    }
  if (content->n_topics < MNK_CONTENT_TOPICS)
    content->topics[content->n_topics++] = *topic;
}

static void add_setting(MnkContent *content, const MnkConcept *place, float score, float *best) {
  MnkBand band = score >= SURE ? MNK_BAND_SURE : MNK_BAND_PROBABLE;
  if (score < PROBABLE)
    place = score >= VAGUE && place->broader != NULL ? mnk_vocabulary_find(place->broader) : NULL;
  if (place == NULL || score <= *best)
    return;
  content->setting = place;
  content->setting_band = band;
  *best = score;
}

static void add_named(MnkContent *content, const MnkScene *scene) {
  float best_setting = 0;
  for (guint i = 0; i < scene->facts->len; i++) {
    const MnkFact *fact = scene->facts->pdata[i];
    if (fact->kind != MNK_FACT_OBJECT && fact->kind != MNK_FACT_SCENE)
      continue;
    const MnkConcept *concept = mnk_vocabulary_find(fact->name);
    if (concept == NULL)
      continue;
    if (concept->kind == MNK_CONCEPT_PLACE) {
      add_setting(content, concept, unit(fact->score), &best_setting);
      continue;
    }
    MnkTopic topic = {.concept = concept, .exact = concept, .score = unit(fact->score)};
    topic.counted = fact->kind == MNK_FACT_OBJECT;
    topic.count = topic.counted ? MAX(fact->count, 1) : 1;
    if (topic.counted)
      topic.box = fact->box;
    add_topic(content, &topic);
  }
}

static MnkTopic *find_person(MnkContent *content) {
  for (guint i = 0; i < content->n_topics; i++)
    if (is_person(&content->topics[i]))
      return &content->topics[i];
  return NULL;
}

static void add_faces(MnkContent *content, const MnkFact *fact) {
  MnkTopic *person = find_person(content);
  if (person != NULL) {
    person->close_up = person->count == 1 && fact->count <= 1 && fact->box.h >= FACE_CLOSE_UP;
    return;
  }
  MnkTopic topic = {.concept = &FACE, .exact = &FACE, .counted = TRUE};
  topic.score = unit(fact->score);
  topic.count = MAX(fact->count, 1);
  topic.box = fact->box;
  add_topic(content, &topic);
}

static MnkPosture posture_from_name(const char *name) {
  static const char *const NAMES[] = {[MNK_POSTURE_STANDING] = "standing",
                                      [MNK_POSTURE_SITTING] = "sitting",
                                      [MNK_POSTURE_LYING] = "lying",
                                      [MNK_POSTURE_ARMS_RAISED] = "arms raised"};
  for (guint i = 1; i < G_N_ELEMENTS(NAMES); i++)
    if (g_str_equal(name, NAMES[i]))
      return (MnkPosture)i;
  return MNK_POSTURE_NONE;
}

/* A posture is a person's, seen or not by the other models. */
static void add_posture(MnkContent *content, const MnkFact *fact) {
  MnkPosture posture = posture_from_name(fact->name);
  if (posture == MNK_POSTURE_NONE || !(fact->score >= MIN_POSTURE))
    return;
  MnkTopic *person = find_person(content);
  if (person == NULL) {
    const MnkConcept *concept = mnk_vocabulary_find("person");
    MnkTopic topic = {.concept = concept, .exact = concept, .count = 1, .box = fact->box};
    topic.score = unit(fact->score);
    add_topic(content, &topic);
    person = find_person(content);
  }
  if (person == NULL)
    return;
  if (person->count == 1)
    person->posture = posture;
  else
    content->one_posture = posture;
}

static void add_bodies(MnkContent *content, const MnkScene *scene) {
  for (guint i = 0; i < scene->facts->len; i++) {
    const MnkFact *fact = scene->facts->pdata[i];
    if (fact->kind == MNK_FACT_POSE && fact->name != NULL)
      add_posture(content, fact);
  }
  for (guint i = 0; i < scene->facts->len; i++) {
    const MnkFact *fact = scene->facts->pdata[i];
    if (fact->kind == MNK_FACT_FACE)
      add_faces(content, fact);
  }
}

/* ---- how surely, and which ---- */

static MnkBand band_of_score(float score, const MnkTopic *then) {
  if (score >= SURE)
    return MNK_BAND_SURE;
  if (then != NULL && then->band == MNK_BAND_SURE && score >= STILL_SURE)
    return MNK_BAND_SURE;
  if (score >= PROBABLE)
    return MNK_BAND_PROBABLE;
  if (then != NULL && then->band <= MNK_BAND_PROBABLE && score >= STILL_PROBABLE)
    return MNK_BAND_PROBABLE;
  return score >= VAGUE ? MNK_BAND_VAGUE : MNK_BAND_UNSAID;
}

static void judge_topic(MnkTopic *topic, const MnkContent *before) {
  topic->band =
      band_of_score(topic->score, before != NULL ? mnk_content_find(before, topic) : NULL);
  if (topic->band != MNK_BAND_VAGUE)
    return;
  const MnkConcept *broader = mnk_vocabulary_find(topic->exact->broader);
  if (broader == NULL) {
    /* Which building is hard to see, that it is one is not. */
    gboolean building = g_str_equal(topic->exact->name, "building");
    topic->band = building ? MNK_BAND_PROBABLE : MNK_BAND_UNSAID;
    return;
  }
  topic->concept = broader;
  /* "Some kind of person" is no way to put it. */
  if (broader->kind == MNK_CONCEPT_PERSON)
    topic->band = MNK_BAND_PROBABLE;
}

/* What the eye would name first: the living, the moving, the large; furniture last. */
static float salience(const MnkTopic *topic) {
  static const float KIND[] = {
      [MNK_CONCEPT_PERSON] = 1.0f, [MNK_CONCEPT_ANIMAL] = 0.9f,     [MNK_CONCEPT_VEHICLE] = 0.6f,
      [MNK_CONCEPT_FOOD] = 0.3f,   [MNK_CONCEPT_BUILDING] = 0.2f,   [MNK_CONCEPT_PLANT] = 0.2f,
      [MNK_CONCEPT_THING] = 0.2f,  [MNK_CONCEPT_FURNITURE] = -0.1f, [MNK_CONCEPT_CLOTHING] = -0.2f,
      [MNK_CONCEPT_PLACE] = 0.0f};
  return KIND[topic->concept->kind] + topic->score + MIN(area(&topic->box), 0.5f);
}

/* Passers-by before a castle are not what the picture is of. */
static float prominence(const MnkTopic *topic) {
  gboolean trifle = topic->counted && area(&topic->box) < TRIFLE_AREA;
  return salience(topic) - (trifle ? 1.0f : 0.0f);
}

static gint by_band_and_salience(gconstpointer a, gconstpointer b, gpointer user) {
  const MnkTopic *x = a, *y = b;
  if (x->band != y->band)
    return x->band < y->band ? -1 : 1;
  float sx = prominence(x), sy = prominence(y);
  if (sx != sy)
    return sx > sy ? -1 : 1;
  return strcmp(x->exact->name, y->exact->name);
}

/* A name of the whole picture and a thing with a large box, both animals or both vehicles, are two
 * names for one thing. */
static gboolean are_rivals(const MnkTopic *a, const MnkTopic *b) {
  MnkConceptKind kind = a->exact->kind;
  const MnkTopic *boxed = a->counted ? a : b;
  return a->counted != b->counted && kind == b->exact->kind &&
         (kind == MNK_CONCEPT_ANIMAL || kind == MNK_CONCEPT_VEHICLE) &&
         area(&boxed->box) >= RIVAL_AREA;
}

/* Of two rivals only one is said: the surer one, else the one with the box. */
static void settle_rivals(MnkContent *content) {
  for (guint i = 0; i < content->n_topics; i++)
    for (guint k = 0; k < content->n_topics; k++) {
      MnkTopic *boxed = &content->topics[i], *label = &content->topics[k];
      if (!boxed->counted || !are_rivals(boxed, label))
        continue;
      if (label->band < boxed->band)
        boxed->band = MNK_BAND_UNSAID;
      else
        label->band = MNK_BAND_UNSAID;
    }
}

/* Whether a topic earns its place beside what is already said. */
static gboolean adds_something(const MnkContent *content, const MnkTopic *topic) {
  if (topic->band == MNK_BAND_UNSAID || content->n_said == MNK_CONTENT_SAID)
    return FALSE;
  if (content->n_said == 0)
    return TRUE;
  if (topic->band == MNK_BAND_VAGUE || topic->concept->kind == MNK_CONCEPT_CLOTHING)
    return FALSE;
  if (topic->counted && area(&topic->box) < TRIFLE_AREA && salience(topic) < 1.2f)
    return FALSE;
  for (guint i = 0; i < content->n_said; i++)
    if (related(content->topics[i].concept, topic->concept))
      return FALSE;
  return TRUE;
}

/* One person and the one piece of clothing that the whole picture is named after go together. */
static void dress_person(MnkContent *content) {
  MnkTopic *person = content->n_said > 0 ? &content->topics[0] : NULL;
  if (person == NULL || !is_person(person) || person->count != 1 || person->band != MNK_BAND_SURE)
    return;
  for (guint i = 1; i < content->n_topics; i++) {
    const MnkTopic *topic = &content->topics[i];
    if (topic->concept->kind == MNK_CONCEPT_CLOTHING && topic->band == MNK_BAND_SURE) {
      person->worn = topic->concept;
      return;
    }
  }
}

static void choose_topics(MnkContent *content, const MnkContent *before) {
  for (guint i = 0; i < content->n_topics; i++)
    judge_topic(&content->topics[i], before);
  settle_rivals(content);
  g_qsort_with_data(content->topics, (gint)content->n_topics, sizeof(MnkTopic),
                    by_band_and_salience, NULL);
  for (guint i = 0; i < content->n_topics; i++) {
    if (!adds_something(content, &content->topics[i]))
      continue;
    MnkTopic topic = content->topics[i];
    memmove(&content->topics[content->n_said + 1], &content->topics[content->n_said],
            (i - content->n_said) * sizeof(MnkTopic));
    content->topics[content->n_said++] = topic;
  }
  dress_person(content);
}

/* A place with nothing in it is itself what the picture shows. */
static void settle_setting(MnkContent *content) {
  if (content->setting == NULL)
    return;
  gboolean weak = content->n_said > 0 && content->topics[0].band > MNK_BAND_PROBABLE;
  if (content->n_said > 0 && !weak)
    return;
  MnkTopic place = {.concept = content->setting, .exact = content->setting, .count = 1};
  place.band = content->setting_band;
  place.score = place.band == MNK_BAND_SURE ? SURE : PROBABLE;
  guint kept = MIN(content->n_topics, MNK_CONTENT_TOPICS - 1);
  memmove(&content->topics[1], &content->topics[0], kept * sizeof(MnkTopic));
  content->topics[0] = place;
  content->n_topics = kept + 1;
  content->n_said = 1;
  content->setting = NULL;
}

/* ---- place in the picture ---- */

static gboolean has_box(const MnkTopic *topic) {
  return topic->counted && topic->box.w > 0 && topic->box.h > 0;
}

static MnkSpot side_of(const MnkBox *box) {
  float x = box->x + box->w / 2;
  if (box->w > 0.6f)
    return MNK_SPOT_NONE;
  return x < 0.36f ? MNK_SPOT_LEFT : x > 0.64f ? MNK_SPOT_RIGHT : MNK_SPOT_NONE;
}

static MnkSpot spot_alone(const MnkTopic *topic) {
  const MnkBox *box = &topic->box;
  if (topic->band == MNK_BAND_SURE && area(box) >= FILLING_AREA)
    return MNK_SPOT_FILLS;
  MnkSpot side = side_of(box);
  float y = box->y + box->h / 2;
  if (side != MNK_SPOT_NONE || box->h > 0.4f)
    return side;
  return y < 0.25f ? MNK_SPOT_TOP : y > 0.8f ? MNK_SPOT_BOTTOM : MNK_SPOT_NONE;
}

/* Of two things: the sides they are on, else which is near when one is far larger. */
static void spot_pair(MnkTopic *a, MnkTopic *b) {
  MnkSpot sa = side_of(&a->box), sb = side_of(&b->box);
  if (sa != sb) {
    a->spot = sa != MNK_SPOT_NONE || a->box.w > 0.6f ? sa : MNK_SPOT_MIDDLE;
    b->spot = sb != MNK_SPOT_NONE || b->box.w > 0.6f ? sb : MNK_SPOT_MIDDLE;
    return;
  }
  MnkTopic *near = area(&a->box) >= area(&b->box) ? a : b, *far = near == a ? b : a;
  if (area(&near->box) >= NEAR_AREA && area(&far->box) <= area(&near->box) / FAR_SHARE) {
    near->spot = MNK_SPOT_FRONT;
    far->spot = MNK_SPOT_BACK;
  }
}

/* Only for single things: of several, one box says nothing of the others. A place in the world
 * says more than a place in the picture. */
static void place_topics(MnkContent *content) {
  MnkTopic *placed[MNK_CONTENT_SAID];
  guint n = 0;
  if (content->setting != NULL)
    return;
  for (guint i = 0; i < content->n_said; i++)
    if (content->topics[i].count == 1 && has_box(&content->topics[i]))
      placed[n++] = &content->topics[i];
  if (content->n_said == 1 && n == 1 && !placed[0]->close_up)
    placed[0]->spot = spot_alone(placed[0]);
  else if (content->n_said == 2 && n == 2)
    spot_pair(placed[0], placed[1]);
}

/* ---- actions, camera ---- */

static gboolean action_from_name(const char *name, MnkAction *action) {
  static const char *const NAMES[MNK_ACTION_N] = {"enters",       "leaves",   "moves left",
                                                  "moves right",  "moves up", "moves down",
                                                  "comes closer", "goes away"};
  for (guint i = 0; i < MNK_ACTION_N; i++)
    if (g_strcmp0(name, NAMES[i]) == 0) {
      *action = (MnkAction)i;
      return TRUE;
    }
  return FALSE;
}

static void add_action(MnkContent *content, const MnkFact *fact) {
  MnkAction action;
  const MnkConcept *who = mnk_vocabulary_find(fact->of);
  if (who == NULL || !(fact->score >= MIN_ACTION) || !action_from_name(fact->name, &action))
    return;
  guint topic = 0;
  while (topic < content->n_said && !related(content->topics[topic].exact, who))
    topic++;
  if (topic == content->n_said || content->topics[topic].band > MNK_BAND_PROBABLE)
    return;
  for (guint i = 0; i < content->n_actions; i++)
    if (content->actions[i].topic == topic) {
      if (content->actions[i].action == action)
        content->actions[i].times++;
      return;
    }
  if (content->n_actions < MNK_CONTENT_ACTIONS)
    content->actions[content->n_actions++] = (MnkContentAction){topic, action, 1};
  content->topics[topic].posture = MNK_POSTURE_NONE; /* what it does says more */
}

static void add_actions(MnkContent *content, const MnkScene *scene) {
  for (guint i = 0; i < scene->facts->len; i++) {
    const MnkFact *fact = scene->facts->pdata[i];
    if (fact->kind == MNK_FACT_ACTION)
      add_action(content, fact);
  }
}

static void add_camera(MnkContent *content, const MnkScene *scene) {
  static const char *const NAMES[MNK_CAMERA_N] = {"still",     "pan left", "pan right", "tilt up",
                                                  "tilt down", "zoom in",  "zoom out",  "unsteady"};
  float best = 0;
  for (guint i = 0; i < scene->facts->len; i++) {
    const MnkFact *fact = scene->facts->pdata[i];
    if (fact->kind != MNK_FACT_CAMERA || !(fact->score >= MIN_CAMERA) || fact->score <= best)
      continue;
    for (guint k = 1; k < MNK_CAMERA_N; k++)
      if (g_strcmp0(fact->name, NAMES[k]) == 0) {
        content->camera = (MnkCamera)k;
        best = fact->score;
      }
  }
}

/* ---- the whole content ---- */

static MnkLight light_of(const MnkScene *scene) {
  float luma = unit(scene->luma), contrast = unit(scene->contrast);
  if (contrast < 0.03f)
    return luma < 0.04f ? MNK_LIGHT_BLACK : luma > 0.93f ? MNK_LIGHT_WHITE : MNK_LIGHT_UNIFORM;
  if (luma < 0.12f)
    return MNK_LIGHT_DARK;
  return luma < 0.25f ? MNK_LIGHT_DIM : luma > 0.7f ? MNK_LIGHT_BRIGHT : MNK_LIGHT_USUAL;
}

static const MnkFact *gap_of(const MnkScene *scene) {
  for (guint i = 0; i < scene->facts->len; i++) {
    const MnkFact *fact = scene->facts->pdata[i];
    if (fact->kind == MNK_FACT_GAP)
      return fact;
  }
  return NULL;
}

MnkContent *mnk_content_new(const MnkScene *scene, const MnkContent *before) {
  MnkContent *content = g_new0(MnkContent, 1);
  content->start_ms = scene->start_ms;
  content->end_ms = scene->end_ms;
  content->after_cut = scene->starts_at_cut;
  const MnkFact *gap = gap_of(scene);
  if (gap != NULL) {
    content->gap = mnk_content_clean_text(gap->name);
    if (content->gap == NULL)
      content->gap = g_strdup("");
    return content;
  }
  content->light = light_of(scene);
  add_named(content, scene);
  add_bodies(content, scene);
  choose_topics(content, before);
  settle_setting(content);
  place_topics(content);
  add_actions(content, scene);
  add_camera(content, scene);
  mnk_content_add_texts(content, scene);
  return content;
}

void mnk_content_free(MnkContent *content) {
  if (content == NULL)
    return;
  for (guint i = 0; i < content->n_texts; i++)
    g_free(content->texts[i]);
  g_free(content->gap);
  g_free(content);
}
