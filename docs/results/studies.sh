#!/usr/bin/env bash
# Renew what the documents quote about the runtime and the benchmark themselves: runtime.json, trust.json,
# verdicts.json, judging-time.json, peers.json, loadgen.json, calibration-mistakes.json, calibration-methods.json,
# planted-faults.json, search-cost.json, serve-load.json, session-options.json, start-up.json. It needs the models and
# reports that `make results` makes, a quiet machine for 40 minutes, and:
# .venv/bin/pip install -e '.[all,dev,peers]'
# EDGEPORT_DATA names the folder with MNIST's files if they shall not be downloaded.
set -euo pipefail
cd "$(dirname "$0")/../.."
python=${PYTHON:-.venv/bin/python}
results=docs/results

"$python" -m edgeport.benchmarks.lab.studies.runtime_cost runs/mnist-edge/export -o $results/runtime.json
"$python" -m edgeport.benchmarks.lab.studies.trust runs/mnist-edge/export \
    --report $results/mnist-edge/report.json -o $results/trust.json
"$python" -m edgeport.benchmarks.lab.studies.serve_load runs/mnist-edge/export/*.{float32,int8}.tflite \
    -o $results/serve-load.json
"$python" -m edgeport.benchmarks.lab.judging.verdicts -o $results/verdicts.json
"$python" -m edgeport.benchmarks.lab.judging.judging_time -o $results/judging-time.json
"$python" -m edgeport.benchmarks.lab.peers.comparison --tflite-runtime build/tflite-runtime -o $results/peers.json
"$python" -m edgeport.benchmarks.lab.studies.planted_faults -o $results/planted-faults.json
mkdir -p build
"$python" -c "import keras; keras.utils.set_random_seed(0); keras.applications.MobileNetV2(
    (96, 96, 3), alpha=0.35, weights=None, classes=10, classifier_activation=None).save('build/mobilenet-v2.keras')"
"$python" -m edgeport.benchmarks.lab.studies.start_up runs/mnist-edge/export build/peers/mobilenetv2/export \
    -o $results/start-up.json
"$python" -m edgeport.benchmarks.lab.studies.session_options runs/mnist-edge/export build/peers/mobilenetv2/export \
    -o $results/session-options.json
"$python" -m edgeport.benchmarks.lab.studies.search_cost build/mobilenet-v2.keras --count 400 -o $results/search-cost.json
"$python" -m edgeport.benchmarks.lab.studies.loadgen runs/mnist-edge/export runs/mnist-classic/export -o $results/loadgen.json
"$python" -m edgeport.benchmarks.lab.studies.calibration_methods -o $results/calibration-methods.json
"$python" -m edgeport.benchmarks.lab.studies.calibration_mistakes -o $results/calibration-mistakes.json
"$python" -m edgeport.benchmarks.lab.documents.refresh_tables
