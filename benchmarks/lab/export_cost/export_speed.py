"""Time a whole export against the converters' own calls for the same artefacts, side by side.

Run it with: python -m edgeport.benchmarks.lab.export_cost.export_speed MODEL.keras --dataset mnist -o RESULT.json
"""

import argparse
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import redirect_stdout
from dataclasses import dataclass
from datetime import datetime, timezone
from importlib.metadata import version
from io import StringIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from edgeport.benchmarks.lab.result_file import ResultFile
from edgeport.benchmarks.lab.script import run_script
from edgeport.benchmarks.measure.machine.host import host_facts
from edgeport.benchmarks.report.renderers.markdown_table import markdown_table
from edgeport.runtime.engines.quiet import quiet_stderr
from edgeport.runtime.errors import InputError
from edgeport.runtime.files.output import write_whole

if TYPE_CHECKING:
    from edgeport.export import CalibrationSet
    from edgeport.export.conversion.exporting import Progress

PACKAGES = ("edgeport", "tensorflow", "keras", "tf2onnx", "onnx", "onnxruntime", "ai-edge-litert")
# The parts that are no variants.
LOADING, REST = "loading", "verification and writing"


@dataclass(frozen=True)
class ExportSpeed:
    """One comparison; the two sides took turns.

    Attributes:
        created_utc: When, in ISO 8601.
        versions: The version of each package that took part.
        host: See host_facts.
        model: Its name.
        model_sha256: The digest of its file.
        calibration: ``source``, ``count``, ``seed`` and ``sha256`` of the samples; loading them is in neither side.
        rounds: How often each side had its turn, after one that is not counted.
        edgeport: For each round the seconds of each part of an export: loading, each variant, the rest.
        raw: The same of the converters' own calls, which have no rest.
    """

    created_utc: str
    versions: Mapping[str, str]
    host: Mapping[str, Any]
    model: str
    model_sha256: str
    calibration: Mapping[str, Any]
    rounds: int
    edgeport: tuple[Mapping[str, float], ...]
    raw: tuple[Mapping[str, float], ...]

    @property
    def parts(self) -> list[str]:
        """All parts, in order."""
        return list(dict.fromkeys([*self.raw[0], *self.edgeport[0]]))

    @property
    def ratio(self) -> float:
        """The median export as a multiple of the median of the converters' calls."""
        return total(self.edgeport) / total(self.raw)


RESULT = ResultFile("export speed", ExportSpeed, "measurement of exports")


def median(side: Sequence[Mapping[str, float]], part: str) -> float:
    """Return the median seconds of one part; 0 for a part that the side has not."""
    return float(np.median([each.get(part, 0.0) for each in side]))


def total(side: Sequence[Mapping[str, float]]) -> float:
    """Return the median seconds of a whole round."""
    return float(np.median([sum(each.values()) for each in side]))


def markdown(report: ExportSpeed) -> str:
    """Return the medians of both sides as a Markdown table."""
    rows = [
        (
            part,
            f"{median(report.edgeport, part):.3f}",
            f"{median(report.raw, part):.3f}" if part in report.raw[0] else "",
        )
        for part in report.parts
    ]
    rows.append(("whole", f"{total(report.edgeport):.3f}", f"{total(report.raw):.3f}"))
    rows.append(("ratio", f"{report.ratio:.2f}", "1.00"))
    return markdown_table((f"{report.model}, seconds", "edgeport", "converters alone"), rows)


def time_export(
    model: Path,
    dataset: str,
    *,
    rounds: int,
    data_dir: Path | None = None,
    on_step: Callable[[str], None] = lambda what: None,
) -> ExportSpeed:
    """Return the seconds of both sides, which take turns in this process.

    Args:
        model: A Keras file that takes images.
        dataset: The data set to calibrate on.
        rounds: How often each side has its turn; one more before that is not counted.
        data_dir: See load_dataset.
        on_step: Called with a few words before each step.

    Raises:
        ArtefactError: The model cannot be read.
        InputError: The data set does not fit the model.
        ExportError: The model cannot be exported.
    """
    with quiet_stderr():
        from edgeport.benchmarks.lab.export_cost.raw_converters import convert_all
        from edgeport.export import load_calibration, load_source

        source = load_source(model)
        calibration = load_calibration(dataset, inputs=source.inputs, data_dir=data_dir)
    images = calibration.to_real(calibration.samples)[source.inputs[0].name]
    ours, raw = [], []
    for number in range(rounds + 1):
        on_step(f"round {number} of {rounds}" if number else "warm-up")
        # The TFLite converter prints about each model that it saves on the way.
        with quiet_stderr(), redirect_stdout(StringIO()):
            ours.append(_time_edgeport(model, calibration))
            raw.append(convert_all(model, images))
    return ExportSpeed(
        created_utc=datetime.now(timezone.utc).isoformat(timespec="seconds"),
        versions={name: version(name) for name in PACKAGES},
        host=host_facts(),
        model=source.name,
        model_sha256=source.opened.sha256,
        calibration=calibration.facts,
        rounds=rounds,
        edgeport=tuple(ours[1:]),
        raw=tuple(raw[1:]),
    )


def _time_edgeport(model: Path, calibration: "CalibrationSet") -> dict[str, float]:
    """Return the seconds of each part of one export: loading, each variant, and all the rest."""
    from edgeport.export import export, load_source

    seconds: dict[str, float] = {}

    def note(progress: "Progress") -> None:
        if progress.outcome is not None:
            seconds[f"{progress.outcome.format} {progress.outcome.precision}"] = progress.seconds

    with tempfile.TemporaryDirectory(prefix="edgeport-") as folder:
        started = time.perf_counter()
        source = load_source(model)
        seconds[LOADING] = time.perf_counter() - started
        manifest = export(source, Path(folder, "export"), calibration, on_progress=note)
        seconds[REST] = time.perf_counter() - started - sum(seconds.values())
    if manifest.refused:
        first = manifest.refused[0]
        raise InputError(f"{model}: {first.file} was refused ({first.reason}): time a model whose artefacts all pass")
    return seconds


def _add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("model", type=Path, metavar="MODEL", help="a Keras file")
    parser.add_argument("--dataset", default="mnist", metavar="NAME", help="to calibrate on (default mnist)")
    parser.add_argument("--data-dir", type=Path, metavar="DIR", help="where the files of mnist lie (or EDGEPORT_DATA)")
    parser.add_argument("--rounds", type=int, default=7, metavar="N", help="turns of each side (default 7)")


def _run(arguments: argparse.Namespace) -> None:
    if arguments.rounds < 1:
        raise InputError(f"--rounds: got {arguments.rounds}, expected 1 or more")
    report = time_export(
        arguments.model,
        arguments.dataset,
        rounds=arguments.rounds,
        data_dir=arguments.data_dir,
        on_step=lambda what: print(what, flush=True),
    )
    write_whole(arguments.output, RESULT.text(report).encode())
    print(markdown(report), end="")


if __name__ == "__main__":
    sys.exit(
        run_script(
            "edgeport.benchmarks.lab.export_cost.export_speed",
            "Time a whole export against the converters' own calls for the same artefacts.",
            run=_run,
            extra="export",
            add_arguments=_add_arguments,
        )
    )
