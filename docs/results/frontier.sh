#!/usr/bin/env bash
# Train the teachers, run the sweeps, publish the seed of each model that is best on validation, and renew what the
# documents quote. It takes hours; what was interrupted goes on with the same command.
# EDGEPORT_DATA names the folder with MNIST's files if they shall not be downloaded.
set -euo pipefail
cd "$(dirname "$0")/../.."
edgeport=.venv/bin/edgeport results=docs/results/frontier

$edgeport sweep $results/teachers.toml -o runs/teachers
[ -f runs/teacher/model.keras ] || .venv/bin/python -m edgeport.benchmarks.lab.family.ensemble \
    runs/teachers/teacher/{narrow,wide}/seed-0/train/model.keras -o runs/teacher/model.keras
$edgeport sweep $results/ablation.toml -o runs/ablation
cp runs/ablation/results.json $results/ablation.json
$edgeport sweep $results/frontier.toml -o runs/frontier
cp runs/frontier/results.json $results/results.json
cp runs/frontier/frontier.png $results/frontier.png
cp runs/teachers/results.json $results/teachers.json

.venv/bin/python -m edgeport.benchmarks.lab.family.search runs/teacher/model.keras -o $results/search.json
.venv/bin/python -m edgeport.benchmarks.lab.family.empty_call runs/frontier -o $results/empty-call.json
.venv/bin/python -m edgeport.benchmarks.lab.family.fastest_onnx -o $results/fastest-onnx.json
.venv/bin/python -m edgeport.benchmarks.lab.family.ptq_loss runs/frontier -o $results/ptq-loss.json
.venv/bin/python -m edgeport.benchmarks.lab.family.qat_recovery runs/frontier runs/teacher/model.keras -o $results/qat-recovery.json
# A sweep exports float32 and int8 alone. The seed that is published needs all that a user gets from the zoo.
for folder in runs/frontier/*/published; do
    train=$(.venv/bin/python -c '
import json, pathlib, sys
print(max(sys.argv[1:], key=lambda folder: json.loads(pathlib.Path(folder, "training.json").read_bytes())["validation"]["accuracy"]))
' "$folder"/seed-*/train)
    $edgeport export "$train/model.keras" -o "${train%train}export" --calibration mnist-5k --overwrite
    .venv/bin/python -m edgeport.benchmarks.lab.family.publishing "$folder"/seed-* --to train/zoo --overwrite
done
.venv/bin/python -m edgeport.benchmarks.lab.documents.refresh_tables
