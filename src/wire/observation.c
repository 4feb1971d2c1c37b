/* Observations as JSON. */
#include "wire/observation.h"

#include "caption_priv.h"
#include "utf8_priv.h"

#include "base/base.h"

#include <math.h>
#include <string.h>

enum {
  SCORE_DECIMALS = 4,
  MEASURE_DECIMALS = 6, /* of what has no fixed range: change, motion */
};
static const double measure_max = 1e6;

/* In the order of the enums. */
static const char *const type_names[] = {"frame", "duplicate", "cut", NULL};
static const char *const cut_names[] = {"none", "hard", "soft", NULL};

/* ---- Writing ---- */

/* A name or line of text from a fixed field: what a reader would refuse (control characters, a
 * character cut off at the field's end) is left out. */
static void add_text(MnkJsonWriter *w, const char *key, const char *field, gsize room) {
  char text[MNK_OBS_TEXT];
  const char *end = field + strnlen(field, room - 1);
  gsize length = 0;
  while (field < end) {
    gunichar c = g_utf8_get_char_validated(field, end - field);
    gsize bytes = c < (gunichar)-2 ? (gsize)g_unichar_to_utf8(c, NULL) : 1;
    if (c < (gunichar)-2 && !g_unichar_iscntrl(c)) {
      memcpy(text + length, field, bytes);
      length += bytes;
    }
    field += bytes;
  }
  text[length] = '\0';
  mnk_json_add_string(w, key, text);
}

static void add_number(MnkJsonWriter *w, const char *key, float value, int decimals) {
  double clamped = isnan(value) ? 0 : CLAMP((double)value, -measure_max, measure_max);
  mnk_json_add_double(w, key, clamped, decimals);
}

static void add_measure(MnkJsonWriter *w, const char *key, float value) {
  add_number(w, key, value, MEASURE_DECIMALS);
}

static void add_score(MnkJsonWriter *w, const char *key, float value) {
  mnk_json_add_double(w, key, mnk_wire_unit((double)value), SCORE_DECIMALS);
}

static void write_motion(MnkJsonWriter *w, const MnkCameraMotion *motion) {
  if (!motion->valid)
    return;
  mnk_json_begin_object(w, "motion");
  add_measure(w, "dx", motion->dx);
  add_measure(w, "dy", motion->dy);
  add_measure(w, "zoom", motion->zoom);
  add_measure(w, "rotation", motion->rotation);
  add_score(w, "inliers", motion->inliers);
  mnk_json_end_object(w);
}

static void write_cut(MnkJsonWriter *w, const MnkObservation *obs) {
  if (obs->cut == MNK_CUT_NONE)
    return;
  mnk_json_begin_object(w, "cut");
  mnk_json_add_string(w, "kind", cut_names[obs->cut]);
  mnk_json_add_int(w, "start_ms", obs->cut_ms);
  mnk_json_add_int(w, "end_ms", obs->cut_end_ms);
  add_score(w, "score", obs->cut_score);
  mnk_json_end_object(w);
}

static void write_labels(MnkJsonWriter *w, const MnkObservation *obs) {
  if (obs->n_labels == 0)
    return;
  mnk_json_begin_array(w, "labels");
  for (guint i = 0; i < MIN(obs->n_labels, MNK_OBS_MAX_LABELS); i++) {
    mnk_json_begin_object(w, NULL);
    add_text(w, "name", obs->labels[i].name, MNK_OBS_NAME);
    add_score(w, "score", obs->labels[i].score);
    mnk_json_end_object(w);
  }
  mnk_json_end_array(w);
}

static void write_detections(MnkJsonWriter *w, const char *key, const MnkDetection *items,
                             guint n) {
  if (n == 0)
    return;
  mnk_json_begin_array(w, key);
  for (guint i = 0; i < n; i++) {
    mnk_json_begin_object(w, NULL);
    add_text(w, "name", items[i].name, MNK_OBS_NAME);
    add_score(w, "score", items[i].score);
    mnk_box_write_json(&items[i].box, "box", w);
    mnk_json_end_object(w);
  }
  mnk_json_end_array(w);
}

static void write_texts(MnkJsonWriter *w, const MnkObservation *obs) {
  if (obs->n_texts == 0)
    return;
  mnk_json_begin_array(w, "texts");
  for (guint i = 0; i < MIN(obs->n_texts, MNK_OBS_MAX_TEXTS); i++) {
    mnk_json_begin_object(w, NULL);
    add_text(w, "text", obs->texts[i].text, MNK_OBS_TEXT);
    add_score(w, "score", obs->texts[i].score);
    mnk_box_write_json(&obs->texts[i].box, "box", w);
    mnk_json_end_object(w);
  }
  mnk_json_end_array(w);
}

static void write_summary(MnkJsonWriter *w, const MnkObservation *obs) {
  if (obs->n_summary == 0)
    return;
  mnk_json_begin_array(w, "summary");
  for (guint i = 0; i < MIN(obs->n_summary, MNK_OBS_MAX_SUMMARY); i++)
    add_number(w, NULL, obs->summary[i], SCORE_DECIMALS);
  mnk_json_end_array(w);
}

void mnk_observation_write_json(const MnkObservation *obs, GString *out) {
  MnkJsonWriter w;
  mnk_json_writer_init(&w, out);
  mnk_json_begin_object(&w, NULL);
  mnk_json_add_string(&w, "type", type_names[obs->type]);
  mnk_json_add_int(&w, "seq", (gint64)obs->seq);
  mnk_json_add_int(&w, "epoch", obs->epoch);
  mnk_json_add_int(&w, "pts_ms", obs->pts_ms);
  mnk_json_add_int(&w, "arrival_us", obs->arrival_us);
  mnk_json_add_int(&w, "step_ms", obs->step_ms);
  add_measure(&w, "change", obs->change);
  add_score(&w, "luma", obs->luma);
  add_score(&w, "contrast", obs->contrast);
  write_cut(&w, obs);
  write_motion(&w, &obs->motion);
  write_labels(&w, obs);
  write_detections(&w, "objects", obs->objects, MIN(obs->n_objects, MNK_OBS_MAX_OBJECTS));
  write_detections(&w, "faces", obs->faces, MIN(obs->n_faces, MNK_OBS_MAX_FACES));
  write_detections(&w, "poses", obs->poses, MIN(obs->n_poses, MNK_OBS_MAX_POSES));
  mnk_json_add_bool(&w, "text_ran", obs->text_ran);
  write_texts(&w, obs);
  write_summary(&w, obs);
  mnk_json_end_object(&w);
}

/* ---- Reading ---- */

static gboolean read_text(const MnkJsonValue *object, const char *key, char *out, gsize room,
                          GError **error) {
  const char *text;
  if (!mnk_json_get_string(object, key, MNK_JSON_REQUIRED, room - 1, &text, error))
    return FALSE;
  for (const char *at = text; *at; at = mnk_utf8_next(at))
    if (g_unichar_iscntrl(g_utf8_get_char(at))) {
      g_set_error(error, MNK_ERROR, MNK_ERROR_BAD_INPUT,
                  "JSON: \"%s\" must be text without control characters", key);
      return FALSE;
    }
  g_strlcpy(out, text, room);
  return TRUE;
}

static gboolean read_measure(const MnkJsonValue *object, const char *key, MnkJsonNeed need,
                             float *out, GError **error) {
  double value = 0;
  if (!mnk_json_get_double(object, key, need, -measure_max, measure_max, &value, error))
    return FALSE;
  *out = (float)value;
  return TRUE;
}

/* names: ends with NULL. */
static gboolean read_enum(const MnkJsonValue *object, const char *key, const char *const *names,
                          guint *out, GError **error) {
  const char *name;
  if (!mnk_json_get_string(object, key, MNK_JSON_REQUIRED, MNK_OBS_NAME, &name, error))
    return FALSE;
  for (guint i = 0; names[i]; i++)
    if (g_str_equal(name, names[i])) {
      *out = i;
      return TRUE;
    }
  g_autofree char *choices = g_strjoinv(", ", (char **)(guintptr)names);
  g_set_error(error, MNK_ERROR, MNK_ERROR_BAD_INPUT, "JSON: \"%s\" must be one of %s", key,
              choices);
  return FALSE;
}

static gboolean read_motion(const MnkJsonValue *object, MnkCameraMotion *out, GError **error) {
  const MnkJsonValue *motion = NULL;
  if (!mnk_json_get_object(object, "motion", MNK_JSON_OPTIONAL, &motion, error))
    return FALSE;
  out->valid = motion != NULL;
  if (!motion)
    return TRUE;
  return read_measure(motion, "dx", MNK_JSON_REQUIRED, &out->dx, error) &&
         read_measure(motion, "dy", MNK_JSON_REQUIRED, &out->dy, error) &&
         read_measure(motion, "zoom", MNK_JSON_REQUIRED, &out->zoom, error) &&
         read_measure(motion, "rotation", MNK_JSON_REQUIRED, &out->rotation, error) &&
         mnk_wire_read_unit(motion, "inliers", MNK_JSON_REQUIRED, &out->inliers, error);
}

static gboolean read_cut(const MnkJsonValue *object, MnkObservation *out, GError **error) {
  const MnkJsonValue *cut = NULL;
  guint kind;
  MnkJsonNeed need = out->type == MNK_OBS_CUT ? MNK_JSON_REQUIRED : MNK_JSON_OPTIONAL;
  if (!mnk_json_get_object(object, "cut", need, &cut, error))
    return FALSE;
  if (!cut)
    return TRUE;
  if (!read_enum(cut, "kind", cut_names, &kind, error) ||
      !mnk_wire_read_interval(cut, &out->cut_ms, &out->cut_end_ms, error) ||
      !mnk_wire_read_unit(cut, "score", MNK_JSON_REQUIRED, &out->cut_score, error))
    return FALSE;
  out->cut = (MnkCut)kind;
  return TRUE;
}

static gboolean read_labels(const MnkJsonValue *object, MnkObservation *out, GError **error) {
  const MnkJsonValue *array = NULL;
  if (!mnk_json_get_array(object, "labels", MNK_JSON_OPTIONAL, MNK_OBS_MAX_LABELS, &array, error))
    return FALSE;
  out->n_labels = mnk_json_size(array);
  for (guint i = 0; i < out->n_labels; i++) {
    const MnkJsonValue *item = mnk_json_at(array, i);
    MnkLabel *label = &out->labels[i];
    if (!read_text(item, "name", label->name, sizeof label->name, error) ||
        !mnk_wire_read_unit(item, "score", MNK_JSON_REQUIRED, &label->score, error))
      return FALSE;
  }
  return TRUE;
}

/* items: room for max. */
static gboolean read_detections(const MnkJsonValue *object, const char *key, guint max,
                                MnkDetection *items, guint *n, GError **error) {
  const MnkJsonValue *array = NULL;
  if (!mnk_json_get_array(object, key, MNK_JSON_OPTIONAL, max, &array, error))
    return FALSE;
  *n = mnk_json_size(array);
  for (guint i = 0; i < *n; i++) {
    const MnkJsonValue *item = mnk_json_at(array, i);
    if (!read_text(item, "name", items[i].name, sizeof items[i].name, error) ||
        !mnk_wire_read_unit(item, "score", MNK_JSON_REQUIRED, &items[i].score, error) ||
        !mnk_box_read_json(item, "box", &items[i].box, error))
      return FALSE;
  }
  return TRUE;
}

static gboolean read_texts(const MnkJsonValue *object, MnkObservation *out, GError **error) {
  const MnkJsonValue *array = NULL;
  if (!mnk_json_get_array(object, "texts", MNK_JSON_OPTIONAL, MNK_OBS_MAX_TEXTS, &array, error))
    return FALSE;
  out->n_texts = mnk_json_size(array);
  for (guint i = 0; i < out->n_texts; i++) {
    const MnkJsonValue *item = mnk_json_at(array, i);
    MnkTextLine *line = &out->texts[i];
    if (!read_text(item, "text", line->text, sizeof line->text, error) ||
        !mnk_wire_read_unit(item, "score", MNK_JSON_REQUIRED, &line->score, error) ||
        !mnk_box_read_json(item, "box", &line->box, error))
      return FALSE;
  }
  return TRUE;
}

static gboolean read_summary(const MnkJsonValue *object, MnkObservation *out, GError **error) {
  const MnkJsonValue *array = NULL;
  if (!mnk_json_get_array(object, "summary", MNK_JSON_OPTIONAL, MNK_OBS_MAX_SUMMARY, &array, error))
    return FALSE;
  out->n_summary = mnk_json_size(array);
  for (guint i = 0; i < out->n_summary; i++) {
    double number = mnk_json_double(mnk_json_at(array, i), NAN);
    if (!(fabs(number) <= measure_max)) {
      g_set_error(error, MNK_ERROR, MNK_ERROR_BAD_INPUT,
                  "JSON: \"summary\" must hold numbers from %g to %g", -measure_max, measure_max);
      return FALSE;
    }
    out->summary[i] = (float)number;
  }
  return TRUE;
}

/* What every observation has. */
static gboolean read_frame(const MnkJsonValue *value, MnkObservation *out, GError **error) {
  gint64 seq = 0, epoch = 0;
  guint type;
  if (!read_enum(value, "type", type_names, &type, error) ||
      !mnk_json_get_int(value, "seq", MNK_JSON_REQUIRED, 0, G_MAXINT64, &seq, error) ||
      !mnk_json_get_int(value, "epoch", MNK_JSON_REQUIRED, 0, G_MAXUINT32, &epoch, error) ||
      !mnk_wire_read_time(value, "pts_ms", MNK_JSON_REQUIRED, &out->pts_ms, error) ||
      !mnk_wire_read_time(value, "arrival_us", MNK_JSON_REQUIRED, &out->arrival_us, error) ||
      !mnk_json_get_int(value, "step_ms", MNK_JSON_REQUIRED, 0, MNK_WIRE_TIME_MAX, &out->step_ms,
                        error))
    return FALSE;
  out->type = (MnkObservationType)type;
  out->seq = (guint64)seq;
  out->epoch = (guint32)epoch;
  return read_measure(value, "change", MNK_JSON_OPTIONAL, &out->change, error) &&
         mnk_wire_read_unit(value, "luma", MNK_JSON_OPTIONAL, &out->luma, error) &&
         mnk_wire_read_unit(value, "contrast", MNK_JSON_OPTIONAL, &out->contrast, error);
}

gboolean mnk_observation_read_json(const MnkJsonValue *value, MnkObservation *out, GError **error) {
  *out = (MnkObservation){0};
  return read_frame(value, out, error) && read_cut(value, out, error) &&
         read_motion(value, &out->motion, error) && read_labels(value, out, error) &&
         read_detections(value, "objects", MNK_OBS_MAX_OBJECTS, out->objects, &out->n_objects,
                         error) &&
         read_detections(value, "faces", MNK_OBS_MAX_FACES, out->faces, &out->n_faces, error) &&
         read_detections(value, "poses", MNK_OBS_MAX_POSES, out->poses, &out->n_poses, error) &&
         mnk_json_get_bool(value, "text_ran", MNK_JSON_OPTIONAL, &out->text_ran, error) &&
         read_texts(value, out, error) && read_summary(value, out, error);
}
