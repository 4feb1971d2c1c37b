#!/usr/bin/env python3
"""Which way of remembering a stream finds the moment that a question is about.

    retrieval.py BUILD [--fresh]

Pictures and clips of the truth benchmark, in streams; a question is another view of one picture,
its tokens those of the embedded scene model (retrieval_tokens.c, retrieval_bench.c). Prints
Recall@1, 4 and 8 and the mean reciprocal rank of each way as JSON lines, with intervals that hold
95 % of 2,000 samples of pictures drawn anew. --fresh: looks at the pictures again."""

import argparse
import collections
import importlib.util
import json
import os
import pathlib
import random
import subprocess
import sys

HERE = pathlib.Path(__file__).resolve().parent
SAMPLES = 2000


def truth():
    sys.path.insert(0, str(HERE / "truth"))
    spec = importlib.util.spec_from_file_location("truth", HERE / "truth" / "truth.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def make_views(build, folder, out):
    of_truth = truth()
    vocabulary = of_truth.Vocabulary(os.path.join(of_truth.ROOT, "data", "vocabulary.tsv"))
    items = of_truth.read_items(["choosing", "held-out"], vocabulary)
    testdata = subprocess.run([sys.executable, HERE.parent / "tools/fetch.py", "--path", "testdata"],
                              capture_output=True, text=True, check=True).stdout.strip()
    of_truth.place(items, testdata, str(folder))
    lines = []
    for item in items:
        first, last = item.span or ("-", "-")
        words = ", ".join(item.subject + item.also)
        lines.append(f"{int(item.half == 'held-out')}\t{item.path}\t{first}\t{last}\t{words}\n")
    subprocess.run([build / "bench/retrieval_tokens", f"{out}.part"], input="".join(lines), text=True, check=True)
    os.replace(f"{out}.part", out)


def scores(rank):
    return [float(0 < rank <= 1), float(0 < rank <= 4), float(0 < rank <= 8), 1 / rank if rank else 0.0]


def summary(by_picture):
    """Means over questions, and the spread when other pictures had been drawn."""
    sums = [([sum(column) for column in zip(*rows)], len(rows)) for rows in by_picture.values()]

    def mean(chosen):
        n = sum(count for _, count in chosen)
        return [sum(total[i] for total, _ in chosen) / n for i in range(4)]

    draw = random.Random(1)
    drawn = list(zip(*(mean(draw.choices(sums, k=len(sums))) for _ in range(SAMPLES))))
    spread = [(sorted(column)[SAMPLES // 40], sorted(column)[-SAMPLES // 40]) for column in drawn]
    names = ("recall_1", "recall_4", "recall_8", "mrr")
    figures = {}
    for name, value, (low, high) in zip(names, mean(sums), spread):
        figures[name] = round(value, 3)
        figures[f"{name}_95"] = [round(low, 3), round(high, 3)]
    return {"questions": sum(n for _, n in sums), "pictures": len(sums), **figures}


def ask(build, out, space):
    run = subprocess.run([build / "bench/retrieval_bench", out, space], stdout=subprocess.PIPE, text=True, check=True)
    ways, clusters = collections.defaultdict(lambda: collections.defaultdict(list)), collections.defaultdict(list)
    for line in run.stdout.splitlines():
        way, half, asked, picture, rank = line.split("\t")
        if way.endswith(" clusters"):
            clusters[way.rsplit(" ", 1)[0], half].append(float(rank))
        else:
            ways[half, asked, way][picture].append(scores(float(rank)))
    for (half, asked, way), by_picture in sorted(ways.items()):
        memory = " ".join(way.split(" ")[:3])
        more = {"clusters": round(sum(c) / len(c), 1)} if (c := clusters.get((memory, half))) else {}
        print(json.dumps({"bench": "retrieval", "tokens": space, "half": half, "question": asked, "way": way, **more, **summary(by_picture)}),
              flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("build", type=pathlib.Path)
    parser.add_argument("--fresh", action="store_true")
    options = parser.parse_args()
    folder = options.build.resolve() / "retrieval"
    folder.mkdir(exist_ok=True)
    out = folder / "views"
    if options.fresh or not out.exists():
        make_views(options.build.resolve(), folder, out)
    for space in ("raw", "centred"):
        ask(options.build.resolve(), out, space)


main()
