#!/usr/bin/env bash
# Makes docs/captions.jpg: a clip of free photographs (scikit-image's data: CC0 and public domain),
# captioned by the program, its key frames above the captions they belong to.
#   tools/make_picture.sh BUILD_FOLDER PHOTOGRAPHS_FOLDER
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
program=$1/manako photographs=$2
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT

shots=(coffee.png chelsea.png camera.png astronaut.png)
inputs=() chain='' joined=''
for i in "${!shots[@]}"; do
  inputs+=(-loop 1 -t 4 -i "$photographs/${shots[$i]}")
  chain+="[$i:v]scale=1600:1200:force_original_aspect_ratio=increase,crop=1600:1200,"
  chain+="zoompan=z='1+0.0008*on':d=1:x='iw/2-iw/zoom/2':y='ih/2-ih/zoom/2':s=640x480:fps=25,format=yuv420p[v$i];"
  joined+="[v$i]"
done
ffmpeg -v error -y "${inputs[@]}" -filter_complex "$chain${joined}concat=n=${#shots[@]}[v]" \
  -map '[v]' -c:v libx264 -crf 18 "$folder/photographs.mp4" </dev/null
"$program" caption --no-db --format jsonl --keyframes "$folder/frames" "$folder/photographs.mp4" >"$folder/captions.jsonl"

tiles=() stack=''
while IFS=$'\t' read -r id times text; do
  n=$((${#tiles[@]} / 2))
  printf '%s' "$times" >"$folder/times-$id.txt"
  fold -s -w 40 <<<"$text" >"$folder/text-$id.txt"
  ffmpeg -v error -y -i "$folder/frames/photographs-$id.jpg" -vf "scale=400:300,pad=416:384:8:8:color=0x14161a,\
drawtext=textfile=$folder/times-$id.txt:x=10:y=318:fontsize=15:fontcolor=0x8fa3b8:font=DejaVu Sans Mono,\
drawtext=textfile=$folder/text-$id.txt:x=10:y=341:fontsize=16:fontcolor=white:font=DejaVu Sans:line_spacing=4" \
    -frames:v 1 "$folder/tile-$n.png" </dev/null
  tiles+=(-i "$folder/tile-$n.png")
  stack+="[$n:v]"
done < <(python3 -c '
import json, sys
for line in open(sys.argv[1]):
    c = json.loads(line)
    span = "%d:%02d - %d:%02d" % (*divmod(c["start_ms"] // 1000, 60), *divmod(c["end_ms"] // 1000, 60))
    print(c["id"], span, c["text"], sep="\t")' "$folder/captions.jsonl")
ffmpeg -v error -y "${tiles[@]}" -filter_complex "${stack}hstack=inputs=$((${#tiles[@]} / 2))" -frames:v 1 \
  -q:v 4 docs/captions.jpg </dev/null
