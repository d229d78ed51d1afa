"""``edgeport quickstart``: train, export, predict and benchmark in a row, on digits that are already installed."""

import argparse
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image
from rich.console import Console

from edgeport.runtime.files.output import check_output_folder, staged_folder
from edgeport.runtime.host.terminal import shell_word, visible
from edgeport.train.datasets.named import load_dataset

_EPOCHS = 40
# Enough for intervals, and little enough for an impatient newcomer.
_ROUNDS = 8
_STAGES = ("train", "export", "benchmark", "digits")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument(
        "-o",
        "--output",
        type=Path,
        default=Path("runs/quickstart"),
        metavar="DIR",
        help="default runs/quickstart",
    )
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="the same seed gives the same weights")
    parser.add_argument("--overwrite", action="store_true", help="replace the quickstart that DIR holds")


def run(arguments: argparse.Namespace) -> int:
    """Run each stage as the command that a user would type, in a process of its own."""
    console = Console(highlight=False, soft_wrap=True, markup=False, emoji=False)
    output: Path = arguments.output
    check_output_folder(output, overwrite=arguments.overwrite)
    started = time.monotonic()
    train, export, report, digits = (output / name for name in _STAGES)
    images = _save_digits(digits)
    again = ["--overwrite"] if arguments.overwrite else []
    options = ["--dataset", "mnist-5k", "--epochs", str(_EPOCHS), "--seed", str(arguments.seed)]
    stages = (
        ["train", *options, "-o", str(train), *again],
        ["export", str(train / "model.keras"), "-o", str(export), *again],
        ["predict", str(export / "edge.int8.tflite"), *map(str, images)],
        ["benchmark", str(export), "--rounds", str(_ROUNDS), "-o", str(report), *again],
    )
    for stage in stages:
        console.print(f"\n$ edgeport {' '.join(map(shell_word, stage))}", style="bold")
        code = _run_stage(stage)
        if code:
            console.print("\nThe quickstart did not finish. Start it again with: edgeport quickstart --overwrite")
            return code
    console.print(f"\nDone in {time.monotonic() - started:.0f} s. Look at:")
    for path in (train / "predictions.png", report / "accuracy-latency.png", report / "report.html"):
        console.print(visible(f"  {path}"))
    console.print(
        "Then train on all of MNIST: edgeport train -o runs/mnist/train "
        "(docs/tutorials/pixels-to-pi.md explains each step)"
    )
    return 0


def _run_stage(stage: Sequence[str]) -> int:
    process = subprocess.Popen([sys.executable, "-m", "edgeport.runtime.cli", *stage])
    while True:
        try:
            return process.wait()
        except KeyboardInterrupt:
            # Ctrl-C reaches the stage as well, which keeps what it has and ends by itself: wait for it.
            continue


def _save_digits(folder: Path) -> list[Path]:
    """Write one test digit of each class as a PNG, and return the paths: something for ``edgeport predict``."""
    test = load_dataset("mnist-5k").test
    paths = []
    with staged_folder(folder, record=None) as staging:
        for number in range(10):
            image = test.samples[np.flatnonzero(test.classes == number)[0], ..., 0]
            Image.fromarray(image).save(staging / f"digit-{number}.png")
            paths.append(folder / f"digit-{number}.png")
    return paths
