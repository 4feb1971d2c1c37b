#!/bin/sh
# Whether what captions name is truly there; see truth/truth.py.
exec python3 "$(dirname "$0")/truth/truth.py" "$@"
