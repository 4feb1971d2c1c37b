#!/usr/bin/env python3
"""Compiles every header under src/ by itself, public ones as C and as C++."""
import pathlib
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent


def main():
    flags = subprocess.run(["pkg-config", "--cflags", "glib-2.0", "gio-unix-2.0"], check=True,
                           capture_output=True, text=True).stdout.split()
    # of the local model's library, where set-up has compiled it
    llama = subprocess.run([sys.executable, str(ROOT / "tools" / "fetch.py"), "--path", "llama"],
                           capture_output=True, text=True).stdout.strip()
    flags += ["-isystem", f"{llama}/include"] if llama else []
    bad = 0
    for header in sorted((ROOT / "src").rglob("*.h")):
        name = header.relative_to(ROOT / "src")
        private = header.name.endswith("_priv.h")
        for language, standard in (("c", "gnu17"),) + (() if private else (("c++", "gnu++17"),)):
            command = ["gcc", "-x", language, f"-std={standard}", "-D_GNU_SOURCE", "-Wall", "-Werror",
                       "-fsyntax-only", "-I", str(ROOT / "src"), *flags, "-"]
            run = subprocess.run(command, input=f'#include "{name}"\n', capture_output=True, text=True)
            if run.returncode:
                bad += 1
                print(f"{name} does not stand alone as {language}:\n{run.stderr}")
    print("headers: clean" if not bad else f"headers: {bad} faults")
    sys.exit(bool(bad))


main()
