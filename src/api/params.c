/* Parameters of streams: what the options table lets each of them have for itself. */
#include "api/core_priv.h"

#include <string.h>

const MnkOption *mnk_params_option(const char *name) {
  const MnkOption *option = mnk_option_by_name(name);
  return option != NULL && (option->commands & MNK_COMMAND_PARAM) &&
                 !(option->flags & (MNK_OPTION_SECRET | MNK_OPTION_HIDDEN))
             ? option
             : NULL;
}

char *mnk_params_expected(const MnkOption *option) {
  switch (option->type) {
  case MNK_OPTION_BOOL:
    return g_strdup("true or false");
  case MNK_OPTION_INT:
  case MNK_OPTION_SIZE:
    return g_strdup_printf("a whole number from %.0f to %.0f", option->min, option->max);
  case MNK_OPTION_DOUBLE:
    return g_strdup_printf("a number from %.10g to %.10g", option->min, option->max);
  case MNK_OPTION_STRING:
    return g_strdup_printf("text of at most %.0f bytes", option->max);
  case MNK_OPTION_TIME:
    return g_strdup_printf("a time of %.10g to %.10g seconds", option->min / 1000,
                           option->max / 1000);
  case MNK_OPTION_ENUM:
    break;
  }
  g_auto(GStrv) choices = g_strsplit(option->choices, "|", -1);
  g_autofree char *list = g_strjoinv(", ", choices);
  return g_strconcat("one of ", list, NULL);
}

/* The value as the options take it, NULL when its JSON type is none that this option has. */
static char *value_text(const MnkOption *option, const MnkJsonValue *value) {
  MnkJsonType type = mnk_json_type(value);
  char digits[G_ASCII_DTOSTR_BUF_SIZE];
  switch (option->type) {
  case MNK_OPTION_BOOL:
    if (type == MNK_JSON_BOOL)
      return g_strdup(mnk_json_bool(value, FALSE) ? "true" : "false");
    return NULL;
  case MNK_OPTION_STRING:
    /* as what is unset is written */
    if (type == MNK_JSON_NULL)
      return g_strdup("");
    return type == MNK_JSON_STRING ? g_strdup(mnk_json_string(value, "")) : NULL;
  case MNK_OPTION_ENUM:
    return type == MNK_JSON_STRING ? g_strdup(mnk_json_string(value, "")) : NULL;
  case MNK_OPTION_TIME:
    if (type == MNK_JSON_STRING)
      return g_strdup(mnk_json_string(value, ""));
    /* a number of seconds, without the exponent that times do not have */
    if (type == MNK_JSON_DOUBLE)
      return g_strdup(g_ascii_formatd(digits, sizeof digits, "%.3f", mnk_json_double(value, 0)));
    break;
  case MNK_OPTION_DOUBLE:
    if (type == MNK_JSON_DOUBLE)
      return g_strdup(g_ascii_dtostr(digits, sizeof digits, mnk_json_double(value, 0)));
    break;
  case MNK_OPTION_INT:
  case MNK_OPTION_SIZE:
    break;
  }
  return type == MNK_JSON_INT ? g_strdup_printf("%" G_GINT64_FORMAT, mnk_json_int(value, 0)) : NULL;
}

gboolean mnk_params_fits(const MnkOption *option, const MnkJsonValue *value) {
  g_autofree char *text = value_text(option, value);
  g_autoptr(MnkSettings) trial = mnk_settings_new();
  return text != NULL && mnk_settings_set(trial, option->id, text, NULL);
}

static gboolean apply_one(MnkSettings *settings, const char *name, const MnkJsonValue *value,
                          gboolean live_only, GError **error) {
  const MnkOption *option = mnk_params_option(name);
  if (option == NULL) {
    g_autofree char *safe = mnk_text_escape(name);
    g_set_error(error, MNK_ERROR, MNK_ERROR_USAGE, "%.64s is not a parameter of a stream", safe);
    return FALSE;
  }
  if (live_only && !(option->flags & MNK_OPTION_LIVE)) {
    g_set_error(error, MNK_ERROR, MNK_ERROR_USAGE, "%s cannot change while the stream runs", name);
    return FALSE;
  }
  g_autofree char *text = value_text(option, value);
  if (text != NULL && mnk_settings_set(settings, option->id, text, NULL))
    return TRUE;
  g_autofree char *want = mnk_params_expected(option);
  g_set_error(error, MNK_ERROR, MNK_ERROR_USAGE, "%s must be %s", name, want);
  return FALSE;
}

static gboolean apply_all(MnkSettings *settings, const MnkJsonValue *params, gboolean live_only,
                          GError **error) {
  MnkJsonIter iter = {0};
  const char *name;
  const MnkJsonValue *value;
  while (mnk_json_next(params, &iter, &name, &value))
    if (!apply_one(settings, name, value, live_only, error))
      return FALSE;
  return TRUE;
}

gboolean mnk_params_apply(MnkSettings *settings, const MnkJsonValue *params, gboolean live_only,
                          GError **error) {
  g_autoptr(MnkSettings) trial = mnk_settings_copy(settings);
  if (params != NULL && mnk_json_type(params) != MNK_JSON_OBJECT) {
    g_set_error_literal(error, MNK_ERROR, MNK_ERROR_USAGE, "params must be an object");
    return FALSE;
  }
  return apply_all(trial, params, live_only, error) &&
         apply_all(settings, params, live_only, error);
}

gboolean mnk_params_set(MnkSettings *settings, const char *name, const MnkJsonValue *value,
                        GError **error) {
  return apply_one(settings, name, value, FALSE, error);
}

void mnk_params_write(const MnkSettings *settings, MnkJsonWriter *w, const char *key) {
  mnk_json_begin_object(w, key);
  for (guint i = 0; i < MNK_OPT_N; i++) {
    const MnkOption *option = mnk_option((MnkOptionId)i);
    if (mnk_params_option(option->name) == NULL)
      continue;
    g_autofree char *name = g_strdelimit(g_strdup(option->name), "-", '_');
    switch (option->type) {
    case MNK_OPTION_BOOL:
      mnk_json_add_bool(w, name, mnk_settings_bool(settings, option->id));
      break;
    case MNK_OPTION_STRING:
    case MNK_OPTION_ENUM:
      mnk_json_add_string(w, name, mnk_settings_string(settings, option->id));
      break;
    case MNK_OPTION_TIME:
      mnk_json_add_double(w, name, (double)mnk_settings_int(settings, option->id) / 1000, 3);
      break;
    case MNK_OPTION_DOUBLE:
      mnk_json_add_double(w, name, mnk_settings_double(settings, option->id), 17);
      break;
    case MNK_OPTION_INT:
    case MNK_OPTION_SIZE:
      mnk_json_add_int(w, name, mnk_settings_int(settings, option->id));
      break;
    }
  }
  mnk_json_end_object(w);
}
