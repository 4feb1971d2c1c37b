#!/usr/bin/env python3
"""The adapter's numbers against implementations that share nothing with it: NumPy from the definitions
(tests/reference/vlm_numpy.py), and in long runs Hugging Face transformers, by the Python that
MANAKO_TRANSFORMERS_PYTHON names."""

import os
import pathlib
import struct
import subprocess
import sys
import tempfile
import unittest

import numpy as np

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
sys.path[:0] = [str(ROOT / folder) for folder in ("tests/reference", "tests/models")]
import gguf_reader
import tap
import vlm_numpy

NUMBERS = os.environ["MNK_TEST_NUMBERS"]
MODELS = pathlib.Path(os.environ["MANAKO_TINY_MODELS"])
SIZES = {"qwen25vl": (196, 140), "smolvlm": (64, 64), "gemma3": (112, 112), "colour": (196, 140)}
TOLERANCE = 1e-3  # of the largest value: tokens are kept in float16, GELU comes from a table of float16


def picture(width, height, seed):
    blocks = np.random.default_rng(seed).integers(0, 256, (height // 7 + 1, width // 7 + 1, 3), np.uint8)
    return blocks.repeat(7, 0).repeat(7, 1)[:height, :width].copy()


class Computed:
    """What the adapter computed: parts of (None, numbers of tokens) or (columns, rows), and scores."""

    def __init__(self, family, rgb, folder):
        raw, out = f"{folder}/picture.rgb", f"{folder}/numbers"
        pathlib.Path(raw).write_bytes(rgb.tobytes())
        subprocess.run([NUMBERS, family, str(rgb.shape[1]), str(rgb.shape[0]), raw, out], check=True)
        data = pathlib.Path(out).read_bytes()
        width = gguf_reader.Gguf(MODELS / family / "model.gguf").tensors["token_embd.weight"].shape[1]
        self.parts, at = [], 0
        while True:
            kind, count = struct.unpack_from("<ii", data, at)
            at += 8
            if kind == -1:
                self.scores = np.frombuffer(data, "<f4", count, at)
                return
            columns = None
            if kind == 1:
                (columns,) = struct.unpack_from("<i", data, at)
                at += 4
            n, form = (count, "<i4") if columns is None else (count * width, "<f4")
            values = np.frombuffer(data, form, n, at)
            self.parts.append((columns, values if columns is None else values.reshape(count, width)))
            at += 4 * n

    @property
    def tokens(self):
        return next(rows for columns, rows in self.parts if columns is not None)

    def words(self, after):
        """The text tokens before or after the picture."""
        place = next(i for i, (columns, _) in enumerate(self.parts) if columns is not None)
        parts = self.parts[place + 1:] if after else self.parts[:place]
        return np.concatenate([values for _, values in parts])


def computed(family, rgb):
    with tempfile.TemporaryDirectory() as folder:
        return Computed(family, rgb, folder)


def assert_near(test, found, wanted, what):
    test.assertEqual(found.shape, wanted.shape)
    difference, largest = np.abs(found - wanted).max(), np.abs(wanted).max()
    print(f"# {what}: largest {largest:.4g}, difference {difference:.2g}", flush=True)
    test.assertLessEqual(difference, TOLERANCE * max(largest, 1))


class Numpy(unittest.TestCase):
    def compare(self, family):
        model, mmproj = (gguf_reader.Gguf(MODELS / family / name) for name in ("model.gguf", "mmproj.gguf"))
        rgb = picture(*SIZES[family], 3)
        ours = computed(family, rgb)
        assert_near(self, ours.tokens, vlm_numpy.tower(mmproj, rgb), f"{family} tower")
        sequence = vlm_numpy.Sequence(model)
        for columns, values in ours.parts:
            if columns is None:
                sequence.add_tokens(values)
            else:
                sequence.add_picture(values, columns)
        assert_near(self, ours.scores, vlm_numpy.logits(sequence)[-1], f"{family} scores")

    def test_qwen25vl(self):
        self.compare("qwen25vl")

    def test_smolvlm(self):
        self.compare("smolvlm")

    def test_gemma3(self):
        self.compare("gemma3")

    def test_colour(self):
        self.compare("colour")


class Transformers(unittest.TestCase):
    """The whole way there, from pixels and words to scores: its own tower and its own positions."""

    @classmethod
    def setUpClass(cls):
        cls.python = os.environ.get("MANAKO_TRANSFORMERS_PYTHON")
        if not os.environ.get("MANAKO_TEST_LONG"):
            raise unittest.SkipTest("MANAKO_TEST_LONG is not set")
        if not cls.python:
            raise unittest.SkipTest("MANAKO_TRANSFORMERS_PYTHON names no Python with torch and transformers")
        wanted = [cls.python, "-c", "import numpy, torch, transformers"]
        if subprocess.run(wanted, capture_output=True, check=False).returncode:
            raise unittest.SkipTest(f"{cls.python} cannot import numpy, torch and transformers")

    def compare(self, family):
        rgb = picture(*SIZES[family], 3)
        ours = computed(family, rgb)
        with tempfile.TemporaryDirectory() as folder:
            case, result = f"{folder}/case.npz", f"{folder}/result.npz"
            np.savez(case, model=str(MODELS / family / "model.gguf"), mmproj=str(MODELS / family / "mmproj.gguf"),
                     rgb=rgb, before=ours.words(after=False), after=ours.words(after=True))
            subprocess.run([self.python, str(ROOT / "tests/reference/vlm_transformers.py"), case, result], check=True)
            with np.load(result) as theirs:
                assert_near(self, ours.tokens, theirs["tower"], f"{family} tower")
                assert_near(self, ours.scores, theirs["logits"], f"{family} scores")

    def test_qwen25vl(self):
        self.compare("qwen25vl")

    def test_smolvlm(self):
        self.compare("smolvlm")

    def test_gemma3(self):
        self.compare("gemma3")


tap.main()
