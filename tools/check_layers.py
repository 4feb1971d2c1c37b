#!/usr/bin/env python3
"""Fails on an include that goes up or across the layers, on a private header used from outside its
folder, and on cycles (which the numbers exclude by themselves)."""
import pathlib
import re
import sys

LAYERS = {
    "base": 0, "wire": 1, "media": 2, "facts": 2, "models": 2, "memory": 2, "net": 3, "store": 3,
    "ipc": 3, "vlm": 3, "vision": 4, "speech": 4, "language": 4, "avatar": 4, "local": 5, "ask": 6,
    "stream": 7, "webrtc": 8, "trickle": 8, "api": 9, "cli": 10,
}
INCLUDE = re.compile(r'^\s*#\s*include\s+"([^"]+)"')


def faults(path, root):
    folder = path.relative_to(root).parts[0]
    for number, line in enumerate(path.read_text().splitlines(), 1):
        match = INCLUDE.match(line)
        if not match:
            continue
        target = match.group(1)
        other = target.split("/")[0] if "/" in target else folder
        where = f"{path}:{number}"
        if other not in LAYERS:
            continue  # a library's header in quotes, or generated code
        if other == folder:
            continue
        if LAYERS[other] >= LAYERS[folder]:
            yield f"{where}: {folder} ({LAYERS[folder]}) may not include {target} ({LAYERS[other]})"
        elif target != f"{other}/{other}.h":
            yield f"{where}: include {other}/{other}.h, not {target}"


def main():
    root = pathlib.Path(__file__).resolve().parent.parent / "src"
    found = []
    for folder in sorted(p.name for p in root.iterdir() if p.is_dir()):
        if folder not in LAYERS:
            found.append(f"src/{folder}: has no layer number in tools/check_layers.py")
            continue
        if not any((root / folder).glob("*.c")):
            continue
        header = root / folder / f"{folder}.h"
        if folder != "cli" and not header.exists():
            found.append(f"{header}: missing; each folder has one public header of its own name")
    for path in sorted(root.rglob("*.[ch]")):
        found.extend(faults(path, root))
    print("\n".join(found) or "layers: clean")
    sys.exit(bool(found))


main()
