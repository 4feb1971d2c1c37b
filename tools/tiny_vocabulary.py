"""Vocabularies for the models of tests: real tokenisers over a few words, made from nothing.

A byte-level BPE vocabulary (GPT-2's kind, as Qwen and SmolLM use it) and a SentencePiece one (as
Gemma uses it). Every text can be written in both: what is no word falls apart into bytes."""

NORMAL, UNKNOWN, CONTROL, UNUSED, BYTE = 1, 2, 3, 5, 6  # llama_token_type

QWEN_CONTROL = ["<|endoftext|>", "<|im_start|>", "<|im_end|>", "<|vision_start|>", "<|vision_end|>",
                "<|vision_pad|>", "<|image_pad|>", "<|video_pad|>"]
SMOLVLM_CONTROL = ["<|endoftext|>", "<|im_start|>", "<|im_end|>", "<fake_token_around_image>", "<image>",
                   "<global-img>", "<end_of_utterance>",
                   *(f"<row_{row}_col_{column}>" for row in range(1, 7) for column in range(1, 7))]
GEMMA_CONTROL = ["<pad>", "<eos>", "<bos>", "<unk>", "<start_of_turn>", "<end_of_turn>",
                 "<start_of_image>", "<end_of_image>", "<image_soft_token>"]

CHATML_TEMPLATE = (
    "{% for m in messages %}<|im_start|>{{ m['role'] }}\n{{ m['content'] }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}")
SMOLVLM_TEMPLATE = (
    "<|im_start|>{% for m in messages %}{{ m['role'] | capitalize }}: {{ m['content'] }}<end_of_utterance>\n"
    "{% endfor %}{% if add_generation_prompt %}Assistant:{% endif %}")
GEMMA_TEMPLATE = (
    "{{ bos_token }}{% for m in messages %}<start_of_turn>{{ m['role'] }}\n{{ m['content'] }}<end_of_turn>\n"
    "{% endfor %}{% if add_generation_prompt %}<start_of_turn>model\n{% endif %}")

WORDS = ("a person walks into the room and opens door red green blue yellow car stops at light what "
         "happened before after describe this video yes no left right dog runs across street while two "
         "people are talking user assistant system frame time seconds start end").split()


def _byte_letters():
    """GPT-2's alphabet: each byte as a printable letter."""
    printable = [*range(33, 127), *range(161, 173), *range(174, 256)]
    others = (byte for byte in range(256) if byte not in printable)
    letters = {byte: chr(byte) for byte in printable}
    letters.update({byte: chr(256 + index) for index, byte in enumerate(others)})
    return letters


BYTE_LETTERS = _byte_letters()


def spell(text):
    return "".join(BYTE_LETTERS[byte] for byte in text.encode())


class BytePairs:
    """A byte-level BPE vocabulary in which each given word is one token.

    A word that the merges so far leave in pieces gets the merges that join them. Later merges never
    part a word that earlier ones made whole, so the order of words does not matter to the result."""

    def __init__(self, words):
        self.tokens = [BYTE_LETTERS[byte] for byte in range(256)]
        self.merges = []
        for word in words:
            self._add(spell(word))

    def _add(self, word):
        pieces = self._split(word)
        while len(pieces) > 1:
            first, second, *rest = pieces
            self.merges.append((first, second))
            if first + second not in self.tokens:  # two ways of joining may give one token
                self.tokens.append(first + second)
            pieces = [first + second, *rest]

    def _split(self, word):
        ranks = {pair: rank for rank, pair in enumerate(self.merges)}
        pieces = list(word)
        while True:
            pairs = [(ranks[pair], at) for at, pair in enumerate(zip(pieces, pieces[1:])) if pair in ranks]
            if not pairs:
                return pieces
            at = min(pairs)[1]
            pieces[at:at + 2] = [pieces[at] + pieces[at + 1]]


def _fill(tokens, types, size):
    if len(tokens) > size:
        raise ValueError(f"{len(tokens)} tokens in a vocabulary of {size}")
    for index in range(len(tokens), size):
        tokens.append(f"[UNUSED{index}]")
        types.append(UNUSED)


def write_byte_pairs(gguf, size, splitter, control, end, begin, template, words, pieces=()):
    """Writes the vocabulary; returns its tokens by number. splitter: the name of the rule that parts
    a text before merging. pieces: texts that are tokens too, but come of no merge, so that a model
    can say them at once while no text is ever read as one."""
    pairs = BytePairs(words)
    tokens = [*pairs.tokens, *map(spell, pieces), *control]
    types = [NORMAL] * (len(tokens) - len(control)) + [CONTROL] * len(control)
    _fill(tokens, types, size)
    gguf.set_all("tokenizer.", {
        "ggml.model": "gpt2", "ggml.pre": splitter, "ggml.tokens": tokens, "ggml.token_type": types,
        "ggml.merges": [f"{first} {second}" for first, second in pairs.merges],
        "ggml.eos_token_id": tokens.index(end), "ggml.bos_token_id": tokens.index(begin),
        "ggml.padding_token_id": tokens.index("<|endoftext|>"), "ggml.add_bos_token": False,
        "chat_template": template})
    return tokens


def write_sentence_pieces(gguf, size):
    """Gemma's: control tokens, all bytes, then letters and words, the earlier the likelier."""
    tokens = [*GEMMA_CONTROL, *(f"<0x{byte:02X}>" for byte in range(256))]
    types = [CONTROL] * len(GEMMA_CONTROL) + [BYTE] * 256
    types[tokens.index("<unk>")] = UNKNOWN
    words = [form for word in WORDS for form in ("\u2581" + word, word)]
    grown = [word[:length] for word in words for length in range(1, len(word) + 1)]  # merged letter by letter
    pieces = list(dict.fromkeys(["\n", *grown, *(letter for word in words for letter in word)]))
    scores = [0.0] * len(tokens) + [-float(rank) for rank in range(len(pieces))]
    tokens += pieces
    types += [NORMAL] * len(pieces)
    _fill(tokens, types, size)
    scores += [-1e4] * (size - len(scores))
    gguf.set_all("tokenizer.", {
        "ggml.model": "llama", "ggml.pre": "default", "ggml.tokens": tokens, "ggml.scores": scores,
        "ggml.token_type": types, "ggml.bos_token_id": 2, "ggml.eos_token_id": 1,
        "ggml.unknown_token_id": 3, "ggml.padding_token_id": 0, "ggml.add_bos_token": True,
        "ggml.add_space_prefix": False, "chat_template": GEMMA_TEMPLATE})
    return tokens
