#!/usr/bin/env python3
"""Compares the generated documents with the program's own tables; --write brings them up to date.
Also fails on a relative link in the documents that leads nowhere."""
import pathlib
import re
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
GENERATED = {"configuration": "docs/configuration.md", "exit-codes": "docs/exit-codes.md"}
LINK = re.compile(r"\]\(([^)#\s]+)")


def generated_faults(program, write):
    for topic, name in GENERATED.items():
        text = subprocess.run([program, "docs", topic], check=True, capture_output=True, text=True).stdout
        path = ROOT / name
        if write:
            path.write_text(text)
        elif not path.exists() or path.read_text() != text:
            yield f"{name} differs from the program's tables: run ./dev docs"


def link_faults():
    for path in [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]:
        for target in LINK.findall(path.read_text()):
            if "://" not in target and not (path.parent / target).exists():
                yield f"{path.relative_to(ROOT)}: the link to {target} leads nowhere"


def main():
    arguments = [a for a in sys.argv[1:] if a != "--write"]
    program = str(pathlib.Path(arguments[0]).resolve())
    found = [*generated_faults(program, "--write" in sys.argv), *link_faults()]
    print("\n".join(found) or "docs: clean")
    sys.exit(bool(found))


main()
