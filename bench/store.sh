#!/bin/sh
# bench/store.sh BUILD [OPTIONS]: the timeline against Python's sqlite3; see store.py --help.
exec python3 "$(dirname "$0")/store.py" "$@"
