"""Run artefacts under MLPerf LoadGen, beside edgeport's own clock.

Run it with: python -m edgeport.benchmarks.lab.studies.loadgen EXPORT -o docs/results/loadgen.json
"""

import argparse
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import numpy as np

from edgeport.benchmarks.lab.result_file import ResultFile
from edgeport.benchmarks.lab.script import run_script
from edgeport.benchmarks.measure.machine.host import host_facts
from edgeport.benchmarks.mlperf.loadgen import IMAGES, SECONDS, LoadgenResult, markdown, run_loadgen
from edgeport.runtime.engines.quiet import quiet_stderr
from edgeport.runtime.errors import EdgeportError, InputError
from edgeport.runtime.files.output import write_whole
from edgeport.runtime.prediction.loading import load
from edgeport.runtime.tensors.arrays import Pixels


@dataclass(frozen=True)
class LoadgenReport:
    """Several artefacts under LoadGen.

    Attributes:
        created_utc: When, in ISO 8601.
        host: See host_facts.
        results: One for each artefact.
        skipped: What could not be run here: ``file`` and ``reason``.
    """

    created_utc: str
    host: Mapping[str, Any]
    results: tuple[LoadgenResult, ...]
    skipped: tuple[Mapping[str, str], ...] = ()


RESULT = ResultFile("loadgen", LoadgenReport, "LoadGen result")


def _add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("folders", nargs="+", type=Path, metavar="EXPORT", help="an export folder of an image model")
    parser.add_argument("--threads", type=int, default=1, metavar="N", help="threads of the engine (default 1)")
    parser.add_argument(
        "--seconds", type=float, default=SECONDS, metavar="S", help=f"time of each artefact (default {SECONDS:.0f})"
    )


def _run(arguments: argparse.Namespace) -> None:
    files = [
        path
        for folder in arguments.folders
        for suffix in ("tflite", "onnx")
        for path in sorted(folder.glob(f"*.{suffix}"))
    ]
    if not files:
        raise InputError(f"{arguments.folders[0]} holds no artefacts: name an export folder")
    results: list[LoadgenResult] = []
    skipped: list[dict[str, str]] = []
    for path in files:
        print(path.name, flush=True)
        try:
            results.append(
                run_loadgen(path, _random_images(path), threads=arguments.threads, seconds=arguments.seconds)
            )
        except EdgeportError as error:
            if path == files[-1] and not results:
                raise
            skipped.append({"file": path.name, "reason": str(error)})
            print(f"  not run: {error}", flush=True)
    created = datetime.now(timezone.utc).isoformat(timespec="seconds")
    write_whole(
        arguments.output, RESULT.text(LoadgenReport(created, host_facts(), tuple(results), tuple(skipped))).encode()
    )
    print(markdown(results), end="")


def _random_images(path: Path) -> Pixels:
    """Return random pixels in the shape that an artefact takes: what an image shows does not change its time."""
    with quiet_stderr():
        spec = load(path).spec
    shape = [axis or 0 for axis in spec.input.shape[1:]]
    if 0 in shape:
        raise InputError(f"{path}: got {spec.input}, expected an image model of a fixed size")
    pixels: Pixels = np.random.default_rng(0).integers(0, 256, (IMAGES, *shape), dtype=np.uint8)
    return pixels


if __name__ == "__main__":
    sys.exit(
        run_script(
            "edgeport.benchmarks.lab.studies.loadgen",
            "Run artefacts under MLPerf LoadGen, beside edgeport's own clock.",
            run=_run,
            extra="mlperf",
            add_arguments=_add_arguments,
        )
    )
