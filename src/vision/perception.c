/* Perception: the parts together. Each is opened when a frame first needs it, timed, and switched
 * off with a sentence when it fails; the others go on. */
#include "vision/perception_priv.h"

#include <math.h>

#include "base/base.h"
#include "models/models.h"

/* In the order in which they look: later ones use what earlier ones found. */
static const MnkPartOps *const part_table[MNK_PARTS] = {
    &mnk_part_scenes, &mnk_part_objects, &mnk_part_faces, &mnk_part_pose, &mnk_part_text,
};

typedef struct {
  const MnkPartOps *ops;
  gpointer state; /* NULL: not opened yet, or it cannot be */
  char *fault;    /* why it does not work; NULL: it does, as far as is known */
  gint64 us;
  guint64 runs;
} Part;

struct _MnkPerception {
  char *models_dir;
  gboolean stub;
  guint wanted;
  MnkRuntime *runtime;
  Part parts[MNK_PARTS];
  const float *features; /* of the last frame looked at; NULL: the scene model did not see it */
  guint n_features;
  float colours[MNK_STUB_FEATURES];
};

const char *mnk_part_name(MnkPart part) {
  for (guint i = 0; i < MNK_PARTS; i++)
    if (part_table[i]->part == part)
      return part_table[i]->name;
  return "";
}

static Part *find(const MnkPerception *perception, MnkPart part) {
  for (guint i = 0; i < MNK_PARTS; i++)
    if (part_table[i]->part == part)
      return (Part *)&perception->parts[i];
  return NULL;
}

/* ---- Faults ---- */

static void switch_off(Part *part, const char *why) {
  if (part->state)
    part->ops->close(part->state);
  part->state = NULL;
  g_free(part->fault);
  part->fault = g_strdup(why);
  mnk_warning("vision", NULL, "event=part-off part=%s why=\"%s\"", part->ops->name, why);
}

/* Its model files, without reading them. */
static void check_files(const MnkPerception *perception, Part *part) {
  for (guint i = 0; i < MNK_PART_MAX_MODELS && part->ops->models[i]; i++) {
    const MnkModelEntry *entry = mnk_models_find(part->ops->models[i]);
    g_autofree char *why = NULL;
    if (!entry)
      why = g_strdup_printf("the manifest has no model \"%s\"", part->ops->models[i]);
    if (!entry || mnk_models_check(perception->models_dir, entry, FALSE, &why) != MNK_MODEL_OK) {
      part->fault = g_steal_pointer(&why); /* told by who asks which parts work */
      return;
    }
  }
}

static gboolean open_part(MnkPerception *perception, Part *part) {
  g_autoptr(GError) error = NULL;

  if (part->fault)
    return FALSE;
  if (!part->state)
    part->state = part->ops->open(perception->runtime, perception->models_dir, &error);
  if (!part->state)
    switch_off(part, error->message);
  return part->state != NULL;
}

/* The first fault among the parts, as an error. */
static void report_fault(const MnkPerception *perception, guint parts, GError **error) {
  for (guint i = 0; i < MNK_PARTS; i++) {
    const Part *part = &perception->parts[i];
    if ((part->ops->part & parts) && part->fault) {
      g_set_error(error, MNK_ERROR, MNK_ERROR_MODEL, "nothing can be seen: %s", part->fault);
      return;
    }
  }
}

/* ---- Life ---- */

static void prepare(MnkPerception *perception, const MnkPerceptionConfig *config) {
  g_autoptr(GError) error = NULL;

  perception->runtime = mnk_runtime_new(config->cache_dir, config->threads, &error);
  for (guint i = 0; i < MNK_PARTS; i++) {
    if (perception->runtime)
      check_files(perception, &perception->parts[i]);
    else
      perception->parts[i].fault = g_strdup(error->message);
  }
}

MnkPerception *mnk_perception_new(const MnkPerceptionConfig *config, GError **error) {
  g_autoptr(MnkPerception) perception = g_new0(MnkPerception, 1);

  perception->stub = config->stub;
  perception->wanted = config->parts;
  perception->models_dir = mnk_models_dir(config->models_dir);
  for (guint i = 0; i < MNK_PARTS; i++)
    perception->parts[i].ops = part_table[i];
  if (config->stub)
    return g_steal_pointer(&perception);
  prepare(perception, config);
  if (config->parts && !(mnk_perception_parts(perception) & config->parts)) {
    report_fault(perception, config->parts, error);
    return NULL;
  }
  return g_steal_pointer(&perception);
}

void mnk_perception_free(MnkPerception *perception) {
  if (!perception)
    return;
  for (guint i = 0; i < MNK_PARTS; i++) {
    Part *part = &perception->parts[i];
    if (part->state)
      part->ops->close(part->state);
    g_free(part->fault);
  }
  mnk_runtime_free(perception->runtime);
  g_free(perception->models_dir);
  g_free(perception);
}

gboolean mnk_perception_warm(MnkPerception *perception, guint parts, GError **error) {
  guint open = 0;

  if (perception->stub)
    return TRUE;
  for (guint i = 0; i < MNK_PARTS; i++)
    if ((part_table[i]->part & parts) && open_part(perception, &perception->parts[i]))
      open |= part_table[i]->part;
  if (parts && !open) {
    report_fault(perception, parts, error);
    return FALSE;
  }
  return TRUE;
}

void mnk_perception_set_parts(MnkPerception *perception, guint parts) {
  perception->wanted = parts & MNK_PART_ALL;
}

guint mnk_perception_parts(const MnkPerception *perception) {
  guint parts = 0;

  for (guint i = 0; i < MNK_PARTS; i++)
    if (!perception->parts[i].fault)
      parts |= part_table[i]->part;
  return parts;
}

const char *mnk_perception_fault(const MnkPerception *perception, MnkPart part) {
  const Part *p = find(perception, part);

  return p ? p->fault : NULL;
}

void mnk_perception_times(const MnkPerception *perception, MnkPart part, gint64 *us,
                          guint64 *runs) {
  const Part *p = find(perception, part);

  *us = p ? p->us : 0;
  *runs = p ? p->runs : 0;
}

const float *mnk_perception_features(const MnkPerception *perception, guint *n) {
  *n = perception->n_features;
  return perception->features;
}

char *mnk_perception_runtime_version(GError **error) {
  g_autoptr(MnkRuntime) runtime = mnk_runtime_new(NULL, 1, error);

  return g_strdup(runtime ? mnk_runtime_version(runtime) : "");
}

/* ---- Looking ---- */

enum { MAX_SIDE = 2048, LIGHT_GRID = 48 };

static void clear(MnkObservation *obs) {
  obs->luma = obs->contrast = 0;
  obs->n_labels = obs->n_objects = obs->n_faces = obs->n_poses = obs->n_texts = 0;
  obs->text_ran = FALSE;
}

static void measure_light(const MnkPicture *picture, MnkObservation *obs) {
  double sum = 0, squares = 0, n = LIGHT_GRID * LIGHT_GRID;

  for (int y = 0; y < LIGHT_GRID; y++)
    for (int x = 0; x < LIGHT_GRID; x++) {
      int px = (2 * x + 1) * picture->width / (2 * LIGHT_GRID);
      int py = (2 * y + 1) * picture->height / (2 * LIGHT_GRID);
      const guint8 *p = picture->rgb + (gsize)py * picture->stride + (gsize)px * 3;
      double luma = (0.2126 * p[0] + 0.7152 * p[1] + 0.0722 * p[2]) / 255;
      sum += luma;
      squares += luma * luma;
    }
  obs->luma = (float)(sum / n);
  obs->contrast = (float)sqrt(MAX(squares / n - (sum / n) * (sum / n), 0));
}

static void look_with_stub(MnkPerception *perception, MnkLook *look) {
  MnkLabel *label = &look->obs->labels[0];

  g_strlcpy(label->name, mnk_colour_thing(&look->picture, &label->score), sizeof label->name);
  look->obs->n_labels = 1;
  mnk_colour_features(&look->picture, perception->colours);
  perception->features = perception->colours;
  perception->n_features = MNK_STUB_FEATURES;
}

/* What a part leaves behind when it fails half way is taken back. */
static void forget(MnkObservation *obs, MnkPart part) {
  switch (part) {
  case MNK_PART_SCENES:
    obs->n_labels = 0;
    break;
  case MNK_PART_OBJECTS:
    obs->n_objects = 0;
    break;
  case MNK_PART_FACES:
    obs->n_faces = 0;
    break;
  case MNK_PART_POSE:
    obs->n_poses = 0;
    break;
  case MNK_PART_TEXT:
  case MNK_PART_ALL:
    obs->n_texts = 0;
    obs->text_ran = FALSE;
    break;
  }
}

static void look_with(MnkPerception *perception, Part *part, MnkLook *look) {
  g_autoptr(GError) error = NULL;

  if (!open_part(perception, part))
    return;
  gint64 start = g_get_monotonic_time();
  gboolean ok = part->ops->look(part->state, look, &error);
  part->us += g_get_monotonic_time() - start;
  part->runs++;
  if (ok && part->ops->part == MNK_PART_SCENES) {
    perception->features = mnk_scenes_features(part->state);
    perception->n_features = MNK_SCENE_FEATURES;
  }
  if (ok)
    return;
  forget(look->obs, part->ops->part);
  switch_off(part, error->message);
}

gboolean mnk_perception_look(MnkPerception *perception, const MnkFrame *frame, gboolean new_shot,
                             MnkObservation *obs, GError **error) {
  MnkLook look = {
      frame, {frame->planes[0], frame->width, frame->height, frame->strides[0]}, new_shot, obs};

  if (frame->format != MNK_FRAME_RGB || frame->width < 1 || frame->height < 1 ||
      frame->width > MAX_SIDE || frame->height > MAX_SIDE) {
    g_set_error(error, MNK_ERROR, MNK_ERROR_INTERNAL,
                "perception wants an RGB frame of at most %d pixels a side, not %d x %d", MAX_SIDE,
                frame->width, frame->height);
    return FALSE;
  }
  clear(obs);
  perception->features = NULL;
  perception->n_features = 0;
  measure_light(&look.picture, obs);
  if (perception->stub) {
    look_with_stub(perception, &look);
    return TRUE;
  }
  for (guint i = 0; i < MNK_PARTS; i++)
    if (part_table[i]->part & perception->wanted)
      look_with(perception, &perception->parts[i], &look);
  return TRUE;
}
