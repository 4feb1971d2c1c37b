#!/usr/bin/env python3
"""The table generator: good tables pass, each kind of slip is named with its file and line."""

import pathlib
import re
import subprocess
import sys
import tempfile

TOOL, DATA = sys.argv[1], pathlib.Path(sys.argv[2])
NAMES = ("vocabulary.tsv", "imagenet.tsv", "coco.tsv")

# (what, file, pattern, replacement, part of the message)
SLIPS = [
    ("duplicate concept", "vocabulary.tsv", r"^(dog\t.*)$", r"\1\n\1", "already on line"),
    ("unknown broader", "vocabulary.tsv", r"^(dog\t.*\t)animal(\tanimal)$", r"\1beast\2", "'beast'"),
    ("cycle", "vocabulary.tsv", r"^(animal\t.*\t)-(\tanimal)$", r"\1dog\2", "broader than itself"),
    ("unknown kind", "vocabulary.tsv", r"^(dog\t.*)animal$", r"\1pet", "unknown kind"),
    ("missing column", "vocabulary.tsv", r"^(dog\t.*)\tanimal$", r"\1", "5 columns"),
    ("no counter", "vocabulary.tsv", r"^(dog\tdogs\t犬\t)匹", r"\1-", "counter"),
    ("dead concept", "vocabulary.tsv", r"^(dog\t.*)$", r"\1\nimp\timps\t鬼\t匹\t-\tanimal", "'imp'"),
    ("long name", "vocabulary.tsv", r"^dog(\t.*)$", "d" * 64 + r"\1", "longer than"),
    ("unknown concept", "imagenet.tsv", r"^151\tdog", "151\tdgo", "'dgo'"),
    ("missing class", "imagenet.tsv", r"^151\t.*\n", "", "index 152, expected 151"),
    ("class twice", "coco.tsv", r"^(5\t.*)$", r"\1\n\1", "index 5, expected 6"),
    ("short list", "coco.tsv", r"^79\t.*\n", "", "79 classes"),
    ("long list", "coco.tsv", r"^(79\t.*)$", "\\1\n80\tdog\tdog", "more than 80"),
]


def run(folder):
    return subprocess.run([sys.executable, TOOL, folder, folder / "out.c"], capture_output=True,
                          text=True, check=False)


def check(number, name, good, detail=""):
    print(f"{'ok' if good else 'not ok'} {number} - {name}{'' if good else ' # ' + detail}")


def copy(folder):
    for name in NAMES:
        (folder / name).write_bytes((DATA / name).read_bytes())


def main():
    print(f"1..{len(SLIPS) + 2}")
    with tempfile.TemporaryDirectory() as temp:
        folder = pathlib.Path(temp)
        copy(folder)
        result = run(folder)
        check(1, "shipped tables", result.returncode == 0, result.stderr.strip())
        for number, (what, file, pattern, new, message) in enumerate(SLIPS, start=2):
            copy(folder)
            text, n = re.subn(pattern, new, (folder / file).read_text(encoding="utf-8"), count=1,
                              flags=re.MULTILINE)
            (folder / file).write_text(text, encoding="utf-8")
            result = run(folder)
            good = (n == 1 and result.returncode == 1 and message in result.stderr
                    and re.search(re.escape(file) + r":\d+: ", result.stderr) is not None)
            check(number, what, good, f"{n} {result.returncode} {result.stderr.strip()}")
        copy(folder)
        (folder / "coco.tsv").unlink()
        result = run(folder)
        check(len(SLIPS) + 2, "missing table",
              result.returncode == 1 and "coco.tsv" in result.stderr
              and "Traceback" not in result.stderr, result.stderr.strip())


main()
