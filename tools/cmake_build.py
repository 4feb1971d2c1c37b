"""Compiles a source tree with CMake and Ninja into a prefix, and says how far it is."""

import os
import re
import shutil
import subprocess
import time

from registry import Failure

REPORT_SECONDS = 10
CPU_INFO = "/proc/cpuinfo"


def cpu_flags():
    try:
        with open(CPU_INFO, encoding="utf-8", errors="replace") as f:
            line = next((line for line in f if line.startswith("flags")), "")
    except OSError:
        return set()
    return set(line.partition(":")[2].split())


def options_for(entry, machine):
    """The entry's options, and those for a processor that lacks a feature which they take for
    granted."""
    options = list(entry["options"])
    if machine == "x86_64" and not set(entry["cpu"]) <= cpu_flags():
        options += entry["options_without"]
    return options


def _environment(folder):
    """The compiler's cache must see the same command whatever the folder is called."""
    return dict(os.environ, CCACHE_BASEDIR=folder, CCACHE_NOHASHDIR="1", LC_ALL="C")


def _reason(log):
    with open(log, encoding="utf-8", errors="replace") as f:
        lines = [line.strip() for line in f]
    for wanted in (r"\berror: |[Kk]illed", r"CMake Error|ninja: error", "FAILED:", "."):
        found = [line for line in lines if re.search(wanted, line)]
        if found:
            return found[0][:300]
    return "no reason given"


def _run(command, folder, log, report, what):
    with open(log, "ab") as out:
        try:
            process = subprocess.Popen(command, cwd=folder, env=_environment(folder), stdout=out,
                                       stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL)
        except OSError:
            raise Failure(f"{command[0]} is not there (on Debian: apt-get install cmake ninja-build "
                          "g++)") from None
        with process:
            while True:
                try:
                    status = process.wait(REPORT_SECONDS)
                    break
                except subprocess.TimeoutExpired:
                    report(log)
    if status != 0:
        raise Failure(f"{what} could not be compiled: {_reason(log)} (all of it: {log})")


def _reporter(say, name):
    def report(log):
        with open(log, "rb") as f:
            f.seek(0, os.SEEK_END)
            f.seek(max(0, f.tell() - 4096))
            steps = re.findall(rb"^\[(\d+)/(\d+)\]", f.read(), re.MULTILINE)
        if steps:
            say(f"  compiling {name}: {int(steps[-1][0])} of {int(steps[-1][1])} steps")
    return report


def compile_tree(name, source, options, prefix, log, say):
    """source: in a folder of its own, where everything is made. prefix appears whole or not at
    all; what is already there is replaced. The log is kept when it fails."""
    start = time.monotonic()
    folder = os.path.dirname(source)
    fresh = os.path.join(folder, "prefix")
    with open(log, "wb"):
        pass
    report = _reporter(say, name)
    say(f"compiling {name}; the first time this takes some minutes")
    _run(["cmake", "-S", source, "-B", "build", "-G", "Ninja", "-DCMAKE_BUILD_TYPE=Release",
          "-DCMAKE_INSTALL_LIBDIR=lib", "-DCMAKE_INSTALL_PREFIX=" + fresh, *options],
         folder, log, report, name)
    _run(["ninja", "-C", "build", "install"], folder, log, report, name)
    shutil.copy(os.path.join(source, "LICENSE"), fresh)
    os.makedirs(os.path.dirname(prefix), exist_ok=True)
    shutil.rmtree(prefix, ignore_errors=True)
    os.replace(fresh, prefix)
    os.remove(log)
    say(f"  {name} compiled, {time.monotonic() - start:.0f} s")
