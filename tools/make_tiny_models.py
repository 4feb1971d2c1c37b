#!/usr/bin/env python3
"""Writes small vision-language models for tests and benchmarks: OUT_DIR/model.gguf, OUT_DIR/mmproj.gguf.

No network and no download: the weights are random (tiny_random.py) or set by hand (colour_model.py).
The same seed gives the same bytes. With --family all, each family of --preset tiny in a folder of its own,
and two of them once more, with the text model in parts: the folders split and split-bare.
With --split N the text model is OUT_DIR/model-00001-of-N.gguf and so on, N with five digits."""

import argparse
import pathlib

import colour_model
import tiny_random

FAMILIES = ("qwen25vl", "smolvlm", "gemma3", "colour")


# folder: family, parts, and whether the first part has no tensors
SPLITS = {"split": ("qwen25vl", 3, False), "split-bare": ("gemma3", 2, True)}


def make(folder, family, preset, seed, parts=1, bare_first=False):
    if family == "colour":
        model, mmproj = colour_model.make()
    else:
        model, mmproj = tiny_random.make(family, preset, seed)
    folder.mkdir(parents=True, exist_ok=True)
    if parts > 1:
        model.write_parts(folder, "model", parts, bare_first)
    else:
        model.write(folder / "model.gguf")
    mmproj.write(folder / "mmproj.gguf")


def make_all(out_dir, preset, seed):
    for family in FAMILIES:
        make(out_dir / family, family, preset, seed)
    for folder, (family, parts, bare_first) in SPLITS.items():
        make(out_dir / folder, family, preset, seed, parts, bare_first)


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("out_dir", type=pathlib.Path)
    parser.add_argument("--family", choices=(*FAMILIES, "all"), default="qwen25vl")
    parser.add_argument("--preset", choices=("tiny", "256m"), default="tiny", help="256m: smolvlm alone")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--split", type=int, default=1, metavar="N", help="the text model in N files")
    parser.add_argument("--bare-first", action="store_true", help="the first of them has no tensors")
    parser.add_argument("--stamp", type=pathlib.Path, help="a file to touch when all is written")
    options = parser.parse_args()
    if options.preset != "tiny" and options.family != "smolvlm":
        parser.error(f"there is no {options.preset} shape of {options.family}")
    if not 1 + options.bare_first <= options.split <= 99999:
        parser.error("--split takes 1 to 99999 files, with --bare-first 2 and more")
    if options.family == "all":
        make_all(options.out_dir, options.preset, options.seed)
    else:
        make(options.out_dir, options.family, options.preset, options.seed, options.split, options.bare_first)
    if options.stamp:
        options.stamp.touch()


if __name__ == "__main__":
    main()
