/* Scenes: what the picture as a whole shows. EfficientNet-Lite0 (Tan and Le, 2019; the Lite variant
 * of 2020) on ImageNet-1k. */
#include "vision/perception_priv.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "facts/facts.h"

enum { SIDE = 224, CLASSES = 1000 };

/* A label below this is noise; how sure one must be to say it is the captions' business. */
static const float LABEL_MIN = 0.10f;
/* A narrower concept with this share of the broader one's sum is named instead of it. */
static const float NARROW_SHARE = 0.55f;
/* From this ratio of the sides on, the centre square misses enough to look at the whole too. */
static const double WIDE = 1.12;

static const MnkNetSpec net_spec = {"scenes", MNK_ELEMENT_U8, {4, {1, SIDE, SIDE, 3}}, 2};
static const MnkInputFormat format = {.width = SIDE, .height = SIDE, .bytes = TRUE};

typedef struct {
  MnkNet *net;
  gboolean looked;
  float probability[CLASSES];
  float features[MNK_SCENE_FEATURES];
} Scenes;

static void scenes_close(gpointer state) {
  Scenes *scenes = state;

  mnk_net_free(scenes->net);
  g_free(scenes);
}

static gpointer scenes_open(MnkRuntime *runtime, const char *models_dir, GError **error) {
  Scenes *scenes = g_new0(Scenes, 1);

  scenes->net = mnk_net_load(runtime, models_dir, &net_spec, error);
  if (!scenes->net)
    g_clear_pointer(&scenes, scenes_close);
  return scenes;
}

/* ---- From classes to concepts ---- */

typedef struct {
  const MnkConcept *concept;
  float sum;      /* its classes and all that is narrower */
  float narrower; /* the largest sum among what is directly narrower */
} Evidence;

static Evidence *evidence_for(GHashTable *table, const MnkConcept *concept) {
  Evidence *e = g_hash_table_lookup(table, concept->name);

  if (!e) {
    e = g_new0(Evidence, 1);
    e->concept = concept;
    g_hash_table_insert(table, (gpointer) concept->name, e);
  }
  return e;
}

static const MnkConcept *broader(const MnkConcept *concept) {
  return concept->broader ? mnk_vocabulary_find(concept->broader) : NULL;
}

static GHashTable *gather(const float *probability) {
  GHashTable *table = g_hash_table_new_full(g_str_hash, g_str_equal, NULL, g_free);
  GHashTableIter iter;
  gpointer value;

  for (guint i = 0; i < CLASSES; i++)
    for (const MnkConcept *c = mnk_vocabulary_imagenet(i); c; c = broader(c))
      evidence_for(table, c)->sum += probability[i];
  g_hash_table_iter_init(&iter, table);
  while (g_hash_table_iter_next(&iter, NULL, &value)) {
    const Evidence *e = value;
    const MnkConcept *parent = broader(e->concept);
    Evidence *above = parent ? g_hash_table_lookup(table, parent->name) : NULL;
    if (above)
      above->narrower = MAX(above->narrower, e->sum);
  }
  return table;
}

/* Worth naming: not better said by what is narrower, and not a small part of what is broader. */
static gboolean says_best(GHashTable *table, const Evidence *e) {
  const MnkConcept *parent = broader(e->concept);
  const Evidence *above = parent ? g_hash_table_lookup(table, parent->name) : NULL;

  return e->sum >= LABEL_MIN && e->narrower < NARROW_SHARE * e->sum &&
         (!above || e->sum >= NARROW_SHARE * above->sum);
}

static int by_falling_sum(const void *a, const void *b) {
  const Evidence *p = *(const Evidence *const *)a, *q = *(const Evidence *const *)b;

  if (p->sum != q->sum)
    return p->sum < q->sum ? 1 : -1;
  return strcmp(p->concept->name, q->concept->name);
}

guint mnk_scenes_labels(const float *probability, MnkLabel *labels, guint max) {
  g_autoptr(GHashTable) table = gather(probability);
  g_autoptr(GPtrArray) best = g_ptr_array_new();
  GHashTableIter iter;
  gpointer value;

  g_hash_table_iter_init(&iter, table);
  while (g_hash_table_iter_next(&iter, NULL, &value))
    if (says_best(table, value))
      g_ptr_array_add(best, value);
  g_ptr_array_sort(best, by_falling_sum);
  guint n = MIN(best->len, max);
  for (guint i = 0; i < n; i++) {
    const Evidence *e = best->pdata[i];
    g_strlcpy(labels[i].name, e->concept->name, sizeof labels[i].name);
    labels[i].score = MIN(e->sum, 1.0f);
  }
  return n;
}

/* ---- Looking ---- */

static gboolean add_view(Scenes *scenes, const MnkPicture *picture, const MnkRect *from,
                         float share, GError **error) {
  static const MnkRect all = {0, 0, SIDE, SIDE};
  void *input = mnk_net_input(scenes->net, &net_spec.input, error);
  const float *p, *f;

  if (!input)
    return FALSE;
  mnk_resample(picture, from, &format, &all, input);
  if (!mnk_net_run(scenes->net, error) ||
      !(p = mnk_net_output_of(scenes->net, 0, CLASSES, error)) ||
      !(f = mnk_net_output_of(scenes->net, 1, MNK_SCENE_FEATURES, error)))
    return FALSE;
  for (guint i = 0; i < CLASSES; i++)
    scenes->probability[i] += share * p[i];
  for (guint i = 0; i < MNK_SCENE_FEATURES; i++)
    scenes->features[i] += share * f[i];
  return TRUE;
}

/* The centre square in its true shape and the whole picture squeezed are two opinions; what only
 * one of them sees is halved. */
static gboolean scenes_look(gpointer state, MnkLook *look, GError **error) {
  Scenes *scenes = state;
  const MnkPicture *picture = &look->picture;
  int w = picture->width, h = picture->height, side = MIN(w, h);
  MnkRect centre = {(w - side) / 2, (h - side) / 2, side, side}, whole = {0, 0, w, h};
  gboolean wide = MAX(w, h) > WIDE * side;

  scenes->looked = FALSE;
  memset(scenes->probability, 0, sizeof scenes->probability);
  memset(scenes->features, 0, sizeof scenes->features);
  if (!add_view(scenes, picture, wide ? &centre : &whole, wide ? 0.5f : 1.0f, error) ||
      (wide && !add_view(scenes, picture, &whole, 0.5f, error)))
    return FALSE;
  scenes->looked = TRUE;
  look->obs->n_labels =
      mnk_scenes_labels(scenes->probability, look->obs->labels, MNK_OBS_MAX_LABELS);
  return TRUE;
}

const float *mnk_scenes_features(gconstpointer scenes) {
  const Scenes *s = scenes;

  return s && s->looked ? s->features : NULL;
}

const MnkPartOps mnk_part_scenes = {
    MNK_PART_SCENES, "scenes", {"scenes"}, scenes_open, scenes_close, scenes_look,
};
