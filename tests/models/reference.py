"""The converted networks once more, in NumPy and from the original files.

Written apart from the converters: channels last instead of first, convolution as a sum over the
kernel's places, batch normalisation not folded. Slow and plain.
"""

import base64
import json

import numpy as np

BLOCKS = [(1, 3, 1, 1, 16), (2, 3, 2, 6, 24), (2, 5, 2, 6, 40), (3, 3, 2, 6, 80),
          (3, 5, 1, 6, 112), (4, 5, 2, 6, 192), (1, 3, 1, 6, 320)]


def convolution(x, kernel, stride, depthwise):
    """x: height, width, channels; kernel: rows, columns, in, out (or multiplier). SAME padding."""
    rows, columns = kernel.shape[:2]
    height, width = (-(-side // stride) for side in x.shape[:2])
    down = max((height - 1) * stride + rows - x.shape[0], 0)
    right = max((width - 1) * stride + columns - x.shape[1], 0)
    x = np.pad(x, ((down // 2, down - down // 2), (right // 2, right - right // 2), (0, 0)))
    out = 0
    for i in range(rows):
        for j in range(columns):
            seen = x[i:i + (height - 1) * stride + 1:stride, j:j + (width - 1) * stride + 1:stride]
            out = out + (seen * kernel[i, j, :, 0] if depthwise else seen @ kernel[i, j])
    return out


def relu6(x):
    return np.clip(x, 0, 6)


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


class EfficientNetLite0:
    def __init__(self, tensors):
        """tensors: as convert_efficientnet_lite0.read_checkpoint gives them."""
        self.weights = {}
        for name, t in tensors.items():
            values = np.frombuffer(t.storage.values, np.float32 if t.storage.kind == "f" else np.int64)
            strides = [s * values.itemsize for s in t.strides]
            self.weights[name] = np.lib.stride_tricks.as_strided(values[t.offset:], t.shape, strides)

    def layer(self, x, weights, norm, stride=1, depthwise=False):
        order = (2, 3, 0, 1) if depthwise else (2, 3, 1, 0)
        y = convolution(x, self.weights[weights].transpose(order), stride, depthwise)
        w = self.weights
        y = (y - w[norm + ".running_mean"]) / np.sqrt(w[norm + ".running_var"] + np.float32(1e-3))
        return y * w[norm + ".weight"] + w[norm + ".bias"]

    def run(self, image):
        """Returns probabilities and features."""
        x = (image.astype(np.float32) - 127) / 128
        x = relu6(self.layer(x, "_conv_stem.weight", "_bn0", 2))
        index = 0
        for repeats, _, first_stride, expand, _ in BLOCKS:
            for repeat in range(repeats):
                name, stride, y = f"_blocks.{index}.", 1 if repeat else first_stride, x
                if expand != 1:
                    y = relu6(self.layer(y, name + "_expand_conv.weight", name + "_bn0"))
                y = relu6(self.layer(y, name + "_depthwise_conv.weight", name + "_bn1", stride, True))
                y = self.layer(y, name + "_project_conv.weight", name + "_bn2")
                x, index = (x + y if y.shape == x.shape else y), index + 1
        x = relu6(self.layer(x, "_conv_head.weight", "_bn1"))
        features = x.mean((0, 1))
        logits = self.weights["_fc.weight"] @ features + self.weights["_fc.bias"]
        powers = np.exp(logits - logits.max())
        return powers / powers.sum(), features


class CenterNet:
    def __init__(self, graph_path, weights_path):
        with open(graph_path, encoding="utf-8") as f:
            document = json.load(f)
        with open(weights_path, "rb") as f:
            raw = f.read()
        self.nodes, self.weights, offset = {}, {}, 0
        for node in document["modelTopology"]["node"]:
            self.nodes[node["name"]] = node
        for entry in document["weightsManifest"][0]["weights"]:
            kind = np.dtype(entry.get("quantization", {}).get("dtype", entry["dtype"]))
            count = int(np.prod(entry["shape"], dtype=int))
            values = np.frombuffer(raw, kind, count, offset).reshape(entry["shape"])
            offset += values.nbytes
            self.weights[entry["name"]] = self.restored(values.astype(entry["dtype"]))

    @staticmethod
    def restored(values):
        """The sixth in the hard swish was rounded to half precision when the weights were stored."""
        sixth = np.float32(1 / 6)
        return sixth if values.shape == () and abs(values - sixth) < 1e-4 else values

    def run(self, image):
        """Returns the heat map and the box sides, channels last."""
        known = {"tower_0/images": image.astype(np.float32)}
        for name, node in self.nodes.items():  # stored in an order that can be computed
            if name not in known and node["op"] not in ("Const", "Placeholder"):
                known[name] = self.compute(node, [known.get(i, self.weights.get(i)) for i in node["input"]])
            if "tower_0/keypoints" in known and "tower_0/wh" in known:
                return known["tower_0/keypoints"], known["tower_0/wh"]
        raise ValueError("the graph has no outputs")

    def compute(self, node, inputs):
        op, x = node["op"], inputs[0]
        if "Conv2" in op or "Conv2d" in op:
            stride = int(node["attr"]["strides"]["list"]["i"][1])
            y = convolution(x, inputs[1], stride, "Depthwise" in op)
            for fused in node["attr"].get("fused_ops", {}).get("list", {}).get("s", []):
                y = np.maximum(y, 0) if base64.b64decode(fused) == b"Relu" else y + inputs[2]
            return y
        simple = {"Add": np.add, "Mul": np.multiply, "Sub": np.subtract}
        if op in simple:
            return simple[op](x, inputs[1])
        if op == "Mean":
            return x.mean((0, 1), keepdims=True)
        if op == "ConcatV2":
            return np.concatenate(inputs[:-1], axis=-1)
        if op == "ResizeBilinear":
            return self.doubled(self.doubled(x, 0), 1)
        return {"Relu": lambda v: np.maximum(v, 0), "Relu6": relu6, "Sigmoid": sigmoid,
                "Identity": lambda v: v}[op](x)

    @staticmethod
    def doubled(x, axis):
        """Each pixel, then the mean of it and the next one; the last one stands for its next."""
        x = np.moveaxis(x, axis, 0)
        after = np.concatenate([x[1:], x[-1:]])
        return np.moveaxis(np.stack([x, (x + after) / 2], 1).reshape(-1, *x.shape[1:]), 0, axis)
