"""What ``edgeport debug`` and the search of ``export --max-loss`` cost beside the verification of the same export.

Run it with: python -m edgeport.benchmarks.lab.studies.search_cost MODEL.keras -o docs/results/search-cost.json

The model takes samples of normal numbers, which nobody has labelled.
"""

import argparse
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from importlib.metadata import version
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from edgeport.benchmarks.lab.result_file import ResultFile
from edgeport.benchmarks.lab.script import run_script
from edgeport.benchmarks.report.renderers.markdown_table import markdown_table
from edgeport.export.conversion.options import Options
from edgeport.export.diagnosis.diagnosis import diagnose
from edgeport.export.front_door import export_model
from edgeport.export.manifest import Manifest
from edgeport.runtime.files.output import write_whole
from edgeport.runtime.files.temporary import temporary_folder

if TYPE_CHECKING:
    from edgeport.export.conversion.exporting import Progress

# As many as ``edgeport debug`` takes by itself.
_DIAGNOSED = 32
_FILES = ("float32", "int8")


@dataclass(frozen=True)
class FormatCost:
    """What one format cost, in seconds.

    Attributes:
        format: ``tflite`` or ``onnx``.
        layers: How many layers were ranked.
        verification: The float32 and the int8 file in their engines, and compared.
        debug: All layers measured, on 32 samples.
        search: The whole search.
        trials: How many files it judged.
        enough: What it found good enough.
        in_floats: How many layers are in floats there.
    """

    format: str
    layers: int
    verification: float
    debug: float
    search: float
    trials: int
    enough: str
    in_floats: int


@dataclass(frozen=True)
class SearchCost:
    """What a search cost.

    Attributes:
        created_utc: When.
        versions: Of what took part.
        model: The file's name.
        samples: How many samples verified and judged.
        measure: What the loss had to be below.
        formats: Each format.
    """

    created_utc: str
    versions: Mapping[str, str]
    model: str
    samples: int
    measure: str
    formats: tuple[FormatCost, ...]


RESULT = ResultFile("search-cost", SearchCost, "what a search costs")


def markdown(result: SearchCost) -> str:
    """Return a row for each format."""
    heads = ("format", "layers", "verification, s", "debug, s", "of verification", "search, s", "files", "in floats")
    rows = [
        (
            each.format, f"{each.layers}", f"{each.verification:.1f}", f"{each.debug:.1f}",
            f"{each.debug / each.verification:.1f} x", f"{each.search:.1f}", f"{each.trials}", f"{each.in_floats}",
        )
        for each in result.formats
    ]  # fmt: skip
    return markdown_table(heads, rows, left=(0,))


def measured(model: Path, *, margin: float, count: int) -> SearchCost:
    """Export a model with a margin, then diagnose it, and return what each step cost."""
    marks: list[tuple[str, float]] = []

    def mark(step: "Progress") -> None:
        marks.append((step.doing, time.perf_counter()))

    with temporary_folder() as folder:
        shape = _shape_of(model)
        samples = np.random.default_rng(0).normal(size=(2 * count, *shape)).astype(np.float32)
        manifest = export_model(
            model, folder / "out", name="model", calibration=samples, calibration_count=count,
            options=Options(precisions=_FILES, max_loss=margin, keep_rejected=True),
            on_progress=mark, on_warning=lambda text: None,
        )  # fmt: skip
        marks.append(("", time.perf_counter()))
        formats = tuple(
            FormatCost(
                format=search.format,
                layers=search.layers,
                verification=sum(_spent(marks, f"verifying model.{name}.{search.format}") for name in _FILES),
                debug=_debugged(folder / "out", search.format, manifest, samples[:_DIAGNOSED]),
                search=_spent(marks, f"model.mixed.{search.format}"),
                trials=search.trials,
                enough=search.enough,
                in_floats=len(search.in_floats),
            )
            for search in manifest.searches
        )
    return SearchCost(
        created_utc=datetime.now(timezone.utc).isoformat(timespec="seconds"),
        versions={name: version(name) for name in ("edgeport", "tensorflow", "keras", "onnxruntime", "ai-edge-litert")},
        model=model.name,
        samples=count,
        measure=manifest.searches[0].measure,
        formats=formats,
    )


def _debugged(folder: Path, format: str, manifest: Manifest, samples: np.ndarray) -> float:
    files = [next(folder.glob(f"model.{name}*.{format}")) for name in _FILES]
    began = time.perf_counter()
    diagnose(
        files[0].read_bytes(), files[1].read_bytes(), [[each[np.newaxis]] for each in samples], format=format,
        names=(files[0].name, files[1].name), layers=manifest.layers,
    )  # fmt: skip
    return time.perf_counter() - began


def _spent(marks: Sequence[tuple[str, float]], doing: str) -> float:
    """Return the seconds of the steps whose words hold some."""
    pairs = pairwise(marks)
    return sum(after - before for (what, before), (_, after) in pairs if doing in what)


def _shape_of(model: Path) -> tuple[int, ...]:
    from edgeport.export.sources.source import load_source

    (port,) = load_source(model).inputs
    return tuple(axis or 1 for axis in port.shape[1:])


def _add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("model", metavar="MODEL.keras", type=Path, help="a model of one input of real numbers")
    parser.add_argument("--max-loss", type=float, default=0.5, metavar="POINTS", help="the margin (default 0.5)")
    parser.add_argument("--count", type=int, default=1000, metavar="N", help="samples to verify on (default 1000)")


def _run(arguments: argparse.Namespace) -> None:
    result = measured(arguments.model, margin=arguments.max_loss, count=arguments.count)
    write_whole(arguments.output, RESULT.text(result).encode())
    print(markdown(result), end="")


if __name__ == "__main__":
    sys.exit(
        run_script(
            "edgeport.benchmarks.lab.studies.search_cost",
            "Measure what a diagnosis and a search cost beside the verification of the same export.",
            run=_run,
            extra="all",
            add_arguments=_add_arguments,
        )
    )
