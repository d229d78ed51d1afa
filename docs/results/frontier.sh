#!/usr/bin/env bash
# Train the teachers, run the sweeps, publish the seed of each model that is best on validation, and renew what the
# documents quote. It takes hours; what was interrupted goes on with the same command.
# EDGEPORT_DATA names the folder with MNIST's files if they shall not be downloaded.
set -euo pipefail
cd "$(dirname "$0")/../.."
edgeport=.venv/bin/edgeport results=docs/results/frontier

$edgeport sweep $results/teachers.toml -o runs/teachers
[ -f runs/teacher/model.keras ] || .venv/bin/python -m edgeport.train.ensemble \
    runs/teachers/teacher/{narrow,wide}/seed-0/train/model.keras -o runs/teacher/model.keras
$edgeport sweep $results/ablation.toml -o runs/ablation
$edgeport sweep $results/frontier.toml -o runs/frontier
cp runs/ablation/results.json $results/ablation.json
cp runs/frontier/results.json $results/results.json
cp runs/frontier/frontier.png $results/frontier.png
for name in narrow wide; do
    cp "runs/teachers/teacher/$name/seed-0/train/training.json" "$results/teacher-$name.json"
done

.venv/bin/python docs/results/ptq_loss.py runs/frontier -o $results/ptq-loss.json
# A sweep exports float32 and int8 alone; what is published is all that a user gets from the zoo.
for run in runs/frontier/*/published/seed-*; do
    $edgeport export "$run/train/model.keras" -o "$run/export" --calibration mnist-5k --overwrite
done
for folder in runs/frontier/*/published; do
    .venv/bin/python -m edgeport.export.publishing "$folder"/seed-* --to train/zoo --overwrite
done
.venv/bin/python docs/refresh_tables.py
