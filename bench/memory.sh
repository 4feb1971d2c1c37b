#!/bin/sh
# bench/memory.sh BUILD [OPTIONS]: the memory of tokens against plain loops and NumPy; see memory.py --help.
# Debian's own Python has NumPy.
exec /usr/bin/python3 "$(dirname "$0")/memory.py" "$@"
