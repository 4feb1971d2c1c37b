"""A vision-language model that truly answers, with weights set by hand.

Its architecture is Qwen2.5-VL's. It sees one thing, the mean colour of what it is shown, and says one
thing: " the scene is red" (or green, blue, yellow, magenta, cyan, white, black; " unknown" when it was
shown nothing). Every choice has so wide a margin that all machines say the same.

What a test can rely on:
- Free text: " the scene is <colour>", then the end. The colour is that of the mean over all visual tokens
  in the context, each counting alike; without any, that of the colour words in the text.
- A question: when the context holds a "?" and a colour word, the model looks at the visual tokens of that
  colour (the nearest there is; of several words the last), so "was it red?" is answered with red exactly
  when a red token is there. All text is read, answers of before too; Japanese words (赤, 緑, ...) and
  "？" do as well.
- Choices: after a prompt with a colour word, Yes against No (yes, no, はい, いいえ) tells whether what it
  looks at is of that colour: without "?" the mean over all tokens, of which two thirds do not suffice;
  with "?" the tokens most like it.
- Grammars: what a grammar forces, it says; where the grammar leaves a choice it prefers, in a JSON text,
  "the scene is <colour>" for a string, the first number for start and start_frame, the highest for end
  and end_frame, 1 for confidence, and to close lists and objects after one element.
- Routers: a colour word's embedding points where visual tokens of that colour point (cosine about 0.98,
  0.5 where one of three channels differs, 0 or less otherwise); other words are orthogonal to all of it.

How: colours are corners of a cube, channels from -1 to 1, in the first dimensions of the embedding, with
a fourth that is one for whatever has a colour. Layer 0 gathers which colour the text names and whether it
asks; layer 1 averages the visual tokens, or those like the named colour; the output matches the average
against each corner, and otherwise follows from the last token alone (NEXT)."""

import itertools
import math

import numpy as np

import tiny_vocabulary as vocabulary
from gguf_writer import GgufWriter

NAMES = {"red": (1, -1, -1), "green": (-1, 1, -1), "blue": (-1, -1, 1), "yellow": (1, 1, -1),
         "magenta": (1, -1, 1), "cyan": (-1, 1, 1), "white": (1, 1, 1), "black": (-1, -1, -1)}
CORNERS = np.array(list(NAMES.values()), np.float32)
JAPANESE = {"赤": "red", "緑": "green", "青": "blue", "黄": "yellow", "白": "white", "黒": "black"}
YES, NO = ("Yes", "yes", " Yes", " yes", "はい"), ("No", "no", " No", " no", "いいえ")
ASKS = ("?", "？")
PLAIN_WORDS = ("the scene is unknown what colour happened before after now when was it there did does "
               "user assistant describe video a frame in of and Is Was What When Yes No yes no").split()
END = "<|im_end|>"

# ---- What follows what: the class of the last token gives preferences for the next ----

DIGITS = "0123456789"
FIRST = {digit: 1 - 0.01 * index for index, digit in enumerate(DIGITS)}
LAST = {digit: 0.91 + 0.01 * index for index, digit in enumerate(DIGITS)}
KEYS = {"events": "list key", "start": "start key", "start_frame": "start key", "end": "end key",
        "end_frame": "end key", "text": "text key", "caption": "text key", "confidence": "confidence key"}
COLOUR_WORDS = [f" {name}" for name in NAMES]
READ_AS = {**{space + name: name for name in NAMES for space in ("", " ")}, **JAPANESE}
NEXT = {
    "other": {" the": 1},
    "the": {" scene": 1},
    "scene": {" is": 1},
    "is": {**dict.fromkeys(COLOUR_WORDS, 1), " unknown": 1.004},
    "colour": {END: 1, '"': 0.9},
    '"': {"the": 1, ",": 0.5, "}": 0.4, ":": 0.3},
    ":": {"0": 1, '"': 0.9, "[": 0.8},
    ",": {'"': 0.5, "{": 0.4},
    "[": {"{": 1, '"': 0.5},
    "{": {'"': 0.5},
    "]": {"}": 1, END: 0.9},
    "}": {"]": 1, "}": 0.98, END: 0.97},
    ".": {"9": 1},
    "digit": {",": 1, "}": 0.98, "]": 0.97, END: 0.3, ".": 0.2},
    "list key": {"[": 1},
    "start key": FIRST,
    "end key": LAST,
    "text key": {'"': 1},
    "confidence key": {"1": 1, "0": 0.9},
}
CLASSES = {
    **{mark: mark for mark in '":,[{]}.'},
    **dict.fromkeys(DIGITS, "digit"),
    **{space + word: word for word in ("the", "scene", "is") for space in ("", " ")},
    **dict.fromkeys((*READ_AS, "unknown", " unknown"), "colour"),
    **{f'"{key}":{space}': kind for key, kind in KEYS.items() for space in ("", " ")},
}
PIECES = [text for text in CLASSES if text.startswith('"') and len(text) > 1]  # preferred wherever allowed

SURE = 1e4  # logit of a preference of one
PIECE = 0.95
SHARE = 50  # of the colours' match in the logits: less than what parts two preferences
SURE_OF_YES = 0.3  # sure answers come near 0.99 and 0.01

# ---- Dimensions ----

VOCABULARY, WIDTH, LAYERS, HEADS, HEAD, HIDDEN = 1024, 128, 2, 4, 32, 64
THETA, SECTIONS = 1e6, [12, 2, 2, 0]
# Of a head: the pairs (i, i + HEAD / 2) turn with position, the later the slower. The last hardly turn
# and compare contents; RECENCY turns by 1.8e-4 a token, so its sine falls with distance.
GATE, MATCH, RECENCY = 15, slice(12, 15), 10

_free = itertools.count()


def _take(count=1):
    taken = list(itertools.islice(_free, count))
    return taken if count > 1 else taken[0]


COLOUR, PRESENT = _take(3), _take()  # of a visual token or a colour word
SEEN, SEEN_PRESENT = _take(3), _take()  # their mean, as attention found it
TEXT, QUESTION = _take(), _take()  # it is a text token; it is "?"
NAME = _take(len(NAMES))  # which colour word it is
ASKED, ASKING = _take(len(NAMES)), _take()  # the colour that the text names; whether it asks
FOCUS, AFFIRMED = _take(3), _take()
CLASS = dict(zip(NEXT, _take(len(NEXT))))
WORD_COLOUR = 4  # length of a word's colour: the rest of its embedding hardly turns it away


class _Tokens:
    """Numbers of tokens by their text."""

    def __init__(self, tokens):
        self._numbers = {token: number for number, token in enumerate(tokens)}

    def __getitem__(self, text):
        return self._numbers[text if text == END else vocabulary.spell(text)]


def _zeros(*shape):
    return np.zeros(shape, np.float32)


def _embeddings(numbers):
    rows = _zeros(VOCABULARY, WIDTH)
    rows[:, TEXT] = 1
    rows[:, CLASS["other"]] = 1
    for text, kind in CLASSES.items():
        row = rows[numbers[text]]
        row[CLASS["other"]], row[CLASS[kind]] = 0, 1
    for text, name in READ_AS.items():
        row = rows[numbers[text]]
        row[COLOUR], row[PRESENT] = WORD_COLOUR * np.array(NAMES[name]), WORD_COLOUR
        row[NAME[list(NAMES).index(name)]] = 1
    for mark in ASKS:
        rows[numbers[mark], QUESTION] = 1
    return rows


def _output(numbers):
    rows = _zeros(VOCABULARY, WIDTH)
    for kind, choices in NEXT.items():
        for text, preference in choices.items():
            rows[numbers[text], CLASS[kind]] = SURE * preference
    for text in PIECES:
        rows[numbers[text], TEXT] = SURE * PIECE
    for text, corner in zip(COLOUR_WORDS, CORNERS):
        rows[numbers[text], SEEN] = SHARE * corner
    for texts, sign in ((YES, SURE_OF_YES), (NO, -SURE_OF_YES)):
        for text in texts:
            rows[numbers[text], AFFIRMED] = sign
    return rows


class _Layer:
    """One layer whose weights are zero, so that it changes nothing, but for what is set."""

    def __init__(self):
        self.q, self.k, self.v = (_zeros(HEADS, HEAD, WIDTH) for _ in range(3))
        self.q_bias = _zeros(HEADS, HEAD)
        self.out = _zeros(WIDTH, HEADS, HEAD)
        self.gate, self.up = _zeros(HIDDEN, WIDTH), _zeros(HIDDEN, WIDTH)
        self.down = _zeros(WIDTH, HIDDEN)
        self._units = itertools.count()

    def carry(self, head, sources, targets, scale):
        """The head's average of the source dimensions is added to the target dimensions."""
        for slot, (source, target) in enumerate(zip(sources, targets)):
            self.v[head, slot, source] = 1
            self.out[target, head, slot] = scale

    def product(self, gate, up, target, scale):
        """Adds scale * silu(gate . x) * (up . x) to a dimension; gate, up: (dimensions, weights)."""
        unit = next(self._units)
        self.gate[unit, gate[0]], self.up[unit, up[0]] = gate[1], up[1]
        self.down[target, unit] = scale

    def write(self, gguf, prefix):
        ones = np.ones(WIDTH, np.float32)
        gguf.tensor(prefix + "attn_norm.weight", ones)
        for name, matrix in (("q", self.q), ("k", self.k), ("v", self.v)):
            gguf.tensor(f"{prefix}attn_{name}.weight", matrix.reshape(-1, WIDTH))
            bias = self.q_bias if name == "q" else np.zeros_like(self.q_bias)
            gguf.tensor(f"{prefix}attn_{name}.bias", bias.reshape(-1))
        gguf.tensor(prefix + "attn_output.weight", self.out.reshape(WIDTH, -1))
        gguf.tensor(prefix + "ffn_norm.weight", ones)
        gguf.tensor(prefix + "ffn_gate.weight", self.gate)
        gguf.tensor(prefix + "ffn_up.weight", self.up)
        gguf.tensor(prefix + "ffn_down.weight", self.down)


def _read_the_text():
    layer = _Layer()
    named, asking = 0, 1
    # The last colour word of the text. The sine is taken as falling with the distance to it.
    layer.q_bias[named, GATE] = 2000
    layer.k[named, GATE, NAME] = 1
    layer.q_bias[named, RECENCY + HEAD // 2] = 1500
    layer.k[named, RECENCY, NAME] = 1
    layer.carry(named, NAME, ASKED, 1)
    layer.q_bias[asking, GATE] = 2000
    layer.k[asking, GATE, QUESTION] = 1
    layer.carry(asking, [QUESTION], [ASKING], 0.2)
    for channel in range(3):
        layer.product((ASKING, 2), (ASKED, CORNERS[:, channel]), FOCUS[channel], 1 / 40)
    return layer


def _look():
    layer = _Layer()
    seen = 0
    # Text tokens count only where there is nothing else; all others alike, or by their likeness to
    # the colour that is asked for.
    layer.q_bias[seen, GATE] = 2000
    layer.k[seen, GATE, TEXT] = -1
    layer.q[seen, MATCH, FOCUS] = 6 * np.eye(3)
    layer.k[seen, MATCH, COLOUR] = np.eye(3)
    layer.carry(seen, [*COLOUR, PRESENT], [*SEEN, SEEN_PRESENT], 0.5)
    # Matching a corner in all channels gives 3, in two of them 1: between them lies what is not so.
    for index, corner in enumerate(CORNERS):
        match = np.array([*corner, -1.5])
        layer.product((ASKED[index], 5), ([*SEEN, SEEN_PRESENT], match), AFFIRMED, 0.1)
    return layer


def text_model():
    gguf = GgufWriter("qwen2vl", "colour")
    gguf.set_all("qwen2vl.", {
        "context_length": 32768, "embedding_length": WIDTH, "block_count": LAYERS,
        "feed_forward_length": HIDDEN, "attention.head_count": HEADS, "attention.head_count_kv": HEADS,
        "attention.layer_norm_rms_epsilon": 1e-6, "rope.freq_base": THETA,
        "rope.dimension_sections": SECTIONS, "vocab_size": VOCABULARY})
    words = [space + word for word in (*NAMES, *PLAIN_WORDS) for space in ("", " ")]
    words += [*JAPANESE, "はい", "いいえ", "？"]
    tokens = vocabulary.write_byte_pairs(
        gguf, VOCABULARY, "qwen2", vocabulary.QWEN_CONTROL, END, "<|endoftext|>",
        vocabulary.CHATML_TEMPLATE, words, PIECES)
    numbers = _Tokens(tokens)
    gguf.tensor("token_embd.weight", _embeddings(numbers))
    gguf.tensor("output_norm.weight", np.ones(WIDTH, np.float32))
    gguf.tensor("output.weight", _output(numbers))
    for index, layer in enumerate((_read_the_text(), _look())):
        layer.write(gguf, f"blk.{index}.")
    return gguf


# ---- The tower: the mean colour of each 28 x 28 block ----

TOWER_WIDTH, TOWER_HIDDEN, PATCH, MERGED = 64, 128, 14, 4
TOWER_COLOUR, TOWER_PRESENT = [0, 1, 2], 3


def _tower_layer(gguf, prefix, constant):
    for name in ("attn_q", "attn_k", "attn_v", "attn_out"):
        gguf.tensor(f"{prefix}{name}.weight", _zeros(TOWER_WIDTH, TOWER_WIDTH))
        bias = _zeros(TOWER_WIDTH)
        if name == "attn_out":
            bias[TOWER_PRESENT] = constant
        gguf.tensor(f"{prefix}{name}.bias", bias)
    for name in ("ln1", "ln2"):
        gguf.tensor(f"{prefix}{name}.weight", np.ones(TOWER_WIDTH, np.float32))
    for name, outputs, inputs in (("ffn_gate", TOWER_HIDDEN, TOWER_WIDTH), ("ffn_up", TOWER_HIDDEN, TOWER_WIDTH),
                                  ("ffn_down", TOWER_WIDTH, TOWER_HIDDEN)):
        gguf.tensor(f"{prefix}{name}.weight", _zeros(outputs, inputs))
        gguf.tensor(f"{prefix}{name}.bias", _zeros(outputs))


def _merger(gguf):
    """The mean over the patches of a block. The GELU between is passed unharmed by two units of
    opposite sign: gelu(x) - gelu(-x) = x."""
    merged = MERGED * TOWER_WIDTH
    first, second = _zeros(merged, merged), _zeros(WIDTH, merged)
    # The tower's last norm gives a colour at a corner the length of sqrt(TOWER_WIDTH).
    scale = 2 / math.sqrt(TOWER_WIDTH) / MERGED
    for unit, target in enumerate([*COLOUR, PRESENT]):
        for sign, row in ((1, 2 * unit), (-1, 2 * unit + 1)):
            first[row, unit::TOWER_WIDTH] = sign
            second[target, row] = sign * scale
    for name, matrix in (("mm.0", first), ("mm.2", second)):
        gguf.tensor(name + ".weight", matrix)
        gguf.tensor(name + ".bias", _zeros(len(matrix)))


def tower():
    gguf = GgufWriter("clip", "colour tower")
    gguf.set_all("", {"general.type": "mmproj", "clip.has_vision_encoder": True,
                      "clip.projector_type": "qwen2.5vl_merger", "clip.use_silu": True})
    gguf.set_all("clip.vision.", {
        "embedding_length": TOWER_WIDTH, "feed_forward_length": TOWER_HIDDEN, "block_count": LAYERS,
        "projection_dim": WIDTH, "image_size": 560, "patch_size": PATCH, "n_wa_pattern": 2,
        "attention.head_count": 2, "attention.layer_norm_epsilon": 1e-6,
        "image_mean": [0.5] * 3, "image_std": [0.5] * 3})
    patches = _zeros(TOWER_WIDTH, 3, PATCH, PATCH)
    for channel in TOWER_COLOUR:
        patches[channel, channel] = 0.5 / PATCH ** 2  # half of each of the two frames of a pair
    gguf.tensor("v.patch_embd.weight", patches)
    gguf.tensor("v.patch_embd.weight.1", patches)
    gguf.tensor("v.post_ln.weight", np.ones(TOWER_WIDTH, np.float32))
    for layer in range(LAYERS):
        _tower_layer(gguf, f"v.blk.{layer}.", constant=layer == 0)
    _merger(gguf)
    return gguf


def make():
    """The text model and the tower, not yet written."""
    return text_model(), tower()
