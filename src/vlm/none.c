/* A build without libllama: every call that would need it says how to get it. */
#include "vlm/vlm.h"

static void refuse(GError **error) {
  g_set_error_literal(error, MNK_ERROR, MNK_ERROR_UNSUPPORTED,
                      "this build has no local vision-language model; ./dev build compiles the "
                      "library for it, and builds again");
}

gboolean mnk_vlm_is_built(void) {
  return FALSE;
}

const char *mnk_vlm_library_version(void) {
  return "";
}

/* No model is ever loaded, so nobody can hold what the functions below are given. */
struct _MnkVlm {
  MnkVlmFiles files;
};

MnkVlm *mnk_vlm_load(const MnkVlmConfig *config, GError **error) {
  refuse(error);
  return NULL;
}

void mnk_vlm_free(MnkVlm *vlm) {
}

const MnkVlmFiles *mnk_vlm_files(const MnkVlm *vlm) {
  return &vlm->files;
}

guint mnk_vlm_frame_tokens(const MnkVlm *vlm) {
  return 0;
}

guint mnk_vlm_pair(const MnkVlm *vlm) {
  return 1;
}

gboolean mnk_vlm_probe(const MnkVlmConfig *config, GError **error) {
  refuse(error);
  return FALSE;
}

MnkTokens *mnk_vlm_encode(MnkVlm *vlm, MnkFrame *const *frames, guint n, gint *cancel,
                          GError **error) {
  refuse(error);
  return NULL;
}

float *mnk_vlm_rows(MnkVlm *vlm, const char *text, guint n_max, guint *n) {
  *n = 0;
  return NULL;
}

guint mnk_vlm_count(MnkVlm *vlm, const char *text) {
  return 0;
}

MnkVlmJob *mnk_vlm_submit(MnkVlm *vlm, const MnkVlmRequest *request, const MnkVlmEvents *events,
                          gpointer user) {
  g_autoptr(GError) error = NULL;
  refuse(&error);
  events->done(NULL, error, user);
  return NULL;
}

void mnk_vlm_cancel(MnkVlmJob *job) {
}

void mnk_vlm_job_unref(MnkVlmJob *job) {
}

guint mnk_vlm_waiting(const MnkVlm *vlm, MnkVlmPriority priority) {
  return 0;
}
