/* The settings that hold, as a configuration file that says where each value comes from. */
#include "cli/cli.h"

#include <string.h>

/* Where the remarks begin, if the value leaves room. */
enum { REMARK_COLUMN = 44 };

static gboolean is_plain_number(const char *text) {
  return *text != '\0' && text[strspn(text, "0123456789.")] == '\0' &&
         g_ascii_isdigit(text[strlen(text) - 1]);
}

/* Words stand in quotes: without them YAML takes "off" for false and "1:30" for ninety. */
static void append_value(GString *out, const MnkSettings *settings, const MnkOption *option) {
  const char *text = mnk_settings_string(settings, option->id);
  if (option->type == MNK_OPTION_BOOL) {
    g_string_append(out, mnk_settings_bool(settings, option->id) ? "true" : "false");
  } else if (option->type == MNK_OPTION_DOUBLE || option->type == MNK_OPTION_INT ||
             (option->type != MNK_OPTION_STRING && is_plain_number(text))) {
    g_string_append(out, text);
  } else {
    MnkJsonWriter w;
    mnk_json_writer_init(&w, out);
    mnk_json_add_string(&w, NULL, text);
  }
}

/* What the file cannot hold is a comment in it: secrets, what only a command line takes, what has
 * no value. */
static void append_line(GString *out, const MnkSettings *settings, const MnkOption *option) {
  const char *value = mnk_settings_string(settings, option->id);
  gboolean secret = option->flags & MNK_OPTION_SECRET;
  g_autoptr(GString) line = g_string_new(NULL);
  if (value == NULL || secret || (option->flags & MNK_OPTION_CLI_ONLY))
    g_string_append(line, "# ");
  const char *name = option->name;
  for (const char *p = name; *p != '\0'; p++)
    g_string_append_c(line, *p == '-' ? '_' : *p);
  g_string_append(line, ": ");
  if (value != NULL && !secret)
    append_value(line, settings, option);
  g_autofree char *origin =
      mnk_text_escape(value == NULL ? "not set" : mnk_settings_origin(settings, option->id));
  g_string_append_printf(out, "%-*s  # %s%s\n", REMARK_COLUMN, line->str, origin,
                         value != NULL && secret ? ", not shown" : "");
}

void mnk_cli_write_settings(GString *out, const MnkSettings *settings, MnkCommandSet command) {
  const char *group = NULL;
  for (guint i = 0; i < MNK_OPT_N; i++) {
    const MnkOption *option = mnk_option((MnkOptionId)i);
    if ((option->commands & (guint)command) == 0 || (option->flags & MNK_OPTION_HIDDEN))
      continue;
    if (g_strcmp0(group, option->group) != 0)
      g_string_append_printf(out, "%s# ---- %s ----\n", group != NULL ? "\n" : "", option->group);
    group = option->group;
    append_line(out, settings, option);
  }
}
