/* facts: from observations of single frames to facts with intervals, and from facts to the
 * intervals that captions describe. Pure computation on small data: no I/O, no clock, no threads.
 *
 *   observation ─► fusion (names of both models agree) ─► tracker (boxes over time) ─► facts
 *   facts + cuts ─► segmenter ─► scenes: closed intervals with the facts that hold in them */
#ifndef MNK_FACTS_H
#define MNK_FACTS_H

#include "wire/wire.h"

/* ---- Vocabulary: the concepts that may be named ---- */

typedef enum {
  MNK_CONCEPT_PERSON,
  MNK_CONCEPT_ANIMAL,
  MNK_CONCEPT_VEHICLE,
  MNK_CONCEPT_FOOD,
  MNK_CONCEPT_THING,
  MNK_CONCEPT_FURNITURE,
  MNK_CONCEPT_BUILDING,
  MNK_CONCEPT_PLACE, /* scenery: "seashore" */
  MNK_CONCEPT_PLANT,
  MNK_CONCEPT_CLOTHING,
} MnkConceptKind;

typedef struct {
  const char *name;       /* English, singular, the key everywhere: "traffic light" */
  const char *plural;     /* "traffic lights"; NULL: not counted ("coffee") */
  const char *ja;         /* Japanese word, or NULL: not worth saying in Japanese */
  const char *counter_ja; /* counter word: "人", "匹", "台", "つ" */
  const char
      *broader; /* next broader concept worth saying when unsure ("animal" for "cat"), or NULL */
  MnkConceptKind kind;
} MnkConcept;

/* NULL for a name that is not in the table. The table is data/vocabulary.tsv, compiled in. */
const MnkConcept *mnk_vocabulary_find(const char *name);
guint mnk_vocabulary_size(void);
const MnkConcept *mnk_vocabulary_at(guint index);
/* The concept of a class of the ImageNet-1k list (0..999) or of COCO's 80 (0..79); NULL: not worth
 * naming. Tables: data/imagenet.tsv, data/coco.tsv. */
const MnkConcept *mnk_vocabulary_imagenet(guint index);
const MnkConcept *mnk_vocabulary_coco(guint index);
/* TRUE when a is b or a narrower concept of it. */
gboolean mnk_concept_is_a(const char *a, const char *b);

/* ---- Texts: the same line read twice ---- */

/* 0..1: 1 minus the edit distance over the longer length, of letters and digits alone, case folded,
 * in the first 96 of them. */
float mnk_text_similarity(const char *a, const char *b);

/* ---- Timeline: observations in, scenes out ---- */

typedef struct {
  gint64 caption_max_ms, caption_min_ms;
} MnkTimelineConfig;

/* A closed or still running interval and what is known to hold in it. */
typedef struct {
  guint64 number; /* 0, 1, 2 ... within the stream: stable while the scene grows */
  gint64 start_ms, end_ms;
  gboolean final;
  gboolean starts_at_cut, ends_at_cut; /* its boundary is a shot boundary */
  MnkCut cut;                          /* kind of the boundary at its start */
  guint frames;                        /* frames that perception looked at */
  float luma, contrast;                /* means */
  GPtrArray *facts; /* of MnkFact, owned; strongest first; a gap has one MNK_FACT_GAP */
} MnkScene;

MnkScene *mnk_scene_copy(const MnkScene *scene);
void mnk_scene_free(MnkScene *scene);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(MnkScene, mnk_scene_free)

typedef struct _MnkTimeline MnkTimeline;

/* Called from within the calls below, in time order; the scene is borrowed. A running scene may
 * come many times with the same number. A final one never comes again, but for the last one, when
 * the stream ends so soon after it that the rest is too short for a scene: it then comes again with
 * a later end. */
typedef void (*MnkSceneFunc)(const MnkScene *scene, gpointer user);

MnkTimeline *mnk_timeline_new(const MnkTimelineConfig *config, MnkSceneFunc func, gpointer user);
void mnk_timeline_free(MnkTimeline *timeline);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(MnkTimeline, mnk_timeline_free)
/* What lies before has been told already, by an earlier run. */
void mnk_timeline_go_on(MnkTimeline *timeline, gint64 told_ms);
void mnk_timeline_set_config(MnkTimeline *timeline, const MnkTimelineConfig *config);
/* Scenes lie one after the other: within an epoch, what comes from before the last told scene's end
 * counts as of then. */
void mnk_timeline_observe(MnkTimeline *timeline, const MnkObservation *obs);
/* Nothing was seen from start to end: closes what runs and gives a gap scene. why: a phrase. */
void mnk_timeline_gap(MnkTimeline *timeline, gint64 start_ms, gint64 end_ms, const char *why);
/* Closes what runs at end_ms, because it is to be told now; the stream goes on, and what was seen
 * last holds on. Nothing if nothing was seen since the last boundary. */
void mnk_timeline_close(MnkTimeline *timeline, gint64 end_ms);
/* The stream ends at end_ms (end of the last frame): closes what runs. */
void mnk_timeline_finish(MnkTimeline *timeline, gint64 end_ms);
/* What runs now, as a not yet final scene through func; nothing if nothing was seen yet. */
void mnk_timeline_peek(MnkTimeline *timeline);

#endif
