#!/usr/bin/env bash
# Train, export and judge the model of docs/tutorials/spoken-digits.md, and keep what that page quotes. It takes some minutes.
# FSDD names the folder of the Free Spoken Digit Dataset, which is no part of edgeport.
set -euo pipefail
cd "$(dirname "$0")/../.."
root=$PWD results=$PWD/docs/results/spoken-digits work=build/spoken-digits
recordings=$(realpath "${FSDD:?the folder of the Free Spoken Digit Dataset}")
rm -rf "$work"
mkdir -p "$work" "$results"
cd "$work"
ln -s "$recordings" free-spoken-digit-dataset
"$root/.venv/bin/python" "$root/examples/spoken_digits.py"

for command in \
    "train --model spoken.keras --input log-mel:8000 --dataset fsdd:free-spoken-digit-dataset --epochs 40 -o runs/spoken/train" \
    "export runs/spoken/train/model.keras -o runs/spoken/export" \
    "benchmark runs/spoken/export --only accuracy"; do
    echo "\$ edgeport $command"
    # Word splitting is wanted: each command is a line of plain words.
    # shellcheck disable=SC2086
    "$root/.venv/bin/edgeport" $command
    echo
done | tee console.txt
cp console.txt runs/spoken/train/training.json runs/spoken/export/manifest.json runs/spoken/benchmark/report.* "$results/"
cd "$root"
.venv/bin/python -m edgeport.benchmarks.lab.documents.refresh_tables
