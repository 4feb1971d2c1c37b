#include "base/error.h"

GQuark mnk_error_quark(void) {
  return g_quark_from_static_string("manako");
}

typedef struct {
  const char *name;
  int exit, http;
  const char *help;
} ErrorInfo;

enum { HTTP_OK = 200, EXIT_OK = 0 };

static const ErrorInfo error_table[MNK_ERROR_N] = {
    [MNK_ERROR_INTERNAL] = {"internal", 1, 500, "a fault in Manako itself"},
    [MNK_ERROR_USAGE] = {"usage", 2, 400, "an unknown command or option, or a value out of range"},
    [MNK_ERROR_CONFIG] = {"config", 3, 500, "a configuration file that cannot be used"},
    [MNK_ERROR_NOT_FOUND] = {"not_found", 4, 404,
                             "no file, stream, camera or model of the given name"},
    [MNK_ERROR_BAD_INPUT] = {"bad_input", 5, 400,
                             "damaged input, or input of another kind than its name says"},
    [MNK_ERROR_UNSUPPORTED] = {"unsupported", 6, 415,
                               "sound input that nothing here can read, such as an unknown codec"},
    [MNK_ERROR_LIMIT] = {"limit", 7, 413, "input over a stated limit; the message names the limit"},
    [MNK_ERROR_SOURCE] = {"source", 8, 502,
                          "a camera or network source that refused, is busy, out of reach or died"},
    [MNK_ERROR_STORE] = {"store", 9, 503,
                         "a timeline database that is locked, read-only, damaged, too new, or on a "
                         "full disk"},
    [MNK_ERROR_MODEL] = {"model", 10, 503,
                         "a model file or its runtime that is missing, damaged or refused"},
    [MNK_ERROR_WORKER] = {"worker", 11, 503, "a worker process that cannot be kept alive"},
    [MNK_ERROR_OUTPUT] = {"output", 12, 500,
                          "a result that could not be written: a closed pipe or a full disk"},
    [MNK_ERROR_CANCELLED] = {"cancelled", 130, 499, "stopped by the user (Ctrl-C)"},
};

static MnkErrorCode code_of(const GError *error) {
  if (error->domain != MNK_ERROR || error->code < 0 || error->code >= MNK_ERROR_N)
    return MNK_ERROR_INTERNAL;
  return (MnkErrorCode)error->code;
}

int mnk_error_exit_code(const GError *error) {
  return error != NULL ? error_table[code_of(error)].exit : EXIT_OK;
}

int mnk_error_http_status(const GError *error) {
  return error != NULL ? error_table[code_of(error)].http : HTTP_OK;
}

const char *mnk_error_code_name(MnkErrorCode code) {
  g_return_val_if_fail((guint)code < MNK_ERROR_N, NULL);
  return error_table[code].name;
}

const char *mnk_error_code_help(MnkErrorCode code) {
  g_return_val_if_fail((guint)code < MNK_ERROR_N, NULL);
  return error_table[code].help;
}

int mnk_error_code_exit(MnkErrorCode code) {
  g_return_val_if_fail((guint)code < MNK_ERROR_N, error_table[MNK_ERROR_INTERNAL].exit);
  return error_table[code].exit;
}

gboolean mnk_error_code_from_name(const char *name, MnkErrorCode *code) {
  for (guint i = 0; i < MNK_ERROR_N; i++) {
    if (g_strcmp0(name, error_table[i].name) != 0)
      continue;
    *code = (MnkErrorCode)i;
    return TRUE;
  }
  return FALSE;
}

void mnk_errors_write_markdown(GString *out) {
  g_string_append(out, "# Exit codes\n\n"
                       "Generated from the table in `src/base/error.c`.\n"
                       "A command that fails prints one sentence on standard error and ends with "
                       "the status of its kind of failure.\n\n"
                       "| status | name | when |\n|---:|---|---|\n"
                       "| 0 | | success |\n");
  for (guint i = 0; i < MNK_ERROR_N; i++)
    g_string_append_printf(out, "| %d | `%s` | %s |\n", error_table[i].exit, error_table[i].name,
                           error_table[i].help);
}
