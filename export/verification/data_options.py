"""The options that say which samples a model is opened with, alike for every command that opens both."""

import argparse
from pathlib import Path
from typing import Any

from edgeport.runtime.artefact.input_kinds import add_inputs
from edgeport.runtime.samples.pictures.resizing_options import add_resizing, chosen_resizing
from edgeport.train.datasets.forms import with_target


def add_data(group: argparse._ArgumentGroup) -> None:
    """Declare what says which samples calibrate, and how they become what the model takes."""
    group.add_argument(
        "--calibration",
        metavar="SOURCE",
        help="a data set, FILE.npz (x_train, or one array an input), FILE.npy, FILE.csv, a folder of images, "
        "FILE.py:FUNCTION, which is run, or 'random' "
        "(default: the data set that the training.json beside the model names; for zoo:NAME mnist-5k)",
    )
    group.add_argument("--target", metavar="COLUMN", help="a column of FILE.csv that is no input of the model")
    group.add_argument("--calibration-count", type=int, default=500, metavar="N", help="samples to see (default 500)")
    group.add_argument("--calibration-seed", type=int, default=0, metavar="N", help="which of them (default 0)")
    group.add_argument("--data-dir", type=Path, metavar="DIR", help="where the files of mnist lie (or EDGEPORT_DATA)")
    group.add_argument(
        "--input-range",
        type=float,
        nargs=2,
        metavar=("LOW", "HIGH"),
        help="what pixels 0 and 255 are to the model: short for --input pixels:LOW:HIGH",
    )
    group.add_argument(
        "--custom-objects", type=Path, metavar="FILE.py", help="Python file with the model's own layers and functions"
    )
    add_inputs(group)
    add_resizing(group)


def data_options(arguments: argparse.Namespace) -> dict[str, Any]:
    """Return what was given, as ``open_with_samples`` takes it."""
    return {
        "calibration": with_target(arguments.calibration, arguments.target),
        "calibration_count": arguments.calibration_count,
        "calibration_seed": arguments.calibration_seed,
        "data_dir": arguments.data_dir,
        "inputs": arguments.input,
        "input_range": arguments.input_range,
        "resizing": chosen_resizing(arguments),
        "custom_objects": arguments.custom_objects,
    }
