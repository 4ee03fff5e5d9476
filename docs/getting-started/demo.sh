#!/usr/bin/env bash
# The whole path on a laptop: phantom scans -> dataset -> trained network -> segmentation -> report.
# Run by `make demo`; run it again and it goes on where it stopped.
set -euo pipefail
demo=${1:-demo}

osteon phantom "$demo/scans" --cases 8 --seed 1 --format nifti --bones 6
osteon phantom "$demo/unseen" --cases 1 --seed 2 --format dicom --bones 6
osteon ingest "$demo/scans" "$demo/dataset"
resume=()
if [ -e "$demo/run/run.json" ]; then resume=(--resume); fi
osteon train demo --data "$demo/dataset" --out "$demo/run" "${resume[@]}"
osteon segment "$demo/run/model" "$demo/unseen/phantom-000/ct" "$demo/unseen/phantom-000.nii.gz"
rm -rf "$demo/report"
osteon evaluate "$demo/run/model" --data "$demo/dataset" --split validation --out "$demo/report"
