#include "cli/cli.h"
#include "ipc/ipc.h"
#include "local/local.h"
#include "stream/stream.h"

#include <stdlib.h>

typedef enum { KIND_PERCEPTION, KIND_MODEL, KIND_PROBE } Kind;

static gboolean refuse(GError **error) {
  g_set_error_literal(error, MNK_ERROR, MNK_ERROR_USAGE,
                      "manako worker is started by other commands, not by hand");
  return FALSE;
}

/* It reads files that may be hostile, and writes none. */
static int probe(const MnkSettings *settings, GError **error) {
  MnkSandboxConfig cage = {.max_memory = (guint64)mnk_settings_int(settings, MNK_OPT_MODEL_MEMORY)};
  MnkVlmConfig config;
  mnk_vlm_config_init(&config);
  config.model = mnk_settings_string(settings, MNK_OPT_MODEL_PATH);
  config.mmproj = mnk_settings_string(settings, MNK_OPT_MMPROJ);
  config.context = (guint)mnk_settings_int(settings, MNK_OPT_MODEL_CONTEXT);
  config.image_tokens = (guint)mnk_settings_int(settings, MNK_OPT_IMAGE_TOKENS);
  config.threads = (int)mnk_settings_int(settings, MNK_OPT_MODEL_THREADS);
  config.threads_batch = (int)mnk_settings_int(settings, MNK_OPT_MODEL_THREADS_BATCH);
  config.gpu = mnk_settings_bool(settings, MNK_OPT_MODEL_GPU);
  if (config.model == NULL || config.mmproj == NULL) {
    refuse(error);
    return 0;
  }
  if (mnk_settings_bool(settings, MNK_OPT_SANDBOX) && !mnk_sandbox_enter(&cage, error))
    return 0;
  return mnk_local_probe_run(&config);
}

static gboolean run_worker(const MnkSettings *settings, char **rest, GError **error) {
  g_autoptr(GError) fault = NULL;
  Kind kind = (Kind)mnk_settings_int(settings, MNK_OPT_WORKER_KIND);
  gboolean has_fd = mnk_settings_is_set(settings, MNK_OPT_WORKER_FD);
  int fd = has_fd ? (int)mnk_settings_int(settings, MNK_OPT_WORKER_FD) : -1;
  int status = 0;
  if (!has_fd && kind != KIND_PROBE)
    return refuse(error);
  if (kind == KIND_PROBE)
    status = probe(settings, &fault);
  else
    status = kind == KIND_MODEL ? mnk_local_worker_run(fd) : mnk_worker_run(fd);
  if (fault != NULL) {
    g_propagate_error(error, g_steal_pointer(&fault));
    return FALSE;
  }
  if (status != 0 && kind == KIND_PROBE)
    exit(status); /* it has said why, and its last line is what is told */
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
