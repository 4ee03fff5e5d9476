#!/usr/bin/env bash
# Does it help to learn from femurs one by one, all as right ones? Table 1 of Saillard et al. 2023 on synthesised scans.
# usage: preparation.sh LABELS OUT   LABELS: folder of one-structure masks; run again, it goes on.
set -euo pipefail
labels=$1 out=$2
here=$(cd "$(dirname "$0")" && pwd)

osteon synthesise "$labels" "$out/scans" --cases 40 --seed 7 --spacing-mm 2 --bones femur_left,femur_right
mapfile -t both < <(osteon cases "$out/scans" | awk '$8 == 2 { print $1 }') # the 16 scans that show both femurs
learnt=("${both[@]::11}") held_out=("${both[@]:11}")
list() { local IFS=,; echo "$*"; }
osteon prepare "$out/scans" "$out/femurs" --recipe "$here/preparation.yaml" --cases "$(list "${learnt[@]}")"

train() { # NAME DATA CASES [--set KEY=VALUE]
  local name=$1 data=$2 cases=$3 resume=()
  if [ -e "$out/$name/run.json" ]; then resume=(--resume); fi
  osteon train "$here/preparation.yaml" --data "$data" --out "$out/$name" "${resume[@]}" --set name="$name" \
    --set training.training_cases="[$cases]" "${@:4}"
}
train whole "$out/scans" "$(list "${learnt[@]}")" --set prepare={}
train prepared "$out/femurs" "$(list "${learnt[@]/%/-left}" "${learnt[@]/%/-right}")"

for case in "${held_out[@]}"; do
  scan=$out/scans/cases/$case.zarr
  segment() { # NAME MODEL [--labels-from CASE]; a scan that is refused (exit code 2) counts as one without findings
    if [ ! -e "$out/$1-labels/$case.zarr" ]; then
      osteon segment "$out/$2/model" "$scan" "$out/$1-labels/$case.zarr" "${@:3}" || [ $? -eq 2 ]
    fi
  }
  segment whole whole
  segment prepared-found prepared --labels-from "$out/whole-labels/$case.zarr" # femurs where `whole` found them
  segment prepared-given prepared                                              # femurs where the reference has them
done
rm -rf "$out"/*-report "$out/comparison"
for name in whole prepared-found prepared-given; do
  python "$here/judge.py" "$out/scans" "$out/$name-labels" "$out/$name-report" "${held_out[@]}"
done
osteon compare "$out"/{whole,prepared-found,prepared-given}-report --out "$out/comparison"
