#!/usr/bin/env bash
# Renew docs/results/quantizers.json, export-speed.json and export-memory.json, which docs/explanation/quantizers.md quotes.
# It needs the models that `make results` trains, and: .venv/bin/pip install -e '.[all,dev,quantizers]'
# EDGEPORT_DATA names the folder with MNIST's files if they shall not be downloaded.
set -euo pipefail
cd "$(dirname "$0")/../.."
python=${PYTHON:-.venv/bin/python}
models=$(mktemp -d)
trap 'rm -rf "$models"' EXIT

TF_CPP_MIN_LOG_LEVEL=3 "$python" tests/e2e/save_architectures.py "$models" \
    "DS-CNN for keyword spotting" "U-Net, transposed convolution" "1-D CNN with Normalization" "Transformer encoder" \
    LayerNormalization BatchNormalization MobileNetV2
"$python" -m edgeport.benchmarks.lab.quantizers -o docs/results/quantizers.json \
    runs/mnist-edge/train/model.keras runs/mnist-classic/train/model.keras "$models"/*.keras
"$python" -m edgeport.benchmarks.lab.export_cost.export_speed runs/mnist-edge/train/model.keras --dataset mnist \
    -o docs/results/export-speed.json
"$python" -m edgeport.benchmarks.lab.export_cost.export_memory -o docs/results/export-memory.json
"$python" -m edgeport.benchmarks.lab.documents.refresh_tables
