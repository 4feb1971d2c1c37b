/* Typed members of an object, with ranges and with errors that name them. */
#include "wire/json.h"

#include "base/base.h"

#include <math.h>
#include <string.h>

static const char *type_name(MnkJsonType type) {
  static const char *const names[] = {"null",     "a boolean", "a whole number", "a number",
                                      "a string", "an array",  "an object"};
  return names[type];
}

/* TRUE with *value NULL when an optional member is missing or null. */
static gboolean find(const MnkJsonValue *object, const char *key, MnkJsonNeed need,
                     const MnkJsonValue **value, GError **error) {
  *value = mnk_json_get(object, key);
  if (mnk_json_type(*value) == MNK_JSON_NULL && need == MNK_JSON_OPTIONAL)
    *value = NULL;
  if (*value || need == MNK_JSON_OPTIONAL)
    return TRUE;
  g_set_error(error, MNK_ERROR, MNK_ERROR_BAD_INPUT, "JSON: the member \"%s\" is missing", key);
  return FALSE;
}

static gboolean wrong(const char *key, const char *expected, const MnkJsonValue *value,
                      GError **error) {
  g_set_error(error, MNK_ERROR, MNK_ERROR_BAD_INPUT, "JSON: \"%s\" must be %s and is %s", key,
              expected, type_name(mnk_json_type(value)));
  return FALSE;
}

/* A whole number may be written with a fraction of zero: 3.0, 1e3. */
static gboolean whole_number(const MnkJsonValue *value, gint64 *out) {
  if (mnk_json_type(value) == MNK_JSON_INT) {
    *out = mnk_json_int(value, 0);
    return TRUE;
  }
  double number = mnk_json_double(value, NAN);
  if (!(fabs(number) <= 9007199254740992.0) || number != trunc(number))
    return FALSE;
  *out = (gint64)number;
  return TRUE;
}

gboolean mnk_json_get_int(const MnkJsonValue *object, const char *key, MnkJsonNeed need, gint64 min,
                          gint64 max, gint64 *out, GError **error) {
  const MnkJsonValue *value;
  gint64 number;
  if (!find(object, key, need, &value, error))
    return FALSE;
  if (!value)
    return TRUE;
  if (!whole_number(value, &number))
    return wrong(key, "a whole number", value, error);
  if (number < min || number > max) {
    g_set_error(error, MNK_ERROR, MNK_ERROR_BAD_INPUT,
                "JSON: \"%s\" must be a whole number from %" G_GINT64_FORMAT " to %" G_GINT64_FORMAT
                " and is %" G_GINT64_FORMAT,
                key, min, max, number);
    return FALSE;
  }
  *out = number;
  return TRUE;
}

gboolean mnk_json_get_double(const MnkJsonValue *object, const char *key, MnkJsonNeed need,
                             double min, double max, double *out, GError **error) {
  const MnkJsonValue *value;
  if (!find(object, key, need, &value, error))
    return FALSE;
  if (!value)
    return TRUE;
  double number = mnk_json_double(value, NAN);
  if (isnan(number))
    return wrong(key, "a number", value, error);
  if (number < min || number > max) {
    g_set_error(error, MNK_ERROR, MNK_ERROR_BAD_INPUT,
                "JSON: \"%s\" must be a number from %g to %g and is %g", key, min, max, number);
    return FALSE;
  }
  *out = number;
  return TRUE;
}

gboolean mnk_json_get_bool(const MnkJsonValue *object, const char *key, MnkJsonNeed need,
                           gboolean *out, GError **error) {
  const MnkJsonValue *value;
  if (!find(object, key, need, &value, error))
    return FALSE;
  if (!value)
    return TRUE;
  if (mnk_json_type(value) != MNK_JSON_BOOL)
    return wrong(key, "true or false", value, error);
  *out = mnk_json_bool(value, FALSE);
  return TRUE;
}

gboolean mnk_json_get_string(const MnkJsonValue *object, const char *key, MnkJsonNeed need,
                             gsize max_bytes, const char **out, GError **error) {
  const MnkJsonValue *value;
  if (!find(object, key, need, &value, error))
    return FALSE;
  if (!value)
    return TRUE;
  const char *text = mnk_json_string(value, NULL);
  if (!text)
    return wrong(key, "a string", value, error);
  if (strlen(text) > max_bytes) {
    g_set_error(error, MNK_ERROR, MNK_ERROR_LIMIT,
                "JSON: \"%s\" must be a string of at most %" G_GSIZE_FORMAT
                " bytes and has %" G_GSIZE_FORMAT,
                key, max_bytes, strlen(text));
    return FALSE;
  }
  *out = text;
  return TRUE;
}

gboolean mnk_json_get_array(const MnkJsonValue *object, const char *key, MnkJsonNeed need,
                            guint max, const MnkJsonValue **out, GError **error) {
  const MnkJsonValue *value;
  if (!find(object, key, need, &value, error))
    return FALSE;
  if (!value)
    return TRUE;
  if (mnk_json_type(value) != MNK_JSON_ARRAY)
    return wrong(key, "an array", value, error);
  if (mnk_json_size(value) > max) {
    g_set_error(error, MNK_ERROR, MNK_ERROR_LIMIT,
                "JSON: \"%s\" must be an array of at most %u elements and has %u", key, max,
                mnk_json_size(value));
    return FALSE;
  }
  *out = value;
  return TRUE;
}

gboolean mnk_json_get_object(const MnkJsonValue *object, const char *key, MnkJsonNeed need,
                             const MnkJsonValue **out, GError **error) {
  const MnkJsonValue *value;
  if (!find(object, key, need, &value, error))
    return FALSE;
  if (!value)
    return TRUE;
  if (mnk_json_type(value) != MNK_JSON_OBJECT)
    return wrong(key, "an object", value, error);
  *out = value;
  return TRUE;
}
