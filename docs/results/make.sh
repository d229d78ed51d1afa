#!/usr/bin/env bash
# Train, export and benchmark both models on all of MNIST, run the quickstart, and keep what the documents quote: `make results`.
# EDGEPORT_DATA names the folder with MNIST's files if they shall not be downloaded.
set -euo pipefail
cd "$(dirname "$0")/../.."
edgeport=.venv/bin/edgeport
[ $# -gt 0 ] || set -- edge classic

for model in "$@"; do
    run=runs/mnist-$model results=docs/results/mnist-$model
    mkdir -p "$results"
    {
        for command in \
            "train --dataset mnist --model $model -o $run/train --overwrite" \
            "export $run/train/model.keras -o $run/export --overwrite" \
            "benchmark $run/export --overwrite"; do
            echo "\$ edgeport ${command% --overwrite}"
            # Word splitting is wanted: each command is a line of plain words.
            # shellcheck disable=SC2086
            $edgeport $command
            echo
        done
    } | tee "$results/console.txt"
    cp "$run"/train/{training.json,*.png} "$run/export/manifest.json" "$run"/benchmark/* "$results/"
done
mkdir -p docs/results/quickstart
$edgeport quickstart --overwrite | tee docs/results/quickstart/console.txt
.venv/bin/python docs/refresh_tables.py
