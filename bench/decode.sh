#!/bin/sh
# One frame a second of a 720p25 H.264 file, against the ffmpeg program; see decode_bench.c.
exec "$1/bench/decode_bench"
