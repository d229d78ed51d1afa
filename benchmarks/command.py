"""``edgeport benchmark``: every artefact of an export folder and the Keras model, on the same test images."""

import argparse
import shlex
from collections.abc import Callable
from functools import partial
from importlib.util import find_spec
from pathlib import Path

from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from edgeport.benchmarks.golden_benchmark import benchmark_golden
from edgeport.benchmarks.latency import Protocol
from edgeport.benchmarks.report import FILE_NAME as REPORT
from edgeport.benchmarks.report import Report, report_text
from edgeport.benchmarks.table import markdown_report, report_notes, terminal_table
from edgeport.export.manifest import read_manifest
from edgeport.runtime.cli import needing
from edgeport.runtime.errors import InputError
from edgeport.runtime.golden import FILE_NAME, read_golden
from edgeport.runtime.output import check_output_folder, staged_folder
from edgeport.runtime.quiet import quiet_stderr

# Stages have a folder each; the report goes beside theirs.
_STAGES = ("export", "artefacts")
_PROTOCOL = Protocol()


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument("folder", metavar="DIR", type=Path, help="an export folder, or one with golden.npz")
    parser.add_argument(
        "--dataset",
        metavar="NAME",
        help="whose test split to use (default: the golden samples of DIR, or the set that the model was trained on)",
    )
    parser.add_argument("--data-dir", type=Path, metavar="DIR", help="where the files of mnist lie (or EDGEPORT_DATA)")
    parser.add_argument(
        "--reference",
        type=Path,
        metavar="MODEL",
        help="the Keras file (default: where the manifest says it was)",
    )
    parser.add_argument("--threads", type=int, default=1, metavar="N", help="threads of each engine (default 1)")
    parser.add_argument(
        "--rounds",
        type=int,
        default=_PROTOCOL.rounds,
        metavar="N",
        help=f"rounds of {_PROTOCOL.calls_per_round} timed calls (default {_PROTOCOL.rounds})",
    )
    parser.add_argument(
        "-o",
        "--output",
        type=Path,
        metavar="DIR",
        help="where the report goes (default: benchmark, beside a folder called export or artefacts, else in it)",
    )
    parser.add_argument("--overwrite", action="store_true", help="replace the report that the output folder holds")


def run(arguments: argparse.Namespace) -> int:
    """Measure, print the table, and write report.json, report.md and the pictures."""
    console = Console(highlight=False, soft_wrap=True, markup=False, emoji=False)
    if arguments.rounds < 1:
        raise InputError(f"--rounds: got {arguments.rounds}, expected 1 or more")
    if not 1 <= arguments.threads <= 64:
        raise InputError(f"--threads: got {arguments.threads}, expected 1 to 64")
    folder: Path = arguments.folder
    output = arguments.output or (folder.parent if folder.name in _STAGES else folder) / "benchmark"
    on_golden = (folder / FILE_NAME).is_file() and not (arguments.dataset or arguments.reference)
    columns = SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn()
    with needing("benchmarks", f"edgeport benchmark without golden answers ({FILE_NAME})"):
        choose = _on_golden_samples if on_golden else _on_a_data_set
        measure = choose(arguments, folder, output, console)
        with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
            task = progress.add_task("starting", total=None)
            report = measure(
                threads=arguments.threads,
                protocol=Protocol(rounds=arguments.rounds),
                on_step=lambda what: progress.update(task, description=what),
            )
    written = _write(output, report)
    console.print(terminal_table(report))
    for note in report_notes(report):
        console.print(note)
    if not any(name.endswith(".png") for name in written):
        console.print("No pictures: they need matplotlib, which is not installed")
    console.print(f"Written to {output}: {', '.join(written)}")
    best = min(report.artefacts[1:], key=lambda measured: measured.latency_us(50))
    console.print(f"\nNext: edgeport predict {shlex.quote(str(folder / best.file))} IMAGE.png")
    return 0


def _on_golden_samples(
    arguments: argparse.Namespace, folder: Path, output: Path, console: Console
) -> Callable[..., Report]:
    """Return the benchmark of a folder with golden answers, which needs no TensorFlow."""
    golden = read_golden(folder / FILE_NAME)
    check_output_folder(output, overwrite=arguments.overwrite)
    console.print(f"Measuring {len(golden.files)} artefacts on the {golden.count:,} golden samples of {FILE_NAME}")
    return partial(benchmark_golden, folder, golden)


def _on_a_data_set(
    arguments: argparse.Namespace, folder: Path, output: Path, console: Console
) -> Callable[..., Report]:
    """Return the benchmark of an export folder beside its Keras model, on the test split of a data set."""
    manifest = read_manifest(folder)
    check_output_folder(output, overwrite=arguments.overwrite)
    name = arguments.dataset or manifest.dataset
    if not name:
        raise InputError("the manifest names no data set: choose one with --dataset NAME (or FILE.npz)")
    with quiet_stderr():
        from edgeport.benchmarks.benchmarking import benchmark
        from edgeport.train.datasets import load_dataset
    dataset = load_dataset(name, data_dir=arguments.data_dir)
    reference = arguments.reference or folder / (manifest.source["file"] or "model.keras")
    if not reference.is_file():
        raise InputError(
            f"{reference} is no Keras file, which a benchmark compares with: say where it is with --reference FILE"
        )
    console.print(f"Measuring {len(manifest.artefacts)} artefacts and the Keras model on {len(dataset.test):,} images")
    return partial(benchmark, folder, manifest, reference, dataset)


def _write(output: Path, report: Report) -> list[str]:
    """Write the report and, where matplotlib is installed, its pictures; return the names of the files."""
    with staged_folder(output, record=REPORT) as staging:
        (staging / REPORT).write_text(report_text(report))
        (staging / "report.md").write_text(markdown_report(report))
        if find_spec("matplotlib") is not None:
            from edgeport.benchmarks.figures import draw_accuracy_against_latency, draw_latency_distributions

            draw_accuracy_against_latency(staging / "accuracy-latency.png", report)
            draw_latency_distributions(staging / "latency-distributions.png", report)
        return sorted(path.name for path in staging.iterdir())
