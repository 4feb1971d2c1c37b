#!/usr/bin/env python3
"""The models of vlm_numpy.py once more, by Hugging Face transformers: CASE.npz to RESULT.npz.

A case is a GGUF pair, an RGB picture, and the tokens before and after it; the result is the tower's output
and the logits of the last token. The weights are the GGUF's own, given their names of there. Runs in a
Python that has torch and transformers, which nothing else of the project needs."""

import sys

import gguf_reader
import numpy as np
import torch
import transformers
from vlm_numpy import normalised

TEXT_NAMES = {
    "attn_norm": "input_layernorm", "attn_q": "self_attn.q_proj", "attn_k": "self_attn.k_proj",
    "attn_v": "self_attn.v_proj", "attn_output": "self_attn.o_proj", "ffn_gate": "mlp.gate_proj",
    "ffn_up": "mlp.up_proj", "ffn_down": "mlp.down_proj", "ffn_norm": "post_attention_layernorm"}
GEMMA_NAMES = {
    **TEXT_NAMES, "attn_q_norm": "self_attn.q_norm", "attn_k_norm": "self_attn.k_norm",
    "post_attention_norm": "post_attention_layernorm", "ffn_norm": "pre_feedforward_layernorm",
    "post_ffw_norm": "post_feedforward_layernorm"}
SIGLIP_NAMES = {
    "ln1": "layer_norm1", "ln2": "layer_norm2", "attn_q": "self_attn.q_proj", "attn_k": "self_attn.k_proj",
    "attn_v": "self_attn.v_proj", "attn_out": "self_attn.out_proj", "ffn_up": "mlp.fc1", "ffn_down": "mlp.fc2"}
QWEN_NAMES = {
    "ln1": "norm1", "ln2": "norm2", "attn_out": "attn.proj", "ffn_gate": "mlp.gate_proj",
    "ffn_up": "mlp.up_proj", "ffn_down": "mlp.down_proj"}


def layers(gguf, source, target, names):
    """The tensors of all layers, renamed."""
    found = {}
    for name, value in gguf.at(source).items():
        index, kind, part = name.split(".")
        if kind in names:
            found[f"{target}{index}.{names[kind]}.{part}"] = value
    return found


def half_by_half(rows, heads):
    """Rotary pairs as (i, i + width / 2), from neighbours."""
    return rows.reshape(heads, -1, 2, rows.shape[1]).swapaxes(1, 2).reshape(rows.shape)


def text_weights(gguf, prefix, names):
    found = layers(gguf, "blk.", prefix + "layers.", names)
    found[prefix + "embed_tokens.weight"] = found["lm_head.weight"] = gguf.tensors["token_embd.weight"]
    found[prefix + "norm.weight"] = gguf.tensors["output_norm.weight"]
    return found


def text_config(gguf):
    architecture = gguf.metadata["general.architecture"]
    get = lambda key: gguf.metadata.get(f"{architecture}.{key}")
    heads, width = get("attention.head_count"), get("embedding_length")
    return {
        "hidden_size": width, "num_hidden_layers": get("block_count"), "num_attention_heads": heads,
        "num_key_value_heads": get("attention.head_count_kv"), "intermediate_size": get("feed_forward_length"),
        "vocab_size": len(gguf.metadata["tokenizer.ggml.tokens"]),
        "rms_norm_eps": get("attention.layer_norm_rms_epsilon"),
        "head_dim": get("attention.key_length") or width // heads, "tie_word_embeddings": True,
        "max_position_embeddings": get("context_length"), "bos_token_id": 0, "eos_token_id": 1, "pad_token_id": 2,
        "rope_parameters": {"rope_type": "default", "rope_theta": get("rope.freq_base")}}


def tower_config(gguf):
    get = lambda key: gguf.metadata[f"clip.vision.{key}"]
    return {
        "hidden_size": get("embedding_length"), "intermediate_size": get("feed_forward_length"),
        "num_hidden_layers": get("block_count"), "num_attention_heads": get("attention.head_count"),
        "image_size": get("image_size"), "patch_size": get("patch_size"),
        "layer_norm_eps": get("attention.layer_norm_epsilon")}


def siglip_weights(gguf, prefix):
    found = layers(gguf, "v.blk.", prefix + "encoder.layers.", SIGLIP_NAMES)
    for name, there in (("patch_embd", "embeddings.patch_embedding"),
                        ("position_embd", "embeddings.position_embedding"), ("post_ln", "post_layernorm")):
        for part, value in gguf.at(f"v.{name}.").items():
            found[f"{prefix}{there}.{part}"] = value
    return found


def fill(model, weights):
    missing, unknown = model.load_state_dict(
        {name: torch.from_numpy(np.array(value)) for name, value in weights.items()}, strict=False)
    if missing or unknown:
        raise ValueError(f"missing: {missing}, unknown: {unknown}")
    return model.double().eval()


def qwen(model, mmproj):
    text = text_config(model)
    sections = model.metadata["qwen2vl.rope.dimension_sections"][:3]
    text["rope_parameters"]["mrope_section"] = sections
    get = lambda key: mmproj.metadata[f"clip.vision.{key}"]
    depth, period = get("block_count"), get("n_wa_pattern")
    tokens = model.metadata["tokenizer.ggml.tokens"]
    config = transformers.Qwen2_5_VLConfig(
        text_config=text, tie_word_embeddings=True, image_token_id=tokens.index("<|image_pad|>"),
        video_token_id=tokens.index("<|video_pad|>"), vision_start_token_id=tokens.index("<|vision_start|>"),
        vision_end_token_id=tokens.index("<|vision_end|>"),
        vision_config={
            "depth": depth, "hidden_size": get("embedding_length"), "num_heads": get("attention.head_count"),
            "intermediate_size": get("feed_forward_length"), "out_hidden_size": text["hidden_size"],
            "fullatt_block_indexes": list(range(period - 1, depth, period))})
    weights = text_weights(model, "model.language_model.", TEXT_NAMES)
    weights |= layers(mmproj, "v.blk.", "model.visual.blocks.", QWEN_NAMES)
    for index in range(depth):
        layer = mmproj.at(f"v.blk.{index}.")
        for part in ("weight", "bias"):
            weights[f"model.visual.blocks.{index}.attn.qkv.{part}"] = np.concatenate(
                [layer[f"attn_{name}.{part}"] for name in "qkv"])
    frames = [mmproj.tensors["v.patch_embd.weight"], mmproj.tensors["v.patch_embd.weight.1"]]
    weights["model.visual.patch_embed.proj.weight"] = np.stack(frames, axis=2)
    weights["model.visual.merger.ln_q.weight"] = mmproj.tensors["v.post_ln.weight"]
    for part in ("0.weight", "0.bias", "2.weight", "2.bias"):
        weights[f"model.visual.merger.mlp.{part}"] = mmproj.tensors[f"mm.{part}"]
    return fill(transformers.Qwen2_5_VLForConditionalGeneration(config), weights)


def smolvlm(model, mmproj):
    tokens = model.metadata["tokenizer.ggml.tokens"]
    scale = mmproj.metadata["clip.vision.projector.scale_factor"]
    config = transformers.SmolVLMConfig(
        text_config={"model_type": "llama", **text_config(model)}, vision_config=tower_config(mmproj),
        scale_factor=scale, tie_word_embeddings=True, image_token_id=tokens.index("<image>"))
    weights = text_weights(model, "model.text_model.", TEXT_NAMES)
    text = config.text_config
    for name, heads in (("q", text.num_attention_heads), ("k", text.num_key_value_heads)):
        for index in range(text.num_hidden_layers):
            key = f"model.text_model.layers.{index}.self_attn.{name}_proj.weight"
            weights[key] = half_by_half(weights[key], heads)
    weights |= siglip_weights(mmproj, "model.vision_model.")
    weights["model.connector.modality_projection.proj.weight"] = mmproj.tensors["mm.model.fc.weight"]
    return fill(transformers.SmolVLMForConditionalGeneration(config), weights)


def gemma(model, mmproj):
    tokens, text = model.metadata["tokenizer.ggml.tokens"], text_config(model)
    text["rope_parameters"] = {
        "full_attention": text["rope_parameters"],
        "sliding_attention": {"rope_type": "default", "rope_theta": 1e4}}
    text["query_pre_attn_scalar"] = text["head_dim"]
    text["sliding_window"] = model.metadata["gemma3.attention.sliding_window"]
    vision = tower_config(mmproj)
    side = vision["image_size"] // vision["patch_size"] // mmproj.metadata["clip.vision.projector.scale_factor"]
    config = transformers.Gemma3Config(
        text_config=text, vision_config={**vision, "vision_use_head": False}, mm_tokens_per_image=side ** 2,
        image_token_index=tokens.index("<image_soft_token>"), boi_token_index=tokens.index("<start_of_image>"),
        eoi_token_index=tokens.index("<end_of_image>"), tie_word_embeddings=True)
    weights = text_weights(model, "model.language_model.", GEMMA_NAMES)
    weights |= siglip_weights(mmproj, "model.vision_tower.")
    weights["model.multi_modal_projector.mm_soft_emb_norm.weight"] = mmproj.tensors["mm.soft_emb_norm.weight"]
    # There the one is added when the norm is applied.
    for name in weights:
        is_siglip = name.startswith("model.vision_tower.")
        if "norm" in name and not is_siglip:
            weights[name] = weights[name] - 1
    weights["model.multi_modal_projector.mm_input_projection_weight"] = mmproj.tensors["mm.input_projection.weight"]
    return fill(transformers.Gemma3ForConditionalGeneration(config), weights)


def qwen_pixels(mmproj, rgb):
    """Patches of two like frames, block by block of four."""
    size = mmproj.metadata["clip.vision.patch_size"]
    picture = normalised(mmproj, rgb)
    rows, columns = picture.shape[0] // size, picture.shape[1] // size
    cut = picture.reshape(rows // 2, 2, size, columns // 2, 2, size, 3).transpose(0, 3, 1, 4, 6, 2, 5)
    pairs = np.repeat(cut.reshape(rows * columns, 3, 1, size, size), 2, axis=2)
    return {"pixel_values": torch.from_numpy(pairs.reshape(rows * columns, -1)),
            "image_grid_thw": torch.tensor([[1, rows, columns]])}


def plain_pixels(mmproj, rgb):
    return {"pixel_values": torch.from_numpy(normalised(mmproj, rgb).transpose(2, 0, 1))[None]}


def smolvlm_pixels(mmproj, rgb):
    return {"pixel_values": plain_pixels(mmproj, rgb)["pixel_values"][None]}


FAMILIES = {"qwen2.5vl_merger": (qwen, qwen_pixels), "idefics3": (smolvlm, smolvlm_pixels),
            "gemma3": (gemma, plain_pixels)}


def image_token(config):
    return getattr(config, "image_token_id", None) or config.image_token_index


def rows_of(features):
    """The projected rows: what get_image_features returns differs between versions."""
    features = getattr(features, "pooler_output", features)
    if isinstance(features, (list, tuple)):
        features = torch.cat(list(features))
    return features.reshape(-1, features.shape[-1])


def run(case):
    model, mmproj = gguf_reader.Gguf(str(case["model"])), gguf_reader.Gguf(str(case["mmproj"]))
    make, pixels = FAMILIES[mmproj.metadata["clip.projector_type"]]
    network, inputs = make(model, mmproj), pixels(mmproj, case["rgb"])
    with torch.no_grad():
        tower = rows_of(network.model.get_image_features(**inputs))
        shown = np.full(len(tower), image_token(network.config))
        ids = torch.from_numpy(np.concatenate([case["before"], shown, case["after"]]).astype(np.int64))[None]
        kinds = (ids == shown[0]).long()
        if make is qwen:
            inputs["mm_token_type_ids"] = kinds
        elif make is gemma:
            inputs["token_type_ids"] = kinds
        logits = network(input_ids=ids, attention_mask=torch.ones_like(ids), **inputs).logits[0, -1]
    return {"tower": tower.numpy(), "logits": logits.numpy()}


if __name__ == "__main__":
    transformers.logging.set_verbosity_error()
    with np.load(sys.argv[1]) as case:
        np.savez(sys.argv[2], **run(case))
