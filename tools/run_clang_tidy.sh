#!/usr/bin/env bash
# clang-tidy over every source file of the program, as many at once as there are cores. What it says
# of code outside the project is left out, and so are options that gcc alone knows.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
folder=${1:-build}
commands=$(mktemp -d)
trap 'rm -rf "$commands"' EXIT
sed 's/ -fvect-cost-model=[a-z-]*//g' "$folder/compile_commands.json" >"$commands/compile_commands.json"
git ls-files 'src/*.c' |
  xargs -P "$(nproc)" -n 4 clang-tidy-19 --quiet -p "$commands" --warnings-as-errors='*' 2>&1 |
  { grep -vE '^\[[0-9]+/[0-9]+\] |^[0-9]+ warnings? generated' || true; }
