"""Time what ONNX files the family can be, in each engine: float32, int8, int8 on bytes, and the fastest mixture.

Run it with: python -m edgeport.benchmarks.lab.family.fastest_onnx -o docs/results/frontier/fastest-onnx.json
"""

import argparse
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from edgeport.benchmarks.lab.result_file import ResultFile
from edgeport.benchmarks.lab.script import run_script
from edgeport.benchmarks.measure.candidates.candidate import artefact_candidate
from edgeport.benchmarks.measure.machine.conditions import disturbances
from edgeport.benchmarks.measure.machine.host import host_facts
from edgeport.benchmarks.measure.protocol import Protocol
from edgeport.benchmarks.measure.rounds import time_candidates
from edgeport.benchmarks.report.raw.record import ENGINE_CALL, Condition
from edgeport.benchmarks.report.renderers.markdown_table import markdown_table
from edgeport.runtime.files.output import write_whole
from edgeport.runtime.files.temporary import temporary_folder

MODELS = ("edge-2k", "edge-10k", "edge-35k", "edge-100k")
ENGINES = ("onnxruntime", "openvino")
FLOAT32, INT8, BYTES, MIXED = "float32", "int8", "int8, bytes in", "mixed"
_LAUNCHES = 10


@dataclass(frozen=True)
class FileTime:
    """What one file takes in one engine.

    Attributes:
        model: Of the family.
        file: ``float32``, ``int8``, ``int8, bytes in`` or ``mixed``.
        engine: The package that runs it.
        in_floats: The layers in floats of a mixed file.
        p50_us: The median time of a call in each process, in microseconds.
    """

    model: str
    file: str
    engine: str
    in_floats: tuple[str, ...]
    p50_us: tuple[float, ...]

    @property
    def p50(self) -> float:
        """The median over the processes."""
        return float(np.median(self.p50_us))


@dataclass(frozen=True)
class FastestOnnx:
    """What the files take, all of one model in the same turns.

    Attributes:
        host: See host_facts.
        disturbances: What else the machine did.
        versions: Of the engines.
        files: What each takes.
    """

    host: Mapping[str, Any]
    disturbances: tuple[str, ...]
    versions: Mapping[str, str]
    files: tuple[FileTime, ...]


RESULT = ResultFile("fastest-onnx", FastestOnnx, "times of the family's ONNX files")


def markdown(result: FastestOnnx) -> str:
    """Return a row for each file, with its time in each engine and beside float32."""
    engines = list(dict.fromkeys(each.engine for each in result.files))
    heads = ("model", "ONNX file", *(head for name in engines for head in (f"{name}, us", "of float32")), "in floats")
    times = {(each.model, each.file, each.engine): each for each in result.files}
    rows = []
    for model, file in dict.fromkeys((each.model, each.file) for each in result.files):
        of_file = [times[model, file, engine] for engine in engines]
        beside = [times[model, FLOAT32, engine] for engine in engines]
        figures = (
            text
            for each, floats in zip(of_file, beside, strict=True)
            for text in (f"{each.p50:.1f}", f"{each.p50 / floats.p50:.2f}")
        )
        rows.append((model, file, *figures, ", ".join(of_file[0].in_floats)))
    return markdown_table(heads, rows, left=(0, 1, len(heads) - 1))


def _exported(model: str, folder: Path) -> dict[str, tuple[Path, tuple[str, ...]]]:
    """Return the files of a model, with their layers in floats."""
    from edgeport.export import Options, export_model, load_source
    from edgeport.train.zoo import published_model

    found: dict[str, tuple[Path, tuple[str, ...]]] = {}
    # What was trained quantization-aware is in integers as a whole.
    mixed = not load_source(published_model(model).file).is_quantization_aware
    ways = {
        INT8: Options(formats=("onnx",), precisions=("float32", "int8"), keep_float_where_faster=mixed),
        BYTES: Options(formats=("onnx",), precisions=("int8",), tensor_type="uint8"),
    }
    for what, options in ways.items():
        out = folder / model / options.tensor_type
        manifest = export_model(f"zoo:{model}", out, calibration="mnist-5k", options=options)
        for artefact in manifest.artefacts:
            name = what if artefact.precision == INT8 else artefact.precision
            found[name] = out / artefact.file, artefact.in_floats
    return {name: found[name] for name in (FLOAT32, INT8, BYTES, MIXED) if name in found}


def measured() -> FastestOnnx:
    """Export the family and time each model's files side by side in each engine."""
    from edgeport.train import load_dataset

    images = load_dataset("mnist-5k").validation.samples[:1]
    host = host_facts()
    conditions: list[Condition] = []
    files: list[FileTime] = []
    with temporary_folder() as folder:
        for model in MODELS:
            made = _exported(model, folder)
            candidates = {
                (name, engine): artefact_candidate(f"{model} {name} {engine}", path, engine=engine)
                for name, (path, _) in made.items()
                for engine in ENGINES
            }
            timings = time_candidates(
                list(candidates.values()), images, protocol=Protocol(launches=_LAUNCHES), ways=((ENGINE_CALL, 1),),
                on_step=lambda what: print(what, file=sys.stderr),
            )  # fmt: skip
            conditions += timings.conditions
            for (name, engine), candidate in candidates.items():
                (series,) = timings.series[candidate.name]
                p50 = tuple(round(float(np.median(launch)) / 1e3, 3) for launch in series.launches)
                files.append(FileTime(model, name, engine, made[name][1], p50))
    versions = {name: version(name) for name in ENGINES}
    return FastestOnnx(host, tuple(disturbances(conditions, host)), versions, tuple(files))


def _run(arguments: argparse.Namespace) -> None:
    result = measured()
    write_whole(arguments.output, RESULT.text(result).encode())
    print(markdown(result), end="")


if __name__ == "__main__":
    sys.exit(
        run_script(
            "edgeport.benchmarks.lab.family.fastest_onnx",
            "Time what ONNX files the family can be, in each engine.",
            run=_run,
            extra="all",
        )
    )
