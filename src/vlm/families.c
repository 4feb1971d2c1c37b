#include "vlm/families_priv.h"

/* As the converters of the llama.cpp project pair them. */
static const MnkVlmProjector projectors[] = {
    {"qwen2vl_merger", MNK_VLM_QWEN, "Qwen2-VL", {"qwen2vl"}, TRUE, FALSE},
    {"qwen2.5vl_merger", MNK_VLM_QWEN, "Qwen2.5-VL", {"qwen2vl"}, TRUE, FALSE},
    {"qwen2.5o", MNK_VLM_QWEN, "Qwen2.5-Omni", {"qwen2vl"}, TRUE, FALSE},
    {"qwen3vl_merger",
     MNK_VLM_QWEN,
     "Qwen3-VL",
     {"qwen3vl", "qwen3vlmoe", "qwen35", "qwen35moe"},
     TRUE,
     FALSE},
    {"idefics3", MNK_VLM_SMOLVLM, "SmolVLM", {"llama", "smollm3"}, TRUE, FALSE},
    {"gemma3", MNK_VLM_GEMMA, "Gemma 3", {"gemma3"}, TRUE, FALSE},
    {"gemma3nv", MNK_VLM_OTHER, "Gemma 3n", {"gemma3n"}, FALSE, FALSE},
    {"gemma4v", MNK_VLM_GEMMA, "Gemma 4", {"gemma4"}, FALSE, FALSE},
    {"gemma4uv", MNK_VLM_GEMMA, "Gemma 4", {"gemma4"}, FALSE, FALSE},
    {"internvl",
     MNK_VLM_OTHER,
     "InternVL",
     {"internlm2", "qwen2", "qwen3", "qwen3moe", "llama"},
     TRUE,
     FALSE},
    {"pixtral", MNK_VLM_OTHER, "Pixtral", {"llama", "mistral3", "mistral4"}, TRUE, FALSE},
    {"lightonocr", MNK_VLM_OTHER, "LightOnOCR", {"qwen3"}, TRUE, FALSE},
    {"glm4v", MNK_VLM_OTHER, "GLM-4V", {"glm4", "glm4moe", "chatglm"}, FALSE, FALSE},
    {"kimivl", MNK_VLM_OTHER, "Kimi-VL", {"deepseek2"}, TRUE, FALSE},
    {"llama4", MNK_VLM_OTHER, "Llama 4", {"llama4"}, FALSE, FALSE},
    {"cogvlm", MNK_VLM_OTHER, "CogVLM", {"cogvlm"}, FALSE, FALSE},
    {"janus_pro", MNK_VLM_OTHER, "Janus-Pro", {"llama"}, FALSE, FALSE},
    {"phi4", MNK_VLM_OTHER, "Phi-4", {"phi3"}, FALSE, FALSE},
    {"step3vl", MNK_VLM_OTHER, "Step3-VL", {"qwen3", "step35"}, FALSE, FALSE},
    {"resampler",
     MNK_VLM_OTHER,
     "MiniCPM-V",
     {"minicpm", "minicpm3", "llama", "qwen2", "qwen3"},
     FALSE,
     TRUE},
    {"mlp", MNK_VLM_OTHER, "LLaVA", {"llama", "qwen2", "phi2", "phi3", "granite"}, FALSE, FALSE},
    {"ldp", MNK_VLM_OTHER, "MobileVLM", {"llama"}, FALSE, FALSE},
    {"ldpv2", MNK_VLM_OTHER, "MobileVLM 2", {"llama"}, FALSE, FALSE},
};

const MnkVlmProjector *mnk_vlm_projector_find(const char *projector) {
  for (gsize i = 0; i < G_N_ELEMENTS(projectors); i++)
    if (g_str_equal(projectors[i].projector, projector))
      return &projectors[i];
  return NULL;
}

gboolean mnk_vlm_projector_fits(const MnkVlmProjector *projector, const char *architecture) {
  return g_strv_contains(projector->architectures, architecture);
}
