/* A pair of files becomes a model. */
#include <string.h>

#include "vlm/model_priv.h"

enum {
  CONTEXT_MIN = 256,
  CONTEXT_MAX = 262144, /* far beyond it the library hangs */
  SEQUENCES_MAX = 64,
  MICRO_BATCH_MIN = 8,
  MICRO_BATCH_MAX = 2048,
};

gboolean mnk_vlm_is_built(void) {
  return TRUE;
}

const char *mnk_vlm_library_version(void) {
  return ggml_version();
}

const MnkVlmFiles *mnk_vlm_files(const MnkVlm *vlm) {
  return &vlm->files;
}

static gpointer start_libraries(gpointer unused) {
  /* otherwise a debugger is started on every abort */
  g_setenv("GGML_NO_BACKTRACE", "1", FALSE);
  mnk_vlm_log_install();
  llama_backend_init();
  if (ggml_backend_dev_count() == 0)
    ggml_backend_load_all(); /* a build whose processors' code is in modules */
  return NULL;
}

/* The code for a processor with AVX2 would stop the process on one without. */
static gboolean check_processor(GError **error) {
#if defined(__x86_64__)
  if (strstr(llama_print_system_info(), "AVX2 = 1") && !__builtin_cpu_supports("avx2")) {
    g_set_error_literal(error, MNK_ERROR, MNK_ERROR_UNSUPPORTED,
                        "the library for local models was compiled for processors with AVX2, "
                        "which this one lacks; run ./dev setup on this machine");
    return FALSE;
  }
#endif
  return TRUE;
}

static gboolean check_range(const char *what, guint value, guint least, guint most,
                            GError **error) {
  if (value >= least && value <= most)
    return TRUE;
  g_set_error(error, MNK_ERROR, MNK_ERROR_CONFIG, "%s of %u is not between %u and %u", what, value,
              least, most);
  return FALSE;
}

static gboolean take_config(MnkVlm *vlm, const MnkVlmConfig *config, GError **error) {
  if (!check_range("a context", config->context, CONTEXT_MIN, CONTEXT_MAX, error) ||
      !check_range("a number of sequences", config->sequences, 1, SEQUENCES_MAX, error) ||
      !check_range("a micro-batch", config->micro_batch, MICRO_BATCH_MIN, MICRO_BATCH_MAX, error) ||
      !check_range("a number of tokens of a frame", config->image_tokens, 1, MNK_TOKENS_MAX, error))
    return FALSE;
  int cores = (int)g_get_num_processors();
  vlm->config = *config;
  vlm->config.model = g_strdup(config->model);
  vlm->config.mmproj = g_strdup(config->mmproj);
  if (config->threads <= 0)
    vlm->config.threads = MAX(cores - 1, 1);
  if (config->threads_batch <= 0)
    vlm->config.threads_batch = cores;
  return TRUE;
}

/* Sequences are shared, cut back and copied, which a running state does not allow. */
static gboolean check_kind(const MnkVlm *vlm, GError **error) {
  const char *what = NULL;
  if (llama_model_has_encoder(vlm->model) || !llama_model_has_decoder(vlm->model))
    what = "is no decoder";
  else if (llama_model_is_recurrent(vlm->model) || llama_model_is_hybrid(vlm->model))
    what = "keeps a running state, which cannot be shared between questions";
  else if (llama_model_is_diffusion(vlm->model))
    what = "does not write from left to right";
  if (!what)
    return TRUE;
  g_set_error(error, MNK_ERROR, MNK_ERROR_UNSUPPORTED, "the model in %s %s", vlm->config.model,
              what);
  return FALSE;
}

static gboolean load_text(MnkVlm *vlm, GError **error) {
  struct llama_model_params params = llama_model_default_params();
  params.n_gpu_layers = vlm->config.gpu ? -1 : 0;
  mnk_vlm_log_capture();
  vlm->model = llama_model_load_from_file(vlm->config.model, params);
  g_autofree char *why = mnk_vlm_log_captured();
  if (!vlm->model) {
    g_set_error(error, MNK_ERROR, MNK_ERROR_BAD_INPUT, "%s cannot be loaded%s", vlm->config.model,
                why);
    return FALSE;
  }
  vlm->vocab = llama_model_get_vocab(vlm->model);
  vlm->chat_template = g_strdup(llama_model_chat_template(vlm->model, NULL));
  vlm->files.dim = (guint)llama_model_n_embd_inp(vlm->model);
  if (vlm->files.dim > MNK_TOKENS_DIM_MAX) {
    g_set_error(error, MNK_ERROR, MNK_ERROR_LIMIT,
                "%s takes tokens of width %u, over the limit of %d", vlm->config.model,
                vlm->files.dim, MNK_TOKENS_DIM_MAX);
    return FALSE;
  }
  return check_kind(vlm, error);
}

MnkVlm *mnk_vlm_load(const MnkVlmConfig *config, GError **error) {
  static GOnce started = G_ONCE_INIT;
  g_autoptr(MnkVlm) vlm = g_new0(MnkVlm, 1);
  if (!take_config(vlm, config, error) ||
      !mnk_vlm_inspect(config->model, config->mmproj, config->context, &vlm->files, error))
    return NULL;
  g_once(&started, start_libraries, NULL);
  if (!check_processor(error) || !load_text(vlm, error) || !mnk_vlm_words_load(vlm, error) ||
      !mnk_vlm_tower_load(vlm, error) || !mnk_vlm_decoder_load(vlm, error))
    return NULL;
  return g_steal_pointer(&vlm);
}

void mnk_vlm_free(MnkVlm *vlm) {
  if (!vlm)
    return;
  mnk_vlm_decoder_free(vlm->decoder);
  mnk_vlm_tower_free(vlm->tower);
  mnk_vlm_words_free(vlm->words);
  g_clear_pointer(&vlm->markers.begin, g_array_unref);
  g_clear_pointer(&vlm->markers.end, g_array_unref);
  if (vlm->model)
    llama_model_free(vlm->model);
  g_free(vlm->chat_template);
  g_free((char *)vlm->config.model);
  g_free((char *)vlm->config.mmproj);
  g_free(vlm);
}
