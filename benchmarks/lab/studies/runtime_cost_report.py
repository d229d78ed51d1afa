"""The result of timing the runtime against the bare engines: raw samples; its figures are computed here."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from edgeport.benchmarks.lab.result_file import ResultFile
from edgeport.benchmarks.report.renderers.markdown_table import markdown_table

NUMPY = "import numpy"
_SHOWN_BATCH = "32"


@dataclass(frozen=True)
class CallCost:
    """One image at a time: the engine's own calls, ``run`` and ``predict`` in turns.

    Attributes:
        file: The artefact.
        engine: The import name of what ran it.
        dtype: The dtype of its input.
        latency_ns: For ``raw``, ``run`` and ``predict`` the samples of each opening.
    """

    file: str
    engine: str
    dtype: str
    latency_ns: Mapping[str, list[list[int]]]

    def extra_us(self, name: str) -> float:
        """Return what ``run`` or ``predict`` adds: the median over the openings of the difference of medians, in us."""
        pairs = zip(self.latency_ns[name], self.latency_ns["raw"], strict=True)
        return float(np.median([np.median(ours) - np.median(raw) for ours, raw in pairs])) / 1e3

    @property
    def raw_us(self) -> float:
        """The median of the engine's own calls, in us."""
        return float(np.median([np.median(each) for each in self.latency_ns["raw"]])) / 1e3


@dataclass(frozen=True)
class BatchCost:
    """Batches: in one call of the engine, image by image, and as ``predict`` does it.

    Attributes:
        file: The artefact.
        engine: The import name of what ran it.
        latency_ns: For each batch size (as text) and way the samples; ``in one call`` is missing where the artefact
            cannot be resized.
    """

    file: str
    engine: str
    latency_ns: Mapping[str, Mapping[str, list[int]]]

    def us_per_image(self, batch: str, way: str) -> float | None:
        """Return the median microseconds of an image in such a batch, or None if that way was not possible."""
        samples = self.latency_ns[batch].get(way)
        return float(np.median(samples)) / int(batch) / 1e3 if samples else None


@dataclass(frozen=True)
class ProcessCost:
    """A Python process from its start to the end of what it did.

    Attributes:
        name: What it did.
        wall_ns: How long each took, without its end: the interpreter's and the engine's clearing away.
        peak_rss_bytes: The peak of its resident memory.
    """

    name: str
    wall_ns: list[int]
    peak_rss_bytes: list[int]

    @property
    def wall_ms(self) -> float:
        """The median time, in ms."""
        return float(np.median(self.wall_ns)) / 1e6

    @property
    def peak_mb(self) -> float:
        """The median peak, in units of 2**20 bytes."""
        return float(np.median(self.peak_rss_bytes)) / (1 << 20)


@dataclass(frozen=True)
class RuntimeCost:
    """One comparison of the runtime with the engines.

    Attributes:
        created_utc: When, in ISO 8601.
        versions: The version of each package that took part.
        host: See host_facts.
        sha256: The digest of each artefact.
        calls: One image at a time.
        batches: Many.
        processes: From start to first answer.
    """

    created_utc: str
    versions: Mapping[str, str]
    host: Mapping[str, Any]
    sha256: Mapping[str, str]
    calls: tuple[CallCost, ...]
    batches: tuple[BatchCost, ...]
    processes: tuple[ProcessCost, ...]

    def process(self, name: str) -> ProcessCost:
        """Return the process of that name."""
        return next(each for each in self.processes if each.name == name)

    def start_ratio(self, name: str) -> float:
        """Return how long a process takes as a multiple of one that imports numpy alone, as medians."""
        return self.process(name).wall_ms / self.process(NUMPY).wall_ms


RESULT = ResultFile("runtime cost", RuntimeCost, "measurement of the runtime")


def markdown(report: RuntimeCost) -> str:
    """Return the figures as three Markdown tables: calls, batches, processes."""
    calls = [
        (cost.file, f"{cost.raw_us:.1f}", f"{cost.extra_us('run'):+.1f}", f"{cost.extra_us('predict'):+.1f}")
        for cost in report.calls
    ]
    batches = [
        (
            cost.file,
            *(_cell(cost.us_per_image(_SHOWN_BATCH, way)) for way in ("in one call", "one by one", "edgeport")),
        )
        for cost in report.batches
    ]
    processes = [
        (each.name, f"{each.wall_ms:.0f}", f"{report.start_ratio(each.name):.2f}", f"{each.peak_mb:.1f}")
        for each in report.processes
    ]
    in_batches = f"{_SHOWN_BATCH} images, us each"
    return "\n".join(
        [
            markdown_table(("one image, p50 in us", "engine alone", "`run` adds", "`predict` adds"), calls),
            markdown_table((in_batches, "in one call of the engine", "one by one", "`predict`"), batches),
            markdown_table(("process", "ms", "times `import numpy`", "peak MB"), processes),
        ]
    )


def _cell(value: float | None) -> str:
    return "" if value is None else f"{value:.1f}"
