#!/usr/bin/env python3
"""EfficientNet-Lite0 (ImageNet-1k) from its PyTorch checkpoint to ONNX, without PyTorch.

    convert_efficientnet_lite0.py CHECKPOINT.pth OUTPUT.onnx

Input  image          uint8   1x224x224x3, RGB; normalised inside to (v - 127) / 128
Output probabilities  float32 1x1000, softmax, ImageNet-1k class order
       features       float32 1x1280, the pooled feature map before the classifier

Network: the EfficientNet-Lite variant of Tan and Le, "EfficientNet: Rethinking Model Scaling for
Convolutional Neural Networks" (ICML 2019): no squeeze-and-excitation, ReLU6, TensorFlow padding.
Batch normalisation is folded into the convolution before it, in double precision.
"""

import collections
import math
import os
import pickle
import sys
from array import array

from onnx_writer import FLOAT, UINT8, Graph, row_major, same_padding

VERSION = "1"
SIDE, CLASSES, FEATURES = 224, 1000, 1280
EPSILON = 1e-3
# repeats, kernel, stride of the first, expansion, channels
BLOCKS = [(1, 3, 1, 1, 16), (2, 3, 2, 6, 24), (2, 5, 2, 6, 40), (3, 3, 2, 6, 80),
          (3, 5, 1, 6, 112), (4, 5, 2, 6, 192), (1, 3, 1, 6, 320)]

# torch.save before its zip format: four pickles (this number, the protocol's version, the writer's
# system, the object), the list of storage keys, then each storage as a count and raw values.
MAGIC, PROTOCOL = 0x1950A86A20F9469CFC6C, 1001

Tensor = collections.namedtuple("Tensor", "storage offset shape strides")


class Storage:
    def __init__(self, kind, key, size):
        self.kind, self.key, self.size, self.values = kind, key, size, None


def rebuild_tensor(storage, offset, shape, strides, *_):
    last = offset + sum((size - 1) * stride for size, stride in zip(shape, strides))
    if len(shape) != len(strides) or min(offset, *shape, *strides, 0) < 0 or last >= storage.size:
        raise pickle.UnpicklingError("a tensor leaves its storage")
    return Tensor(storage, offset, tuple(shape), tuple(strides))


class CheckpointUnpickler(pickle.Unpickler):
    """Knows tensors and dictionaries. Anything else a pickle could call is refused."""

    ALLOWED = {("collections", "OrderedDict"): collections.OrderedDict,
               ("torch._utils", "_rebuild_tensor_v2"): rebuild_tensor,
               ("torch", "FloatStorage"): "f", ("torch", "LongStorage"): "q"}

    def __init__(self, file):
        super().__init__(file)
        self.storages = {}

    def find_class(self, module, name):
        try:
            return self.ALLOWED[module, name]
        except KeyError:
            raise pickle.UnpicklingError(f"the checkpoint asks for {module}.{name}") from None

    def persistent_load(self, pid):
        tag, kind, key, _, size, view = pid
        if tag != "storage" or view is not None or kind not in ("f", "q"):
            raise pickle.UnpicklingError("a storage of an unknown kind")
        return self.storages.setdefault(key, Storage(kind, key, size))


def read_checkpoint(path):
    """name -> Tensor, the storages filled."""
    with open(path, "rb") as f:
        if CheckpointUnpickler(f).load() != MAGIC or CheckpointUnpickler(f).load() != PROTOCOL:
            raise pickle.UnpicklingError("not a checkpoint of torch.save's first format")
        if not CheckpointUnpickler(f).load()["little_endian"]:
            raise pickle.UnpicklingError("the checkpoint is big-endian")
        unpickler = CheckpointUnpickler(f)
        tensors = unpickler.load()
        for key in CheckpointUnpickler(f).load():
            storage = unpickler.storages[key]
            if int.from_bytes(f.read(8), "little") != storage.size:
                raise pickle.UnpicklingError(f"storage {key} has another size than announced")
            storage.values = array(storage.kind)
            storage.values.fromfile(f, storage.size)
            if sys.byteorder == "big":
                storage.values.byteswap()
    return tensors


class Network:
    def __init__(self, tensors):
        self.tensors, self.graph = tensors, Graph("efficientnet-lite0")

    def take(self, name, shape=None):
        tensor = self.tensors[name]
        if shape is not None and tensor.shape != tuple(shape):
            raise ValueError(f"{name} has shape {tensor.shape}, expected {tuple(shape)}")
        return row_major(tensor.storage.values, tensor.offset, tensor.shape, tensor.strides)

    def conv(self, x, weights, norm, size, stride=1, depthwise=False, relu=True):
        """Convolution, batch normalisation and ReLU6. Returns the name and the new side."""
        out, _, kernel, _ = self.tensors[weights].shape
        values = self.take(weights)
        gamma, beta, mean, var = (self.take(f"{norm}.{part}", [out]) for part in
                                  ("weight", "bias", "running_mean", "running_var"))
        scale = [g / math.sqrt(v + EPSILON) for g, v in zip(gamma, var)]
        per = len(values) // out
        folded = array("f")
        for channel, factor in enumerate(scale):
            folded.extend([v * factor for v in values[channel * per:(channel + 1) * per]])
        shift = array("f", [b - m * s for b, m, s in zip(beta, mean, scale)])
        w = self.graph.tensor(weights, self.tensors[weights].shape, folded)
        b = self.graph.tensor(f"{norm}.shift", [out], shift)
        before, after = same_padding(size, kernel, stride)
        y = self.graph.node("Conv", [x, w, b], norm, kernel_shape=[kernel, kernel],
                            strides=[stride, stride], pads=[before, before, after, after],
                            group=out if depthwise else 1)
        if relu:
            y = self.graph.node("Clip", [y, self.graph.scalar(0.0), self.graph.scalar(6.0)],
                                f"{norm}.relu6")
        return y, -(-size // stride)

    def block(self, x, index, size, stride, expand):
        name, y = f"_blocks.{index}", x
        if expand != 1:
            y, size = self.conv(y, f"{name}._expand_conv.weight", f"{name}._bn0", size)
        y, size = self.conv(y, f"{name}._depthwise_conv.weight", f"{name}._bn1", size, stride, True)
        return self.conv(y, f"{name}._project_conv.weight", f"{name}._bn2", size, relu=False)

    def build(self):
        g = self.graph
        x = g.input("image", UINT8, [1, SIDE, SIDE, 3])
        x = g.node("Cast", [x], "as_float", to=FLOAT)
        x = g.node("Transpose", [x], "planes", perm=[0, 3, 1, 2])
        x = g.node("Sub", [x, g.scalar(127.0)], "centred")
        x = g.node("Mul", [x, g.scalar(1 / 128)], "normalised")
        x, size = self.conv(x, "_conv_stem.weight", "_bn0", SIDE, 2)
        index, channels = 0, 32
        for repeats, _, first_stride, expand, out in BLOCKS:
            for repeat in range(repeats):
                stride = first_stride if repeat == 0 else 1
                y, size = self.block(x, index, size, stride, expand)
                if stride == 1 and channels == out:
                    y = g.node("Add", [y, x], f"_blocks.{index}.sum")
                x, channels, index = y, out, index + 1
        x, size = self.conv(x, "_conv_head.weight", "_bn1", size)
        x = g.node("GlobalAveragePool", [x], "pooled")
        x = g.node("Flatten", [x], "features", axis=1)
        w = g.tensor("_fc.weight", [CLASSES, FEATURES], self.take("_fc.weight", [CLASSES, FEATURES]))
        b = g.tensor("_fc.bias", [CLASSES], self.take("_fc.bias", [CLASSES]))
        g.node("Gemm", [x, w, b], "logits", transB=1)
        g.node("Softmax", ["logits"], "probabilities", axis=1)
        g.output("probabilities", FLOAT, [1, CLASSES])
        g.output("features", FLOAT, [1, FEATURES])
        return g


def convert(source, target):
    Network(read_checkpoint(source)).build().save(target, os.path.basename(__file__), VERSION)


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__.split("\n\n")[1].strip())
    convert(*sys.argv[1:])
