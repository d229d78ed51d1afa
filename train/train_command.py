"""``edgeport train``: train a CNN on a data set, choose the best epoch on validation, score it once on test."""

import argparse
import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from rich.console import Console

from edgeport.runtime.artefact.input_kinds import add_inputs, parsed_input
from edgeport.runtime.engines.quiet import quiet_stderr
from edgeport.runtime.errors import InputError, unknown_name
from edgeport.runtime.files.output import check_output_folder
from edgeport.runtime.host.terminal import shell_word
from edgeport.runtime.samples.pictures.resizing_options import add_resizing, chosen_resizing
from edgeport.train.datasets.dataset import Dataset
from edgeport.train.datasets.forms import with_target
from edgeport.train.datasets.image_folder import FREE, FreeShape
from edgeport.train.datasets.named import DATASETS, load_dataset
from edgeport.train.loop.recipe import OWN_MODEL, RECIPES, Recipe
from edgeport.train.record import STATE, record_beside

# Far above what anyone trains with, and far below what TensorFlow cannot count.
_MOST_EPOCHS = 1_000_000


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument(
        "--dataset",
        default="mnist",
        metavar="NAME",
        help="mnist (default), mnist-5k (needs no network), fashion-mnist, FILE.npz, FILE.csv, a folder of class "
        "folders, fsdd:FOLDER, or FILE.py:FUNCTION, which is run and gives (inputs, targets) in batches",
    )
    parser.add_argument("--target", metavar="COLUMN", help="the column of FILE.csv that is to be answered")
    parser.add_argument(
        "--image-size",
        metavar="HxW",
        help="height and width that the pictures of a folder take (default: the model's)",
    )
    add_resizing(parser)
    parser.add_argument("--data-dir", type=Path, metavar="DIR", help="where the files of mnist lie (or EDGEPORT_DATA)")
    parser.add_argument(
        "--model",
        default="edge",
        metavar="NAME",
        help="edge (default), edge-2k, edge-10k, edge-35k, edge-100k, classic, teacher, teacher-5x5, or FILE.keras",
    )
    add_inputs(parser)
    parser.add_argument("--epochs", type=int, metavar="N", help="passes over the train split (default: the recipe's)")
    parser.add_argument(
        "--seed", type=int, default=0, metavar="N", help="the same seed gives the same weights (default 0)"
    )
    parser.add_argument(
        "--teacher",
        type=Path,
        metavar="MODEL.keras",
        help="a trained model whose answers are learned beside the labels",
    )
    parser.add_argument(
        "--qat", action="store_true", help="fine-tune with quantization in the loop, for int8 as accurate as float"
    )
    parser.add_argument("-o", "--output", type=Path, required=True, metavar="DIR", help="where the result goes")
    parser.add_argument("--resume", action="store_true", help="go on with an interrupted run in DIR")
    parser.add_argument("--overwrite", action="store_true", help="replace the result that DIR holds")


def run(arguments: argparse.Namespace) -> int:
    """Train, write the result and say what to do next."""
    console = Console(highlight=False, soft_wrap=True, markup=False, emoji=False)
    output: Path = arguments.output
    start = Path(arguments.model) if arguments.model.endswith(".keras") else None
    recipe = _recipe(arguments, start)
    if not 0 <= arguments.seed < 2**16:
        raise InputError(f"--seed: got {arguments.seed}, expected 0 to {2**16 - 1}")
    if (output / STATE / "history.json").is_file() and not (arguments.resume or arguments.overwrite):
        raise InputError(f"{output} holds an interrupted run: go on with --resume, or start again with --overwrite")
    takes = _takes(arguments.input)
    check_output_folder(output, overwrite=arguments.overwrite or arguments.resume, expected=[STATE])
    dataset = _dataset(arguments, start)
    if not dataset.is_pixels:
        # Only digits and photos mean the same when they are turned and moved.
        recipe = recipe.without_augmentation

    # TensorFlow takes seconds to import, and logs while it does: not before the arguments are known to be right.
    with quiet_stderr():
        from edgeport.train.loop.fitting import Run
        from edgeport.train.training import train

    model = start.stem if start else arguments.model
    finished = train(
        Run(
            model,
            dataset,
            recipe,
            arguments.seed,
            teacher=arguments.teacher,
            qat=arguments.qat,
            start=start,
            input=takes,
        ),
        output,
        console=console,
        resume=arguments.resume,
    )
    if not finished:
        return 130
    beside = output.parent if output.name == "train" else output
    model_file, exported = shell_word(output / "model.keras"), shell_word(beside / "export")
    console.print(f"\nNext: edgeport export {model_file} -o {exported}")
    return 0


def _takes(said: Sequence[str]) -> str:
    """Return what the model takes, empty if that is not said; raises InputError if it cannot be that."""
    for text in said:
        if parsed_input(text).kind == "ids" or len(said) > 1:
            raise InputError(f"--input: got {' and '.join(said)}, expected pixels or real, once")
    return said[0] if said else ""


def _dataset(arguments: argparse.Namespace, start: Path | None) -> Dataset:
    """Return the data set, with pictures in the size asked for, or that of the model that training begins with."""
    resizing, name = chosen_resizing(arguments), with_target(arguments.dataset, arguments.target)
    pictures = name not in DATASETS and Path(name).is_dir()
    if (arguments.image_size or resizing) and not pictures:
        option = "--image-size" if arguments.image_size else "--resize, --interpolation"
        raise InputError(f"{option}: got it with {arguments.dataset}, expected it with a folder of pictures")
    shape = _shape(arguments.image_size)
    if name in DATASETS or start is None:
        return load_dataset(name, data_dir=arguments.data_dir, image_shape=shape, resizing=resizing)
    with quiet_stderr():
        from edgeport.train.models.keras_file import input_of, keras_file_sha256, open_keras_file, said_input

        port = input_of(open_keras_file(start, role="--model"), name=f"--model {start}")
    record = record_beside(start, sha256=keras_file_sha256(start, role="--model"))
    if record is not None:
        port = port._replace(columns=record.input.columns)
    heard = said_input(port, start, name=f"--model {start}", said=_takes(arguments.input)).log_mel
    if heard:
        port = port._replace(kind="real", log_mel=heard)
    if pictures:
        if len(port.shape) != 4 or port.shape[3] not in (1, 3):
            raise InputError(f"--model {start}: got a model that takes {port}, expected images, grey or RGB")
        height, width = (asked or own for asked, own in zip(shape, port.shape[1:3], strict=False))
        shape = height, width, port.shape[3]
    return load_dataset(name, image_shape=shape, resizing=resizing, inputs=(port,))


def _shape(size: str | None) -> FreeShape:
    if size is None:
        return FREE
    sides = re.fullmatch(r"([1-9]\d{0,3})x([1-9]\d{0,3})", size)
    if not sides:
        raise InputError(f"--image-size: got {size!r}, expected height x width in pixels, such as 96x96")
    return int(sides[1]), int(sides[2]), None


def _recipe(arguments: argparse.Namespace, start: Path | None) -> Recipe:
    if start is None and arguments.model not in RECIPES:
        raise unknown_name("model", arguments.model, RECIPES)
    recipe = OWN_MODEL if start else RECIPES[arguments.model]
    if arguments.epochs is None:
        return recipe
    # A model that is trained already may go on with quantization right away.
    least = 0 if start and arguments.qat else 1
    if not least <= arguments.epochs <= _MOST_EPOCHS:
        raise InputError(f"--epochs: got {str(arguments.epochs)[:20]}, expected {least} to {_MOST_EPOCHS:,}")
    return replace(recipe, epochs=arguments.epochs)
