"""Count what the family loses from float32 to int8, image by image, for every recipe and seed of a sweep.

Run it with: python -m edgeport.benchmarks.lab.family.int8_loss runs/frontier -o docs/results/frontier/int8-loss.json
"""

import argparse
import sys
from pathlib import Path

import numpy as np

from edgeport.benchmarks.lab.family.family_results import LOSSES, REFERENCE, Loss, Losses
from edgeport.benchmarks.lab.script import run_script
from edgeport.benchmarks.statistics.paired import paired_answers
from edgeport.benchmarks.sweep.cells.cell import EXPORT
from edgeport.benchmarks.sweep.results import read_results
from edgeport.runtime import load
from edgeport.runtime.files.output import write_whole
from edgeport.train import load_dataset

_CHUNK = 500


def _answers(path: Path, images: np.ndarray) -> np.ndarray:
    """Return the class that an artefact gives to each image."""
    with load(path) as predictor:
        parts = [predictor.predict(images[start : start + _CHUNK]) for start in range(0, len(images), _CHUNK)]
    classes: np.ndarray = np.concatenate(parts).argmax(axis=1)
    return classes


def _add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("sweep", type=Path, metavar="SWEEP", help="a folder of edgeport sweep")


def _run(arguments: argparse.Namespace) -> None:
    results = read_results(arguments.sweep)
    test = load_dataset(results.dataset["name"]).test
    rows: list[Loss] = []
    for cell in results.cells:
        model, recipe, seed = cell["model"], cell["recipe"], cell["seed"]
        exports = {name: arguments.sweep / model / name / f"seed-{seed}" / EXPORT for name in (REFERENCE, recipe)}
        reference = _answers(exports[REFERENCE] / f"{model}.float32.tflite", test.samples)
        for format_ in ("tflite", "onnx"):
            answers = _answers(exports[recipe] / f"{model}.int8.{format_}", test.samples)
            found = paired_answers(test.classes, reference, answers)
            rows.append(Loss(model, recipe, seed, format_, found.count, found.right_to_wrong, found.wrong_to_right))
            print(rows[-1], flush=True)
    write_whole(arguments.output, LOSSES.text(Losses(tuple(rows))).encode())


if __name__ == "__main__":
    sys.exit(
        run_script(
            "edgeport.benchmarks.lab.family.int8_loss",
            "Count what int8 loses, image by image, beside float32.",
            run=_run,
            extra="all",
            add_arguments=_add_arguments,
        )
    )
