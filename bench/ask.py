#!/usr/bin/env python3
"""What questions cost; see ask_bench.c.

    ask.py BUILD [--rounds N] [--threads N] [--shape tiny|256m] [PART...]

The models have random weights: a tiny one, and one of the shape of SmolVLM2-256M, which costs what
the trained one costs. Parts: long (first word after 1 minute, 1 hour and 24 hours of stream), bare
(beside libmtmd and libllama called directly), streams (two on one model against one), captions (a
question while a batch of them is with the model)."""

import argparse
import pathlib
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
PYTHON = "/usr/bin/python3"  # Debian's, which has Debian's NumPy


def models(build, shape):
    folder = build / "bench" / "ask" / shape
    if not (folder / "made").exists():
        python = sys.executable
        if subprocess.run([python, "-c", "import numpy"], capture_output=True).returncode:
            python = PYTHON
        subprocess.run([python, ROOT / "tools/make_tiny_models.py", folder, "--family", "smolvlm", "--preset", shape,
                        "--stamp", folder / "made"], check=True)
    return folder


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("build", type=pathlib.Path)
    parser.add_argument("parts", nargs="*", default=["long", "bare", "streams", "captions"])
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--shape", action="append", choices=["tiny", "256m"])
    options = parser.parse_intermixed_args()
    failed = 0
    for shape in options.shape or ["tiny", "256m"]:
        folder = models(options.build, shape)
        failed |= subprocess.run([options.build / "bench/ask_bench", "--shape", shape, "--model", folder / "model.gguf",
                                  "--mmproj", folder / "mmproj.gguf", "--rounds", str(options.rounds), "--threads",
                                  str(options.threads), *options.parts]).returncode
    sys.exit(failed)


main()
