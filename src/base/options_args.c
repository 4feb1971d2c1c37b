/* The command line. */
#include "base/error.h"
#include "base/log.h"
#include "base/options_priv.h"

#include <string.h>

typedef struct {
  MnkSettings *settings;
  MnkCommandSet command;
  char *const *next; /* the arguments not yet read */
  char *const *end;
} Reader;

static gboolean put(Reader *reader, const MnkOption *option, gboolean negated, const char *text,
                    GError **error) {
  return mnk_settings_put(reader->settings, option, negated, text, MNK_LEVEL_ARGS, "command line",
                          error);
}

/* The value after the flag, in the same argument or the next; a flag of type BOOL needs none. */
static gboolean read_value(Reader *reader, const MnkOption *option, gboolean negated,
                           const char *attached, GError **error) {
  if (attached != NULL)
    return put(reader, option, negated, attached, error);
  if (option->type == MNK_OPTION_BOOL)
    return put(reader, option, negated, "true", error);
  if (reader->next < reader->end)
    return put(reader, option, negated, *reader->next++, error);
  g_set_error(error, MNK_ERROR, MNK_ERROR_USAGE, "a value is missing");
  return FALSE;
}

static gboolean refuse_unknown(const Reader *reader, const char *flag, const char *name,
                               GError **error) {
  g_autofree char *safe = mnk_text_escape(flag);
  const char *nearest =
      name != NULL ? mnk_option_nearest(name, reader->command, MNK_OPTION_HIDDEN) : NULL;
  if (nearest != NULL)
    g_set_error(error, MNK_ERROR, MNK_ERROR_USAGE, "unknown option %s; did you mean --%s?", safe,
                nearest);
  else
    g_set_error(error, MNK_ERROR, MNK_ERROR_USAGE, "unknown option %s", safe);
  return FALSE;
}

static gboolean check_command(const Reader *reader, const MnkOption *option, const char *flag,
                              GError **error) {
  if (option->commands & reader->command)
    return TRUE;
  g_set_error(error, MNK_ERROR, MNK_ERROR_USAGE, "%s is not an option of %s", flag,
              mnk_command_name(reader->command));
  return FALSE;
}

/* "--no-name" stands for the opposite of a flag of type BOOL. */
static const MnkOption *find_long(const char *name, gboolean *negated) {
  const MnkOption *option = mnk_option_find(name, negated);
  if (option != NULL || !g_str_has_prefix(name, "no-"))
    return option;
  option = mnk_option_find(name + strlen("no-"), negated);
  *negated = !*negated;
  return option != NULL && option->type == MNK_OPTION_BOOL ? option : NULL;
}

static gboolean read_long(Reader *reader, const char *argument, GError **error) {
  const char *equals = strchr(argument, '=');
  g_autofree char *flag =
      equals != NULL ? g_strndup(argument, equals - argument) : g_strdup(argument);
  gboolean negated;
  const MnkOption *option = find_long(flag + strlen("--"), &negated);
  if (option == NULL)
    return refuse_unknown(reader, flag, flag + strlen("--"), error);
  if (!check_command(reader, option, flag, error))
    return FALSE;
  if (read_value(reader, option, negated, equals != NULL ? equals + 1 : NULL, error))
    return TRUE;
  g_prefix_error(error, "%s: ", flag);
  return FALSE;
}

static const MnkOption *find_letter(char letter) {
  for (guint i = 0; i < MNK_OPT_N; i++)
    if (mnk_option((MnkOptionId)i)->letter == letter)
      return mnk_option((MnkOptionId)i);
  return NULL;
}

/* Letters of one argument: "-n5", "-n 5", and flags together with what follows. */
static gboolean read_letters(Reader *reader, const char *argument, GError **error) {
  for (const char *letter = argument + 1; *letter != '\0'; letter++) {
    char flag[] = {'-', *letter, '\0'};
    const MnkOption *option = find_letter(*letter);
    if (option == NULL)
      return refuse_unknown(reader, g_ascii_isgraph(*letter) ? flag : argument, NULL, error);
    if (!check_command(reader, option, flag, error))
      return FALSE;
    gboolean has_value = option->type != MNK_OPTION_BOOL;
    const char *attached = has_value && letter[1] != '\0' ? letter + 1 : NULL;
    if (!read_value(reader, option, FALSE, attached, error)) {
      g_prefix_error(error, "%s: ", flag);
      return FALSE;
    }
    if (has_value)
      break;
  }
  return TRUE;
}

gboolean mnk_settings_parse_args(MnkSettings *settings, MnkCommandSet command, int argc,
                                 char *const *argv, char ***rest, GError **error) {
  g_autoptr(GPtrArray) positionals = g_ptr_array_new_with_free_func(g_free);
  Reader reader = {.settings = settings, .command = command, .next = argv, .end = argv + argc};
  gboolean options_ended = FALSE;
  while (reader.next < reader.end) {
    const char *argument = *reader.next++;
    if (options_ended || argument[0] != '-' || argument[1] == '\0')
      g_ptr_array_add(positionals, g_strdup(argument));
    else if (strcmp(argument, "--") == 0)
      options_ended = TRUE;
    else if (!(argument[1] == '-' ? read_long : read_letters)(&reader, argument, error))
      return FALSE;
  }
  g_ptr_array_add(positionals, NULL);
  if (rest != NULL)
    *rest = (char **)g_ptr_array_steal(positionals, NULL);
  return TRUE;
}
