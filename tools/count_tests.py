#!/usr/bin/env python3
"""Prints "passed failed skipped" of a meson JUnit log, counting single test cases."""
import sys
import xml.etree.ElementTree as ElementTree


def main():
    passed = failed = skipped = 0
    try:
        root = ElementTree.parse(sys.argv[1]).getroot()
    except (OSError, ElementTree.ParseError) as error:
        print(f"no test log: {error}", file=sys.stderr)
        print("0 1 0")
        return
    for case in root.iter("testcase"):
        if case.find("failure") is not None or case.find("error") is not None:
            failed += 1
        elif case.find("skipped") is not None:
            skipped += 1
        else:
            passed += 1
    for suite in root.iter("testsuite"):
        # a program that died before or after its cases: meson counts it in the suite alone
        if int(suite.get("errors", 0)) and not any(
            case.find("error") is not None for case in suite.iter("testcase")
        ):
            failed += int(suite.get("errors"))
    print(passed, failed, skipped)


main()
