/* Facts and captions as JSON, both ways. */
#include "caption_priv.h"

#include "base/base.h"

enum {
  MAX_TEXT = 16384,
  MAX_NAME = 512,
  MAX_FACTS = 256,
  MAX_COUNT = 1000000,
  SCORE_DECIMALS = 3,
  BOX_DECIMALS = 4,
};

/* ---- Shared pieces ---- */

double mnk_wire_unit(double value) {
  return value > 0 ? MIN(value, 1.0) : 0;
}

/* No side that is left after rounding to BOX_DECIMALS. */
static gboolean box_is_empty(const MnkBox *box) {
  const float least = 0.00005f;
  return !(box->x > least || box->y > least || box->w > least || box->h > least);
}

void mnk_box_write_json(const MnkBox *box, const char *key, MnkJsonWriter *w) {
  if (box_is_empty(box)) {
    mnk_json_add_null(w, key);
    return;
  }
  const double sides[] = {box->x, box->y, box->w, box->h};
  mnk_json_begin_array(w, key);
  for (guint i = 0; i < G_N_ELEMENTS(sides); i++)
    mnk_json_add_double(w, NULL, mnk_wire_unit(sides[i]), BOX_DECIMALS);
  mnk_json_end_array(w);
}

gboolean mnk_box_read_json(const MnkJsonValue *object, const char *key, MnkBox *out,
                           GError **error) {
  const MnkJsonValue *array = NULL;
  double sides[4];
  *out = (MnkBox){0};
  if (!mnk_json_get_array(object, key, MNK_JSON_OPTIONAL, 4, &array, error))
    return FALSE;
  if (!array)
    return TRUE;
  for (guint i = 0; i < G_N_ELEMENTS(sides); i++) {
    sides[i] = mnk_json_double(mnk_json_at(array, i), -1);
    if (sides[i] < 0 || sides[i] > 1) {
      g_set_error(error, MNK_ERROR, MNK_ERROR_BAD_INPUT,
                  "JSON: \"%s\" must be an array of 4 numbers from 0 to 1", key);
      return FALSE;
    }
  }
  *out = (MnkBox){(float)sides[0], (float)sides[1], (float)sides[2], (float)sides[3]};
  return TRUE;
}

gboolean mnk_wire_read_unit(const MnkJsonValue *object, const char *key, MnkJsonNeed need,
                            float *out, GError **error) {
  double value = *out;
  if (!mnk_json_get_double(object, key, need, 0, 1, &value, error))
    return FALSE;
  *out = (float)value;
  return TRUE;
}

gboolean mnk_wire_read_time(const MnkJsonValue *object, const char *key, MnkJsonNeed need,
                            gint64 *out, GError **error) {
  return mnk_json_get_int(object, key, need, -MNK_WIRE_TIME_MAX, MNK_WIRE_TIME_MAX, out, error);
}

gboolean mnk_wire_read_interval(const MnkJsonValue *object, gint64 *start_ms, gint64 *end_ms,
                                GError **error) {
  if (!mnk_wire_read_time(object, "start_ms", MNK_JSON_REQUIRED, start_ms, error))
    return FALSE;
  return mnk_json_get_int(object, "end_ms", MNK_JSON_REQUIRED, *start_ms, MNK_WIRE_TIME_MAX, end_ms,
                          error);
}

/* ---- Writing ---- */

static const char *or_empty(const char *text) {
  return text ? text : "";
}

void mnk_fact_write_json(const MnkFact *fact, MnkJsonWriter *w) {
  mnk_json_begin_object(w, NULL);
  mnk_json_add_string(w, "kind", mnk_fact_kind_name(fact->kind));
  mnk_json_add_string(w, "name", or_empty(fact->name));
  if (fact->kind == MNK_FACT_ACTION)
    mnk_json_add_string(w, "of", or_empty(fact->of));
  mnk_json_add_double(w, "score", mnk_wire_unit((double)fact->score), SCORE_DECIMALS);
  mnk_json_add_int(w, "count", fact->count);
  mnk_box_write_json(&fact->box, "box", w);
  mnk_json_add_int(w, "start_ms", fact->start_ms);
  mnk_json_add_int(w, "end_ms", fact->end_ms);
  mnk_json_end_object(w);
}

void mnk_caption_write_json_to(const MnkCaption *caption, MnkJsonWriter *w, const char *key) {
  mnk_json_begin_object(w, key);
  mnk_json_add_string(w, "type", "caption");
  mnk_json_add_string(w, "stream", or_empty(caption->stream));
  mnk_json_add_string(w, "id", or_empty(caption->id));
  if (caption->seq > 0)
    mnk_json_add_int(w, "seq", (gint64)caption->seq);
  mnk_json_add_int(w, "start_ms", caption->start_ms);
  mnk_json_add_int(w, "end_ms", caption->end_ms);
  if (caption->picture_ms >= 0)
    mnk_json_add_int(w, "picture_ms", caption->picture_ms);
  mnk_json_add_bool(w, "final", caption->final);
  mnk_json_add_string(w, "backend", or_empty(caption->backend));
  mnk_json_add_string(w, "lang", or_empty(caption->lang));
  mnk_json_add_string(w, "text", or_empty(caption->text));
  mnk_json_begin_array(w, "facts");
  for (guint i = 0; i < caption->facts->len; i++)
    mnk_fact_write_json(g_ptr_array_index(caption->facts, i), w);
  mnk_json_end_array(w);
  mnk_json_end_object(w);
}

void mnk_caption_write_json(const MnkCaption *caption, GString *out) {
  MnkJsonWriter w;
  mnk_json_writer_init(&w, out);
  mnk_caption_write_json_to(caption, &w, NULL);
}

/* ---- Reading ---- */

static gboolean read_name(const MnkJsonValue *object, const char *key, gsize max, char **out,
                          GError **error) {
  const char *text;
  if (!mnk_json_get_string(object, key, MNK_JSON_REQUIRED, max, &text, error))
    return FALSE;
  *out = g_strdup(text);
  return TRUE;
}

static gboolean read_kind(const MnkJsonValue *object, MnkFactKind *kind, GError **error) {
  const char *name;
  if (!mnk_json_get_string(object, "kind", MNK_JSON_REQUIRED, MAX_NAME, &name, error))
    return FALSE;
  for (guint i = 0; i < MNK_FACT_N; i++)
    if (g_str_equal(name, mnk_fact_kind_name((MnkFactKind)i))) {
      *kind = (MnkFactKind)i;
      return TRUE;
    }
  g_set_error(error, MNK_ERROR, MNK_ERROR_BAD_INPUT, "JSON: \"kind\" must be a kind of fact");
  return FALSE;
}

MnkFact *mnk_fact_read_json(const MnkJsonValue *value, GError **error) {
  g_autoptr(MnkFact) fact = mnk_fact_new(MNK_FACT_OBJECT, NULL);
  gint64 count;
  if (!read_kind(value, &fact->kind, error) ||
      !read_name(value, "name", MAX_NAME, &fact->name, error) ||
      !mnk_wire_read_unit(value, "score", MNK_JSON_REQUIRED, &fact->score, error) ||
      !mnk_json_get_int(value, "count", MNK_JSON_REQUIRED, 0, MAX_COUNT, &count, error) ||
      !mnk_box_read_json(value, "box", &fact->box, error) ||
      !mnk_wire_read_interval(value, &fact->start_ms, &fact->end_ms, error))
    return NULL;
  fact->count = (guint)count;
  if (fact->kind == MNK_FACT_ACTION && !read_name(value, "of", MAX_NAME, &fact->of, error))
    return NULL;
  return g_steal_pointer(&fact);
}

/* Without the member, as captions have it that were never committed: 0. */
static gboolean read_seq(const MnkJsonValue *value, guint64 *seq, GError **error) {
  gint64 number = 0;
  if (!mnk_json_get_int(value, "seq", MNK_JSON_OPTIONAL, 0, MNK_WIRE_TIME_MAX, &number, error))
    return FALSE;
  *seq = (guint64)number;
  return TRUE;
}

static gboolean read_type(const MnkJsonValue *value, GError **error) {
  const char *type;
  if (!mnk_json_get_string(value, "type", MNK_JSON_REQUIRED, MAX_NAME, &type, error))
    return FALSE;
  if (g_str_equal(type, "caption"))
    return TRUE;
  g_set_error(error, MNK_ERROR, MNK_ERROR_BAD_INPUT, "JSON: \"type\" must be \"caption\"");
  return FALSE;
}

MnkCaption *mnk_caption_read_json(const MnkJsonValue *value, GError **error) {
  g_autoptr(MnkCaption) caption = mnk_caption_new();
  const MnkJsonValue *facts;
  if (!read_type(value, error) || !read_name(value, "stream", MAX_NAME, &caption->stream, error) ||
      !read_name(value, "id", MAX_NAME, &caption->id, error) ||
      !read_seq(value, &caption->seq, error) ||
      !mnk_wire_read_interval(value, &caption->start_ms, &caption->end_ms, error) ||
      !mnk_json_get_int(value, "picture_ms", MNK_JSON_OPTIONAL, 0, MNK_WIRE_TIME_MAX,
                        &caption->picture_ms, error) ||
      !mnk_json_get_bool(value, "final", MNK_JSON_REQUIRED, &caption->final, error) ||
      !read_name(value, "backend", MAX_NAME, &caption->backend, error) ||
      !read_name(value, "lang", MAX_NAME, &caption->lang, error) ||
      !read_name(value, "text", MAX_TEXT, &caption->text, error) ||
      !mnk_json_get_array(value, "facts", MNK_JSON_REQUIRED, MAX_FACTS, &facts, error))
    return NULL;
  for (guint i = 0; i < mnk_json_size(facts); i++) {
    MnkFact *fact = mnk_fact_read_json(mnk_json_at(facts, i), error);
    if (!fact)
      return NULL;
    g_ptr_array_add(caption->facts, fact);
  }
  return g_steal_pointer(&caption);
}
