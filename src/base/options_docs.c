/* --help and docs/configuration.md, written from the table. */
#include "base/options_priv.h"

#include <string.h>

/* Where the explanations begin in --help, and the least room that is left to them. */
enum { HELP_COLUMN = 28, LEAST_HELP_WIDTH = 24 };

static const char *const type_names[] = {
    [MNK_OPTION_BOOL] = "true or false", [MNK_OPTION_INT] = "whole number",
    [MNK_OPTION_DOUBLE] = "number",      [MNK_OPTION_STRING] = "text",
    [MNK_OPTION_ENUM] = "word",          [MNK_OPTION_TIME] = "time",
    [MNK_OPTION_SIZE] = "size",
};

static gboolean is_on_by_default(const MnkOption *option) {
  return option->type == MNK_OPTION_BOOL && g_strcmp0(option->fallback, "true") == 0;
}

/* What stands for the value after the flag; NULL: none does. */
static const char *placeholder(const MnkOption *option) {
  return option->value != NULL ? option->value : option->choices;
}

/* Appends the text broken at spaces into lines of so many columns, the first of which has begun at
 * the indent already. */
static void append_wrapped(GString *out, const char *text, guint indent, guint width) {
  g_auto(GStrv) words = g_strsplit(text, " ", -1);
  guint column = 0;
  for (char **word = words; *word != NULL; word++) {
    guint length = (guint)g_utf8_strlen(*word, -1);
    if (column > 0 && column + 1 + length > width) {
      g_string_append_printf(out, "\n%*s", (int)indent, "");
      column = 0;
    } else if (column > 0) {
      g_string_append_c(out, ' ');
      column++;
    }
    g_string_append(out, *word);
    column += length;
  }
  g_string_append_c(out, '\n');
}

static void write_option_help(GString *out, const MnkOption *option, guint width) {
  g_autoptr(GString) head = g_string_new(option->letter != 0 ? "  -" : "      ");
  if (option->letter != 0)
    g_string_append_printf(head, "%c, ", option->letter);
  g_string_append_printf(head, is_on_by_default(option) ? "--[no-]%s" : "--%s", option->name);
  if (placeholder(option) != NULL)
    g_string_append_printf(head, " %s", placeholder(option));

  g_string_append(out, head->str);
  if (head->len + 2 > HELP_COLUMN)
    g_string_append_printf(out, "\n%*s", HELP_COLUMN, "");
  else
    g_string_append_printf(out, "%*s", (int)(HELP_COLUMN - head->len), "");

  g_autoptr(GString) text = g_string_new(option->help);
  if (option->fallback != NULL && option->type != MNK_OPTION_BOOL)
    g_string_append_printf(text, " [%s]", option->fallback);
  append_wrapped(out, text->str, HELP_COLUMN,
                 width > HELP_COLUMN + LEAST_HELP_WIDTH ? width - HELP_COLUMN : LEAST_HELP_WIDTH);
}

void mnk_options_write_help(GString *out, MnkCommandSet command, guint width) {
  const char *group = NULL;
  for (guint i = 0; i < MNK_OPT_N; i++) {
    const MnkOption *option = mnk_option((MnkOptionId)i);
    if ((option->commands & command) == 0 || (option->flags & MNK_OPTION_HIDDEN))
      continue;
    if (g_strcmp0(group, option->group) != 0) {
      g_string_append_printf(out, "%s%s:\n", group != NULL ? "\n" : "", option->group);
      group = option->group;
    }
    write_option_help(out, option, width);
  }
}

static void append_flag(GString *out, const char *dashes, const char *name,
                        const MnkOption *option) {
  g_string_append_printf(out, "`%s%s", dashes, name);
  if (placeholder(option) != NULL)
    g_string_append_printf(out, " %s", placeholder(option));
  g_string_append_c(out, '`');
}

static void write_flags(GString *out, const MnkOption *option) {
  g_string_append(out, "- command line: ");
  if (option->letter != 0) {
    char letter[] = {option->letter, '\0'};
    append_flag(out, "-", letter, option);
    g_string_append(out, ", ");
  }
  append_flag(out, "--", option->name, option);
  if (option->type == MNK_OPTION_BOOL)
    g_string_append_printf(out, ", `--no-%s`", option->name);
  g_auto(GStrv) aliases = g_strsplit(option->aliases != NULL ? option->aliases : "", "|", -1);
  for (char **alias = aliases; *alias != NULL; alias++) {
    g_string_append(out, ", ");
    append_flag(out, "--", **alias == '!' ? *alias + 1 : *alias, option);
  }

  g_string_append(out, " (");
  const char *comma = "";
  for (guint bit = 1; bit <= MNK_COMMAND_PARAM && option->commands != MNK_COMMAND_ALL; bit <<= 1) {
    if ((option->commands & bit) == 0)
      continue;
    g_string_append_printf(out, "%s%s", comma, mnk_command_name((MnkCommandSet)bit));
    comma = ", ";
  }
  g_string_append(out, option->commands == MNK_COMMAND_ALL ? "every command)\n" : ")\n");
}

static void write_other_names(GString *out, const MnkOption *option) {
  if (option->flags & MNK_OPTION_CLI_ONLY)
    return;
  g_autofree char *key = mnk_option_file_key(option);
  g_string_append_printf(out, "- config.yaml: `%s`", key);
  g_auto(GStrv) aliases = g_strsplit(option->aliases != NULL ? option->aliases : "", "|", -1);
  for (char **alias = aliases; *alias != NULL; alias++) {
    g_autofree char *other = g_strdelimit(g_strdup(*alias), "-", '_');
    if (*other != '!')
      g_string_append_printf(out, ", `%s`", other);
  }

  g_autofree char *variable = mnk_option_env_name(option);
  g_string_append_printf(out, "\n- environment: `%s`", variable);
  g_auto(GStrv) variables = g_strsplit(option->env != NULL ? option->env : "", "|", -1);
  for (char **other = variables; *other != NULL; other++)
    g_string_append_printf(out, ", `%s`", *other);
  g_string_append_c(out, '\n');
}

static void write_values(GString *out, const MnkOption *option) {
  g_string_append_printf(out, "- value: %s", type_names[option->type]);
  if (option->type == MNK_OPTION_ENUM) {
    g_auto(GStrv) choices = g_strsplit(option->choices, "|", -1);
    g_autofree char *list = g_strjoinv("`, `", choices);
    g_string_append_printf(out, ", one of `%s`", list);
  } else if (mnk_option_has_range(option)) {
    g_autofree char *min = mnk_option_format_bound(option, option->min);
    g_autofree char *max = mnk_option_format_bound(option, option->max);
    g_string_append_printf(out, ", %s to %s", min, max);
  } else if (option->type == MNK_OPTION_STRING) {
    g_string_append_printf(out, ", at most %.0f bytes", option->max);
  }
  if (option->fallback != NULL)
    g_string_append_printf(out, "; default `%s`", option->fallback);
  if (option->flags & MNK_OPTION_LIVE)
    g_string_append(out, "; may change while the program runs");
  g_string_append_c(out, '\n');
}

void mnk_options_write_markdown(GString *out) {
  g_string_append(
      out,
      "# Configuration\n\n"
      "Generated from the table in `src/base/options.def`.\n\n"
      "A value is looked for on the command line, then in the environment, then in the "
      "configuration file, and the first one found counts.\n"
      "The configuration file is `config.yaml` in the current folder, or what `--config` names. "
      "It holds one `name: value` a line; options may stand under their group's heading in lower "
      "case. An unknown name is an error.\n\n"
      "Times are seconds (`90`, `1.5`), `M:SS`, `H:MM:SS.mmm` or milliseconds (`250ms`). "
      "Sizes are bytes or have one of the units `KiB`, `MiB`, `GiB`, `TiB`. "
      "Instead of `true` and `false`, `yes` and `no`, `on` and `off`, `1` and `0` will do.\n");
  const char *group = NULL;
  for (guint i = 0; i < MNK_OPT_N; i++) {
    const MnkOption *option = mnk_option((MnkOptionId)i);
    if (option->flags & MNK_OPTION_HIDDEN)
      continue;
    if (g_strcmp0(group, option->group) != 0)
      g_string_append_printf(out, "\n## %s\n", option->group);
    group = option->group;
    g_string_append_printf(out, "\n### %s\n\n%s\n\n", option->name, option->help);
    write_flags(out, option);
    write_other_names(out, option);
    write_values(out, option);
  }
}
