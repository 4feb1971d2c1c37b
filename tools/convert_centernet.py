#!/usr/bin/env python3
"""CenterNet with a MobileNetV3 trunk (COCO, 80 classes) from its TensorFlow.js graph to ONNX.

    convert_centernet.py GRAPH.json WEIGHTS.bin OUTPUT.onnx

Input  image  uint8   1x512x512x3, RGB
Output heat   float32 1x80x128x128, after the sigmoid; an object's centre is a 3x3 local maximum
       sides  float32 1x4x128x128, left, top, right, bottom: distances of the box's sides from the
              centre (4 * column, 4 * row), in input pixels

The graph's own decoding (top 100 of the heat map) is left out: it would rank all classes by one
score. Method: Zhou, Wang, Krahenbuhl, "Objects as Points" (2019). Every node is carried over from
channels-last to channels-first; half-precision weights are widened exactly. One constant is put
right: the sixth in the hard swish, which half precision had rounded by 0.024 %.
"""

import base64
import json
import math
import os
import struct
import sys
from array import array

from onnx_writer import FLOAT, UINT8, Graph, row_major, same_padding

VERSION = "1"
SIDE, GRID, CLASSES = 512, 128, 80
IMAGE, HEAT, SIDES = "tower_0/images", "tower_0/Sigmoid", "tower_0/mul"
FORMATS = {"float16": ("e", 2), "float32": ("f", 4), "int32": ("i", 4)}


def read_weights(manifest, raw):
    """name -> (shape, values)"""
    weights, offset = {}, 0
    for entry in (w for group in manifest for w in group["weights"]):
        stored = entry.get("quantization", {}).get("dtype", entry["dtype"])
        if stored not in FORMATS:
            raise ValueError(f"weights {entry['name']} are stored as {stored}")
        letter, size = FORMATS[stored]
        count = math.prod(entry["shape"])
        weights[entry["name"]] = entry["shape"], struct.unpack_from(f"<{count}{letter}", raw, offset)
        offset += count * size
    if offset != len(raw):
        raise ValueError(f"{len(raw)} bytes of weights, the graph describes {offset}")
    return weights


def transposed(shape, values, order):
    """Row-major values with the axes in another order."""
    strides = [math.prod(shape[axis + 1:]) for axis in range(len(shape))]
    turned = [shape[axis] for axis in order]
    return turned, row_major(values, 0, turned, [strides[axis] for axis in order])


def text(attribute):
    return base64.b64decode(attribute).decode()


class Converter:
    def __init__(self, topology, weights):
        self.nodes = {node["name"]: node for node in topology["node"]}
        self.weights, self.graph = weights, Graph("centernet")
        self.done = {}  # TensorFlow node -> (ONNX name, side); side None: a constant

    def needed(self, name, seen, order):
        """Depth first: order gets every node that name depends on, each before its users."""
        stack = [(name, False)]
        while stack:
            current, expanded = stack.pop()
            if expanded:
                order.append(current)
            elif current not in seen:
                seen.add(current)
                stack.append((current, True))
                inputs = self.nodes[current].get("input", [])
                stack.extend((i.split(":")[0], False) for i in reversed(inputs))

    def integers(self, name):
        return [int(v) for v in self.weights[name][1]]

    def convolution(self, node):
        attr, (x, side) = node["attr"], self.done[node["input"][0]]
        shape, values = self.weights[node["input"][1]]
        kernel, stride = shape[0], int(attr["strides"]["list"]["i"][1])
        if "Depthwise" in node["op"]:
            if shape[3] != 1:
                raise ValueError(f"{node['name']} has a channel multiplier of {shape[3]}")
            shape, values = transposed(shape, values, (2, 3, 0, 1))
            group = shape[0]
        else:
            shape, values = transposed(shape, values, (3, 2, 0, 1))
            group = 1
        before, after = same_padding(side, kernel, stride)
        if text(attr["padding"]["s"]) == "VALID" and kernel != 1:
            raise ValueError(f"{node['name']} is a {kernel}x{kernel} convolution without padding")
        name = node["name"]
        inputs = [x, self.graph.tensor(f"{name}/weights", shape, values)]
        fused = [text(s) for s in attr.get("fused_ops", {}).get("list", {}).get("s", [])]
        if fused not in ([], ["BiasAdd"], ["BiasAdd", "Relu"]):
            raise ValueError(f"{name} has fused operators {fused}")
        if fused:
            count, bias = self.weights[node["input"][2]]
            inputs.append(self.graph.tensor(f"{name}/bias", count, array("f", bias)))
        relu = "Relu" in fused
        y = self.graph.node("Conv", inputs, name + "/conv" if relu else name, group=group,
                            kernel_shape=[kernel, kernel], strides=[stride, stride],
                            pads=[before, before, after, after])
        return self.graph.node("Relu", [y], name) if relu else y, -(-side // stride)

    def operand(self, name):
        """(ONNX name, side) of a tensor or a scalar constant."""
        if name in self.done:
            return self.done[name]
        shape, values = self.weights[name]
        if shape:
            raise ValueError(f"constant {name} of shape {shape} where a scalar was expected")
        value = values[0]
        return self.graph.scalar(1 / 6 if abs(value - 1 / 6) < 1e-4 else value), None

    def simple(self, node):
        op, g, name = node["op"], self.graph, node["name"]
        if op == "ConcatV2":
            *parts, axis = node["input"]
            if self.integers(axis) not in ([3], [-1]):
                raise ValueError(f"{name} does not join channels")
            return g.node("Concat", [self.done[p][0] for p in parts], name, axis=1), \
                self.done[parts[0]][1]
        if op == "Mean":
            if self.integers(node["input"][1]) != [1, 2] or not node["attr"]["keep_dims"]["b"]:
                raise ValueError(f"{name} does not average over the picture")
            return g.node("GlobalAveragePool", [self.done[node["input"][0]][0]], name), 1
        if op == "ResizeBilinear":
            return self.resize(node)
        operands = [self.operand(i) for i in node["input"]]
        side = max(side for _, side in operands if side is not None)
        inputs = [tensor for tensor, _ in operands]
        if op == "Relu6":
            return g.node("Clip", inputs + [g.scalar(0.0), g.scalar(6.0)], name), side
        if op in ("Mul", "Add", "Sub", "Relu", "Sigmoid"):
            return g.node(op, inputs, name), side
        raise ValueError(f"{name} is of kind {op}")

    def resize(self, node):
        """TensorFlow's old grid: output pixel i lies at i / scale of the input."""
        attr, (x, side) = node["attr"], self.done[node["input"][0]]
        if attr["align_corners"]["b"] or attr["half_pixel_centers"]["b"]:
            raise ValueError(f"{node['name']} uses another sampling grid")
        height, width = self.integers(node["input"][1])
        if height != width or width % side:
            raise ValueError(f"{node['name']} resizes {side} to {height}x{width}")
        name = node["name"]
        scales = self.graph.tensor(f"{name}/scales", [4], array("f", [1, 1] + [width / side] * 2))
        return self.graph.node("Resize", [x, "", scales], name, mode="linear",
                               coordinate_transformation_mode="asymmetric"), width

    def build(self):
        g, order = self.graph, []
        seen = set()
        for output in (HEAT, SIDES):
            self.needed(output, seen, order)
        x = g.input("image", UINT8, [1, SIDE, SIDE, 3])
        x = g.node("Cast", [x], "as_float", to=FLOAT)
        self.done[IMAGE] = g.node("Transpose", [x], IMAGE, perm=[0, 3, 1, 2]), SIDE
        for name in order:
            node = self.nodes[name]
            if node["op"] not in ("Const", "Placeholder"):
                convolution = "Conv2" in node["op"] or "Conv2d" in node["op"]
                self.done[name] = self.convolution(node) if convolution else self.simple(node)
        for source, name, channels in ((HEAT, "heat", CLASSES), (SIDES, "sides", 4)):
            tensor, side = self.done[source]
            if side != GRID:
                raise ValueError(f"{source} has {side} columns, expected {GRID}")
            g.node("Identity", [tensor], name)
            g.output(name, FLOAT, [1, channels, GRID, GRID])
        return g


def convert(graph_path, weights_path, target):
    with open(graph_path, encoding="utf-8") as f:
        document = json.load(f)
    with open(weights_path, "rb") as f:
        weights = read_weights(document["weightsManifest"], f.read())
    converter = Converter(document["modelTopology"], weights)
    converter.build().save(target, os.path.basename(__file__), VERSION)


if __name__ == "__main__":
    if len(sys.argv) != 4:
        sys.exit(__doc__.split("\n\n")[1].strip())
    convert(*sys.argv[1:])
