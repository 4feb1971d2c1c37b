/* The only file that knows json-c. It sees text that json_check.c has passed. */
#include "wire/json.h"

#include "base/base.h"

#include <json-c/json.h>
#include <string.h>

struct _MnkJson {
  json_object *root; /* NULL: the document is null */
};

/* json-c has no object for null: its place is this one. */
static const char null_place;

static const MnkJsonValue *value_of(json_object *object) {
  return object ? (const MnkJsonValue *)object : (const MnkJsonValue *)&null_place;
}

/* NULL for a missing value and for null. json-c's readers are not const, though they change
 * nothing. */
static json_object *object_of(const MnkJsonValue *value) {
  return value == (const MnkJsonValue *)&null_place ? NULL : (json_object *)(guintptr)value;
}

MnkJson *mnk_json_parse(const char *bytes, gsize length, const MnkJsonLimits *limits,
                        GError **error) {
  if (!mnk_json_check(bytes, length, limits, error))
    return NULL;
  guint depth = limits ? limits->max_depth : mnk_json_limits_default.max_depth;
  struct json_tokener *tokener = json_tokener_new_ex((int)MIN(depth, G_MAXINT16) + 1);
  if (!tokener) {
    g_set_error(error, MNK_ERROR, MNK_ERROR_LIMIT, "JSON: no memory to read a document");
    return NULL;
  }
  json_object *root = json_tokener_parse_ex(tokener, bytes, (int)length);
  /* A number at the top may go on: only a NUL ends it. */
  if (json_tokener_get_error(tokener) == json_tokener_continue)
    root = json_tokener_parse_ex(tokener, "", 1);
  enum json_tokener_error status = json_tokener_get_error(tokener);
  json_tokener_free(tokener);
  if (status != json_tokener_success) {
    json_object_put(root);
    g_set_error(error, MNK_ERROR, MNK_ERROR_BAD_INPUT, "JSON: %s", json_tokener_error_desc(status));
    return NULL;
  }
  MnkJson *json = g_new0(MnkJson, 1);
  json->root = root;
  return json;
}

void mnk_json_free(MnkJson *json) {
  if (!json)
    return;
  json_object_put(json->root);
  g_free(json);
}

const MnkJsonValue *mnk_json_root(const MnkJson *json) {
  return value_of(json->root);
}

MnkJsonType mnk_json_type(const MnkJsonValue *value) {
  switch (json_object_get_type(object_of(value))) {
  case json_type_boolean:
    return MNK_JSON_BOOL;
  case json_type_int:
    return MNK_JSON_INT;
  case json_type_double:
    return MNK_JSON_DOUBLE;
  case json_type_string:
    return MNK_JSON_STRING;
  case json_type_array:
    return MNK_JSON_ARRAY;
  case json_type_object:
    return MNK_JSON_OBJECT;
  case json_type_null:
    break;
  }
  return MNK_JSON_NULL;
}

guint mnk_json_size(const MnkJsonValue *value) {
  json_object *object = object_of(value);
  if (json_object_is_type(object, json_type_array))
    return (guint)json_object_array_length(object);
  if (json_object_is_type(object, json_type_object))
    return (guint)json_object_object_length(object);
  return 0;
}

const MnkJsonValue *mnk_json_at(const MnkJsonValue *array, guint index) {
  json_object *object = object_of(array);
  if (!json_object_is_type(object, json_type_array) || index >= json_object_array_length(object))
    return NULL;
  return value_of(json_object_array_get_idx(object, index));
}

const MnkJsonValue *mnk_json_get(const MnkJsonValue *object, const char *key) {
  json_object *found;
  /* It answers FALSE for what is not an object. */
  if (!json_object_object_get_ex(object_of(object), key, &found))
    return NULL;
  return value_of(found);
}

gboolean mnk_json_next(const MnkJsonValue *object, MnkJsonIter *iter, const char **key,
                       const MnkJsonValue **value) {
  const struct lh_entry *entry = iter->next;
  if (!iter->started && json_object_is_type(object_of(object), json_type_object))
    entry = json_object_get_object(object_of(object))->head;
  iter->started = TRUE;
  if (!entry)
    return FALSE;
  *key = lh_entry_k(entry);
  *value = value_of(lh_entry_v(entry));
  iter->next = lh_entry_next(entry);
  return TRUE;
}

gboolean mnk_json_bool(const MnkJsonValue *value, gboolean fallback) {
  json_object *object = object_of(value);
  return json_object_is_type(object, json_type_boolean) ? json_object_get_boolean(object)
                                                        : fallback;
}

gint64 mnk_json_int(const MnkJsonValue *value, gint64 fallback) {
  json_object *object = object_of(value);
  return json_object_is_type(object, json_type_int) ? json_object_get_int64(object) : fallback;
}

double mnk_json_double(const MnkJsonValue *value, double fallback) {
  json_object *object = object_of(value);
  if (json_object_is_type(object, json_type_int) || json_object_is_type(object, json_type_double))
    return json_object_get_double(object);
  return fallback;
}

const char *mnk_json_string(const MnkJsonValue *value, const char *fallback) {
  json_object *object = object_of(value);
  return json_object_is_type(object, json_type_string) ? json_object_get_string(object) : fallback;
}
