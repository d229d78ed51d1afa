"""What MLPerf LoadGen measured of the same artefacts, beside edgeport's own clock."""

import xml.etree.ElementTree as ET
from collections.abc import Mapping
from statistics import median
from typing import Any

from edgeport.benchmarks.report.findings import Findings
from edgeport.benchmarks.report.html_elements import Child, Column, paragraph, table
from edgeport.benchmarks.report.html_page import Place
from edgeport.benchmarks.report.words import DASH, amount, signed


def mlperf(findings: Findings, place: Place) -> ET.Element | None:
    """Return the section; None if nothing ran under LoadGen."""
    found = {file: each for file, each in findings.report.mlperf.items() if isinstance(each, Mapping)}
    if not found:
        return None
    names = {subject.measured.file: subject.name for subject in findings.subjects}
    rows = [[names.get(file, file), *_cells(each)] for file, each in found.items()]
    columns = [
        Column("artefact", numeric=False),
        Column("LoadGen p90", unit="\u00b5s"),
        Column("edgeport p90", unit="\u00b5s"),
        Column("difference", unit="%"),
        Column("LoadGen offline", unit="images/s"),
        Column("edgeport offline", unit="images/s"),
        Column("valid", numeric=False),
    ]
    return place.section(
        "mlperf",
        "Under MLPerf LoadGen",
        table(
            "SingleStream and Offline, each in turns with edgeport\u2019s own clock in the same process", columns, rows
        ),
        paragraph("An experiment with LoadGen\u2019s clock, not an MLPerf submission.", class_="note"),
    )


def _cells(result: Mapping[str, Any]) -> list[Child]:
    theirs, ours = (_p90(result.get(key)) for key in ("single_stream", "own"))
    pairs = zip(theirs, ours, strict=False)
    difference = [100 * (a / b - 1) for a, b in pairs if b]
    offline, own_offline = (_numbers(result.get(key)) for key in ("offline", "own_offline"))
    return [
        amount(median(theirs) / 1e3) if theirs else DASH,
        amount(median(ours) / 1e3) if ours else DASH,
        signed(f"{median(difference):+.1f}") if difference else DASH,
        f"{median(offline):,.0f}" if offline else DASH,
        f"{median(own_offline):,.0f}" if own_offline else DASH,
        {True: "yes", False: "no"}.get(result.get("valid"), DASH),  # type: ignore[arg-type]
    ]


def _p90(tests: Any) -> list[float]:
    """Return the p90 of each test, which is the second of its two figures."""
    pairs = tests if isinstance(tests, (list, tuple)) else ()
    return _numbers([pair[1] for pair in pairs if isinstance(pair, (list, tuple)) and len(pair) > 1])


def _numbers(values: Any) -> list[float]:
    several = values if isinstance(values, (list, tuple)) else [values]
    return [float(each) for each in several if isinstance(each, (int, float)) and not isinstance(each, bool)]
