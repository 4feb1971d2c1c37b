"""Vision-language models of the true architectures with random weights, as GGUF pairs.

What they say is noise. They serve to test numbers, plumbing and speed: a weight that is read wrongly,
a position that is off by one or a missing bias changes the result."""

import dataclasses
import math

import numpy as np

import tiny_vocabulary as vocabulary
from gguf_writer import GgufWriter, encode

POOL = 1 << 20  # random values that large tensors repeat: making them would take longer than writing


@dataclasses.dataclass(frozen=True)
class Text:
    """Shape of a language model."""
    layers: int
    width: int
    heads: int
    kv_heads: int
    hidden: int
    vocabulary: int
    theta: float
    context: int = 8192
    head_width: int = 0  # 0: width / heads
    window: int = 0  # of sliding attention

    @property
    def head(self):
        return self.head_width or self.width // self.heads


@dataclasses.dataclass(frozen=True)
class Vision:
    """Shape of a tower. scale: rows and columns of patches that become one token."""
    layers: int
    width: int
    heads: int
    hidden: int
    patch: int
    image: int
    scale: int
    mean: tuple = (0.5, 0.5, 0.5)
    std: tuple = (0.5, 0.5, 0.5)
    longest: int = 0  # side to which SmolVLM scales a picture before it cuts tiles
    full_every: int = 0  # Qwen: every so many layers attend to the whole picture


CLIP_COLOURS = {"mean": (0.48145466, 0.4578275, 0.40821073), "std": (0.26862954, 0.26130258, 0.27577711)}

SHAPES = {
    ("qwen25vl", "tiny"): (
        Text(layers=2, width=128, heads=2, kv_heads=1, hidden=256, vocabulary=1024, theta=1e6, context=32768),
        Vision(layers=4, width=64, heads=2, hidden=128, patch=14, image=560, scale=2, full_every=2,
               **CLIP_COLOURS)),
    ("smolvlm", "tiny"): (
        Text(layers=2, width=128, heads=2, kv_heads=1, hidden=256, vocabulary=1024, theta=1e5),
        Vision(layers=2, width=64, heads=2, hidden=128, patch=16, image=64, scale=2, longest=128)),
    ("smolvlm", "256m"): (
        Text(layers=30, width=576, heads=9, kv_heads=3, hidden=1536, vocabulary=49280, theta=1e5),
        Vision(layers=12, width=768, heads=12, hidden=3072, patch=16, image=512, scale=4, longest=2048)),
    ("gemma3", "tiny"): (
        Text(layers=6, width=128, heads=2, kv_heads=1, hidden=256, vocabulary=2048, theta=1e6,
             head_width=64, window=32),
        Vision(layers=2, width=64, heads=2, hidden=128, patch=14, image=112, scale=2)),
}
# Types of the weight matrices: text, tower.
WEIGHTS = {"tiny": ("f32", "f32"), "256m": ("q8_0", "f16")}

ARCHITECTURES = {"qwen25vl": "qwen2vl", "smolvlm": "llama", "gemma3": "gemma3"}
PROJECTORS = {"qwen25vl": "qwen2.5vl_merger", "smolvlm": "idefics3", "gemma3": "gemma3"}


class Weights:
    """Puts random tensors into a file. Matrices take the type of weights, vectors stay float32."""

    def __init__(self, gguf, kind, random):
        self._gguf, self._kind, self._random = gguf, kind, random

    def matrix(self, name, *shape, kind=None, std=None):
        kind = kind or self._kind
        std = std or 1 / math.sqrt(shape[-1])
        count = math.prod(shape)
        values = self._random.standard_normal(min(count, POOL), np.float32) * np.float32(std)
        data = encode(values, kind)
        repeats, rest = divmod(count, len(values))
        data = data * repeats + data[:len(data) * rest // len(values)]
        self._gguf.encoded_tensor(name, shape, data, kind)

    def gain(self, name, size):
        """A norm's: around one, so that leaving it out shows."""
        self._vector(name, 1, 0.1, size)

    def bias(self, name, size):
        self._vector(name, 0, 0.1, size)

    def linear(self, name, outputs, inputs):
        self.matrix(name + ".weight", outputs, inputs)
        self.bias(name + ".bias", outputs)

    def _vector(self, name, mean, std, size):
        values = mean + std * self._random.standard_normal(size, np.float32)
        self._gguf.tensor(name, values.astype(np.float32))


def rope_sections(head):
    """Pairs of a head that turn with time, row and column: Qwen's 1/4, 3/8 and 3/8."""
    pairs = head // 2
    time = pairs // 4
    row = (pairs - time) // 2
    return [time, row, pairs - time - row, 0]


def _write_vocabulary(gguf, family, size):
    if family == "qwen25vl":
        vocabulary.write_byte_pairs(
            gguf, size, "qwen2", vocabulary.QWEN_CONTROL, "<|im_end|>", "<|endoftext|>",
            vocabulary.CHATML_TEMPLATE, [form for word in vocabulary.WORDS for form in (word, " " + word)])
    elif family == "smolvlm":
        # libmtmd puts an empty line before the overview and looks it up as one token.
        vocabulary.write_byte_pairs(
            gguf, size, "smollm", vocabulary.SMOLVLM_CONTROL, "<end_of_utterance>", "<|im_start|>",
            vocabulary.SMOLVLM_TEMPLATE,
            ["\n\n", *(form for word in vocabulary.WORDS for form in (word, " " + word))])
    else:
        vocabulary.write_sentence_pieces(gguf, size)


def _text_metadata(gguf, family, shape):
    architecture = ARCHITECTURES[family]
    gguf.set_all(architecture + ".", {
        "context_length": shape.context, "embedding_length": shape.width, "block_count": shape.layers,
        "feed_forward_length": shape.hidden, "attention.head_count": shape.heads,
        "attention.head_count_kv": shape.kv_heads, "attention.layer_norm_rms_epsilon": 1e-6,
        "rope.freq_base": shape.theta, "vocab_size": shape.vocabulary})
    if family == "qwen25vl":
        gguf.set("qwen2vl.rope.dimension_sections", rope_sections(shape.head))
    elif family == "smolvlm":
        gguf.set("llama.rope.dimension_count", shape.head)
    else:
        gguf.set_all("gemma3.attention.", {
            "key_length": shape.head, "value_length": shape.head, "sliding_window": shape.window})
    _write_vocabulary(gguf, family, shape.vocabulary)


def _text_layer(weights, family, shape, prefix):
    queries, keys = shape.heads * shape.head, shape.kv_heads * shape.head
    weights.gain(prefix + "attn_norm.weight", shape.width)
    for name, size in (("attn_q", queries), ("attn_k", keys), ("attn_v", keys)):
        weights.matrix(f"{prefix}{name}.weight", size, shape.width)
        if family == "qwen25vl":
            weights.bias(f"{prefix}{name}.bias", size)
    weights.matrix(prefix + "attn_output.weight", shape.width, queries)
    if family == "gemma3":
        weights.gain(prefix + "attn_q_norm.weight", shape.head)
        weights.gain(prefix + "attn_k_norm.weight", shape.head)
        weights.gain(prefix + "post_attention_norm.weight", shape.width)
        weights.gain(prefix + "post_ffw_norm.weight", shape.width)
    weights.gain(prefix + "ffn_norm.weight", shape.width)
    weights.matrix(prefix + "ffn_gate.weight", shape.hidden, shape.width)
    weights.matrix(prefix + "ffn_up.weight", shape.hidden, shape.width)
    weights.matrix(prefix + "ffn_down.weight", shape.width, shape.hidden)


def text_model(family, shape, kind, random):
    gguf = GgufWriter(ARCHITECTURES[family], f"random {family}")
    _text_metadata(gguf, family, shape)
    weights = Weights(gguf, kind, random)
    weights.matrix("token_embd.weight", shape.vocabulary, shape.width, std=0.05)
    weights.gain("output_norm.weight", shape.width)
    for layer in range(shape.layers):
        _text_layer(weights, family, shape, f"blk.{layer}.")
    return gguf


def _tower_metadata(gguf, family, shape, outputs):
    gguf.set_all("", {"general.type": "mmproj", "clip.has_vision_encoder": True,
                      "clip.projector_type": PROJECTORS[family]})
    gguf.set_all("clip.vision.", {
        "embedding_length": shape.width, "feed_forward_length": shape.hidden, "block_count": shape.layers,
        "projection_dim": outputs, "image_size": shape.image, "patch_size": shape.patch,
        "attention.head_count": shape.heads, "attention.layer_norm_epsilon": 1e-6,
        "image_mean": list(shape.mean), "image_std": list(shape.std)})
    if family == "qwen25vl":
        gguf.set("clip.use_silu", True)
        gguf.set("clip.vision.n_wa_pattern", shape.full_every)
    else:
        gguf.set("clip.use_gelu", True)
        gguf.set("clip.vision.projector.scale_factor", shape.scale)
    if family == "smolvlm":
        gguf.set("clip.vision.preproc_image_size", shape.longest)


def _tower_layer(weights, family, shape, prefix):
    for name in ("attn_q", "attn_k", "attn_v", "attn_out"):
        weights.linear(prefix + name, shape.width, shape.width)
    for name in ("ln1", "ln2"):
        weights.gain(f"{prefix}{name}.weight", shape.width)
        if family != "qwen25vl":
            weights.bias(f"{prefix}{name}.bias", shape.width)
    if family == "qwen25vl":
        weights.linear(prefix + "ffn_gate", shape.hidden, shape.width)
    weights.linear(prefix + "ffn_up", shape.hidden, shape.width)
    weights.linear(prefix + "ffn_down", shape.width, shape.hidden)


def _projector(weights, family, shape, outputs):
    merged = shape.width * shape.scale ** 2
    if family == "qwen25vl":
        weights.linear("mm.0", merged, merged)
        weights.linear("mm.2", outputs, merged)
    elif family == "smolvlm":
        weights.matrix("mm.model.fc.weight", outputs, merged)
    else:
        weights.matrix("mm.input_projection.weight", shape.width, outputs, std=1 / math.sqrt(shape.width))
        weights.gain("mm.soft_emb_norm.weight", shape.width)


def tower(family, shape, outputs, kind, random):
    gguf = GgufWriter("clip", f"random {family} tower")
    _tower_metadata(gguf, family, shape, outputs)
    weights = Weights(gguf, kind, random)
    patch = (shape.width, 3, shape.patch, shape.patch)
    weights.matrix("v.patch_embd.weight", *patch, std=0.05)
    if family == "qwen25vl":  # of the second frame of a pair
        weights.matrix("v.patch_embd.weight.1", *patch, std=0.05)
    else:
        weights.bias("v.patch_embd.bias", shape.width)
        # libmtmd adds the places without converting them.
        places = (shape.image // shape.patch) ** 2
        weights.matrix("v.position_embd.weight", places, shape.width, kind="f32", std=0.1)
        weights.bias("v.post_ln.bias", shape.width)
    weights.gain("v.post_ln.weight", shape.width)
    for layer in range(shape.layers):
        _tower_layer(weights, family, shape, f"v.blk.{layer}.")
    _projector(weights, family, shape, outputs)
    return gguf


def make(family, preset, seed):
    """The text model and the tower, not yet written."""
    text, vision = SHAPES[family, preset]
    kinds = WEIGHTS[preset]
    random = np.random.default_rng(seed)
    return (text_model(family, text, kinds[0], random),
            tower(family, vision, text.width, kinds[1], random))
