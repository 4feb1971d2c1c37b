"""Runs unittest cases and reports them in the Test Anything Protocol, one line a case."""

import sys
import unittest


class _Result(unittest.TestResult):
    def __init__(self):
        super().__init__()
        self.number = 0

    def _line(self, ok, test, more=""):
        self.number += 1
        name = test.id().replace("__main__.", "")
        print(f"{'ok' if ok else 'not ok'} {self.number} {name}{more}", flush=True)

    def addSuccess(self, test):
        super().addSuccess(test)
        self._line(True, test)

    def addSkip(self, test, reason):
        super().addSkip(test, reason)
        self._line(True, test, f" # SKIP {reason}")

    def _failed(self, test, error):
        self._line(False, test)
        print("".join(f"# {line}\n" for line in error.splitlines()), end="", flush=True)

    def addFailure(self, test, err):
        super().addFailure(test, err)
        self._failed(test, self.failures[-1][1])

    def addError(self, test, err):
        super().addError(test, err)
        self._failed(test, self.errors[-1][1])

    def addSubTest(self, test, subtest, err):
        super().addSubTest(test, subtest, err)
        if err is not None:
            self._failed(subtest, self.failures[-1][1] if self.failures else self.errors[-1][1])


def main():
    suite = unittest.defaultTestLoader.loadTestsFromModule(sys.modules["__main__"])
    result = _Result()
    suite.run(result)
    print(f"1..{result.number}")
    sys.exit(not result.wasSuccessful())
