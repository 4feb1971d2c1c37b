#!/usr/bin/env python3
"""The tiny models, without any library: the files are what was asked for, and the colour model answers
as it says, evaluated by the NumPy implementation of tests/reference."""

import os
import pathlib
import sys
import tempfile
import unittest

import numpy as np

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
sys.path[:0] = [str(ROOT / folder) for folder in ("tools", "tests/reference", "tests/models")]
import colour_model
import gguf_reader
import make_tiny_models
import tap
import tiny_random
import tiny_vocabulary
import vlm_numpy
from gguf_writer import GgufWriter, quantise_q8_0

MODELS = pathlib.Path(os.environ["MANAKO_TINY_MODELS"])
LOW, HIGH = 20, 225  # of a channel: no test needs colours to be pure


def load(family):
    return [gguf_reader.Gguf(MODELS / family / name) for name in ("model.gguf", "mmproj.gguf")]


def picture(name, rows=56, columns=84):
    pixel = [HIGH if channel > 0 else LOW for channel in colour_model.NAMES[name]]
    return np.tile(np.array(pixel, np.uint8), (rows, columns, 1))


class Files(unittest.TestCase):
    def test_a_seed_gives_the_same_bytes_and_another_seed_others(self):
        with tempfile.TemporaryDirectory() as folder:
            folder = pathlib.Path(folder)
            for family in make_tiny_models.FAMILIES:
                for run, seed in (("first", 0), ("second", 0), ("other", 1)):
                    make_tiny_models.make(folder / run, family, "tiny", seed)
                for name in ("model.gguf", "mmproj.gguf"):
                    first, second, other = ((folder / run / name).read_bytes() for run in ("first", "second", "other"))
                    self.assertEqual(first, second, (family, name))
                    self.assertEqual(first == other, family == "colour", (family, name))
                    self.assertEqual(first, (MODELS / family / name).read_bytes(), (family, name))

    def test_parts_have_the_whole_models_tensors(self):
        for folder, (family, parts, bare_first) in make_tiny_models.SPLITS.items():
            whole = gguf_reader.Gguf(MODELS / family / "model.gguf")
            found, counts = {}, []
            for number in range(parts):
                part = gguf_reader.Gguf(MODELS / folder / f"model-{number + 1:05}-of-{parts:05}.gguf")
                self.assertEqual([part.metadata[f"split.{key}"] for key in ("no", "count", "tensors.count")],
                                 [number, parts, len(whole.tensors)])
                counts.append(len(part.tensors))
                found.update(part.tensors)
                if number == 0:
                    self.assertEqual({**part.metadata, **whole.metadata}, part.metadata)
            self.assertEqual(list(found), list(whole.tensors))
            self.assertEqual(counts[0] == 0, bare_first)
            for name, tensor in whole.tensors.items():
                np.testing.assert_array_equal(found[name], tensor)

    def test_what_is_written_is_read(self):
        random = np.random.default_rng(1)
        matrix = random.standard_normal((3, 64)).astype(np.float32)
        kernel = random.standard_normal((2, 3, 5, 5)).astype(np.float32)
        values = {"a.text": "säntti", "a.flag": True, "a.count": 7, "a.real": 0.25, "a.counts": [1, -2, 3],
                  "a.reals": [0.5, -1.5], "a.texts": ["", "x"]}
        gguf = GgufWriter("some", "name")
        gguf.set_all("", values)
        gguf.tensor("whole", matrix)
        gguf.tensor("half", matrix, "f16")
        gguf.tensor("kernel", kernel)
        with tempfile.TemporaryDirectory() as folder:
            gguf.write(f"{folder}/x.gguf")
            read = gguf_reader.Gguf(f"{folder}/x.gguf")
        self.assertEqual(read.metadata, {"general.architecture": "some", "general.name": "name", **values})
        np.testing.assert_array_equal(read.tensors["whole"], matrix)
        np.testing.assert_array_equal(read.tensors["half"], matrix.astype(np.float16))
        np.testing.assert_array_equal(read.tensors["kernel"], kernel)

    def test_q8_0_is_within_half_a_step(self):
        rows = np.random.default_rng(2).standard_normal((4, 96)).astype(np.float32)
        rows[1, 32:64] = 0
        blocks = np.frombuffer(quantise_q8_0(rows), [("scale", "<f2"), ("values", "i1", 32)])
        self.assertEqual(len(blocks), 12)
        back = (blocks["scale"].astype(np.float32)[:, None] * blocks["values"]).reshape(rows.shape)
        steps = np.abs(rows.reshape(-1, 32)).max(1).repeat(32).reshape(rows.shape) / 127
        self.assertTrue((np.abs(back - rows) <= 0.6 * steps).all())

    def test_every_word_is_one_token_and_no_token_is_twice(self):
        words = [form for word in tiny_vocabulary.WORDS for form in (word, " " + word)]
        pairs = tiny_vocabulary.BytePairs(words)
        self.assertEqual(len(pairs.tokens), len(set(pairs.tokens)))
        for word in map(tiny_vocabulary.spell, words):
            self.assertEqual(pairs._split(word), [word])

    def test_rotary_pairs_are_shared_out(self):
        self.assertEqual(tiny_random.rope_sections(128), [16, 24, 24, 0])


class Colours(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.model, cls.mmproj = load("colour")
        cls.tokens = cls.model.metadata["tokenizer.ggml.tokens"]
        cls.numbers = colour_model._Tokens(cls.tokens)
        cls.seen = {name: vlm_numpy.tower(cls.mmproj, picture(name)) for name in colour_model.NAMES}

    def sequence(self, shown, text):
        """Pictures by their colours' names, then words of the vocabulary, parted by "|"."""
        sequence = vlm_numpy.Sequence(self.model)
        for name in shown:
            sequence.add_picture(self.seen[name], 3)
        sequence.add_tokens([self.numbers[word] for word in text.split("|")])
        return sequence

    def answer(self, shown, text, most=8):
        sequence, said = self.sequence(shown, text), []
        while len(said) < most:
            token = int(vlm_numpy.logits(sequence)[-1].argmax())
            if self.tokens[token] == colour_model.END:
                return "".join(said).replace(tiny_vocabulary.spell(" "), " ")
            said.append(self.tokens[token])
            sequence.add_tokens([token])
        return said

    def yes(self, shown, text):
        last = vlm_numpy.logits(self.sequence(shown, text))[-1]
        return 1 / (1 + np.exp(last[self.numbers["No"]] - last[self.numbers["Yes"]]))

    def test_it_names_each_colour(self):
        for name in colour_model.NAMES:
            self.assertEqual(self.answer([name], " what|\n"), f" the scene is {name}")

    def test_the_most_of_several_wins(self):
        self.assertEqual(self.answer(["red", "blue", "red"], " what|\n"), " the scene is red")
        self.assertEqual(self.answer(["blue", "red", "blue"], " what|\n"), " the scene is blue")

    def test_what_is_said_of_colours_does_not_count_where_there_are_pictures(self):
        self.assertEqual(self.answer(["red"], " the| scene| is| blue|.|\n"), " the scene is red")

    def test_without_pictures_the_words_count(self):
        self.assertEqual(self.answer([], " there| was| green|\n"), " the scene is green")
        self.assertEqual(self.answer([], " what|\n"), " the scene is unknown")

    def test_a_question_looks_for_its_colour(self):
        shown = ["blue"] * 5 + ["red"]
        self.assertEqual(self.answer(shown, " was| it| red|?|\n"), " the scene is red")
        self.assertEqual(self.answer(shown, " was| it| red|\n"), " the scene is blue")
        self.assertEqual(self.answer(shown, " it| is| blue|.| was| it| red|?|\n"), " the scene is red")
        self.assertEqual(self.answer(["blue", "blue"], " was| it| red|?|\n"), " the scene is blue")

    def test_yes_follows_the_colour_asked_for(self):
        for asked in colour_model.NAMES:
            for shown in colour_model.NAMES:
                share = self.yes([shown], f" is| it| {asked}|?|\n")
                if asked == shown:
                    self.assertGreater(share, 0.9, (asked, shown))
                else:
                    self.assertLess(share, 0.2, (asked, shown))
        self.assertLess(self.yes(["red", "blue"], " it| is| red|\n"), 0.2)

    def test_japanese_words_are_read(self):
        shown = ["blue"] * 3 + ["red"]
        self.assertEqual(self.answer(shown, "赤|？|\n"), " the scene is red")
        last = vlm_numpy.logits(self.sequence(["red"], "赤|？|\n"))[-1]
        self.assertGreater(last[self.numbers["はい"]], last[self.numbers["いいえ"]] + 3)
        last = vlm_numpy.logits(self.sequence(["red"], "青|？|\n"))[-1]
        self.assertLess(last[self.numbers["はい"]], last[self.numbers["いいえ"]] - 3)

    def test_a_string_begins_with_a_word_and_ends_after_the_colour(self):
        self.assertEqual(self.answer(["cyan"], '"text":|"'), "the scene is cyan")
        # Where a grammar does not let the text end, the string does.
        last = vlm_numpy.logits(self.sequence(["cyan"], '"text":|"|the| scene| is| cyan'))[-1]
        best = last.argsort()[::-1]
        pieces = [self.numbers[text] for text in colour_model.PIECES]
        plain = [self.tokens[token] for token in best if token not in pieces]
        self.assertEqual(plain[:2], [colour_model.END, '"'])

    def test_words_point_where_their_tokens_point(self):
        def cosine(word, tokens):
            row = self.model.tensors["token_embd.weight"][self.numbers[word]]
            return float((tokens @ row / np.linalg.norm(row) / np.linalg.norm(tokens, axis=1)).mean())
        for asked, corner in colour_model.NAMES.items():
            for shown, other in colour_model.NAMES.items():
                apart = sum(a != b for a, b in zip(corner, other))
                value = cosine(f" {asked}", self.seen[shown])
                bounds = ((0.9, 1), (0.3, 0.6), (-0.1, 0.1), (-0.6, -0.2))[apart]
                self.assertTrue(bounds[0] <= value <= bounds[1], (asked, shown, value))
        for word in (" what", " video", " now", "?", " the"):
            self.assertAlmostEqual(cosine(word, self.seen["red"]), 0, places=6)


tap.main()
