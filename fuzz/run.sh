#!/usr/bin/env bash
# fuzz/run.sh SECONDS [TARGET...]: runs each target for so long, one after the other, prints a line
# for each and fails when one finds anything. FUZZ_BUILD: the build folder (default build-fuzz).
# What the runs learn is kept in it and goes on from there; seeds are never changed.
set -euo pipefail
cd "$(dirname "$0")/.."

build=${FUZZ_BUILD:-build-fuzz}
[[ ${1:-} =~ ^[0-9]+$ ]] || { echo "usage: fuzz/run.sh SECONDS [TARGET...]" >&2; exit 2; }
seconds=$1
shift
targets=("$@")
if [ ${#targets[@]} -eq 0 ]; then
  for source in fuzz/fuzz_*.c; do targets+=("$(basename "$source" .c)"); done
fi

# The values of libFuzzer's "stat::NAME: VALUE" line and of its last status line.
stat_of() { sed -n "s/^stat::$1: *//p" "$2" | tail -n 1; }
coverage_of() { sed -n 's/.* cov: \([0-9]*\) .*/\1/p' "$1" | tail -n 1; }

run_target() {
  local target=$1 name=${1#fuzz_} log=$build/fuzz/$1.log
  local learned=$build/fuzz/corpus/$name findings=$build/fuzz/findings
  [ -x "$build/fuzz/$target" ] || { echo "$target is not built in $build" >&2; return 2; }
  mkdir -p "$learned" "$findings"
  local options=(-max_total_time="$seconds" -timeout=10 -rss_limit_mb=1024 -max_len=8192
    -print_final_stats=1 -verbosity=1 "-artifact_prefix=$findings/$target-")
  [ -f "fuzz/$name.dict" ] && options+=("-dict=fuzz/$name.dict")
  local verdict=ok
  G_SLICE=always-malloc "$build/fuzz/$target" "${options[@]}" "$learned" "fuzz/corpus/$name" \
    >"$log" 2>&1 || verdict=FOUND
  printf '%-18s %4d s  %9s runs  %7s/s  coverage %5s  %s\n' "$target" "$seconds" \
    "$(stat_of number_of_executed_units "$log")" "$(stat_of average_exec_per_sec "$log")" \
    "$(coverage_of "$log")" "$verdict"
  [ "$verdict" = ok ] || { tail -n 40 "$log" >&2; return 1; }
}

failed=0
for target in "${targets[@]}"; do
  run_target "fuzz_${target#fuzz_}" || failed=1
done
exit "$failed"
