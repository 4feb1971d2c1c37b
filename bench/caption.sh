#!/bin/sh
# bench/caption.sh BUILD [OPTIONS]: the whole program at work, JSON lines; see caption.py --help.
exec python3 "$(dirname "$0")/caption.py" "$@"
