/* Compiled when the build is configured: the libraries' interfaces are what this folder is written
 * for. */
#include <llama.h>
#include <mtmd-helper.h>
#include <mtmd.h>

int main(void) {
  struct mtmd_context_params tower = mtmd_context_params_default();
  tower.cb_eval = NULL;
  tower.image_max_tokens = 64;
  struct mtmd_input_text text = {
      .text = "x", .text_len = 1, .add_special = false, .parse_special = true};
  struct llama_context_params context = llama_context_default_params();
  context.kv_unified = true;
  context.swa_full = true;
  context.abort_callback = NULL;
  struct mtmd_decoder_pos (*position)(const mtmd_image_tokens *, llama_pos, size_t) =
      mtmd_image_tokens_get_decoder_pos;
  void (*mergeable)(mtmd_bitmap *, bool) = mtmd_bitmap_set_mergeable;
  bool (*non_causal)(const mtmd_context *, const mtmd_input_chunk *) = mtmd_decode_use_non_causal;
  bool (*shift)(llama_memory_t) = llama_memory_can_shift;
  int (*embeddings)(const struct llama_model *) = llama_model_n_embd_inp;
  mtmd_helper_log_set(NULL, NULL);
  return text.text_len == 1 && position && mergeable && non_causal && shift && embeddings ? 0 : 1;
}
