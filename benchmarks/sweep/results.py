"""results.json: every cell of a sweep as data; the table and the picture are made from it alone."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from edgeport.benchmarks.report.raw.report_file import read_result
from edgeport.benchmarks.tasks.metric import DOWN, SHARE, UP

SCHEMA = 1
FILE_NAME = "results.json"
_WHAT = "result of a sweep"
# How deep an entry has a line of its own.
_LEVELS = 2


@dataclass(frozen=True)
class Decider:
    """The metric that decides in a sweep.

    Attributes:
        name: What it is called.
        unit: ``points`` for shares of 0 to 1, which are shown times 100; else what it is measured in.
        better: ``up``, ``down``, or ``zero`` where the figure that is nearest to zero is best.
    """

    name: str = "accuracy"
    unit: str = SHARE
    better: str = UP

    @property
    def is_share(self) -> bool:
        """Whether its figures are shares."""
        return self.unit == SHARE

    def shown(self, figure: float, *, decimals: int = 2) -> str:
        """Return a figure, or a difference of two, without its unit: shares in percent."""
        return f"{100 * figure:.{decimals}f}" if self.is_share else f"{figure:.{2 + decimals}g}"

    def worth(self, figure: float) -> float:
        """Return a number that is larger the better a figure is."""
        return figure if self.better == UP else -figure if self.better == DOWN else -abs(figure)


def metric_of(cell: Mapping[str, Any]) -> Decider:
    """Return the metric of a cell; cells that do not say it were scored by accuracy."""
    said = cell.get("metric") or {}
    return Decider(**{key: said[key] for key in ("name", "unit", "better") if key in said})


def figure_of(score: Mapping[str, Any]) -> float:
    """Return the figure of a score: that of a metric, or the share of right answers."""
    return float(score["figure"] if "figure" in score else score["correct"] / score["count"])


@dataclass(frozen=True)
class Timed:
    """The timed calls of one artefact.

    Attributes:
        model: Its model.
        recipe: The recipe that its weights are from.
        seed: The seed that its weights are from.
        file: Its name.
        format: ``tflite`` or ``onnx``.
        precision: Its precision.
        sha256: The digest of the file.
        launches: Nanoseconds of each engine call on one image, a list for each process that was started for it. The
            processes of all artefacts with the same index ran at the same time, in turns.
    """

    model: str
    recipe: str
    seed: int
    file: str
    format: str
    precision: str
    sha256: str
    launches: list[list[int]]


@dataclass(frozen=True)
class Latencies:
    """What was timed at the end of a sweep.

    Attributes:
        host: The machine: see ``host_facts``.
        protocol: How: the fields of ``measure.protocol.Protocol``.
        disturbances: Why the times are in doubt, a sentence each.
        partial: Why it ended before its time; empty if it did not.
        timed: The artefacts.
    """

    host: Mapping[str, Any]
    protocol: Mapping[str, Any]
    disturbances: tuple[str, ...]
    partial: str
    timed: tuple[Timed, ...]


@dataclass(frozen=True)
class Results:
    """What came of a sweep.

    Attributes:
        created_utc: When it ended, in ISO 8601.
        versions: The version of each tool where the sweep was started.
        host: The machine where the sweep was started: see ``host_facts``.
        sweep: The text of the sweep's file.
        dataset: ``name``, ``sha256``, ``labels``, and ``noun``: what people call its samples.
        cells: What ``cell.json`` says of each cell that has ended, in the order of the sweep.
        failed: What has not: ``model``, ``recipe``, ``seed`` and ``reason``.
        latency: What was timed; None if nothing was.
    """

    created_utc: str
    versions: Mapping[str, str]
    host: Mapping[str, Any]
    sweep: str
    dataset: Mapping[str, Any]
    cells: tuple[Mapping[str, Any], ...]
    failed: tuple[Mapping[str, Any], ...] = field(default=())
    latency: Latencies | None = None

    @property
    def sample(self) -> str:
        """What one of the samples is called; results that do not say so are of images."""
        return str(self.dataset.get("noun", "images")).removesuffix("s")

    @property
    def metric(self) -> Decider:
        """What decides."""
        return metric_of(self.cells[0]) if self.cells else Decider()

    @property
    def split(self) -> str:
        """The split whose scores are shown: ``test`` where all cells were scored on it, else ``validation``."""
        candidates = [each for cell in self.cells for each in cell["contenders"]]
        return "test" if candidates and all("test" in each for each in candidates) else "validation"


def results_text(results: Results) -> str:
    """Return the text of results.json, with each cell, and each artefact that was timed, on one line."""
    return _text({"schema": SCHEMA, **asdict(results)}) + "\n"


def read_results(path: Path) -> Results:
    """Return what a results.json says.

    Args:
        path: The file, or the folder of the sweep.

    Raises:
        ArtefactError: The file is missing, damaged or of another schema.
    """
    file = path / FILE_NAME if path.is_dir() else path
    return read_result(file, _parsed, what=_WHAT, schema=SCHEMA)


def is_sweep(content: Mapping[str, Any]) -> bool:
    """Return whether the content of a JSON file is that of a results.json, among results of other kinds."""
    return content.keys() >= {"schema", "sweep", "cells", "latency"}


def _parsed(content: dict[str, Any]) -> Results:
    latency = content["latency"]
    if latency is not None:
        timed = tuple(Timed(**each) for each in latency["timed"])
        latency = Latencies(**{**latency, "timed": timed, "disturbances": tuple(latency["disturbances"])})
    return Results(
        **{**content, "cells": tuple(content["cells"]), "failed": tuple(content["failed"]), "latency": latency}
    )


def _text(value: Any, indent: str = "") -> str:
    """Return JSON with a line for each entry of the two outer levels, and of each list of records."""
    inner = indent + " "
    if isinstance(value, dict) and len(indent) < _LEVELS:
        lines = [f"{inner}{json.dumps(key)}: {_text(each, inner)}" for key, each in value.items()]
        return "{\n" + ",\n".join(lines) + f"\n{indent}}}"
    if isinstance(value, (list, tuple)) and any(isinstance(each, dict) for each in value):
        return "[\n" + ",\n".join(inner + json.dumps(each) for each in value) + f"\n{indent}]"
    return json.dumps(value)
