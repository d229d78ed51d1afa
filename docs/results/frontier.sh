#!/usr/bin/env bash
# Run the sweeps, publish the seed of each model that is best on validation, and renew what the documents quote. It takes
# hours; what was interrupted goes on with the same command.
# TEACHERS=1 trains the teachers anew before that, for two hours more; else the ensemble that is kept here teaches.
# EDGEPORT_DATA names the folder with MNIST's files if they shall not be downloaded.
set -euo pipefail
cd "$(dirname "$0")/../.."
edgeport=.venv/bin/edgeport results=docs/results/frontier

if [ -n "${TEACHERS:-}" ]; then
    for model in teacher teacher-5x5; do
        [ -f runs/teachers/$model/model.keras ] ||
            $edgeport train --dataset mnist --model $model -o runs/teachers/$model
    done
    members=(runs/teachers/{teacher,teacher-5x5}/model.keras)
    rm -f $results/teacher.keras
    .venv/bin/python -m edgeport.benchmarks.lab.family.ensemble "${members[@]}" -o $results/teacher.keras
    .venv/bin/python -m edgeport.benchmarks.lab.family.teacher_scores "${members[@]}" $results/teacher.keras \
        -o $results/teacher-scores.json
fi
# Its answers are kept beside it.
mkdir -p runs/teacher
cp $results/teacher.keras runs/teacher/model.keras
$edgeport sweep $results/ablation.toml -o runs/ablation
cp runs/ablation/results.json $results/ablation.json
$edgeport sweep $results/frontier.toml -o runs/frontier
cp runs/frontier/results.json $results/results.json
cp runs/frontier/frontier.png $results/frontier.png

.venv/bin/python -m edgeport.benchmarks.lab.family.search runs/teacher/model.keras -o $results/search.json
.venv/bin/python -m edgeport.benchmarks.lab.family.empty_call runs/frontier -o $results/empty-call.json
.venv/bin/python -m edgeport.benchmarks.lab.family.int8_loss runs/frontier -o $results/int8-loss.json
# A sweep exports float32 and int8 alone. The seed that is published needs all that a user gets from the zoo.
for folder in runs/frontier/edge-2k/qat runs/frontier/edge-{10k,35k,100k}/ptq; do
    train=$(.venv/bin/python -c '
import json, pathlib, sys
print(max(sys.argv[1:], key=lambda folder: json.loads(pathlib.Path(folder, "training.json").read_bytes())["validation"]["accuracy"]))
' "$folder"/seed-*/train)
    $edgeport export "$train/model.keras" -o "${train%train}export" --calibration mnist-5k --overwrite
    .venv/bin/python -m edgeport.benchmarks.lab.family.publishing "$folder"/seed-* --to train/zoo --overwrite
done
# It exports the models of the zoo.
.venv/bin/python -m edgeport.benchmarks.lab.family.fastest_onnx -o $results/fastest-onnx.json
.venv/bin/python -m edgeport.benchmarks.lab.documents.refresh_tables
