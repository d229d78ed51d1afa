"""A sweep in figures: for each model, recipe and candidate what all seeds reach, its size and its latency."""

import math
import statistics
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from edgeport.benchmarks.statistics.latency import Ratio, latency_ratio, percentile_interval
from edgeport.benchmarks.sweep.results import Results, Timed, figure_of


@dataclass(frozen=True)
class Latency:
    """The median of an engine call on one image, with its 95 % interval.

    Attributes:
        p50_us: The median over all calls, in microseconds.
        low_us: Where the interval begins.
        high_us: Where it ends.
    """

    p50_us: float
    low_us: float
    high_us: float


@dataclass(frozen=True)
class SweepLine:
    """One candidate of a model under a recipe, over all seeds.

    Attributes:
        model: The model's name.
        recipe: The recipe's name.
        format: ``keras``, ``tflite`` or ``onnx``.
        precision: Its precision.
        parameters: The weights of the model as it is deployed, after folding.
        bytes: The size of the file, the median over the seeds.
        seeds: The seeds, in the order of the sweep.
        validation: The figure of the deciding metric on the validation samples, for each seed: of accuracy the share
            that is right, 0 to 1. Empty if none of them is known to be an anomaly.
        test: The same of the test samples; empty if they were not scored.
        changes: For each seed the figure less that of the Keras model, on ``Results.split``.
        latency: None if it was not timed.
    """

    model: str
    recipe: str
    format: str
    precision: str
    parameters: int
    bytes: int
    seeds: tuple[int, ...]
    validation: tuple[float, ...]
    test: tuple[float, ...]
    changes: tuple[float, ...]
    latency: Latency | None

    @property
    def figures(self) -> tuple[float, ...]:
        """Those on the test samples if they were scored, else those on the validation samples."""
        return self.test or self.validation


def lines_of(results: Results) -> list[SweepLine]:
    """Return a line for each candidate, model by model in the order of their sizes."""
    groups: dict[tuple[str, str], list[Mapping[str, Any]]] = {}
    for cell in results.cells:
        groups.setdefault((cell["model"], cell["recipe"]), []).append(cell)
    timed = (
        {(each.model, each.format, each.precision): each for each in results.latency.timed} if results.latency else {}
    )
    lines = []
    for (model, recipe), cells in groups.items():
        kinds = dict.fromkeys((each["format"], each["precision"]) for cell in cells for each in cell["contenders"])
        for kind in kinds:
            lines.append(_line(model, recipe, kind, cells, timed.get((model, *kind)), results.split))
    order = {line.model: line.parameters for line in reversed(lines)}
    return sorted(lines, key=lambda line: (order[line.model], line.model))


def spread(values: tuple[float, ...]) -> float:
    """Return the standard deviation of a sample; NaN for a single value."""
    return statistics.stdev(values) if len(values) > 1 else math.nan


def ratios_of(results: Results) -> list[tuple[str, str, str, Ratio]]:
    """Return model, format, precision, and how many times as long as the float file each other file takes.

    The ratios are of pairs of processes that ran side by side.
    """
    timed = results.latency.timed if results.latency else ()
    base = {(each.model, each.format): each for each in timed if each.precision == "float32"}
    return [
        (each.model, each.format, each.precision, latency_ratio(base[each.model, each.format].launches, each.launches))
        for each in timed
        if each.precision != "float32" and (each.model, each.format) in base
    ]


def _line(
    model: str, recipe: str, kind: tuple[str, str], cells: list[Mapping[str, Any]], timed: Timed | None, split: str
) -> SweepLine:
    rows = []
    for cell in cells:
        found = {(each["format"], each["precision"]): each for each in cell["contenders"]}
        if kind in found:
            change = figure_of(found[kind][split]) - figure_of(found["keras", "float32"][split])
            rows.append((cell["seed"], found[kind], change))
    return SweepLine(
        model=model,
        recipe=recipe,
        format=kind[0],
        precision=kind[1],
        parameters=cells[0]["parameters"],
        bytes=round(statistics.median(each["bytes"] for _, each, _ in rows)),
        seeds=tuple(seed for seed, _, _ in rows),
        validation=tuple(figure_of(each["validation"]) for _, each, _ in rows if "validation" in each),
        test=tuple(figure_of(each["test"]) for _, each, _ in rows if "test" in each),
        changes=tuple(change for _, _, change in rows),
        latency=_latency(timed) if timed and any(timed.launches) else None,
    )


def _latency(timed: Timed) -> Latency:
    calls = [ns for launch in timed.launches for ns in launch]
    low, high = percentile_interval(timed.launches, 50)
    return Latency(float(np.median(calls)) / 1e3, low / 1e3, high / 1e3)
