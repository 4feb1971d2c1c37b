#!/usr/bin/env python3
"""The converted models: the same bytes as ever, and the same numbers as the original networks.

Needs NumPy, ffmpeg and what `tools/fetch.py --tests` gets; a case whose needs are not there is
skipped. MANAKO_TEST_LONG compares all photographs instead of three.
"""

import math
import os
import shutil
import subprocess
import sys
import tempfile
import unittest

import tap

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.insert(0, os.path.join(ROOT, "tools"))
sys.dont_write_bytecode = True

import convert_efficientnet_lite0  # noqa: E402
import fetch  # noqa: E402
import registry  # noqa: E402

try:
    import numpy as np

    import openvino_c
    import reference
except ImportError:
    np = None

PHOTOGRAPHS = ("chelsea.png", "coffee.png", "astronaut.png")
MORE_PHOTOGRAPHS = ("motorcycle_left.png", "camera.png", "rocket.jpg", "page.png", "clock_motion.png")
# ImageNet classes of which one must lead.
SUBJECTS = {"chelsea.png": range(281, 286), "coffee.png": [967], "motorcycle_left.png": [665, 670],
            "camera.png": [872]}


def photographs():
    return PHOTOGRAPHS + (MORE_PHOTOGRAPHS if os.environ.get("MANAKO_TEST_LONG") else ())


def picture(path, scale):
    """RGB bytes of a picture, as an array."""
    done = subprocess.run(["ffmpeg", "-v", "error", "-i", path, "-vf", f"{scale},format=rgb24",
                           "-f", "rawvideo", "-"],
                          stdin=subprocess.DEVNULL, capture_output=True, check=True)
    side = math.isqrt(len(done.stdout) // 3)
    return np.frombuffer(done.stdout, np.uint8).reshape(side, side, 3)


class Converted(unittest.TestCase):
    name = None

    @classmethod
    def setUpClass(cls):
        cls.cache = fetch.cache_folder()
        models = os.environ.get("MANAKO_MODELS") or os.path.join(cls.cache, "models")
        plan = fetch.Plan(cls.cache, models)
        cls.model = next(t for t in plan.targets if os.path.basename(t.path) == cls.name)
        cls.library = os.path.join(cls.cache, "runtime/openvino/openvino/libs/libopenvino_c.so")

    def need(self, *paths):
        for path in paths:
            if not os.path.exists(path):
                self.skipTest(f"{os.path.basename(path)} is not in the cache")

    def need_comparison(self):
        if np is None:
            self.skipTest("NumPy is not there")
        if shutil.which("ffmpeg") is None:
            self.skipTest("ffmpeg is not there")
        self.need(self.library, self.model.path, *self.sources(),
                  *(self.photograph(name) for name in photographs()))

    def sources(self):
        return [i.path for i in self.model.inputs]

    def photograph(self, name):
        return os.path.join(self.cache, "testdata", "skimage", name)

    def assert_same_bytes(self):
        self.need(*self.sources())
        with tempfile.TemporaryDirectory() as folder:
            out = os.path.join(folder, "out.onnx")
            subprocess.run([sys.executable, os.path.join(ROOT, "tools", self.model.conversion),
                            *self.sources(), out], check=True)
            self.assertEqual(registry.sha256(out), self.model.sha256)

    def assert_close(self, name, what, got, expected, limit):
        difference = float(np.abs(got - expected).max())
        largest = float(np.abs(expected).max())
        print(f"# {name}: {what} differs by at most {difference:.2g}, largest value {largest:.3g}")
        self.assertEqual(got.shape, expected.shape)
        self.assertLess(difference, limit)


class EfficientNetLite0(Converted):
    name = "efficientnet-lite0.onnx"

    def test_same_bytes(self):
        self.assert_same_bytes()

    def test_same_numbers(self):
        self.need_comparison()
        checkpoint = convert_efficientnet_lite0.read_checkpoint(*self.sources())
        network = reference.EfficientNetLite0(checkpoint)
        model = openvino_c.Model(self.library, self.model.path)
        square = "crop=min(iw\\,ih):min(iw\\,ih),scale=224:224:flags=bicubic"
        for name in photographs():
            image = picture(self.photograph(name), square)
            probabilities, features = model.run(image, ["probabilities", "features"])
            expected = network.run(image)
            self.assert_close(name, "probabilities", probabilities[0], expected[0], 1e-5)
            self.assert_close(name, "features", features[0], expected[1], 1e-4)
            if name in SUBJECTS:
                self.assertIn(int(probabilities.argmax()), SUBJECTS[name], name)


class CenterNet(Converted):
    name = "centernet.onnx"

    def test_same_bytes(self):
        self.assert_same_bytes()

    def test_same_numbers(self):
        self.need_comparison()
        network = reference.CenterNet(*self.sources())
        model = openvino_c.Model(self.library, self.model.path)
        for name in photographs():
            image = picture(self.photograph(name), "scale=512:512:flags=bilinear")
            heat, sides = model.run(image, ["heat", "sides"])
            expected = network.run(image)
            self.assert_close(name, "heat", heat[0].transpose(1, 2, 0), expected[0], 1e-4)
            self.assert_close(name, "sides", sides[0].transpose(1, 2, 0), expected[1], 0.05)

    def test_box_of_a_person(self):
        """Centre and sides put the astronaut's box where the astronaut is."""
        self.need_comparison()
        model = openvino_c.Model(self.library, self.model.path)
        image = picture(self.photograph("astronaut.png"), "scale=512:512:flags=bilinear")
        heat, sides = model.run(image, ["heat", "sides"])
        person = heat[0, 0]
        row, column = np.unravel_index(person.argmax(), person.shape)
        left, top, right, bottom = sides[0, :, row, column]
        box = np.array([4 * column - left, 4 * row - top, 4 * column + right, 4 * row + bottom])
        self.assertGreater(person.max(), 0.5)
        self.assertLess(np.abs(box - [10, 5, 375, 512]).max(), 25)


del Converted  # its cases are those of the classes above

if __name__ == "__main__":
    tap.main()
