#!/usr/bin/env bash
# bench/json.sh BUILD: every JSON library that the build found, one JSON line for each message.
set -euo pipefail
for program in "${1:-build}"/bench/json_bench_*; do
  [ -x "$program" ] && [ -f "$program" ] && "$program"
done
