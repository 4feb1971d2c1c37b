#!/bin/sh
# Routers over 512 and 10,000 clusters, and the key frames of an hour; see router_bench.c.
set -e
bench="$1/bench/router_bench"
"$bench" score 512 64 2048 24 0
"$bench" score 512 64 576 24 0
"$bench" score 10000 64 576 24 64
"$bench" stream 3600 64 576
"$bench" stream 3600 108 2048
