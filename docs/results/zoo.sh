#!/usr/bin/env bash
# Export every published model from the zoo, and count anew with the raw engines what each has right: `make zoo`.
# EDGEPORT_DATA names the folder with MNIST's files; nothing is downloaded.
set -euo pipefail
cd "$(dirname "$0")/../.."
[ -n "${EDGEPORT_DATA:-}" ] || { echo 'make zoo: set EDGEPORT_DATA to the folder that holds t10k-images-idx3-ubyte.gz and t10k-labels-idx1-ubyte.gz' >&2; exit 2; }

for model in train/zoo/*/model.keras; do
    name=$(basename "$(dirname "$model")")
    # Exit code 1 tells of an artefact that was refused; the published manifest lists it neither.
    .venv/bin/edgeport export "zoo:$name" -o "build/zoo/$name" --overwrite || [ $? = 1 ]
    echo
done
.venv/bin/python benchmarks/lab/family/check_published.py "$EDGEPORT_DATA" build/zoo
