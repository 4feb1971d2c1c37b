#!/bin/sh
# bench/retrieval.sh BUILD [--fresh]: which memory and router find the moment; see retrieval.py.
exec python3 "$(dirname "$0")/retrieval.py" "$@"
