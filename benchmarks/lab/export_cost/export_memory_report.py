"""The result of measuring exports beside bare converters: raw costs; its figures are computed here."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from typing import Any

from edgeport.benchmarks.report.report_file import read_result

KIND = "export memory"
SCHEMA = 1
EXPORT, RAW_ALL, RAW_INT8 = "edgeport export", "all nine converters' calls", "TFLiteConverter, int8"
_GB = 1e9


@dataclass(frozen=True)
class Cost:
    """What one process cost, with all that it started.

    Attributes:
        model: The model.
        what: The export, or what was called.
        cpu_s: CPU seconds, user and system.
        peak_bytes: The most memory at a time.
    """

    model: str
    what: str
    cpu_s: float
    peak_bytes: int


@dataclass(frozen=True)
class ExportMemory:
    """One comparison; the sides took turns.

    Attributes:
        created_utc: When, in ISO 8601.
        versions: The version of each package that took part.
        host: See host_facts.
        samples: How many calibration samples there were.
        costs: One for each process.
    """

    created_utc: str
    versions: Mapping[str, str]
    host: Mapping[str, Any]
    samples: int
    costs: Sequence[Cost]

    @property
    def models(self) -> list[str]:
        """The models, in order."""
        return list(dict.fromkeys(cost.model for cost in self.costs))

    def peak_bytes(self, model: str, what: str) -> float:
        """Return the median of the peaks."""
        return median(cost.peak_bytes for cost in self.costs if (cost.model, cost.what) == (model, what))

    def cpu_s(self, model: str, what: str) -> float:
        """Return the median CPU seconds."""
        return median(cost.cpu_s for cost in self.costs if (cost.model, cost.what) == (model, what))


def report_text(report: ExportMemory) -> str:
    """Return the text of the result file."""
    return json.dumps({"kind": KIND, "schema": SCHEMA, **asdict(report)}, indent=1) + "\n"


def read_report(path: Path) -> ExportMemory:
    """Return a comparison.

    Raises:
        ArtefactError: The file is missing, damaged or of another kind or schema.
    """
    return read_result(path, _parsed, what="measurement of exports' memory", schema=SCHEMA, kind=KIND)


def _parsed(content: dict[str, Any]) -> ExportMemory:
    return ExportMemory(**{**content, "costs": tuple(Cost(**cost) for cost in content["costs"])})


def markdown(report: ExportMemory) -> str:
    """Return peaks and CPU times as a Markdown table."""
    lines = ["| model | process | peak memory, GB | CPU, s |", "| :-- | :-- | --: | --: |"]
    lines += [
        f"| {model} | {what} | {report.peak_bytes(model, what) / _GB:.2f} | {report.cpu_s(model, what):.0f} |"
        for model in report.models
        for what in (RAW_INT8, RAW_ALL, EXPORT)
    ]
    return "\n".join(lines) + "\n"
