#!/usr/bin/env bash
# Does context help, and does it help at 32³? Table 2 of Schnider et al. 2022 on synthesised scans, each seen by no run.
# usage: context.sh LABELS OUT [SYSTEM...]   LABELS: folder of one-structure masks; run again, it goes on.
# Name systems one by one to train them on several machines; then name all of them to compare.
set -euo pipefail
labels=$1 out=$2
shift 2
here=$(cd "$(dirname "$0")" && pwd)
systems=("$@")
if [ ${#systems[@]} -eq 0 ]; then systems=(unet3d hooknet mrn sneakynet sneakynet-k2); fi

osteon synthesise "$labels" "$out/scans" --cases 60 --seed 7 --spacing-mm 3 --merge vertebrae_S1=sacrum
held_out=$(seq -s, -f 'synthetic-%04g' 48 59)
learnt="[$(seq -s, -f 'synthetic-%04g' 0 47)]"
declare -A model=( # channels: about 4.5 million parameters each, as the paper's have about 50
  [unet3d]='{architecture: unet3d, channels: [14, 28, 56, 112, 224], num_auxiliary: 0}'
  [hooknet]='{architecture: hooknet, channels: [10, 20, 40, 80, 160], contexts: 1}'
  [mrn]='{architecture: mrn, channels: [13, 26, 52, 104, 208], contexts: 1}'
  [sneakynet]='{architecture: sneakynet, channels: [10, 20, 40, 80, 160], contexts: 1}'
  [sneakynet-k2]='{architecture: sneakynet, channels: [8, 16, 32, 64, 128], contexts: 2}'
)
reports=()
for system in "${systems[@]}"; do
  resume=()
  if [ -e "$out/$system/run.json" ]; then resume=(--resume); fi
  osteon train "$here/context.yaml" --data "$out/scans" --out "$out/$system" "${resume[@]}" \
    --set name="$system" --set model="${model[$system]}" --set training.training_cases="$learnt"
  if [ ! -e "$out/$system-report/report.json" ]; then
    osteon evaluate "$out/$system/model" --data "$out/scans" --cases "$held_out" --out "$out/$system-report"
  fi
  reports+=("$out/$system-report")
done
if [ ${#reports[@]} -lt 2 ]; then exit; fi
rm -rf "$out/comparison"
osteon compare "${reports[@]}" --out "$out/comparison" \
  --bones humerus_left,humerus_right,femur_left,femur_right,clavicula_left,clavicula_right
