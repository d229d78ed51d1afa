"""The result of running edgeport beside its peers: raw samples; its figures are computed here."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from statistics import mean
from typing import Any

from edgeport.benchmarks.lab.result_file import ResultFile
from edgeport.benchmarks.measure.machine.conditions import disturbances
from edgeport.benchmarks.report.raw.record import ENGINE_CALL, PREDICT, Condition, Series
from edgeport.benchmarks.report.renderers.markdown_table import markdown_table
from edgeport.benchmarks.statistics.latency import Ratio, latency_ratio

EDGEPORT = "edgeport"
_HEADS = {ENGINE_CALL: "call", PREDICT: "predict"}


@dataclass(frozen=True)
class ModelFacts:
    """A model that was run.

    Attributes:
        name: The model's name.
        sha256: The digest of each file that was run.
        images: ``source``, ``count``, ``shape`` and ``sha256`` of the images.
    """

    name: str
    sha256: Mapping[str, str]
    images: Mapping[str, Any]


@dataclass(frozen=True)
class Row:
    """One way to run a model.

    Attributes:
        model: The model's name.
        file: What was run.
        by: What ran it: ``edgeport``, or a peer.
        beside: The file whose edgeport predictor it is held to.
        engine: ``name`` and ``version``.
        agreeing: How many of the model's images have the same top-1 class as the Keras model gives.
        series: Its timed calls on one image. Launch i of all rows of a model ran at the same time, in turns.
    """

    model: str
    file: str
    by: str
    beside: str
    engine: Mapping[str, str]
    agreeing: int
    series: tuple[Series, ...]

    def timed(self, what: str) -> Series:
        """Return the calls that were timed in that way."""
        return next(each for each in self.series if each.what == what)


@dataclass(frozen=True)
class PeersReport:
    """One comparison.

    Attributes:
        created_utc: When, in ISO 8601.
        edgeport: ``version``.
        host: See host_facts.
        protocol: How latency was measured.
        models: The models.
        rows: What was measured.
        skipped: What could not be run: ``model``, ``file``, ``by`` and ``reason``.
        conditions: For each model the machine meanwhile, one entry a round of processes.
        partial: Why the run ended before its time; empty if it did not.
    """

    created_utc: str
    edgeport: Mapping[str, str]
    host: Mapping[str, Any]
    protocol: Mapping[str, Any]
    models: tuple[ModelFacts, ...]
    rows: tuple[Row, ...]
    skipped: tuple[Mapping[str, str], ...] = ()
    conditions: Mapping[str, tuple[Condition, ...]] = field(default_factory=dict)
    partial: str = ""

    def find(self, model: str, file: str, by: str) -> Row | None:
        """Return the row of that model, file and peer."""
        return next((row for row in self.rows if (row.model, row.file, row.by) == (model, file, by)), None)

    def ratio(self, row: Row, what: str) -> Ratio | None:
        """Return how long a peer takes as a multiple of edgeport; None for edgeport's own rows, or without such."""
        ours = self.find(row.model, row.beside, EDGEPORT)
        if row.by == EDGEPORT or ours is None:
            return None
        launches = row.timed(what).launches
        # A peer that takes seconds to start took part in the first rounds only.
        return latency_ratio(ours.timed(what).launches[: len(launches)], launches)

    def of_the_faster_engine(self, file: str) -> dict[str, float]:
        """Return what a call takes in the fastest engine of edgeport, as a multiple of the default one, by model."""
        shares = {}
        for model in self.models:
            ours = [
                row for row in self.rows if (row.model, row.file) == (model.name, file) and row.by.startswith(EDGEPORT)
            ]
            medians = {row.by: row.timed(ENGINE_CALL).percentile_us(50) for row in ours}
            if len(medians) > 1:
                shares[model.name] = min(medians.values()) / medians[EDGEPORT]
        return shares


RESULT = ResultFile("peers", PeersReport, "comparison with peers")


def markdown(report: PeersReport, *, whats: Sequence[str] = (ENGINE_CALL, PREDICT)) -> str:
    """Return the figures as a Markdown table: a row for each file and what runs it, columns for each model.

    A cell is the median time on one image in us, and behind it the 95 % interval of that time as a multiple of
    edgeport's with the same file (for the Keras model, with float32.tflite): 1.10-1.12 is 10 to 12 % slower than
    edgeport. With fewer than six launches, as of what takes seconds to start, it is the multiple alone.

    Args:
        report: The comparison.
        whats: What to show of each model: ``engine``, ``predict`` or both.
    """
    names = [model.name for model in report.models]
    heads = [f"{name}, {_HEADS[what]}" for name in names for what in whats]
    lines = []
    keys = list(dict.fromkeys((row.file, row.by) for row in report.rows))
    for file, by in keys:
        rows = [report.find(name, file, by) for name in names]
        cells = [_cell(report, row, what) for row in rows for what in whats]
        counts = {model.name: model.images["count"] for model in report.models}
        agreement = ", ".join(f"{100 * row.agreeing / counts[row.model]:.1f}" for row in rows if row)
        who = f"**{by}**" if by == EDGEPORT else by
        lines.append((file, who, *cells, agreement))
    table = markdown_table(("file", "run by", *heads, "same top-1 as Keras, %"), lines, left=(0, 1))
    notes = list(_notes(report))
    return "\n".join([table, *notes]) + "\n" if notes else table


def _notes(report: PeersReport) -> Iterator[str]:
    """Yield what a reader must know beside the figures, a line each."""
    shares = report.of_the_faster_engine("int8.onnx")
    if shares:
        each_one = ", ".join(f"{share:.2f} for {name}" for name, share in shares.items())
        average = f"{mean(shares.values()):.2f} on average"
        yield f"int8.onnx in the faster engine, as a multiple of onnxruntime: {each_one}; {average}."
    for each in report.skipped:
        yield f"Not run: {each['by']} with the {each['file']} of {each['model']} ({each['reason']})."
    for model, conditions in report.conditions.items():
        for disturbance in disturbances(conditions, report.host):
            yield f"Disturbed machine while {model} ran: {disturbance}."
    if report.partial:
        yield f"The run is partial: {report.partial}."


def _cell(report: PeersReport, row: Row | None, what: str) -> str:
    if row is None:
        return ""
    median = row.timed(what).percentile_us(50)
    shown = f"{median:.1f}" if median < 100 else f"{median:,.0f}"
    ratio = report.ratio(row, what)
    if ratio is None:
        return f"**{shown}**" if row.by == EDGEPORT else shown
    # Too few launches bear no interval.
    span = f"{_figure(ratio.low)}-{_figure(ratio.high)}" if ratio.high < math.inf else _figure(ratio.ratio)
    return f"{shown} ({span})"


def _figure(ratio: float) -> str:
    """Return a ratio with as many digits as mean something."""
    return f"{ratio:.2f}" if ratio < 10 else f"{ratio:,.0f}"
