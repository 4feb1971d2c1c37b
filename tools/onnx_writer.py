"""Writes ONNX files with the standard library alone.

Only what the converters beside it need: float32 and int64 initialisers, nodes, static shapes. The
bytes depend on nothing but the calls made, so a converted model has one SHA-256 everywhere.
Wire format: Protocol Buffers encoding; field numbers: onnx.proto of ONNX IR version 8.
"""

import struct
import sys
from array import array

FLOAT, UINT8, INT64 = 1, 2, 7  # TensorProto.DataType
_ATTR_FLOAT, _ATTR_INT, _ATTR_STRING, _ATTR_INTS = 1, 2, 3, 7  # AttributeProto.AttributeType
IR_VERSION, OPSET = 8, 13


def _varint(value):
    value &= (1 << 64) - 1  # negative numbers as 64-bit two's complement
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def _int(field, value):
    return _varint(field << 3) + _varint(value)


def _bytes(field, value):
    if isinstance(value, str):
        value = value.encode()
    return _varint(field << 3 | 2) + _varint(len(value)) + value


def _attribute(name, value):
    head = _bytes(1, name)
    if isinstance(value, float):
        return head + _varint(2 << 3 | 5) + struct.pack("<f", value) + _int(20, _ATTR_FLOAT)
    if isinstance(value, int):
        return head + _int(3, value) + _int(20, _ATTR_INT)
    if isinstance(value, str):
        return head + _bytes(4, value) + _int(20, _ATTR_STRING)
    return head + b"".join(_int(8, v) for v in value) + _int(20, _ATTR_INTS)


def _value_info(name, data_type, shape):
    dims = b"".join(_bytes(1, _int(1, size)) for size in shape)
    return _bytes(1, name) + _bytes(2, _bytes(1, _int(1, data_type) + _bytes(2, dims)))


def _little_endian(values):
    if sys.byteorder == "big":
        values = array(values.typecode, values)
        values.byteswap()
    return values.tobytes()


class Graph:
    """A graph in the making. Tensors are known by name; nodes are written in the order added."""

    def __init__(self, name):
        self._name = name
        self._nodes, self._initialisers, self._inputs, self._outputs = [], [], [], []
        self._constants = {}

    def input(self, name, data_type, shape):
        self._inputs.append(_value_info(name, data_type, shape))
        return name

    def output(self, name, data_type, shape):
        self._outputs.append(_value_info(name, data_type, shape))

    def tensor(self, name, shape, values):
        """values: array('f') or array('q'), row-major."""
        data_type = {"f": FLOAT, "q": INT64}[values.typecode]
        count = 1
        for size in shape:
            count *= size
        if count != len(values):
            raise ValueError(f"tensor {name}: {len(values)} values for shape {shape}")
        dims = b"".join(_int(1, size) for size in shape)
        self._initialisers.append(
            dims + _int(2, data_type) + _bytes(8, name) + _bytes(9, _little_endian(values)))
        return name

    def scalar(self, value):
        """A float constant, written once however often it is asked for."""
        if value not in self._constants:
            self._constants[value] = self.tensor(f"scalar_{value:.9g}", [], array("f", [value]))
        return self._constants[value]

    def node(self, op, inputs, name, **attributes):
        """Adds a node with one output, called like the node. Returns that name."""
        body = b"".join(_bytes(1, i) for i in inputs) + _bytes(2, name) + _bytes(3, name)
        body += _bytes(4, op)
        body += b"".join(_bytes(5, _attribute(k, v)) for k, v in sorted(attributes.items()))
        self._nodes.append(body)
        return name

    def save(self, path, producer, version):
        graph = b"".join(_bytes(1, n) for n in self._nodes) + _bytes(2, self._name)
        graph += b"".join(_bytes(5, t) for t in self._initialisers)
        graph += b"".join(_bytes(11, i) for i in self._inputs)
        graph += b"".join(_bytes(12, o) for o in self._outputs)
        model = _int(1, IR_VERSION) + _bytes(2, producer) + _bytes(3, version)
        model += _bytes(7, graph) + _bytes(8, _bytes(1, "") + _int(2, OPSET))
        with open(path, "wb") as f:
            f.write(model)


def row_major(values, offset, shape, strides):
    """The elements that shape and strides (in elements) name, in row-major order."""
    places = [offset]
    for size, stride in zip(shape, strides):
        places = [p + i * stride for p in places for i in range(size)]
    return array("f", [values[p] for p in places])


def same_padding(size, kernel, stride):
    """TensorFlow's SAME: (before, after) in one direction; the odd pixel goes after."""
    total = max((-(-size // stride) - 1) * stride + kernel - size, 0)
    return total // 2, total - total // 2
