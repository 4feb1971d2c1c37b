#include "api/api.h"
#include "cli/cli.h"

#include <stdio.h>

/* The documents that come from the program's own tables; ./dev docs writes them. */
static gboolean run_docs(const MnkSettings *settings, char **rest, GError **error) {
  g_autoptr(GString) out = g_string_new(NULL);
  if (g_str_equal(rest[0], "configuration")) {
    mnk_options_write_markdown(out);
  } else if (g_str_equal(rest[0], "exit-codes")) {
    mnk_errors_write_markdown(out);
  } else if (g_str_equal(rest[0], "openapi")) {
    mnk_api_write_openapi(out);
  } else {
    g_set_error(error, MNK_ERROR, MNK_ERROR_USAGE,
                "there is no document %s; there are configuration, exit-codes and openapi",
                rest[0]);
    return FALSE;
  }
  fputs(out->str, stdout);
  return TRUE;
}

const MnkCommand mnk_command_docs = {
    .name = "docs",
    .set = MNK_COMMAND_DOCTOR,
    .arguments = "configuration|exit-codes|openapi",
    .summary = "Write a generated document",
    .min_rest = 1,
    .max_rest = 1,
    .hidden = TRUE,
    .run = run_docs,
};
