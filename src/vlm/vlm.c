#include "vlm/vlm.h"

void mnk_vlm_config_init(MnkVlmConfig *config) {
  *config = (MnkVlmConfig){
      .context = 8192,
      .sequences = 16,
      .image_tokens = 108,
      .micro_batch = 128,
  };
}

void mnk_vlm_answer_clear(MnkVlmAnswer *answer) {
  g_free(answer->text);
  *answer = (MnkVlmAnswer){0};
}
