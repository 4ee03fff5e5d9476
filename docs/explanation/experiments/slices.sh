#!/usr/bin/env bash
# Which of five networks for slices finds patient and bone best? Table 1 of Krawczyk and Starzyński 2021 on synthesised
# scans. usage: slices.sh LABELS OUT [SYSTEM...]   LABELS: folder of one-structure masks; run again, it goes on.
# Name systems one by one to train them on several machines; then name all of them to compare.
set -euo pipefail
labels=$1 out=$2
shift 2
here=$(cd "$(dirname "$0")" && pwd)
systems=("$@")
if [ ${#systems[@]} -eq 0 ]; then systems=(fcn32 fcn8 pspnet unet segnet); fi

osteon synthesise "$labels" "$out/scans" --cases 15 --seed 7 --spacing-mm 5,4,4 --merge vertebrae_S1=sacrum
python "$here/relabel.py" outline "$out/scans" "$out/outlines"
learnt="[$(seq -s, -f 'synthetic-%04g' 0 9)]"
held_out=$(seq -s, -f 'synthetic-%04g' 10 14)
reports=()
for system in "${systems[@]}"; do
  resume=() hidden=()
  if [ -e "$out/$system/run.json" ]; then resume=(--resume); fi
  if [[ $system == fcn* ]]; then hidden=(--set model.hidden=512); fi # 8 million parameters instead of 70
  # Slices of 512 mm with a quarter of the paper's pixels along each axis; all else is the recipe's.
  osteon train "krawczyk2021-$system" --data "$out/outlines" --out "$out/$system" "${resume[@]}" "${hidden[@]}" \
    --set grid.spacing_mm=[5,4,4] --set sampling.patch_shape=[1,128,128] --set inference.window_shape=[1,128,128] \
    --set training.steps=800 --set training.checkpoint_every=100 --set training.validate_every=1000000 \
    --set training.training_cases="$learnt" --set training.validation_cases=[]
  if [ ! -e "$out/$system-report/report.json" ]; then
    osteon evaluate "$out/$system/model" --data "$out/outlines" --cases "$held_out" --out "$out/$system-report"
  fi
  reports+=("$out/$system-report")
done
if [ ${#reports[@]} -lt 2 ]; then exit; fi
rm -rf "$out/comparison"
osteon compare "${reports[@]}" --out "$out/comparison"
