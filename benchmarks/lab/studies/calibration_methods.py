"""How ways of finding the ranges of activations compare, and what equalized channels give, on models of many kinds.

They were trained on real or synthetic data; some have one layer that 8 bits spoil.

Run it with: python -m edgeport.benchmarks.lab.studies.calibration_methods -o docs/results/calibration-methods.json
"""

import argparse
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any

from edgeport.benchmarks.lab.result_file import ResultFile
from edgeport.benchmarks.lab.script import run_script
from edgeport.benchmarks.report.looks import FORMAT_NAMES
from edgeport.benchmarks.report.renderers.markdown_table import markdown_table
from edgeport.export.conversion.options import Options
from edgeport.export.conversion.ranges.choice import Judged, is_better
from edgeport.export.conversion.ranges.methods import METHODS, MINMAX
from edgeport.export.verification.calibration import load_calibration
from edgeport.runtime.artefact.formats import FORMATS
from edgeport.runtime.engines.quiet import quiet_stderr
from edgeport.runtime.files.output import write_whole

_COUNT, _OF_FAULTY = 200, 600
# The ranges of min-max, with channels that weights have made alike, and with biases that take off what rounding adds.
EQUALIZED, CORRECTED, BOTH = "equalized", "corrected", "both"
WAYS = (*METHODS, EQUALIZED, CORRECTED, BOTH)
_CURES = {EQUALIZED: ("equalize",), CORRECTED: ("correct_biases",), BOTH: ("equalize", "correct_biases")}
_MODELS = (
    "photos, scaled inside", "photos, -1 to 1", "digits", "sound, log spectra", "sound, waves", "table, Normalization",
    "table, values", "text", "vibration, LayerNormalization", "autoencoder",
)  # fmt: skip


@dataclass(frozen=True)
class Row:
    """What a way gives.

    Attributes:
        model: The model.
        format: ``tflite`` or ``onnx``.
        method: One of ``WAYS``.
        sqnr_db: At the logits, on held-out samples.
        flips: How many decisions change.
        is_better: Whether it is measurably better than min-max.
    """

    model: str
    format: str
    method: str
    sqnr_db: float
    flips: int
    is_better: bool


@dataclass(frozen=True)
class Study:
    """All of it.

    Attributes:
        versions: Of the tools.
        rows: What the ways give.
    """

    versions: Mapping[str, str]
    rows: tuple[Row, ...]


RESULT = ResultFile("calibration methods", Study, "study of calibration methods")


def study(on_row: Callable[[Row], None] = lambda row: None) -> Study:
    """Return what each way gives for each model, in both formats."""
    rows = []
    for each in _models():
        for row in _rows_of(*each):
            rows.append(row)
            on_row(row)
    names = ("edgeport", "tensorflow", "keras", "onnxruntime")
    return Study({name: version(name) for name in names}, tuple(rows))


def _models() -> Iterator[tuple[str, Any, Any, str, str]]:
    """Yield for each model its name, itself, samples, and what is said of its input and of its output."""
    from edgeport.benchmarks.lab.studies.calibration_models import sound_models
    from edgeport.benchmarks.lab.studies.faulty_models import FAULTY, trained

    for sound in sound_models(_MODELS):
        yield sound.name, sound.model, sound.samples, sound.said, ""
    for faulty in FAULTY:
        arrays = faulty.arrays(faulty.data)
        # A sequence is a map of one axis.
        means = "scores=map" if faulty.task in ("map", "sequence") else ""
        samples = arrays["x_train"][:_OF_FAULTY]
        yield f"{faulty.name}, {faulty.fault}", trained(faulty, arrays), samples, "real", means


def _rows_of(name: str, model: Any, samples: Any, said: str, means: str) -> list[Row]:
    from edgeport.export.conversion.ranges.trial import judge_of
    from edgeport.export.sources.source import load_source
    from edgeport.export.verification.reference import Reference

    with quiet_stderr():
        inputs, outputs = ([text] if text else [] for text in (said, means))
        source = load_source(model, name="model", inputs=inputs, outputs=outputs)
        calibration = load_calibration(samples, inputs=source.inputs, count=_COUNT)
        reference = Reference(source, calibration)
    held_out = {name: array[:_COUNT] for name, array in calibration.held_out.items()}
    rows = []
    for row in FORMATS:
        judge = judge_of(source, calibration, held_out, Options(precisions=("int8",)), row=row, reference=reference)
        found: dict[str, Judged] = dict(zip(METHODS, map(judge(calibration), METHODS), strict=True))
        found |= {way: judge(calibration, cures=cures)(MINMAX) for way, cures in _CURES.items()}
        rows += [
            Row(name, row.name, method, round(each.sqnr_db, 2), each.flips, is_better(each, found[MINMAX]))
            for method, each in found.items()
        ]
    return rows


def markdown(result: Study) -> str:
    """Return a row for each model and format with each way's SQNR; bold where it is measurably better."""
    known = {(row.model, row.format, row.method): row for row in result.rows}
    rows = []
    for model, format_ in dict.fromkeys((row.model, row.format) for row in result.rows):
        cells = [_cell(known[model, format_, method]) for method in WAYS]
        rows.append((model, FORMAT_NAMES[format_], *cells))
    return markdown_table(("model", "int8", *WAYS), rows, left=(0, 1))


def _cell(row: Row) -> str:
    return f"**{row.sqnr_db:.1f}**" if row.is_better else f"{row.sqnr_db:.1f}"


def _run(arguments: argparse.Namespace) -> None:
    def show(row: Row) -> None:
        print(f"{row.model}: {row.format} {row.method}: {row.sqnr_db:.1f} dB, {row.flips} flips", flush=True)

    write_whole(arguments.output, RESULT.text(study(show)).encode())


if __name__ == "__main__":
    sys.exit(
        run_script(
            "edgeport.benchmarks.lab.studies.calibration_methods",
            "Compare ways of finding the ranges of activations.",
            run=_run,
            extra="all",
        )
    )
