#!/bin/sh
# bench/ask.sh BUILD [OPTIONS]: what questions cost; see ask.py --help.
exec python3 "$(dirname "$0")/ask.py" "$@"
