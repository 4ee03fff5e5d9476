#!/bin/sh
# What an image holds, in one folder: Osteon's wheel, everything that it needs in the versions of the lock, and the list
# of it (CycloneDX). Run in a folder with pyproject.toml, constraints.txt and the four source roots.
set -eu
target=$1
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
python3 -m venv "$target"
"$target/bin/pip" wheel --quiet --no-deps --wheel-dir "$scratch" .
"$target/bin/pip" install --quiet --constraint constraints.txt "$(ls "$scratch"/osteon-*.whl)[serve,mlflow,tpe]"
"$target/bin/pip" check
python3 -m venv "$scratch/lister"
"$scratch/lister/bin/pip" install --quiet --constraint constraints.txt cyclonedx-bom
"$scratch/lister/bin/cyclonedx-py" environment --output-file "$target/sbom.cdx.json" "$target/bin/python"
