"""Try other designs for the smallest model, on validation images alone: what each has right, what int8 gains in time.

Run it with: python -m edgeport.benchmarks.lab.family.search runs/teacher/model.keras -o RESULT.json

A design is a text: ``C3/2-8`` is a convolution of 3 x 3 with stride 2 to 8 channels, batch normalisation and ReLU;
``D3`` a depthwise one without ReLU, ``P`` max pooling, ``G`` a depthwise convolution over all that is left, ``A``
global average pooling. A dense layer ends each.
"""

import argparse
import multiprocessing
import os
import re
import sys
import tempfile
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from functools import partial
from itertools import repeat
from pathlib import Path
from statistics import median
from typing import Any

import keras
from keras import layers

from edgeport.benchmarks.lab.family.family_results import SEARCH, Design, Search
from edgeport.benchmarks.lab.script import run_script
from edgeport.benchmarks.measure.candidates.candidate import artefact_candidate
from edgeport.benchmarks.measure.machine.conditions import disturbances
from edgeport.benchmarks.measure.machine.host import host_facts
from edgeport.benchmarks.measure.protocol import Protocol
from edgeport.benchmarks.measure.rounds import time_candidates
from edgeport.benchmarks.report.raw.record import ENGINE_CALL
from edgeport.benchmarks.statistics.latency import latency_ratio
from edgeport.export import Options, export, load_calibration, load_source
from edgeport.export.inspection import inspect
from edgeport.runtime.files.output import write_whole
from edgeport.train import load_dataset
from edgeport.train.loop.fitting import Run, fit, probabilities_of
from edgeport.train.loop.history import best_epoch
from edgeport.train.loop.recipe import RECIPES

EPOCHS = 8
_LAUNCHES = 8
_WORD = re.compile(r"^([CDPGA])(\d*)/?(\d*)-?(\d*)$")
DESIGNS = (
    "C3/2-8 C3-8 P C3-8 P",
    "C3/2-8 C3-8 P C3-12 P G",
    "C3/2-8 C3-8 P D3 C1-16 D3 C1-16 P G",
    "C3/2-8 D3 C1-16 P D3 C1-16 D3 C1-24 P G",
    "C3/2-8 D3 C1-16 P D3 C1-16 D3 C1-16 D3 C1-16 P G",
    "C3/2-8 D3 C1-16 D3 C1-16 P D3 C1-16 D3 C1-16 P G",
    "C4/2-8 D3 C1-16 D3 C1-16 P D3 C1-16 D3 C1-16 P G",
    "C3/2-8 D3 C1-16 D3 C1-16 D3/2 C1-16 D3 C1-16 P G",
)


def build(design: str) -> keras.Model:
    """Return the model that a text describes, for 28x28 digits."""
    image = keras.Input((28, 28, 1), name="image")
    x = layers.Rescaling(1 / 255)(image)
    for word in design.split():
        kind, size, strides, filters = _WORD.findall(word)[0]
        window = {"strides": int(strides or 1), "padding": "same", "use_bias": False}
        if kind == "C":
            x = layers.Conv2D(int(filters), int(size), **window)(x)
            x = layers.ReLU()(layers.BatchNormalization(momentum=0.9)(x))
        elif kind == "D":
            x = layers.BatchNormalization(momentum=0.9)(layers.DepthwiseConv2D(int(size), **window)(x))
        elif kind == "P":
            x = layers.MaxPooling2D()(x)
        elif kind == "G":
            x = layers.BatchNormalization(momentum=0.9)(layers.DepthwiseConv2D(x.shape[1:3], use_bias=False)(x))
        else:
            x = layers.GlobalAveragePooling2D()(x)
    return keras.Model(image, layers.Dense(10, activation="softmax")(layers.Flatten()(x)))


def try_design(design: str, teacher: Path, folder: Path) -> tuple[dict[str, Any], dict[str, Path]]:
    """Train a design with the recipe of edge-2k and export it; return what came of it, and its files by their kind."""
    dataset = load_dataset("mnist")
    run = Run(design, dataset, replace(RECIPES["edge-2k"], epochs=EPOCHS), seed=0, teacher=teacher)
    model, history, _ = fit(run, partial(build, design), state=folder / "state")
    answers = probabilities_of(model, dataset.validation).argmax(axis=1)
    source = load_source(model)
    calibration = load_calibration("mnist-5k", inputs=source.inputs)
    manifest = export(source, folder / "export", calibration, options=Options(precisions=("float32", "int8")))
    files = {f"{each.format} {each.precision}": folder / "export" / each.file for each in manifest.artefacts}
    row = {
        "design": design,
        "parameters": inspect(files["tflite float32"]).parameters,
        "epochs": EPOCHS,
        "correct": int((answers == dataset.validation.classes).sum()),
        "count": len(answers),
        "validation_loss": round(history[best_epoch(history, validation_count=len(answers)) - 1].validation_loss, 5),
    }
    print(row, flush=True)
    return row, files


def time_side_by_side(tried: list[tuple[dict[str, Any], dict[str, Path]]]) -> tuple[dict[str, Any], list[str]]:
    """Add to each row what its files take; return the machine, and what disturbed it."""
    candidates = [
        artefact_candidate(f"{row['design']}: {kind}", path) for row, files in tried for kind, path in files.items()
    ]
    host, images = host_facts(), load_dataset("mnist").validation.samples[:1]
    timings = time_candidates(candidates, images, protocol=Protocol(launches=_LAUNCHES), ways=((ENGINE_CALL, 1),))
    for row, files in tried:
        launches = {kind: timings.series[f"{row['design']}: {kind}"][0].launches for kind in files}
        for format_ in ("tflite", "onnx"):
            ratio = latency_ratio(launches[f"{format_} float32"], launches[f"{format_} int8"])
            row[f"{format_}_int8_ratio"] = round(ratio.ratio, 3)
            row[f"{format_}_int8_us"] = round(median(median(each) for each in launches[f"{format_} int8"]) / 1e3, 2)
    return host, list(disturbances(timings.conditions, host))


def _add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("teacher", type=Path, metavar="TEACHER.keras", help="whose answers are learned")


def _run(arguments: argparse.Namespace) -> None:
    # TensorFlow reads it when a process begins.
    os.environ["TF_NUM_INTRAOP_THREADS"] = "1"
    context = multiprocessing.get_context("spawn")
    with tempfile.TemporaryDirectory() as folder:
        with ProcessPoolExecutor(len(os.sched_getaffinity(0)), context) as pool:
            folders = [Path(folder) / f"design-{number}" for number in range(len(DESIGNS))]
            tried = list(pool.map(try_design, DESIGNS, repeat(arguments.teacher), folders))
        host, doubts = time_side_by_side(tried)
    result = Search(host, tuple(doubts), tuple(Design(**row) for row, _ in tried))
    write_whole(arguments.output, SEARCH.text(result).encode())


if __name__ == "__main__":
    sys.exit(
        run_script(
            "edgeport.benchmarks.lab.family.search",
            "Try other designs for the smallest model, on validation images alone.",
            run=_run,
            extra="all",
            add_arguments=_add_arguments,
        )
    )
