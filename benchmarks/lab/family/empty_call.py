"""Time the family's int8 TFLite files beside the least that a call can do: one operator that only moves the pixels.

Run it with: python -m edgeport.benchmarks.lab.family.empty_call runs/frontier -o docs/results/frontier/empty-call.json
"""

import argparse
import sys
import tempfile
from pathlib import Path

import keras
import numpy as np

from edgeport.benchmarks.lab.family.family_results import EMPTY_CALL, EmptyCall
from edgeport.benchmarks.lab.script import run_script
from edgeport.benchmarks.measure.candidates.candidate import artefact_candidate
from edgeport.benchmarks.measure.machine.conditions import disturbances
from edgeport.benchmarks.measure.machine.host import host_facts
from edgeport.benchmarks.measure.protocol import Protocol
from edgeport.benchmarks.measure.rounds import time_candidates
from edgeport.benchmarks.report.raw.record import ENGINE_CALL
from edgeport.benchmarks.sweep.results import read_results
from edgeport.export import Options, export, load_calibration, load_source
from edgeport.runtime.files.output import write_whole
from edgeport.train import load_dataset

EMPTY = "empty"
_LAUNCHES = 8


def empty_artefact(folder: Path) -> Path:
    """Export an int8 TFLite file whose only operator reshapes a 28x28 image; return its path."""
    image = keras.Input((28, 28, 1), name="image")
    source = load_source(keras.Model(image, keras.layers.Flatten()(image), name=EMPTY), inputs=["pixels"])
    calibration = load_calibration("mnist-5k", inputs=source.inputs)
    export(source, folder, calibration, options=Options(formats=("tflite",), precisions=("int8",)))
    return next(folder.glob("*.tflite"))


def _add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("sweep", type=Path, metavar="SWEEP", help="a folder of edgeport sweep")


def _run(arguments: argparse.Namespace) -> None:
    results = read_results(arguments.sweep)
    images = load_dataset(results.dataset["name"]).validation.samples[:1]
    first = {cell["model"]: cell for cell in reversed(results.cells)}
    with tempfile.TemporaryDirectory() as folder:
        paths = {EMPTY: empty_artefact(Path(folder) / EMPTY)}
        for model, cell in first.items():
            export_folder = arguments.sweep / model / cell["recipe"] / f"seed-{cell['seed']}" / "export"
            paths[model] = export_folder / f"{model}.int8.tflite"
        candidates = [artefact_candidate(name, path) for name, path in paths.items()]
        host = host_facts()
        timings = time_candidates(
            candidates, images, protocol=Protocol(launches=_LAUNCHES), ways=((ENGINE_CALL, 1),), on_step=print
        )
    p50_us = {
        name: [round(float(np.median(launch)) / 1e3, 3) for launch in timings.series[name][0].launches]
        for name in paths
    }
    result = EmptyCall(host, tuple(disturbances(timings.conditions, host)), p50_us)
    write_whole(arguments.output, EMPTY_CALL.text(result).encode())


if __name__ == "__main__":
    sys.exit(
        run_script(
            "edgeport.benchmarks.lab.family.empty_call",
            "Time the family's int8 TFLite files beside a file that only moves the pixels.",
            run=_run,
            extra="all",
            add_arguments=_add_arguments,
        )
    )
