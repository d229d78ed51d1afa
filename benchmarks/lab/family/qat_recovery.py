"""Fine-tune edge-2k with quantization in the loop, for every seed of a sweep, and count what int8 loses then.

Run it with: python -m edgeport.benchmarks.lab.family.qat_recovery runs/frontier runs/teacher/model.keras -o RESULT.json
"""

import argparse
import multiprocessing
import os
import sys
import tempfile
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from itertools import repeat
from pathlib import Path

from rich.console import Console

from edgeport.benchmarks.lab.family.family_results import LOSSES, Loss, Losses
from edgeport.benchmarks.lab.family.ptq_loss import answers_of, losses
from edgeport.benchmarks.lab.script import run_script
from edgeport.benchmarks.sweep.results import read_results
from edgeport.export import Options, export, load_calibration, load_source
from edgeport.runtime.files.output import write_whole
from edgeport.train import RECIPES, Run, load_dataset, train

MODEL = "edge-2k"


def fine_tuned(cell: Path, seed: int, teacher: Path, output: Path) -> Path:
    """Go on from a trained cell with its own recipe, export the result to int8, and return the folder of the export."""
    recipe = replace(RECIPES[MODEL], epochs=0)
    run = Run(
        MODEL, load_dataset("mnist"), recipe, seed, teacher=teacher, qat=True, start=cell / "train" / "model.keras"
    )
    train(run, output / "train", console=Console(), score_test=False)
    source = load_source(output / "train" / "model.keras")
    calibration = load_calibration("mnist-5k", inputs=source.inputs)
    export(source, output / "export", calibration, options=Options(precisions=("int8",)))
    return output / "export"


def _add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("sweep", type=Path, metavar="SWEEP", help="a folder of edgeport sweep")
    parser.add_argument("teacher", type=Path, metavar="TEACHER.keras", help="whose answers are learned")


def _run(arguments: argparse.Namespace) -> None:
    # TensorFlow reads it when a process begins.
    os.environ["TF_NUM_INTRAOP_THREADS"] = "1"
    cells = [cell for cell in read_results(arguments.sweep).cells if cell["model"] == MODEL]
    seeds = [cell["seed"] for cell in cells]
    folders = [arguments.sweep / MODEL / cell["recipe"] / f"seed-{cell['seed']}" for cell in cells]
    test = load_dataset("mnist").test
    context = multiprocessing.get_context("spawn")
    with tempfile.TemporaryDirectory() as folder:
        outputs = [Path(folder) / f"seed-{seed}" for seed in seeds]
        with ProcessPoolExecutor(len(os.sched_getaffinity(0)), context) as pool:
            exports = list(pool.map(fine_tuned, folders, seeds, repeat(arguments.teacher), outputs))
        rows: list[Loss] = []
        for seed, cell, made in zip(seeds, folders, exports, strict=True):
            reference = answers_of(cell / "export" / f"{MODEL}.float32.tflite", test.samples)
            rows += losses(f"{MODEL}, QAT", seed, made, reference, test)
    write_whole(arguments.output, LOSSES.text(Losses(tuple(rows))).encode())


if __name__ == "__main__":
    sys.exit(
        run_script(
            "edgeport.benchmarks.lab.family.qat_recovery",
            "Count what int8 loses after quantization-aware fine-tuning.",
            run=_run,
            extra="all",
            add_arguments=_add_arguments,
        )
    )
