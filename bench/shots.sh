#!/bin/sh
# Shot boundaries on clips with known ones, made on first use by tools/make_scenes.py.
set -e
testdata=$(python3 "$(dirname "$0")/../tools/fetch.py" --path testdata)
[ -d "$testdata/scenes" ] || python3 "$(dirname "$0")/../tools/make_scenes.py"
exec "$1/bench/shots_bench" "$testdata/scenes"
