#!/usr/bin/env python3
"""Writes the Japanese names of data/vocabulary.tsv as one JSON object for the page: its labels over
the picture are in the reader's language."""
import argparse
import json
import pathlib
import sys

import gen_vocabulary


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("vocabulary", type=pathlib.Path)
    parser.add_argument("output", type=pathlib.Path)
    options = parser.parse_args()
    try:
        concepts = gen_vocabulary.read_vocabulary(options.vocabulary)
    except (gen_vocabulary.TableError, OSError) as error:
        sys.exit(str(error))
    names = {name: row["ja"] for name, row in sorted(concepts.items()) if row["ja"] != "-"}
    options.output.write_text(json.dumps(names, ensure_ascii=False, separators=(",", ":")) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
