#!/usr/bin/env bash
# Train, export and benchmark both models on all of MNIST, run the quickstart, and keep what the documents quote: `make results`.
# EDGEPORT_DATA names the folder with MNIST's files if they shall not be downloaded.
# KEEP_TRAINING=1 takes the models that the last time has left in runs/, when nothing that trains them has changed.
set -euo pipefail
cd "$(dirname "$0")/../.."
edgeport=.venv/bin/edgeport
[ $# -gt 0 ] || set -- edge classic

stages() { # MODEL: run each stage as a user would, and print the command before what it says
    run=runs/mnist-$1
    training="train --dataset mnist --model $1 -o $run/train --overwrite"
    if [ -n "${KEEP_TRAINING:-}" ]; then
        sed '/^\$ edgeport export/,$d' "docs/results/mnist-$1/console.txt"
        training=
    fi
    for command in ${training:+"$training"} \
        "export $run/train/model.keras -o $run/export --overwrite" \
        "benchmark $run/export --batches 1,32 --profile --overwrite"; do
        echo "\$ edgeport ${command% --overwrite}"
        # Word splitting is wanted: each command is a line of plain words.
        # shellcheck disable=SC2086
        $edgeport $command
        echo
    done
}

for model in "$@"; do
    run=runs/mnist-$model results=docs/results/mnist-$model
    mkdir -p "$results"
    stages "$model" | tee build/console.txt
    mv build/console.txt "$results/console.txt"
    cp "$run"/train/{training.json,*.png} "$run/export/manifest.json" "$run"/benchmark/* "$results/"
done
mkdir -p docs/results/quickstart
$edgeport quickstart --overwrite | tee docs/results/quickstart/console.txt
.venv/bin/python -m edgeport.benchmarks.lab.documents.refresh_tables
