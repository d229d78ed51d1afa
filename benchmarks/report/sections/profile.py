"""Why it is slow, operator by operator, and what MLPerf LoadGen measured: what the report holds of either."""

import math
from collections.abc import Mapping, Sequence
from statistics import median
from typing import Any

from edgeport.benchmarks.report.charts.data import Bar, Bars, Piece
from edgeport.benchmarks.report.document import (
    Block,
    Cell,
    Chart,
    Column,
    Folded,
    Listed,
    Paragraph,
    Section,
    Table,
)
from edgeport.benchmarks.report.findings import Findings
from edgeport.benchmarks.report.looks import colour_of
from edgeport.benchmarks.report.sections.names import ARTEFACT, named, scaled
from edgeport.benchmarks.report.words import THIN, amount, counted, figures, percent, signed

# The rest of a large model's operators is one bar.
_MOST_BARS = 24
_ACCELERATED = ("xnnpack", "mlas")

Operator = Mapping[str, Any]


def profiles(findings: Findings) -> Section | None:
    """Return the section with time by operator; None if nothing was profiled."""
    found = {file: each for file, each in findings.report.profiles.items() if isinstance(each, Mapping)}
    if not found:
        return None
    parts = [_profile(findings, index, file, each) for index, (file, each) in enumerate(found.items())]
    return Section("profile", "Time by operator", parts)


def mlperf(findings: Findings) -> Section | None:
    """Return the section with LoadGen's figures; None if nothing ran under it."""
    found = {file: each for file, each in findings.report.mlperf.items() if isinstance(each, Mapping)}
    if not found:
        return None
    names = {candidate.measured.file: named(candidate) for candidate in findings.candidates}
    rows = [[names.get(file, Cell(file)), *_loadgen(each)] for file, each in found.items()]
    columns = [
        ARTEFACT,
        Column("LoadGen p90", "\u00b5s"),
        Column("edgeport p90", "\u00b5s"),
        Column("difference", "%"),
        Column("without LoadGen\u2019s own time", "%"),
        Column("LoadGen offline", f"{findings.report.sample}s/s"),
        Column("edgeport offline", f"{findings.report.sample}s/s"),
        Column("valid", numeric=False),
    ]
    caption = "SingleStream and Offline, each in turns with edgeport\u2019s own clock in the same process"
    note = "An experiment with LoadGen\u2019s clock, not an MLPerf submission."
    return Section("mlperf", "Under MLPerf LoadGen", [Table(caption, columns, rows), Paragraph(note, "note")])


def _profile(findings: Findings, index: int, file: str, profile: Mapping[str, Any]) -> Folded:
    candidate = next((each for each in findings.candidates if each.measured.file == file), None)
    operators = [each for each in _list(profile.get("operators")) if isinstance(each, Mapping)]
    name = candidate.name if candidate else file
    colour = colour_of(candidate.measured.format if candidate else "")
    engine = " ".join(_plain(profile[key]) for key in ("engine", "version") if profile.get(key))
    took = _number(profile.get("whole_us")) or sum(_number(each.get("us")) for each in operators)
    sentences = [str(each) for each in _list(profile.get("sentences"))]
    blocks: list[Block] = [Listed(sentences)] if sentences else []
    if profile.get("method"):
        blocks.append(Paragraph(str(profile["method"])))
    if operators:
        blocks.append(_bars(operators, colour, f"profile-{index}", name))
        blocks.append(Folded("All operators as a table", [_operators(operators, name)]))
    roofline = profile.get("roofline")
    if isinstance(roofline, Mapping) and roofline:
        blocks.append(_roofline(roofline, name))
    words = f"{amount(took)}{THIN}\u00b5s a call, {counted(len(operators), 'operator')}"
    return Folded(f"{name}{f' ({engine})' if engine else ''}: {words}", blocks, opened=not index)


def _bars(operators: Sequence[Operator], colour: str, name: str, of: str) -> Chart:
    """Return a bar for each operator in the order of the graph; of many, the shorter ones are one bar together."""
    total = sum(_number(each.get("us")) for each in operators) or 1.0
    times = sorted((_number(each.get("us")) for each in operators), reverse=True)
    least = times[_MOST_BARS - 1] if len(times) > _MOST_BARS else 0.0
    bars: list[Bar] = []
    rest: list[float] = []
    for each in operators:
        took = _number(each.get("us"))
        if took < least or len(bars) == _MOST_BARS:
            rest.append(took)
        else:
            piece = Piece(took, colour, pale=not _accelerated(each))
            bars.append(Bar(f"{each.get('type', '')} {each.get('name', '')}".strip(), [piece], _note(took, total)))
    if rest:
        bars.append(Bar(counted(len(rest), "shorter operator"), [Piece(sum(rest), colour)], _note(sum(rest), total)))
    pale = any(not _accelerated(each) for each in operators)
    return Chart(
        name,
        f"Time by operator of {of}",
        "; ".join(f"{bar.name}: {bar.note}" for bar in bars),
        Bars(bars, "\u00b5s a call"),
        f"In the order of the graph.{' Pale bars ran outside the accelerated kernels.' if pale else ''}",
    )


def _note(took: float, total: float) -> str:
    return f"{amount(took)}{THIN}\u00b5s, {percent(took / total, decimals=0)}{THIN}%"


def _operators(operators: Sequence[Operator], name: str) -> Table:
    columns = [
        Column("operator", numeric=False),
        Column("type", numeric=False),
        Column("ran in", numeric=False),
        Column("values", numeric=False),
        Column("time", "\u00b5s"),
        Column("noise", "\u00b1 \u00b5s"),
        Column("share", "%"),
        Column("MACs"),
        Column("GMAC/s"),
    ]
    rows = []
    for each in operators:
        took, macs = _number(each.get("us")), _number(each.get("macs"))
        rows.append(
            [
                Cell(str(each.get("name", ""))),
                Cell(str(each.get("type", ""))),
                Cell(_plain(each["where"]) if each.get("where") else None),
                Cell(str(each.get("dtype") or "") or None),
                Cell(took, "amount"),
                scaled(_number(each.get("noise_us")), 1.0),
                Cell(_number(each.get("share")) if each.get("share") is not None else None, "percent1"),
                Cell(macs or None, "count"),
                Cell(macs / took / 1e3 if macs and took else None, "ratio"),
            ]
        )
    return Table(f"Operators of {name}, in the order of the graph", columns, rows)


def _roofline(roofline: Mapping[str, Any], name: str) -> Table:
    """Return the facts of the roofline, whatever they are."""
    rows = [[Cell(_spelled(key)), Cell(_value(key, value))] for key, value in roofline.items()]
    columns = [Column("roofline", numeric=False), Column("value")]
    return Table(f"What {name} gets out of this processor", columns, rows, look="compact")


def _loadgen(result: Mapping[str, Any]) -> list[Cell]:
    theirs, ours = (_percentiles(result.get(key), 1) for key in ("single_stream", "own"))
    harness = _median(_percentiles(result.get("idle"), 0))
    pairs = [(a, b) for a, b in zip(theirs, ours, strict=False) if b]
    difference = [100 * (a / b - 1) for a, b in pairs]
    without = [100 * ((a - harness) / b - 1) for a, b in pairs] if harness is not None else []
    offline, own_offline = (_numbers(result.get(key)) for key in ("offline", "own_offline"))
    valid = result.get("valid")
    return [
        scaled(_median(theirs), 1e3),
        scaled(_median(ours), 1e3),
        *(Cell(signed(f"{median(each):+.1f}") if each else None) for each in (difference, without)),
        Cell(_median(offline), "count"),
        Cell(_median(own_offline), "count"),
        Cell(("yes" if valid else "no") if isinstance(valid, bool) else None),
    ]


def _percentiles(tests: Any, place: int) -> list[float]:
    """Return one of the two figures of each test, p50 and p90."""
    pairs = tests if isinstance(tests, (list, tuple)) else ()
    return _numbers([pair[place] for pair in pairs if isinstance(pair, (list, tuple)) and len(pair) > place])


def _numbers(values: Any) -> list[float]:
    several = values if isinstance(values, (list, tuple)) else [values]
    return [float(each) for each in several if isinstance(each, (int, float)) and not isinstance(each, bool)]


def _median(values: Sequence[float]) -> float | None:
    return median(values) if values else None


def _value(key: str, value: Any) -> str:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return _plain(value)
    if "share" in key:
        return f"{percent(value, decimals=1)}{THIN}%"
    return f"{value:,}" if isinstance(value, int) else figures(value)


def _spelled(key: str) -> str:
    words = key.replace("_per_s", "/s").replace("_", " ")
    for written, spelled in (("gmacs/s", "GMAC/s"), ("macs", "MACs")):
        words = words.replace(written, spelled)
    return words


def _accelerated(operator: Operator) -> bool:
    """Return whether an operator ran in the kernels made for this kind of processor, or its profile does not say."""
    where = str(operator.get("where") or "")
    return not where or where.lower() in _ACCELERATED


def _list(value: Any) -> list[Any]:
    return list(value) if isinstance(value, (list, tuple)) else []


def _number(value: Any) -> float:
    known = isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)
    return float(value) if known else 0.0


def _plain(value: Any) -> str:
    if isinstance(value, Mapping):
        return " ".join(str(each) for each in value.values())
    return ", ".join(map(str, value)) if isinstance(value, (list, tuple)) else str(value)
