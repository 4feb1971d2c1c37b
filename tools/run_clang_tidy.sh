#!/usr/bin/env bash
# clang-tidy over every source file of the program, as many at once as there are cores.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
folder=${1:-build}
git ls-files 'src/*.c' |
  xargs -P "$(nproc)" -n 4 clang-tidy-19 --quiet -p "$folder" --warnings-as-errors='*'
