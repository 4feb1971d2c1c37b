/* Settings: the value of every option, and where it comes from. */
#include "base/error.h"
#include "base/options_priv.h"

typedef struct {
  MnkLevel level;
  char *origin;
  MnkOptionValue value;
} Entry;

struct _MnkSettings {
  Entry entries[MNK_OPT_N];
};

MnkSettings *mnk_settings_new(void) {
  MnkSettings *settings = g_new0(MnkSettings, 1);
  for (guint i = 0; i < MNK_OPT_N; i++) {
    const MnkOption *option = mnk_option((MnkOptionId)i);
    g_autoptr(GError) error = NULL;
    settings->entries[i].origin = g_strdup("default");
    if (option->fallback != NULL &&
        !mnk_option_parse(option, option->fallback, &settings->entries[i].value, &error))
      g_error("default of %s: %s", option->name, error->message);
  }
  return settings;
}

MnkSettings *mnk_settings_copy(const MnkSettings *settings) {
  MnkSettings *copy = g_memdup2(settings, sizeof *settings);
  for (guint i = 0; i < MNK_OPT_N; i++) {
    copy->entries[i].origin = g_strdup(settings->entries[i].origin);
    copy->entries[i].value.text = g_strdup(settings->entries[i].value.text);
  }
  return copy;
}

void mnk_settings_free(MnkSettings *settings) {
  if (settings == NULL)
    return;
  for (guint i = 0; i < MNK_OPT_N; i++) {
    g_free(settings->entries[i].origin);
    mnk_option_value_clear(&settings->entries[i].value);
  }
  g_free(settings);
}

static void negate(MnkOptionValue *value) {
  value->integer = !value->integer;
  value->number = (double)value->integer;
  g_free(value->text);
  value->text = g_strdup(value->integer ? "true" : "false");
}

gboolean mnk_settings_put(MnkSettings *settings, const MnkOption *option, gboolean negated,
                          const char *text, MnkLevel level, const char *origin, GError **error) {
  g_auto(MnkOptionValue) value = {0};
  if (!mnk_option_parse(option, text, &value, error))
    return FALSE;
  if (negated)
    negate(&value);
  Entry *entry = &settings->entries[option->id];
  if (level < entry->level)
    return TRUE;
  entry->level = level;
  g_free(entry->origin);
  entry->origin = g_strdup(origin);
  MnkOptionValue old = entry->value;
  entry->value = value;
  value = old;
  return TRUE;
}

gboolean mnk_settings_set(MnkSettings *settings, MnkOptionId id, const char *text, GError **error) {
  const MnkOption *option = mnk_option(id);
  if (mnk_settings_put(settings, option, FALSE, text, MNK_LEVEL_ARGS, "command line", error))
    return TRUE;
  g_prefix_error(error, "%s: ", option->name);
  return FALSE;
}

void mnk_settings_set_default(MnkSettings *settings, MnkOptionId id, const char *text) {
  g_autoptr(GError) error = NULL;
  if (!mnk_settings_put(settings, mnk_option(id), FALSE, text, MNK_LEVEL_DEFAULT, "default",
                        &error))
    g_error("default of %s: %s", mnk_option(id)->name, error->message);
}

void mnk_settings_take(MnkSettings *settings, MnkOptionId id, const MnkSettings *from) {
  g_return_if_fail((guint)id < MNK_OPT_N && settings != from);
  Entry *entry = &settings->entries[id];
  g_free(entry->origin);
  mnk_option_value_clear(&entry->value);
  *entry = from->entries[id];
  entry->origin = g_strdup(entry->origin);
  entry->value.text = g_strdup(entry->value.text);
}

/* An empty variable counts as absent. */
static gboolean put_env(MnkSettings *settings, const MnkOption *option, char **environ_pairs,
                        const char *name, gboolean *found, GError **error) {
  const char *text = g_environ_getenv(environ_pairs, name);
  *found = text != NULL && *text != '\0';
  if (!*found || mnk_settings_put(settings, option, FALSE, text, MNK_LEVEL_ENV, name, error))
    return TRUE;
  g_prefix_error(error, "%s: ", name);
  return FALSE;
}

gboolean mnk_settings_load_env(MnkSettings *settings, char **environ_pairs, GError **error) {
  for (guint i = 0; i < MNK_OPT_N; i++) {
    const MnkOption *option = mnk_option((MnkOptionId)i);
    if (option->flags & MNK_OPTION_CLI_ONLY)
      continue;
    g_autofree char *own = mnk_option_env_name(option);
    g_autofree char *list =
        option->env != NULL ? g_strconcat(own, "|", option->env, NULL) : g_strdup(own);
    g_auto(GStrv) names = g_strsplit(list, "|", -1);
    gboolean found = FALSE;
    for (char **name = names; *name != NULL && !found; name++)
      if (!put_env(settings, option, environ_pairs, *name, &found, error))
        return FALSE;
  }
  return TRUE;
}

gboolean mnk_settings_bool(const MnkSettings *settings, MnkOptionId id) {
  g_return_val_if_fail(mnk_option(id)->type == MNK_OPTION_BOOL, FALSE);
  return settings->entries[id].value.integer != 0;
}

gint64 mnk_settings_int(const MnkSettings *settings, MnkOptionId id) {
  g_return_val_if_fail(
      mnk_option(id)->type != MNK_OPTION_STRING && mnk_option(id)->type != MNK_OPTION_DOUBLE, 0);
  return settings->entries[id].value.integer;
}

double mnk_settings_double(const MnkSettings *settings, MnkOptionId id) {
  g_return_val_if_fail(mnk_option_has_range(mnk_option(id)), 0);
  return settings->entries[id].value.number;
}

const char *mnk_settings_string(const MnkSettings *settings, MnkOptionId id) {
  g_return_val_if_fail((guint)id < MNK_OPT_N, NULL);
  return settings->entries[id].value.text;
}

gboolean mnk_settings_is_set(const MnkSettings *settings, MnkOptionId id) {
  g_return_val_if_fail((guint)id < MNK_OPT_N, FALSE);
  return settings->entries[id].level != MNK_LEVEL_DEFAULT;
}

const char *mnk_settings_origin(const MnkSettings *settings, MnkOptionId id) {
  g_return_val_if_fail((guint)id < MNK_OPT_N, NULL);
  return settings->entries[id].origin;
}
