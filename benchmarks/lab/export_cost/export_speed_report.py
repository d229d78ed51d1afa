"""The result of timing a whole export against the converters alone: raw samples; its figures are computed here."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from edgeport.benchmarks.report.report_file import read_result

KIND = "export speed"
SCHEMA = 1
# The parts that are no variants.
LOADING, REST = "loading", "proof and writing"


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
    edgeport: Sequence[Mapping[str, float]]
    raw: Sequence[Mapping[str, float]]

    @property
    def parts(self) -> list[str]:
        """All parts, in order."""
        return list(dict.fromkeys([*self.raw[0], *self.edgeport[0]]))

    @property
    def ratio(self) -> float:
        """The median export as a multiple of the median of the converters' calls."""
        return total(self.edgeport) / total(self.raw)


def median(side: Sequence[Mapping[str, float]], part: str) -> float:
    """Return the median seconds of one part; 0 for a part that the side has not."""
    return float(np.median([each.get(part, 0.0) for each in side]))


def total(side: Sequence[Mapping[str, float]]) -> float:
    """Return the median seconds of a whole round."""
    return float(np.median([sum(each.values()) for each in side]))


def report_text(report: ExportSpeed) -> str:
    """Return the text of the result file."""
    return json.dumps({"kind": KIND, "schema": SCHEMA, **asdict(report)}, indent=1) + "\n"


def read_report(path: Path) -> ExportSpeed:
    """Return a comparison.

    Raises:
        ArtefactError: The file is missing, damaged or of another kind or schema.
    """
    return read_result(
        path, lambda content: ExportSpeed(**content), what="measurement of exports", schema=SCHEMA, kind=KIND
    )


def markdown(report: ExportSpeed) -> str:
    """Return the medians of both sides as a Markdown table."""
    lines = [f"| {report.model}, seconds | edgeport | converters alone |", "| :-- | --: | --: |"]
    for part in report.parts:
        raw = f"{median(report.raw, part):.3f}" if part in report.raw[0] else ""
        lines.append(f"| {part} | {median(report.edgeport, part):.3f} | {raw} |")
    lines.append(f"| whole | {total(report.edgeport):.3f} | {total(report.raw):.3f} |")
    lines.append(f"| ratio | {report.ratio:.2f} | 1.00 |")
    return "\n".join(lines) + "\n"
