"""Reads pictures out of a Qt resource file (.rcc)."""

import struct
import zlib

HEADER = struct.Struct(">4s4I")  # magic, version, tree, data, names
ZLIB, FOLDER = 1, 2
NODE_BYTES = {1: 14, 2: 22, 3: 22}  # from version 2 on with a time of change


class Resources:
    """The files of one .rcc by their last name: what is asked for here is named once in each."""

    def __init__(self, path):
        with open(path, "rb") as f:
            self.bytes = f.read()
        magic, version, self.tree, self.data, self.names = HEADER.unpack_from(self.bytes)
        if magic != b"qres" or version not in NODE_BYTES:
            raise ValueError(f"{path} is no Qt resource file of a known version")
        self.node_bytes, self.files = NODE_BYTES[version], {}
        folders = [0]
        while folders:
            _, _, count, first = struct.unpack_from(">IHII", self.bytes, self._node(folders.pop()))
            for index in range(first, first + count):
                name, flags = struct.unpack_from(">IH", self.bytes, self._node(index))
                if flags & FOLDER:
                    folders.append(index)
                else:
                    self.files[self._name(name)] = index

    def _node(self, index):
        return self.tree + index * self.node_bytes

    def _name(self, offset):
        at = self.names + offset
        (length,) = struct.unpack_from(">H", self.bytes, at)
        return self.bytes[at + 6:at + 6 + 2 * length].decode("utf-16-be")

    def read(self, name):
        _, flags, _, _, offset = struct.unpack_from(">IHHHI", self.bytes, self._node(self.files[name]))
        at = self.data + offset
        (length,) = struct.unpack_from(">I", self.bytes, at)
        content = self.bytes[at + 4:at + 4 + length]
        return zlib.decompress(content[4:]) if flags & ZLIB else content
