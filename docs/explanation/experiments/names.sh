#!/usr/bin/env bash
# Can a network that has seen synthesised scans alone name the bones of a real one?
# usage: names.sh LABELS SCAN SCAN_LABELS LABELS_MAP OUT   LABELS: folder of one-structure masks; run again, it goes on.
set -euo pipefail
labels=$1 scan=$2 scan_labels=$3 labels_map=$4 out=$5
here=$(cd "$(dirname "$0")" && pwd)
bones=vertebrae_T11,vertebrae_T12,vertebrae_L1,vertebrae_L2,vertebrae_L3,vertebrae_L4,vertebrae_L5,sacrum
bones+=,hip_left,hip_right,femur_left,femur_right
for number in 7 8 9 10 11 12; do bones+=,rib_left_$number,rib_right_$number; done

osteon synthesise "$labels" "$out/scans" --cases 200 --seed 11 --spacing-mm 3 --bones "$bones" \
  --merge vertebrae_S1=sacrum
osteon ingest "$scan" "$out/real" --labels "$scan_labels" --labels-map "$labels_map"
# As it was done: an hour, and then another one, in which the learning rate is half of what it was at first.
train() { osteon train "$here/names.yaml" --data "$out/scans" --out "$out/run" --resume --set training.minutes="$1"; }
grep -qs '"minutes": 140' "$out/run/run.json" || train 70
train 140
rm -rf "$out/report"
osteon evaluate "$out/run/model" --data "$out/real" --split all --out "$out/report"
