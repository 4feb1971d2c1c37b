#!/bin/sh
# bench/server.sh BUILD [OPTIONS]: what the server takes; see server.py --help.
exec python3 "$(dirname "$0")/server.py" "$@"
