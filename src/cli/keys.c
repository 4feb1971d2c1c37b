/* `manako keys`: who may use a server. */
#include "api/api.h"
#include "cli/cli.h"

#include <stdio.h>
#include <string.h>

/* The key goes to standard output alone and once; the file gets its hash. */
static gboolean new_key(const char *path, const char *name, const char *scopes, GError **error) {
  g_autofree char *key = NULL, *line = NULL;
  if (path != NULL) {
    if (!mnk_api_add_key(path, name, scopes, &key, error))
      return FALSE;
    fprintf(stderr, "The key %s was added to %s. It is shown this once:\n", name, path);
  } else {
    if (!mnk_api_make_key(name, scopes, &key, &line, error))
      return FALSE;
    fprintf(stderr,
            "No file was named with --keys. This line belongs into its list:\n%s\nThe key, shown "
            "this once:\n",
            line);
  }
  puts(key);
  return TRUE;
}

static gboolean list_keys(const char *path, GError **error) {
  g_autoptr(GString) out = g_string_new(NULL);
  if (path == NULL) {
    g_set_error_literal(error, MNK_ERROR, MNK_ERROR_USAGE, "name the file with --keys");
    return FALSE;
  }
  if (!mnk_api_list_keys(path, out, error))
    return FALSE;
  fputs(out->str, stdout);
  return TRUE;
}

static gboolean run(const MnkSettings *settings, char **rest, GError **error) {
  const char *path = mnk_settings_string(settings, MNK_OPT_KEYS);
  if (strcmp(rest[0], "new") == 0 && rest[1] != NULL)
    return new_key(path, rest[1], mnk_settings_string(settings, MNK_OPT_SCOPES), error);
  if (strcmp(rest[0], "list") == 0 && rest[1] == NULL)
    return list_keys(path, error);
  g_set_error_literal(error, MNK_ERROR, MNK_ERROR_USAGE,
                      "say `manako keys new NAME` or `manako keys list`");
  return FALSE;
}

const MnkCommand mnk_command_keys = {
    .name = "keys",
    .set = MNK_COMMAND_KEYS,
    .arguments = "new NAME | list",
    .summary = "Make and list API keys of a server",
    .details = "new makes a key, prints it once and adds its hash to the file that --keys names; "
               "list shows the keys of that file. Limits of a key (streams_max, fps_max, "
               "bytes_per_s, tokens_per_day) are written into the file by hand. A running server "
               "reads the file again on SIGHUP.",
    .min_rest = 1,
    .max_rest = 2,
    .run = run,
};
