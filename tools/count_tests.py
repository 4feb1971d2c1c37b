#!/usr/bin/env python3
"""Prints "passed failed skipped" of meson's testlog.json, counting single test cases. A program that
dies, is timed out or ends with an error although all its cases passed counts as one that failed."""
import json
import re
import sys

LINE = re.compile(r"^(not )?ok\b(.*)", re.M)


def count(test):
    passed = failed = skipped = 0
    for bad, rest in LINE.findall(test.get("stdout", "")):
        if re.search(r"#\s*skip", rest, re.I):
            skipped += 1
        elif bad:
            failed += 1
        else:
            passed += 1
    good = test["result"] in ("OK", "SKIP", "EXPECTEDFAIL")
    if not good and failed == 0:
        failed = 1
    if good and passed + failed + skipped == 0:
        passed = 1  # a test that speaks no TAP
    return passed, failed, skipped


def main():
    try:
        with open(sys.argv[1], encoding="utf-8") as log:
            counts = [count(json.loads(line)) for line in log if line.strip()]
    except (OSError, ValueError, KeyError) as error:
        print(f"no test log: {error}", file=sys.stderr)
        counts = [(0, 1, 0)]
    print(*map(sum, zip(*counts)) if counts else (0, 1, 0))


main()
