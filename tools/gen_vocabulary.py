#!/usr/bin/env python3
"""Turns data/vocabulary.tsv, imagenet.tsv and coco.tsv into one C table.

Anything wrong in a table fails the build with the file, the line and what is wrong there.
"""

import argparse
import pathlib
import sys

KINDS = ["person", "animal", "vehicle", "food", "thing", "furniture", "building", "place", "plant",
         "clothing"]
NAME_BYTES = 64  # MNK_OBS_NAME, with the NUL
NONE = 0xFFFF


class TableError(Exception):
    def __init__(self, path, line, what):
        super().__init__(f"{path}:{line}: {what}")


def rows(path, columns):
    """The data lines of a table: (line number, list of columns)."""
    try:
        text = path.read_bytes().decode("utf-8")
    except UnicodeDecodeError as error:
        raise TableError(path, 1, f"not UTF-8: {error}") from None
    for number, line in enumerate(text.split("\n"), start=1):
        if not line or line.startswith("#"):
            continue
        cells = line.split("\t")
        if len(cells) != columns:
            raise TableError(path, number, f"{len(cells)} columns, expected {columns}")
        for cell in cells:
            if not cell or cell != cell.strip() or "  " in cell or not cell.isprintable():
                raise TableError(path, number, f"empty, padded or unprintable column {cell!r}")
        yield number, cells


def read_vocabulary(path):
    """name -> row, each row with its line number."""
    concepts = {}
    for number, (name, plural, ja, counter, broader, kind) in rows(path, 6):
        if name in concepts:
            raise TableError(path, number, f"'{name}' is already on line {concepts[name]['line']}")
        if len(name.encode()) >= NAME_BYTES:
            raise TableError(path, number, f"'{name}' is longer than {NAME_BYTES - 1} bytes")
        if kind not in KINDS:
            raise TableError(path, number, f"unknown kind '{kind}', expected one of {' '.join(KINDS)}")
        if (ja == "-") != (counter == "-"):
            raise TableError(path, number, "a Japanese word needs its counter, and only it")
        concepts[name] = {"line": number, "plural": plural, "ja": ja, "counter": counter,
                          "broader": broader, "kind": kind}
    for name, row in concepts.items():
        seen = [name]
        at = row["broader"]
        while at != "-":
            if at not in concepts:
                raise TableError(path, row["line"], f"broader concept '{at}' is not in the table")
            if at in seen:
                raise TableError(path, row["line"], f"'{name}' is broader than itself")
            seen.append(at)
            at = concepts[at]["broader"]
    return concepts


def read_classes(path, size, concepts):
    """The concept, or None, of each class 0..size-1."""
    names = []
    last = 0
    for number, (index, name, _word) in rows(path, 3):
        last = number
        if index != str(len(names)):
            raise TableError(path, number, f"index {index}, expected {len(names)}")
        if len(names) >= size:
            raise TableError(path, number, f"more than {size} classes")
        if name != "-" and name not in concepts:
            raise TableError(path, number, f"'{name}' is not in the vocabulary")
        names.append(None if name == "-" else name)
    if len(names) != size:
        raise TableError(path, last, f"{len(names)} classes, expected {size}")
    return names


def check_reachable(path, concepts, named):
    """A concept that no model can name and that is broader than nothing is a slip."""
    used = set(named) | {row["broader"] for row in concepts.values()}
    for name, row in concepts.items():
        if name not in used:
            raise TableError(path, row["line"], f"no class leads to '{name}'")


def c_string(text):
    if text == "-":
        return "NULL"
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def write_classes(out, symbol, names, index):
    values = [str(NONE if name is None else index[name]) for name in names]
    out.append(f"const guint16 {symbol}[{len(names)}] = {{")
    out += ["  " + ", ".join(values[i:i + 16]) + "," for i in range(0, len(values), 16)]
    out.append("};")


def generate(data):
    concepts = read_vocabulary(data / "vocabulary.tsv")
    imagenet = read_classes(data / "imagenet.tsv", 1000, concepts)
    coco = read_classes(data / "coco.tsv", 80, concepts)
    check_reachable(data / "vocabulary.tsv", concepts, {*imagenet, *coco})
    # strcmp's order: the C side searches by halving.
    order = sorted(concepts, key=lambda name: name.encode())
    index = {name: i for i, name in enumerate(order)}
    out = ["/* Made by tools/gen_vocabulary.py. */", '#include "facts/vocabulary_priv.h"', "",
           f"const guint mnk_vocabulary_n = {len(order)};",
           f"const MnkConcept mnk_vocabulary_table[{len(order)}] = {{"]
    for name in order:
        row = concepts[name]
        texts = ", ".join(c_string(row[key]) for key in ("plural", "ja", "counter", "broader"))
        out.append(f"  {{{c_string(name)}, {texts}, MNK_CONCEPT_{row['kind'].upper()}}},")
    out.append("};")
    write_classes(out, "mnk_vocabulary_imagenet_table", imagenet, index)
    write_classes(out, "mnk_vocabulary_coco_table", coco, index)
    return "\n".join(out) + "\n"


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=pathlib.Path, help="folder with the three tables")
    parser.add_argument("output", type=pathlib.Path, help="C file to write")
    args = parser.parse_args()
    try:
        args.output.write_text(generate(args.data), encoding="utf-8")
    except (TableError, OSError) as error:
        sys.exit(f"{error}")


if __name__ == "__main__":
    main()
