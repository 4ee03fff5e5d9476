#!/usr/bin/env bash
# Which loss and which patch find a thin cortex? Table 3 of Li et al. 2022 on synthesised scans: the outermost voxels of
# all vertebrae. usage: cortex.sh LABELS OUT [SYSTEM...]   LABELS: folder of one-structure masks; run again, it goes on.
# Name systems (dice-32, hybrid-96, …) one by one to train them on several machines; then name all of them to compare.
set -euo pipefail
labels=$1 out=$2
shift 2
here=$(cd "$(dirname "$0")" && pwd)
systems=("$@")
if [ ${#systems[@]} -eq 0 ]; then systems=({dice,entropy,hybrid}-{32,48,96}); fi

osteon synthesise "$labels" "$out/scans" --cases 16 --seed 7 --spacing-mm 2 --merge vertebrae_S1=sacrum
python "$here/relabel.py" cortex "$out/scans" "$out/labelled"
osteon prepare "$out/labelled" "$out/spines" --recipe "$here/cortex.yaml"
learnt="[$(seq -s, -f 'synthetic-%04g' 0 11)]"
held_out=$(seq -s, -f 'synthetic-%04g' 12 15)
declare -A loss=(
  [dice]='{cross_entropy: 0, auxiliary: 0.4, auxiliary_decay: true}'
  [entropy]='{dice: 0, balance: 1, auxiliary: 0.4, auxiliary_decay: true}'
  [hybrid]='{kind: hybrid, auxiliary: 0.4, auxiliary_decay: true}'
)
reports=()
for system in "${systems[@]}"; do
  patch="[16, ${system#*-}, ${system#*-}]" resume=()
  if [ -e "$out/$system/run.json" ]; then resume=(--resume); fi
  osteon train "$here/cortex.yaml" --data "$out/spines" --out "$out/$system" "${resume[@]}" --set name="$system" \
    --set loss="${loss[${system%-*}]}" --set sampling.patch_shape="$patch" --set inference.window_shape="$patch" \
    --set training.training_cases="$learnt"
  if [ ! -e "$out/$system-report/report.json" ]; then
    osteon evaluate "$out/$system/model" --data "$out/spines" --cases "$held_out" --out "$out/$system-report"
  fi
  reports+=("$out/$system-report")
done
if [ ${#reports[@]} -lt 2 ]; then exit; fi
rm -rf "$out/comparison"
osteon compare "${reports[@]}" --out "$out/comparison"
