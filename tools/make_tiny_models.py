#!/usr/bin/env python3
"""Writes small vision-language models for tests and benchmarks: OUT_DIR/model.gguf, OUT_DIR/mmproj.gguf.

No network and no download: the weights are random (tiny_random.py) or set by hand (colour_model.py).
The same seed gives the same bytes. With --family all, each family of --preset tiny in a folder of its own."""

import argparse
import pathlib

import colour_model
import tiny_random

FAMILIES = ("qwen25vl", "smolvlm", "gemma3", "colour")


def make(folder, family, preset, seed):
    if family == "colour":
        model, mmproj = colour_model.make()
    else:
        model, mmproj = tiny_random.make(family, preset, seed)
    folder.mkdir(parents=True, exist_ok=True)
    model.write(folder / "model.gguf")
    mmproj.write(folder / "mmproj.gguf")


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("out_dir", type=pathlib.Path)
    parser.add_argument("--family", choices=(*FAMILIES, "all"), default="qwen25vl")
    parser.add_argument("--preset", choices=("tiny", "256m"), default="tiny", help="256m: smolvlm alone")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--stamp", type=pathlib.Path, help="a file to touch when all is written")
    options = parser.parse_args()
    if options.preset != "tiny" and options.family != "smolvlm":
        parser.error(f"there is no {options.preset} shape of {options.family}")
    if options.family == "all":
        for family in FAMILIES:
            make(options.out_dir / family, family, options.preset, options.seed)
    else:
        make(options.out_dir, options.family, options.preset, options.seed)
    if options.stamp:
        options.stamp.touch()


if __name__ == "__main__":
    main()
