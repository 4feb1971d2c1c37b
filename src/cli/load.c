/* Settings from where they come from: command line, environment, file. */
#include "cli/cli.h"

static gboolean load_file(MnkSettings *settings, GError **error) {
  const char *path = mnk_settings_string(settings, MNK_OPT_CONFIG);
  if (path == NULL && !g_file_test("config.yaml", G_FILE_TEST_EXISTS))
    return TRUE;
  return mnk_settings_load_yaml(settings, path != NULL ? path : "config.yaml", error);
}

static gboolean load_environment(const MnkCommand *command, MnkSettings *settings, GError **error) {
  g_auto(GStrv) environment = g_get_environ();
  if (command->serve == NULL)
    return mnk_settings_load_env(settings, environment, error);
  g_auto(GStrv) merged = mnk_dotenv_merge(environment, ".env", error);
  return merged != NULL && mnk_settings_load_env(settings, merged, error);
}

static gboolean check_rest(const MnkCommand *command, char **rest, GError **error) {
  guint n = g_strv_length(rest);
  if (n >= command->min_rest && n <= command->max_rest)
    return TRUE;
  g_set_error(error, MNK_ERROR, MNK_ERROR_USAGE,
              "manako %s takes %s, not %u arguments; see manako %s --help", command->name,
              command->arguments[0] != '\0' ? command->arguments : "no arguments", n,
              command->name);
  return FALSE;
}

gboolean mnk_cli_load(const MnkInvocation *invocation, MnkSettings **settings, char ***rest,
                      GError **error) {
  const MnkCommand *command = invocation->command;
  g_autoptr(MnkSettings) loaded = mnk_settings_new();
  g_auto(GStrv) left = NULL;
  if (!mnk_settings_parse_args(loaded, command->set, invocation->argc, invocation->argv, &left,
                               error) ||
      (!command->bare &&
       (!load_environment(command, loaded, error) || !load_file(loaded, error))) ||
      !check_rest(command, left, error))
    return FALSE;
  *settings = g_steal_pointer(&loaded);
  *rest = g_steal_pointer(&left);
  return TRUE;
}
