"""Reads GGUF files of float32 and float16 tensors. Format: the GGUF specification, version 3."""

import struct

import numpy as np

_SCALARS = {0: "<B", 1: "<b", 2: "<H", 3: "<h", 4: "<I", 5: "<i", 6: "<f", 7: "<?", 10: "<Q", 11: "<q", 12: "<d"}
_STRING, _ARRAY = 8, 9
_DTYPES = {0: np.dtype("<f4"), 1: np.dtype("<f2")}


class _Bytes:
    def __init__(self, data):
        self.data, self.at = data, 0

    def scalar(self, form):
        (value,) = struct.unpack_from(form, self.data, self.at)
        self.at += struct.calcsize(form)
        return value

    def string(self):
        length = self.scalar("<Q")
        self.at += length
        return self.data[self.at - length:self.at].decode()

    def value(self, kind):
        if kind == _STRING:
            return self.string()
        if kind == _ARRAY:
            kind = self.scalar("<I")
            return [self.value(kind) for _ in range(self.scalar("<Q"))]
        return self.scalar(_SCALARS[kind])


class Gguf:
    """metadata: by key. tensors: float32 arrays by name, rows before columns."""

    def __init__(self, path):
        with open(path, "rb") as file:
            read = _Bytes(file.read())
        assert read.data[:4] == b"GGUF" and struct.unpack_from("<I", read.data, 4) == (3,), path
        read.at = 8
        n_tensors, n_keys = read.scalar("<Q"), read.scalar("<Q")
        self.metadata = {}
        for _ in range(n_keys):
            key = read.string()
            self.metadata[key] = read.value(read.scalar("<I"))
        entries = []
        for _ in range(n_tensors):
            name = read.string()
            sizes = [read.scalar("<Q") for _ in range(read.scalar("<I"))]
            entries.append((name, sizes[::-1], read.scalar("<I"), read.scalar("<Q")))
        start = -(-read.at // 32) * 32
        self.tensors = {}
        for name, shape, kind, offset in entries:
            flat = np.frombuffer(read.data, _DTYPES[kind], int(np.prod(shape)), start + offset)
            self.tensors[name] = flat.reshape(shape).astype(np.float32)

    def at(self, prefix):
        """The tensors whose names begin so, by the rest of their names."""
        return {name[len(prefix):]: value for name, value in self.tensors.items() if name.startswith(prefix)}
