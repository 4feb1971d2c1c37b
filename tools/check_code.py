#!/usr/bin/env python3
"""Fails on files and functions that have grown too long, on banned calls, and on words of unfinished
work. Function ends come from Universal Ctags."""
import json
import pathlib
import re
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
FILE_LINES, HEADER_LINES, FUNCTION_LINES = 700, 260, 100
BANNED = {
    "strcpy": "g_strlcpy", "strcat": "GString", "sprintf": "g_snprintf", "vsprintf": "g_vsnprintf",
    "strtok": "g_strsplit", "atoi": "g_ascii_string_to_signed", "atol": "g_ascii_string_to_signed",
    "atof": "g_ascii_strtod", "gets": "fgets", "alloca": "g_new", "g_alloca": "g_new",
    "system": "g_spawn_async", "popen": "g_spawn_async", "strncpy": "g_strlcpy", "rand": "GRand",
    "setenv": "a setting", "usleep": "mnk_clock_sleep_until", "gst_parse_launch": "elements made one by one",
}
CALL = re.compile(r"(?<![\w.>])(" + "|".join(BANNED) + r")\s*\(")
UNFINISHED = re.compile(r"\b(TODO|FIXME|XXX|HACK)\b")
STRING = re.compile(r'"(?:\\.|[^"\\])*"')
COMMENT = re.compile(r"/\*.*?\*/", re.S)


def blank(match):
    return re.sub(r"[^\n]", " ", match.group(0))


def check_text(path):
    raw = path.read_text()
    lines = raw.count("\n")
    limit = HEADER_LINES if path.suffix == ".h" else FILE_LINES
    if lines > limit:
        yield f"{path.relative_to(ROOT)}: {lines} lines; the limit is {limit}: split it"
    code = STRING.sub('""', COMMENT.sub(blank, raw))
    for number, line in enumerate(code.splitlines(), 1):
        for match in CALL.finditer(line):
            name = match.group(1)
            yield f"{path.relative_to(ROOT)}:{number}: {name} is banned; use {BANNED[name]}"
    for number, line in enumerate(raw.splitlines(), 1):
        if UNFINISHED.search(line):
            yield f"{path.relative_to(ROOT)}:{number}: {line.strip()}"


def check_functions(paths):
    listing = subprocess.run(
        ["ctags", "--output-format=json", "--fields=+ne", "--c-kinds=f", "-o", "-", *map(str, paths)],
        check=True, capture_output=True, text=True).stdout
    for line in listing.splitlines():
        tag = json.loads(line)
        length = tag.get("end", tag["line"]) - tag["line"] + 1
        if length > FUNCTION_LINES:
            place = pathlib.Path(tag["path"]).relative_to(ROOT)
            yield f"{place}:{tag['line']}: {tag['name']} has {length} lines; the limit is {FUNCTION_LINES}"


def main():
    paths = [p for folder in ("src", "tests", "fuzz", "bench") for p in sorted((ROOT / folder).rglob("*.[ch]"))]
    found = [fault for path in paths for fault in check_text(path)]
    found.extend(check_functions(paths))
    print("\n".join(found) or f"code: {len(paths)} files clean")
    sys.exit(bool(found))


main()
