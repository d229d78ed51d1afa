"""``edgeport debug``: which layers lose accuracy in integers, why, and what repairs it."""

import argparse
import json
import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn

from edgeport.benchmarks.debug.debug_document import debug_document, layer_table
from edgeport.benchmarks.report.renderers.html import html_page
from edgeport.benchmarks.report.renderers.terminal import terminal_table
from edgeport.export.bundle.samples import GoldenSamples, golden_samples
from edgeport.export.diagnosis.diagnosis import FormatDiagnosis, cures_of, diagnose, document, repair, sentences
from edgeport.export.manifest import Manifest, read_manifest
from edgeport.export.verification.calibration import check_fits
from edgeport.export.verification.calibration_files import read_parts
from edgeport.runtime.artefact.contract import Input
from edgeport.runtime.artefact.formats import FORMATS, format_called
from edgeport.runtime.engines.quiet import quiet_stderr
from edgeport.runtime.errors import ArtefactError, InputError
from edgeport.runtime.files.output import write_whole
from edgeport.runtime.host.terminal import shell_word, visible
from edgeport.runtime.prediction.loading import load
from edgeport.runtime.tensors.arrays import Tensor
from edgeport.runtime.tensors.encoding import real_pixels
from edgeport.train.datasets.data import inputs_of
from edgeport.train.datasets.forms import with_target

SCHEMA = 1
_SAMPLES = 32
_FLOAT = "float32"


@dataclass(frozen=True, eq=False)
class _Pair:
    """A float file and the same model in integers."""

    format: str
    floats: Path
    integers: Path


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument(
        "paths",
        metavar="DIR|FLOAT INT8",
        type=Path,
        nargs="+",
        help="an export folder, or a float file and the same model in integers, .tflite or .onnx",
    )
    parser.add_argument(
        "--data",
        metavar="SOURCE",
        help="samples like those the model will see: FILE.npz, FILE.npy, FILE.csv, a folder of images, a data set "
        "(default: the held-out samples of the export)",
    )
    parser.add_argument("--target", metavar="COLUMN", help="a column of FILE.csv that is no input of the model")
    parser.add_argument("--data-dir", type=Path, metavar="DIR", help="where the files of mnist lie (or EDGEPORT_DATA)")
    parser.add_argument("--samples", type=int, default=_SAMPLES, metavar="N", help=f"how many (default {_SAMPLES})")
    parser.add_argument("--precision", default="int8", metavar="NAME", help="which of DIR's files (default int8)")
    parser.add_argument("-o", "--output", type=Path, metavar="FILE.html", help="write a page with all of it")
    parser.add_argument("--overwrite", action="store_true", help="replace the page if it exists")
    parser.add_argument("--json", action="store_true", help="print one JSON object")


def run(arguments: argparse.Namespace) -> int:
    """Compare the files layer by layer, and print what costs most."""
    _check(arguments)
    console = Console(highlight=False, soft_wrap=True, markup=False, emoji=False, stderr=arguments.json)
    manifest, pairs = _pairs(arguments.paths, arguments.precision)
    source = with_target(arguments.data, arguments.target)
    found, samples = [], None
    columns = (BarColumn(), TextColumn("{task.description}"))
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        for pair in pairs:
            task = bar.add_task(f"{pair.integers.name} layer by layer", total=None)

            def show(done: int, of: int, task: TaskID = task) -> None:
                bar.update(task, total=of, completed=done)

            with quiet_stderr():
                inputs = _inputs_of(pair, manifest)
                if samples is None:
                    samples = _samples(manifest, arguments.paths[0], inputs, source, arguments)
                diagnosis = diagnose(
                    pair.floats.read_bytes(),
                    pair.integers.read_bytes(),
                    _values(samples, inputs),
                    format=pair.format,
                    names=(pair.floats.name, pair.integers.name),
                    layers=manifest.layers if manifest else (),
                    on_progress=show,
                )
            found.append(diagnosis)
    assert samples is not None
    what = f"{samples.count} sample{'s' * (samples.count != 1)}: {samples.source}"
    for note in samples.notes:
        print(visible(f"edgeport debug: {note}"), file=sys.stderr)
    repairs = _repairs(found, arguments, manifest)
    if arguments.output:
        searches = manifest.searches if manifest else ()
        write_whole(arguments.output, html_page(debug_document(found, what, repairs, searches)).encode())
    if arguments.json:
        print(
            json.dumps({"schema": SCHEMA, "kind": "diagnosis", "samples": what, "formats": list(map(document, found))})
        )
        return 0
    _show(found, what, console)
    lines = [f"{words} {command}" for words, command in repairs]
    if arguments.output and not lines:
        lines = [f"Next: open {shell_word(arguments.output)}"]
    console.print("\n".join(["", *lines]))
    return 0


def _check(arguments: argparse.Namespace) -> None:
    if len(arguments.paths) > 2:
        raise InputError(f"got {len(arguments.paths)} paths, expected an export folder, or a float and an integer file")
    if not 1 <= arguments.samples <= 10_000:
        raise InputError(f"--samples: got {arguments.samples}, expected 1 to 10,000")
    if arguments.output and not arguments.output.parent.is_dir():
        raise InputError(f"-o: got {arguments.output}, and there is no folder {arguments.output.parent}: make it first")
    if arguments.output and arguments.output.exists() and not arguments.overwrite:
        raise InputError(f"{arguments.output} exists: choose another name with -o, or replace it with --overwrite")
    if len(arguments.paths) == 2 and not arguments.data:
        raise InputError("--data: got none, and nothing says which samples two files take: give FILE.npz or FILE.npy")


def _pairs(paths: Sequence[Path], precision: str) -> tuple[Manifest | None, list[_Pair]]:
    """Return what to compare, and the manifest of an export folder."""
    if len(paths) == 2:
        rows = [format_called(path.name) for path in paths]
        if rows[0] != rows[1]:
            raise InputError(f"got {paths[0].name} and {paths[1].name}, expected two files of one format")
        return None, [_Pair(rows[0].name, *paths)]
    (folder,) = paths
    if folder.is_file():
        raise InputError(
            f"got the file {folder}, expected an export folder, or two files; a model is exported first with: "
            f"edgeport export {shell_word(folder)} -o DIR --keep-rejected"
        )
    manifest = read_manifest(folder)
    pairs = []
    for row in FORMATS:
        name = f"{manifest.name}.{precision}"
        floats = folder / f"{manifest.name}.{_FLOAT}{row.suffix}"
        files = [folder / f"{name}{row.suffix}", folder / f"{name}.rejected{row.suffix}"]
        integers = next((file for file in files if file.is_file()), None)
        if floats.is_file() and integers is not None:
            pairs.append(_Pair(row.name, floats, integers))
    if not pairs:
        raise ArtefactError(
            f"{folder}: got no {_FLOAT} file with an {precision} one of the same format, expected at least one pair: "
            f"export again with --precisions {_FLOAT},{precision} --keep-rejected"
        )
    return manifest, pairs


def _inputs_of(pair: _Pair, manifest: Manifest | None) -> tuple[Input, ...]:
    """Return the inputs of a pair, in the order of its files; both must be intact, and of the same inputs."""
    with (
        load(pair.floats, verify=manifest is not None) as floats,
        load(pair.integers, verify=manifest is not None) as integers,
    ):
        names = [[spec.name for spec in each.spec.inputs] for each in (floats, integers)]
        if sorted(names[0]) != sorted(names[1]):
            raise ArtefactError(
                f"{pair.floats.name} takes {', '.join(names[0])}, and {pair.integers.name} {', '.join(names[1])}: "
                "expected two files of one model"
            )
        if manifest is not None:
            known = {each.name: each for each in manifest.inputs}
            return tuple(known[name] for name in names[0])
        return tuple(Input(spec.name, (None, *spec.shape[1:]), spec.dtype) for spec in floats.spec.inputs)


def _samples(
    manifest: Manifest | None, folder: Path, inputs: Sequence[Input], source: str | None, arguments: argparse.Namespace
) -> GoldenSamples:
    if manifest is not None:
        return golden_samples(
            manifest, folder=folder, count=arguments.samples, source=source or "", data_dir=arguments.data_dir
        )
    assert source is not None
    data = read_parts(source, inputs, data_dir=arguments.data_dir)
    part = data.parts.get("test") or next(iter(data.parts.values()))
    arrays = {name: array[: arguments.samples] for name, array in inputs_of(part, inputs, named=source).items()}
    # A file that takes integers is none in floats, which is said later.
    if not any(port.dtype == "int8" for port in inputs):
        check_fits(arrays, inputs, kind="first", source=source)
    return GoldenSamples(f"the first of {Path(source).name}", arrays)


def _values(samples: GoldenSamples, inputs: Sequence[Input]) -> list[list[Tensor]]:
    """Return for each sample the real values of each input, with the axis of the batch."""
    arrays = []
    for port in inputs:
        array = samples.inputs[port.name]
        if array.dtype == np.uint8 and port.range is not None:
            array = real_pixels(array, port)
        arrays.append(array.astype(port.dtype, copy=False))
    return [[array[place : place + 1] for array in arrays] for place in range(samples.count)]


def _show(found: Sequence[FormatDiagnosis], what: str, console: Console) -> None:
    table = terminal_table(layer_table(found), width=console.width)
    console.print(visible(what))
    console.print()
    console.print(table, soft_wrap=False)
    for each in found:
        console.print(f"\n{each.integer_file}, {each.outputs_db:.1f} dB at the end:")
        for sentence in sentences(each):
            console.print(visible(f"  {sentence}"))


def _repairs(
    found: Sequence[FormatDiagnosis], arguments: argparse.Namespace, manifest: Manifest | None
) -> list[tuple[str, str]]:
    """Return the commands that repair what costs most, the cheapest first, each with words in front of it."""
    file = str(manifest.source["file"]) if manifest else ""
    if manifest is None or not file or not any(each.costliest for each in found):
        return []
    folder = arguments.paths[0]
    model, output = shell_word(os.path.relpath(os.path.realpath(folder / file))), shell_word(folder)
    causes = {each.cause.kind for diagnosis in found for each in diagnosis.costliest[:1]}
    calibration = str(manifest.calibration.get("source", ""))
    said = [f"--calibration {shell_word(calibration)}"] if calibration and Path(calibration).exists() else []
    if causes == {"calibration"}:
        said = [f"--calibration {shell_word(arguments.data or 'SAMPLES')}"]
    said += [_said_of(port, alone=len(manifest.inputs) == 1) for port in manifest.inputs if port.kind == "pixels"]

    def command(name: str, *options: str) -> str:
        return " ".join(["edgeport export", model, "-o", f"{output}-{name}", *options, *said])

    if causes == {"calibration"}:
        return [("Next:", command("calibrated"))]
    repairs = []
    untried = [f"--{cure.replace('_', '-')}" for cure in cures_of(found) if not manifest.options.get(cure)]
    if untried:
        repairs.append(("Next:", command("cured", *untried)))
    if layers := repair(found):
        begins = "Or, if that is not enough:" if repairs else "Next:"
        repairs.append((begins, command("mixed", "--keep-float", shell_word(",".join(layers)))))
    searched = "Or try all of that, then search the fewest layers that must stay in floats:"
    return [*repairs, (searched, command("repaired", "--max-loss 0.5"))]


def _said_of(port: Input, *, alone: bool) -> str:
    low, high = port.range or (0.0, 255.0)
    return f"--input {'' if alone else f'{shell_word(port.name)}='}pixels:{low:g}:{high:g}"
