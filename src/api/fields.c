/* Checks queries and JSON bodies against the routes' tables. */
#include "api/core_priv.h"

#include <math.h>
#include <string.h>

enum { STRING_MAX = 4096 };

static gboolean has_range(const MnkField *field) {
  return field->max > field->min;
}

static double string_max(const MnkField *field) {
  return field->max > 0 ? field->max : (double)STRING_MAX;
}

/* What the member must be. Caller frees. */
static char *expected(const MnkField *field) {
  g_autofree char *range = has_range(field)
                               ? g_strdup_printf(" from %.15g to %.15g", field->min, field->max)
                               : g_strdup("");
  gint64 least = (gint64)ceil(field->min), most = (gint64)floor(field->max);
  switch (field->type) {
  case MNK_FIELD_STRING:
    return g_strdup_printf("text of %.0f to %.0f bytes", field->min, string_max(field));
  case MNK_FIELD_INT:
    if (!has_range(field))
      return g_strdup("a whole number");
    return least == most
               ? g_strdup_printf("%" G_GINT64_FORMAT, least)
               : g_strdup_printf("a whole number from %" G_GINT64_FORMAT " to %" G_GINT64_FORMAT,
                                 least, most);
  case MNK_FIELD_DOUBLE:
    return g_strconcat("a number", range, NULL);
  case MNK_FIELD_BOOL:
    return g_strdup("true or false");
  case MNK_FIELD_TIME:
    return g_strdup("a time such as 90, 1:30 or 0:01:30.5");
  case MNK_FIELD_ENUM: {
    g_auto(GStrv) choices = g_strsplit(field->choices, "|", -1);
    g_autofree char *list = g_strjoinv(", ", choices);
    return g_strconcat("one of ", list, NULL);
  }
  case MNK_FIELD_LIST:
    return g_strdup_printf("a list of %.0f to %.0f", field->min, field->max);
  case MNK_FIELD_OPTION:
    return mnk_params_expected(mnk_field_option(field));
  case MNK_FIELD_PARAMS:
  case MNK_FIELD_OBJECT:
    break;
  }
  return g_strdup("an object");
}

static gboolean refuse(const MnkField *field, GError **error) {
  g_autofree char *want = expected(field);
  g_set_error(error, MNK_ERROR, MNK_ERROR_USAGE, "%s must be %s", field->name, want);
  return FALSE;
}

const MnkField *mnk_field_find(const MnkField *table, const char *name) {
  for (; table != NULL && table->name != NULL; table++)
    if (strcmp(table->name, name) == 0)
      return table;
  return NULL;
}

const MnkOption *mnk_field_option(const MnkField *field) {
  return mnk_params_option(field->choices != NULL ? field->choices : field->name);
}

gboolean mnk_options_apply(MnkSettings *settings, const MnkField *table, const MnkJsonValue *object,
                           GError **error) {
  for (; table->name != NULL; table++) {
    const MnkJsonValue *value = mnk_json_get(object, table->name);
    if (table->type == MNK_FIELD_OPTION && mnk_json_type(value) != MNK_JSON_NULL &&
        !mnk_params_set(settings, table->choices != NULL ? table->choices : table->name, value,
                        error))
      return FALSE;
  }
  return TRUE;
}

static gboolean is_choice(const MnkField *field, const char *text) {
  g_auto(GStrv) choices = g_strsplit(field->choices, "|", -1);
  return g_strv_contains((const char *const *)choices, text);
}

static gboolean is_bool_text(const char *text) {
  static const char *const WORDS[] = {"true", "false", "1", "0", NULL};
  return g_strv_contains(WORDS, text);
}

static gboolean in_range(const MnkField *field, double number) {
  return !has_range(field) || (number >= field->min && number <= field->max);
}

static gboolean is_string(const MnkField *field, const char *text) {
  double length = (double)strlen(text);
  return length >= field->min && length <= string_max(field);
}

static gboolean is_number_text(const char *text, double *number) {
  char *end;
  if (text[strspn(text, "0123456789.eE+-")] != '\0' || strpbrk(text, "0123456789") == NULL)
    return FALSE;
  *number = g_ascii_strtod(text, &end);
  return *end == '\0' && *number <= G_MAXDOUBLE && *number >= -G_MAXDOUBLE;
}

gboolean mnk_field_check_text(const MnkField *field, const char *text, GError **error) {
  gboolean fits = FALSE;
  gint64 whole = 0;
  double number = 0;
  switch (field->type) {
  case MNK_FIELD_STRING:
    fits = is_string(field, text);
    break;
  case MNK_FIELD_INT:
    fits = g_ascii_string_to_signed(text, 10, G_MININT64, G_MAXINT64, &whole, NULL) &&
           in_range(field, (double)whole);
    break;
  case MNK_FIELD_DOUBLE:
    fits = is_number_text(text, &number) && in_range(field, number);
    break;
  case MNK_FIELD_BOOL:
    fits = is_bool_text(text);
    break;
  case MNK_FIELD_TIME:
    fits = mnk_parse_time_ms(text, &whole) && in_range(field, (double)whole);
    break;
  case MNK_FIELD_ENUM:
    fits = is_choice(field, text);
    break;
  case MNK_FIELD_PARAMS:
  case MNK_FIELD_OPTION:
  case MNK_FIELD_OBJECT:
  case MNK_FIELD_LIST:
    break;
  }
  return fits || refuse(field, error);
}

static gboolean number_fits(const MnkField *field, const MnkJsonValue *value) {
  MnkJsonType type = mnk_json_type(value);
  return (type == MNK_JSON_INT || type == MNK_JSON_DOUBLE) &&
         in_range(field, type == MNK_JSON_INT ? (double)mnk_json_int(value, 0)
                                              : mnk_json_double(value, 0));
}

gboolean mnk_field_check_json(const MnkField *field, const MnkJsonValue *value, GError **error) {
  MnkJsonType type = mnk_json_type(value);
  const char *text = type == MNK_JSON_STRING ? mnk_json_string(value, "") : NULL;
  gboolean fits = FALSE;
  gint64 ms = 0;
  switch (field->type) {
  case MNK_FIELD_STRING:
    fits = text != NULL && is_string(field, text);
    break;
  case MNK_FIELD_INT:
    fits = type == MNK_JSON_INT && number_fits(field, value);
    break;
  case MNK_FIELD_DOUBLE:
    fits = number_fits(field, value);
    break;
  case MNK_FIELD_BOOL:
    fits = type == MNK_JSON_BOOL;
    break;
  case MNK_FIELD_TIME:
    fits = text != NULL && mnk_parse_time_ms(text, &ms) && in_range(field, (double)ms);
    break;
  case MNK_FIELD_ENUM:
    fits = text != NULL && is_choice(field, text);
    break;
  case MNK_FIELD_PARAMS:
  case MNK_FIELD_OBJECT:
    fits = type == MNK_JSON_OBJECT;
    break;
  case MNK_FIELD_OPTION:
    fits = mnk_params_fits(mnk_field_option(field), value);
    break;
  case MNK_FIELD_LIST:
    fits = type == MNK_JSON_ARRAY && in_range(field, mnk_json_size(value));
    break;
  }
  return fits || refuse(field, error);
}

static gboolean refuse_unknown(const char *name, GError **error) {
  g_autofree char *safe = mnk_text_escape(name);
  g_set_error(error, MNK_ERROR, MNK_ERROR_USAGE, "%.64s is not a member of this body", safe);
  return FALSE;
}

static gboolean check_member(const MnkField *table, const char *name, const MnkJsonValue *value,
                             gboolean open, GError **error) {
  const MnkField *field = mnk_field_find(table, name);
  if (open && (field == NULL || mnk_json_type(value) == MNK_JSON_NULL))
    return TRUE;
  return field != NULL ? mnk_field_check_json(field, value, error) : refuse_unknown(name, error);
}

gboolean mnk_fields_check_body(const MnkField *table, const MnkJsonValue *body, gboolean open,
                               GError **error) {
  MnkJsonIter iter = {0};
  const char *name;
  const MnkJsonValue *value;
  if (mnk_json_type(body) != MNK_JSON_OBJECT) {
    g_set_error_literal(error, MNK_ERROR, MNK_ERROR_USAGE, "the body must be a JSON object");
    return FALSE;
  }
  while (mnk_json_next(body, &iter, &name, &value))
    if (!check_member(table, name, value, open, error))
      return FALSE;
  for (; table->name != NULL; table++)
    if (table->required && mnk_json_type(mnk_json_get(body, table->name)) == MNK_JSON_NULL) {
      g_set_error(error, MNK_ERROR, MNK_ERROR_USAGE, "%s is missing", table->name);
      return FALSE;
    }
  return TRUE;
}

static gboolean has_params(const MnkField *table) {
  for (; table != NULL && table->name != NULL; table++)
    if (table->type == MNK_FIELD_PARAMS)
      return TRUE;
  return FALSE;
}

char *mnk_field_of_message(const MnkRoute *route, const char *message) {
  gsize length = strcspn(message, " ");
  g_autofree char *word = g_strndup(message, length);
  g_autofree char *member = g_strndup(message, strcspn(message, " .["));
  if (*member != '\0' && mnk_field_find(route->body, member) != NULL) /* "messages[0].content" */
    return g_steal_pointer(&word);
  if (mnk_field_find(route->query, word) != NULL ||
      g_str_has_prefix(message + length, " is not a member of "))
    return g_steal_pointer(&word);
  if (has_params(route->body) && (mnk_params_option(word) != NULL ||
                                  g_str_has_prefix(message + length, " is not a parameter")))
    return g_strconcat("params.", word, NULL);
  return NULL;
}
