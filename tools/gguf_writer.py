"""Writes GGUF files with NumPy alone.

Only what models for tests and benchmarks need: the scalar and array metadata that loaders ask for,
and tensors of float32, float16 and Q8_0. The bytes depend on nothing but the calls made.
Format: the GGUF specification, version 3, little-endian."""

import struct

import numpy as np

VERSION, ALIGNMENT = 3, 32
U16, U32, I32, F32, BOOL, STRING, ARRAY = 2, 4, 5, 6, 7, 8, 9  # metadata value types
TENSOR_TYPES = {"f32": 0, "f16": 1, "q8_0": 8}  # ggml_type
Q8_0_BLOCK = 32  # values that share a scale


def _string(text):
    data = text.encode()
    return struct.pack("<Q", len(data)) + data


_ENCODERS = {
    U16: lambda value: struct.pack("<H", value),
    U32: lambda value: struct.pack("<I", value),
    I32: lambda value: struct.pack("<i", value),
    F32: lambda value: struct.pack("<f", value),
    BOOL: lambda value: struct.pack("<?", value),
    STRING: _string,
}


def _scalar_type(value):
    for kind, code in ((bool, BOOL), (int, U32), (float, F32), (str, STRING)):
        if isinstance(value, kind):
            return code
    raise TypeError(f"no metadata type for {value!r}")


def _metadata(value):
    """A Python value with its type before it. A list is an array of its first element's type, where
    whole numbers count as signed, as the readers of such lists expect."""
    if not isinstance(value, list):
        code = _scalar_type(value)
        return struct.pack("<I", code) + _ENCODERS[code](value)
    code = _scalar_type(value[0])
    code = I32 if code == U32 else code
    head = struct.pack("<IIQ", ARRAY, code, len(value))
    return head + b"".join(_ENCODERS[code](element) for element in value)


def quantise_q8_0(rows):
    """Blocks of 32 values: a float16 scale, then each value as a signed byte of it."""
    blocks = np.ascontiguousarray(rows, np.float32).reshape(-1, Q8_0_BLOCK)
    scale = np.abs(blocks).max(axis=1, keepdims=True) / 127
    inverse = np.divide(1, scale, out=np.zeros_like(scale), where=scale > 0)
    packed = np.empty(len(blocks), dtype=[("scale", "<f2"), ("values", "i1", Q8_0_BLOCK)])
    packed["scale"] = scale[:, 0]
    packed["values"] = np.rint(blocks * inverse)
    return packed.tobytes()


def encode(array, kind):
    if kind == "q8_0":
        return quantise_q8_0(array)
    return np.ascontiguousarray(array, {"f32": "<f4", "f16": "<f2"}[kind]).tobytes()


class GgufWriter:
    """A file in the making: metadata and tensors are written in the order in which they were set."""

    def __init__(self, architecture, name):
        self._metadata, self._tensors = {}, {}
        self.set("general.architecture", architecture)
        self.set("general.name", name)

    def set(self, key, value):
        self._metadata[key] = _metadata(value)

    def set_all(self, prefix, values):
        for key, value in values.items():
            self.set(prefix + key, value)

    def tensor(self, name, array, kind="f32"):
        """array: rows before columns, as NumPy has it; its last axis is the first in the file."""
        self.encoded_tensor(name, array.shape, encode(array, kind), kind)

    def encoded_tensor(self, name, shape, data, kind):
        self._tensors[name] = (tuple(shape), data, kind)

    def write(self, path):
        _write(path, self._metadata, self._tensors)

    def write_parts(self, folder, stem, parts, bare_first=False):
        """The model in several files, as llama.cpp's gguf-split names and numbers them: the first has the
        metadata, and tensors unless it is to be bare; the others have their numbers and tensors alone."""
        names, bare = list(self._tensors), int(bare_first)
        for part in range(parts):
            first, end = (max(part + i - bare, 0) * len(names) // (parts - bare) for i in (0, 1))
            numbers = {
                "split.no": (U16, part),
                "split.count": (U16, parts),
                "split.tensors.count": (I32, len(names)),
            }
            metadata = dict(self._metadata) if part == 0 else {}
            for key, (code, value) in numbers.items():
                metadata[key] = struct.pack("<I", code) + _ENCODERS[code](value)
            tensors = {name: self._tensors[name] for name in names[first:end]}
            _write(folder / f"{stem}-{part + 1:05}-of-{parts:05}.gguf", metadata, tensors)


def _write(path, metadata, tensors):
    parts = [b"GGUF", struct.pack("<IQQ", VERSION, len(tensors), len(metadata))]
    for key, value in metadata.items():
        parts += [_string(key), value]
    offset = 0
    for name, (shape, data, kind) in tensors.items():
        sizes = struct.pack(f"<I{len(shape)}Q", len(shape), *reversed(shape))
        parts += [_string(name), sizes, struct.pack("<IQ", TENSOR_TYPES[kind], offset)]
        offset += _aligned(len(data))
    with open(path, "wb") as file:
        for part in [b"".join(parts), *(data for _, data, _ in tensors.values())]:
            file.write(part)
            file.write(bytes(_aligned(len(part)) - len(part)))


def _aligned(size):
    return -(-size // ALIGNMENT) * ALIGNMENT
