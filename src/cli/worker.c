#include "cli/cli.h"
#include "stream/stream.h"

static gboolean run_worker(const MnkSettings *settings, char **rest, GError **error) {
  if (!mnk_settings_is_set(settings, MNK_OPT_WORKER_FD)) {
    g_set_error_literal(error, MNK_ERROR, MNK_ERROR_USAGE,
                        "manako worker is started by other commands, not by hand");
    return FALSE;
  }
  int status = mnk_worker_run((int)mnk_settings_int(settings, MNK_OPT_WORKER_FD));
  if (status == 0)
    return TRUE;
  g_set_error(error, MNK_ERROR, MNK_ERROR_WORKER, "the worker ended with status %d", status);
  return FALSE;
}

const MnkCommand mnk_command_worker = {
    .name = "worker",
    .set = MNK_COMMAND_WORKER,
    .arguments = "",
    .summary = "Hold pixels and models for another process",
    .hidden = TRUE,
    .bare = TRUE, /* nor the keys in them */
    .run = run_worker,
};
