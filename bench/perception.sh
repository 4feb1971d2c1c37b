#!/bin/sh
# What perception costs for one accepted frame, one thread; see perception_bench.c.
exec "$1/bench/perception_bench"
