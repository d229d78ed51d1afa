"""The result of comparing quantizers: raw samples and facts; its tables are computed here."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from edgeport.benchmarks.lab.result_file import ResultFile
from edgeport.benchmarks.report.looks import FORMAT_NAMES
from edgeport.benchmarks.report.renderers.markdown_table import markdown_table

# What the times of the others of its format are divided by.
REFERENCE = "float32"
_COLUMNS = ("way", "top-1", "SQNR dB", "kB", "p50 us", "of float32", "seconds", "Q and DQ", "in floats")


@dataclass(frozen=True)
class Tried:
    """What became of one model in one way.

    Attributes:
        model: The model's name.
        format: ``tflite`` or ``onnx``.
        way: Which way of quantizing it, in words; ``float32`` is none.
        error: Why there is nothing else; empty if there is.
        seconds: How long it took from the traced model, the float32 model of the format included.
        bytes: The size of the file.
        sqnr_db: How far it is from TensorFlow's own answers at the logits, on held-out samples.
        correct: How many test images are right; None where there are none.
        boundaries: How many QuantizeLinear and DequantizeLinear the engine runs.
        float_operators: How many operators the engine computes in floats.
        latency_ns: Nanoseconds of each timed call on one sample, one list for each time that the file was opened.
    """

    model: str
    format: str
    way: str
    error: str = ""
    seconds: float = 0.0
    bytes: int = 0
    sqnr_db: float = 0.0
    correct: int | None = None
    boundaries: int = 0
    float_operators: int = 0
    latency_ns: list[list[int]] = field(default_factory=list)

    @property
    def p50_us(self) -> float:
        """The median call in microseconds: of each opening, then of these.

        Where an engine's memory happens to lie can make a whole session slower; another opening has other luck.
        """
        return float(np.median([np.median(samples) for samples in self.latency_ns])) / 1e3


@dataclass(frozen=True)
class QuantizerReport:
    """One comparison.

    Attributes:
        created_utc: When, in ISO 8601.
        versions: The version of each package that took part.
        host: See host_facts.
        protocol: How latency was measured.
        models: Of each model its ``name``, ``sha256``, ``calibration`` and ``test`` (``name`` and ``count``, or None).
        tried: Each model in each way.
    """

    created_utc: str
    versions: Mapping[str, str]
    host: Mapping[str, Any]
    protocol: Mapping[str, Any]
    models: tuple[Mapping[str, Any], ...]
    tried: tuple[Tried, ...]

    def ways(self, format_name: str) -> list[str]:
        """Return the ways of a format, in order."""
        return list(dict.fromkeys(each.way for each in self.tried if each.format == format_name))

    def find(self, model: str, format_name: str, way: str) -> Tried:
        """Return what became of a model in one way."""
        return next(each for each in self.tried if (each.model, each.format, each.way) == (model, format_name, way))

    def share_of_float32(self, tried: Tried) -> float:
        """Return the median call as a share of the float32 file's, in the same format."""
        return tried.p50_us / self.find(tried.model, tried.format, REFERENCE).p50_us

    def made(self, format_name: str, way: str) -> list[Tried]:
        """Return the models that this way could quantize."""
        return [each for each in self.tried if (each.format, each.way) == (format_name, way) and not each.error]

    def mean_share(self, format_name: str, way: str) -> float:
        """Return the geometric mean of the shares of float32 over the models of a way."""
        return float(np.exp(np.mean([np.log(self.share_of_float32(each)) for each in self.made(format_name, way)])))


RESULT = ResultFile("quantizers", QuantizerReport, "comparison of quantizers")


def markdown(report: QuantizerReport) -> str:
    """Return the summary of each format, and the table of each model that is scored on test data, in Markdown."""
    parts = [_summary(report, format_name) for format_name in FORMAT_NAMES if format_name != "keras"]
    return "\n".join(parts + [_details(report, model["name"]) for model in report.models if model["test"]])


def _summary(report: QuantizerReport, format_name: str) -> str:
    names = [model["name"] for model in report.models]
    rows = []
    for way in report.ways(format_name):
        cells = [_summary_cell(report, report.find(name, format_name, way)) for name in names]
        mean = f"{report.mean_share(format_name, way):.2f}" if report.made(format_name, way) else "-"
        rows.append((way, *cells, mean))
    title = f"**{FORMAT_NAMES[format_name]}**: SQNR in dB, and the p50 of a call as a share of float32's"
    return f"{title}\n\n{markdown_table(('way', *names, 'mean share'), rows)}"


def _summary_cell(report: QuantizerReport, tried: Tried) -> str:
    return "failed" if tried.error else f"{tried.sqnr_db:.1f}, {report.share_of_float32(tried):.2f}"


def _details(report: QuantizerReport, name: str) -> str:
    tests = {model["name"]: model["test"]["count"] if model["test"] else 0 for model in report.models}
    tried = [each for each in report.tried if each.model == name]
    return f"**{name}**\n\n{markdown_table(_COLUMNS, [_row(report, each, tests[name]) for each in tried])}"


def _row(report: QuantizerReport, tried: Tried, test_count: int) -> tuple[str, ...]:
    way = f"{FORMAT_NAMES[tried.format]} {tried.way}"
    if tried.error:
        return way, "failed", *[""] * (len(_COLUMNS) - 2)
    return (
        way,
        "" if tried.correct is None else f"{tried.correct / test_count:.2%}",
        f"{tried.sqnr_db:.1f}",
        f"{tried.bytes / 1e3:.0f}",
        f"{tried.p50_us:.1f}",
        f"{report.share_of_float32(tried):.2f}",
        f"{tried.seconds:.2f}",
        str(tried.boundaries),
        str(tried.float_operators),
    )
