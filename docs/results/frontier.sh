#!/usr/bin/env bash
# Train the teachers, run the sweeps, publish the seed of each model that is best on validation, and renew what the
# documents quote. It takes hours; what was interrupted goes on with the same command.
# EDGEPORT_DATA names the folder with MNIST's files if they shall not be downloaded.
set -euo pipefail
cd "$(dirname "$0")/../.."
edgeport=.venv/bin/edgeport results=docs/results/frontier

$edgeport sweep $results/teachers.toml -o runs/teachers
[ -f runs/teacher/model.keras ] || .venv/bin/python -m edgeport.train.ensemble \
    runs/teachers/teacher/{narrow,wide}/seed-{0,1}/train/model.keras -o runs/teacher/model.keras
for each in ablation ablation-10k; do
    $edgeport sweep "$results/$each.toml" -o "runs/$each"
    cp "runs/$each/results.json" "$results/$each.json"
done
$edgeport sweep $results/frontier.toml -o runs/frontier
cp runs/frontier/results.json $results/results.json
cp runs/frontier/frontier.png $results/frontier.png
cp runs/teachers/results.json $results/teachers.json

.venv/bin/python docs/results/search.py runs/teacher/model.keras -o $results/search.json
.venv/bin/python docs/results/empty_call.py runs/frontier -o $results/empty-call.json
.venv/bin/python docs/results/ptq_loss.py runs/frontier -o $results/ptq-loss.json
# A sweep exports float32 and int8 alone; what is published is all that a user gets from the zoo.
for run in runs/frontier/*/published/seed-*; do
    $edgeport export "$run/train/model.keras" -o "$run/export" --calibration mnist-5k --overwrite
done
for folder in runs/frontier/*/published; do
    .venv/bin/python -m edgeport.export.publishing "$folder"/seed-* --to train/zoo --overwrite
done
.venv/bin/python docs/refresh_tables.py
