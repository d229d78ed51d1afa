"""``edgeport export``: a Keras model as verified TFLite and ONNX files, in float32 and int8."""

import argparse
import math
import shlex
import sys
from pathlib import Path

from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn

from edgeport.export.calibration import load_calibration
from edgeport.export.manifest import Artefact
from edgeport.runtime.errors import InputError
from edgeport.runtime.output import check_output_folder
from edgeport.runtime.quiet import quiet_stderr


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument("model", metavar="MODEL", type=Path, help="a .keras or .h5 file")
    parser.add_argument("-o", "--output", type=Path, required=True, metavar="DIR", help="where the artefacts go")
    parser.add_argument(
        "--calibration",
        metavar="SOURCE",
        help="a data set, or FILE.npz with x_train or one array of images (default: the data set that "
        "the training.json beside the model names)",
    )
    parser.add_argument("--calibration-count", type=int, default=500, metavar="N", help="images to see (default 500)")
    parser.add_argument("--calibration-seed", type=int, default=0, metavar="N", help="which of them (default 0)")
    parser.add_argument("--data-dir", type=Path, metavar="DIR", help="where the files of mnist lie (or EDGEPORT_DATA)")
    parser.add_argument(
        "--input-range",
        type=float,
        nargs=2,
        metavar=("LOW", "HIGH"),
        help="what pixel 0 and pixel 255 are to the model (default 0 255: normalisation is part of the model)",
    )
    parser.add_argument(
        "--activation",
        choices=("softmax", "sigmoid"),
        help="for a model that ends in logits: what the runtime applies to get probabilities",
    )
    parser.add_argument("--name", help="what to call the artefacts (default: the model's name)")
    parser.add_argument("--overwrite", action="store_true", help="replace the export that DIR holds")


def run(arguments: argparse.Namespace) -> int:
    """Export, print what was proven of each artefact, and say what to do next."""
    console = Console(highlight=False, soft_wrap=True, markup=False, emoji=False)
    check_output_folder(arguments.output, overwrite=arguments.overwrite)
    low, high = arguments.input_range or (0.0, 255.0)
    if not (math.isfinite(low) and math.isfinite(high) and low < high):
        raise InputError(f"--input-range: got {low:g} {high:g}, expected two numbers, the lower one first")
    # TensorFlow takes seconds to import, and logs while it does.
    with quiet_stderr():
        from edgeport.export.exporting import export
        from edgeport.export.source import load_source, normalises
    source = load_source(arguments.model, name=arguments.name, activation=arguments.activation)
    if arguments.input_range is None and not normalises(source.model):
        print(
            f"edgeport export: {arguments.model} has no layer that scales raw pixels; if it was trained on other "
            "values than 0 to 255, give --input-range LOW HIGH",
            file=sys.stderr,
        )
    chosen = arguments.calibration or source.dataset
    if not chosen:
        raise InputError(
            f"no training.json beside {arguments.model} names its data, and int8 needs images like those it will "
            "see: give --calibration FILE.npz or a data set"
        )
    calibration = load_calibration(
        chosen,
        image_shape=source.image_shape,
        count=arguments.calibration_count,
        seed=arguments.calibration_seed,
        input_range=(low, high),
        data_dir=arguments.data_dir,
    )
    facts = calibration.facts
    console.print(
        f"Exporting {source.name} from {source.file}: calibrated on {facts['count']} images of {facts['source']}, "
        f"verified on {len(calibration.held_out)} others"
    )
    with Progress(
        SpinnerColumn(), TextColumn("converting ..."), console=console, transient=True, disable=not console.is_terminal
    ) as progress:
        progress.add_task("")
        export(source, arguments.output, calibration, on_artefact=lambda *told: console.print(_line(*told)))
    console.print(f"Written to {arguments.output}, with manifest.json")
    console.print(f"\nNext: edgeport benchmark {shlex.quote(str(arguments.output))}")
    return 0


def _line(artefact: Artefact, seconds: float) -> str:
    verified = artefact.verified
    return (
        f"  {artefact.file:<24} {artefact.bytes:>9,} bytes   max error {verified.max_abs_error:8.1e}   "
        f"SQNR {verified.sqnr_db:5.1f} dB   agreement {verified.agreement:.2%}   {seconds:.1f} s"
    )
