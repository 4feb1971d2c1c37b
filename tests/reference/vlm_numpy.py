"""Vision-language models in NumPy, written from their architectures' definitions: Qwen2.5-VL (Bai et al.
2025), SmolVLM (Idefics 3's; Laurencon et al. 2024), Gemma 3 (2025). Everything in float64, one picture,
one sequence, nothing cached: made to be read beside the papers, not to be fast.

Weights come from GGUF pairs (gguf_reader.Gguf), which hold Llama's query and key rows in the order of
interleaved rotary pairs, and Gemma's norm weights with their one already added."""

import math

import numpy as np


def rms_norm(x, weight, eps):
    return x / np.sqrt((x * x).mean(-1, keepdims=True) + eps) * weight


def layer_norm(x, weight, bias, eps):
    centred = x - x.mean(-1, keepdims=True)
    return centred / np.sqrt((centred * centred).mean(-1, keepdims=True) + eps) * weight + bias


def silu(x):
    return x / (1 + np.exp(-x))


def gelu(x):
    return 0.5 * x * (1 + np.vectorize(math.erf)(x / math.sqrt(2)))


def gelu_tanh(x):
    return 0.5 * x * (1 + np.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x ** 3)))


def linear(tensors, name, x):
    y = x @ tensors[name + ".weight"].astype(np.float64).T
    return y + tensors[name + ".bias"] if name + ".bias" in tensors else y


def rotate(x, angles, interleaved=False):
    """x: positions x heads x width; angles: positions x width / 2. A pair is (i, i + width / 2), or
    neighbours."""
    cos, sin = np.cos(angles)[:, None], np.sin(angles)[:, None]
    if interleaved:
        first, second = x[..., ::2], x[..., 1::2]
    else:
        first, second = np.split(x, 2, axis=-1)
    turned = first * cos - second * sin, second * cos + first * sin
    if interleaved:
        return np.stack(turned, axis=-1).reshape(x.shape)
    return np.concatenate(turned, axis=-1)


def frequencies(theta, pairs):
    return theta ** (-np.arange(pairs) / pairs)


def attend(q, k, v, allowed):
    """q: n x heads x width, k and v: n x fewer heads x width; allowed: n x n. Returns n x heads * width."""
    group = q.shape[1] // k.shape[1]
    k, v = np.repeat(k, group, axis=1), np.repeat(v, group, axis=1)
    scores = np.einsum("qhd,khd->hqk", q, k) / math.sqrt(q.shape[-1])
    scores = np.where(allowed, scores, -np.inf)
    weights = np.exp(scores - scores.max(-1, keepdims=True))
    weights /= weights.sum(-1, keepdims=True)
    return np.einsum("hqk,khd->qhd", weights, v).reshape(len(q), -1)


# ---- Towers: an RGB picture of a fitting size to tokens x width ----


def normalised(gguf, rgb):
    meta = gguf.metadata
    mean, std = np.array(meta["clip.vision.image_mean"]), np.array(meta["clip.vision.image_std"])
    return (rgb.astype(np.float64) / 255 - mean) / std


def patches(gguf, picture):
    """rows x columns x width: the picture cut into squares, each multiplied by the kernel."""
    size = gguf.metadata["clip.vision.patch_size"]
    rows, columns = picture.shape[0] // size, picture.shape[1] // size
    cut = picture.reshape(rows, size, columns, size, 3).transpose(0, 2, 4, 1, 3).reshape(rows, columns, -1)
    kernel = gguf.tensors["v.patch_embd.weight"].astype(np.float64)
    return cut, kernel.reshape(len(kernel), -1)


def _windows(rows, columns):
    """n x n: whether two patches lie in one window of 8 x 8 patches (112 pixels)."""
    row, column = np.divmod(np.arange(rows * columns), columns)
    window = row // 8 * (-(-columns // 8)) + column // 8
    return window[:, None] == window


def _qwen_block(layer, x, heads, eps, angles, allowed):
    n, width = x.shape
    normed = rms_norm(x, layer["ln1.weight"], eps)
    q, k, v = (linear(layer, name, normed).reshape(n, heads, -1) for name in ("attn_q", "attn_k", "attn_v"))
    seen = attend(rotate(q, angles), rotate(k, angles), v, allowed)
    x = x + linear(layer, "attn_out", seen)
    normed = rms_norm(x, layer["ln2.weight"], eps)
    return x + linear(layer, "ffn_down", silu(linear(layer, "ffn_gate", normed)) * linear(layer, "ffn_up", normed))


def qwen_tower(gguf, first, second=None):
    """Tokens row by row; second: the frame after, where a pair is encoded at once."""
    meta, tensors = gguf.metadata, gguf.tensors
    width, heads = meta["clip.vision.embedding_length"], meta["clip.vision.attention.head_count"]
    eps = meta["clip.vision.attention.layer_norm_epsilon"]
    cut, kernel = patches(gguf, normalised(gguf, first))
    later = cut if second is None else patches(gguf, normalised(gguf, second))[0]
    rows, columns, _ = cut.shape
    x = cut @ kernel.T + later @ tensors["v.patch_embd.weight.1"].astype(np.float64).reshape(width, -1).T
    x = x.reshape(-1, width)
    # Half of a head turns with the row, half with the column.
    row, column = np.divmod(np.arange(rows * columns), columns)
    turns = frequencies(1e4, width // heads // 4)
    angles = np.concatenate([np.outer(row, turns), np.outer(column, turns)], axis=1)
    windows, everywhere = _windows(rows, columns), np.ones((len(x), len(x)), bool)
    for index in range(meta["clip.vision.block_count"]):
        is_full = (index + 1) % meta["clip.vision.n_wa_pattern"] == 0
        x = _qwen_block(gguf.at(f"v.blk.{index}."), x, heads, eps, angles, everywhere if is_full else windows)
    x = rms_norm(x, tensors["v.post_ln.weight"], eps)
    blocks = x.reshape(rows // 2, 2, columns // 2, 2, width).transpose(0, 2, 1, 3, 4).reshape(-1, 4 * width)
    return linear(tensors, "mm.2", gelu(linear(tensors, "mm.0", blocks)))


def _siglip(gguf, rgb):
    """rows x columns x width, after the last norm."""
    meta, tensors = gguf.metadata, gguf.tensors
    heads, eps = meta["clip.vision.attention.head_count"], meta["clip.vision.attention.layer_norm_epsilon"]
    cut, kernel = patches(gguf, normalised(gguf, rgb))
    x = (cut @ kernel.T + tensors["v.patch_embd.bias"]).reshape(-1, len(kernel))
    x = x + tensors["v.position_embd.weight"]
    everywhere = np.ones((len(x), len(x)), bool)
    for index in range(meta["clip.vision.block_count"]):
        layer = gguf.at(f"v.blk.{index}.")
        normed = layer_norm(x, layer["ln1.weight"], layer["ln1.bias"], eps)
        q, k, v = (linear(layer, n, normed).reshape(len(x), heads, -1) for n in ("attn_q", "attn_k", "attn_v"))
        x = x + linear(layer, "attn_out", attend(q, k, v, everywhere))
        normed = layer_norm(x, layer["ln2.weight"], layer["ln2.bias"], eps)
        x = x + linear(layer, "ffn_down", gelu_tanh(linear(layer, "ffn_up", normed)))
    x = layer_norm(x, tensors["v.post_ln.weight"], tensors["v.post_ln.bias"], eps)
    return x.reshape(*cut.shape[:2], -1)


def smolvlm_tower(gguf, rgb):
    """Pixel shuffle: squares of patches side by side become one token."""
    x = _siglip(gguf, rgb)
    scale = gguf.metadata["clip.vision.projector.scale_factor"]
    rows, columns, width = x.shape
    blocks = x.reshape(rows // scale, scale, columns // scale, scale, width).transpose(0, 2, 1, 3, 4)
    return linear(gguf.tensors, "mm.model.fc", blocks.reshape(-1, scale * scale * width))


def gemma_tower(gguf, rgb):
    """The mean over squares of patches, normed and projected."""
    x = _siglip(gguf, rgb)
    scale = gguf.metadata["clip.vision.projector.scale_factor"]
    rows, columns, width = x.shape
    pooled = x.reshape(rows // scale, scale, columns // scale, scale, width).mean(axis=(1, 3)).reshape(-1, width)
    eps = gguf.metadata["clip.vision.attention.layer_norm_epsilon"]
    normed = rms_norm(pooled, gguf.tensors["mm.soft_emb_norm.weight"], eps)
    return normed @ gguf.tensors["mm.input_projection.weight"]


# ---- Text models: input rows with their positions to logits ----


class Sequence:
    """Rows in the order in which the model reads them, tokens and pictures mixed.

    Positions are (time, row, column) triples. Text takes one position, the same three times; a picture of
    Qwen's keeps its time and spreads over rows and columns, and what follows goes on after the farthest
    of them. Of the other families all positions are consecutive."""

    def __init__(self, gguf):
        self.gguf = gguf
        self.rows, self.positions, self.picture = [], [], []
        self._next = 0
        self._pictures = 0
        self._is_qwen = gguf.metadata["general.architecture"] == "qwen2vl"
        self._is_gemma = gguf.metadata["general.architecture"] == "gemma3"

    def add_tokens(self, tokens):
        rows = self.gguf.tensors["token_embd.weight"][tokens].astype(np.float64)
        if self._is_gemma:
            rows = rows * math.sqrt(rows.shape[1])
        for row in rows:
            self._add(row, [self._next] * 3, 0)
            self._next += 1

    def add_picture(self, rows, columns):
        self._pictures += 1
        base = self._next
        for index, row in enumerate(rows):
            if self._is_qwen:
                self._add(row, [base, base + index // columns, base + index % columns], self._pictures)
            else:
                self._add(row, [base + index] * 3, self._pictures)
        if self._is_qwen:
            self._next = base + max(len(rows) // columns, columns)
        else:
            self._next = base + len(rows)

    def _add(self, row, position, picture):
        self.rows.append(row)
        self.positions.append(position)
        self.picture.append(picture)


def _angles(positions, theta, pairs, sections=None):
    """Sections: how many of the pairs turn with time, row and column; the others with time."""
    which = np.zeros(pairs, int) if sections is None else np.repeat(np.arange(3), sections[:3])
    return np.array(positions, float)[:, which] * frequencies(theta, pairs)


def _gemma_masks(sequence, window):
    """Who sees whom, in layers that see everything and in sliding ones. The tokens of a picture see
    each other without order."""
    n = len(sequence.rows)
    index, picture = np.arange(n), np.array(sequence.picture)
    together = (picture[:, None] == picture) & (picture > 0)
    everything = (index[:, None] >= index) | together
    near = index[:, None] - index < window
    return everything, everything & near


def _heads(layer, name, x, width):
    return linear(layer, name, x).reshape(len(x), -1, width)


def _decoder_layer(layer, x, shape, angles, allowed):
    eps, width = shape["eps"], shape["head"]
    normed = rms_norm(x, layer["attn_norm.weight"], eps)
    q, k, v = (_heads(layer, name, normed, width) for name in ("attn_q", "attn_k", "attn_v"))
    if shape["is_gemma"]:
        q, k = rms_norm(q, layer["attn_q_norm.weight"], eps), rms_norm(k, layer["attn_k_norm.weight"], eps)
    q, k = (rotate(each, angles, shape["interleaved"]) for each in (q, k))
    seen = linear(layer, "attn_output", attend(q, k, v, allowed))
    if shape["is_gemma"]:
        seen = rms_norm(seen, layer["post_attention_norm.weight"], eps)
    x = x + seen
    normed = rms_norm(x, layer["ffn_norm.weight"], eps)
    activation = gelu_tanh if shape["is_gemma"] else silu
    hidden = activation(linear(layer, "ffn_gate", normed)) * linear(layer, "ffn_up", normed)
    hidden = linear(layer, "ffn_down", hidden)
    if shape["is_gemma"]:
        hidden = rms_norm(hidden, layer["post_ffw_norm.weight"], eps)
    return x + hidden


def logits(sequence):
    """Of every position: n x vocabulary."""
    gguf = sequence.gguf
    meta, architecture = gguf.metadata, gguf.metadata["general.architecture"]
    get = lambda key, default=None: meta.get(f"{architecture}.{key}", default)
    head = get("attention.key_length") or get("embedding_length") // get("attention.head_count")
    shape = {"eps": get("attention.layer_norm_rms_epsilon"), "head": head,
             "is_gemma": architecture == "gemma3", "interleaved": architecture == "llama"}
    x = np.array(sequence.rows)
    allowed = np.tri(len(x), dtype=bool)
    angles = _angles(sequence.positions, get("rope.freq_base"), head // 2, get("rope.dimension_sections"))
    if shape["is_gemma"]:
        allowed, near = _gemma_masks(sequence, get("attention.sliding_window"))
        slow = _angles(sequence.positions, 1e4, head // 2)
    for index in range(get("block_count")):
        layer = gguf.at(f"blk.{index}.")
        is_sliding = shape["is_gemma"] and (index + 1) % 6 != 0
        if is_sliding:
            x = _decoder_layer(layer, x, shape, slow, near)
        else:
            x = _decoder_layer(layer, x, shape, angles, allowed)
    x = rms_norm(x, gguf.tensors["output_norm.weight"], shape["eps"])
    return x @ gguf.tensors.get("output.weight", gguf.tensors["token_embd.weight"]).T.astype(np.float64)


TOWERS = {"qwen2.5vl_merger": qwen_tower, "idefics3": smolvlm_tower, "gemma3": gemma_tower}


def tower(gguf, rgb):
    return TOWERS[gguf.metadata["clip.projector_type"]](gguf, rgb)
