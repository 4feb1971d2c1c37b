#include "facts/facts_priv.h"

/* A subject counts when it is as sure and as large as this; smaller things come and go unseen. */
static const float MIN_SCORE = 0.45f;
static const float MIN_AREA = 0.02f;
static const float MIN_TEXT_SCORE = 0.85f;
/* How often it must have been there before, or be there now, to count as present; and as absent. */
static const float PRESENT = 0.8f;
static const float ABSENT = 0.1f;

/* A dissolve that explains the change may become certain as late as this, and gives the better
 * boundary. */
static const gint64 CUT_CERTAIN_MS = 2500;

enum { MAX_SUBJECTS = 32, MAX_BEFORE = 6 };

typedef struct {
  const char *name;
  gboolean text;
} Subject;

static gboolean shows(const MnkObservation *obs, const Subject *subject) {
  if (subject->text) {
    for (guint i = 0; i < obs->n_texts; i++)
      if (mnk_text_similarity(obs->texts[i].text, subject->name) >= 0.7f)
        return TRUE;
    return FALSE;
  }
  for (guint i = 0; i < obs->n_objects; i++)
    if (mnk_concept_is_a(obs->objects[i].name, subject->name) ||
        mnk_concept_is_a(subject->name, obs->objects[i].name))
      return TRUE;
  for (guint i = 0; i < obs->n_labels; i++)
    if (mnk_concept_is_a(obs->labels[i].name, subject->name))
      return TRUE;
  return FALSE;
}

static guint add_subject(Subject *subjects, guint n, const char *name, gboolean text) {
  for (guint i = 0; i < n; i++)
    if (subjects[i].text == text && g_str_equal(subjects[i].name, name))
      return n;
  if (n == MAX_SUBJECTS)
    return n;
  subjects[n] = (Subject){name, text};
  return n + 1;
}

static guint collect(const MnkObservation *obs, Subject *subjects, guint n) {
  for (guint i = 0; i < obs->n_objects; i++) {
    const MnkDetection *object = &obs->objects[i];
    if (object->score >= MIN_SCORE && object->box.w * object->box.h >= MIN_AREA)
      n = add_subject(subjects, n, object->name, FALSE);
  }
  for (guint i = 0; i < obs->n_labels; i++)
    if (obs->labels[i].score >= MIN_SCORE)
      n = add_subject(subjects, n, obs->labels[i].name, FALSE);
  for (guint i = 0; i < obs->n_texts; i++)
    if (obs->texts[i].score >= MIN_TEXT_SCORE && g_utf8_strlen(obs->texts[i].text, -1) >= 4)
      n = add_subject(subjects, n, obs->texts[i].text, TRUE);
  return n;
}

static float presence(MnkObservation *const *seen, guint from, guint to, const Subject *subject) {
  guint with = 0;
  for (guint i = from; i < to; i++)
    with += shows(seen[i], subject);
  return (float)with / (float)(to - from);
}

guint mnk_change_point(MnkObservation *const *seen, guint n, gint64 start_ms, gint64 min_ms) {
  gint64 lasting_ms = MAX(min_ms, CUT_CERTAIN_MS);
  guint split = n;
  while (split > 0 && seen[n - 1]->pts_ms - seen[split - 1]->pts_ms <= lasting_ms)
    split--;
  if (split == 0 || n - split < 2 || seen[split]->pts_ms - start_ms < min_ms)
    return 0;
  /* Not before the state has lasted as long as it must. */
  if (seen[n - 1]->pts_ms + seen[n - 1]->step_ms - seen[split]->pts_ms < lasting_ms)
    return 0;
  Subject subjects[MAX_SUBJECTS];
  guint n_subjects = collect(seen[split - 1], subjects, 0);
  n_subjects = collect(seen[split], subjects, n_subjects);
  guint from = split > MAX_BEFORE ? split - MAX_BEFORE : 0;
  for (guint i = 0; i < n_subjects; i++) {
    float before = presence(seen, from, split, &subjects[i]);
    float after = presence(seen, split, n, &subjects[i]);
    if ((before >= PRESENT && after <= ABSENT) || (before <= ABSENT && after >= PRESENT))
      return split;
  }
  return 0;
}
