"""Why it is slow: time by operator, in sentences, and how near it comes to what the processor can do."""

import math
import xml.etree.ElementTree as ET
from collections.abc import Mapping, Sequence
from typing import Any

from edgeport.benchmarks.report.findings import Findings
from edgeport.benchmarks.report.html_elements import Child, Column, folded, listed, paragraph, table
from edgeport.benchmarks.report.html_page import Place
from edgeport.benchmarks.report.svg_bars import Bar, draw_bars
from edgeport.benchmarks.report.svg_drawing import chart, colour_class
from edgeport.benchmarks.report.words import DASH, THIN, amount, counted, figures, percent

# The rest of a large model's operators is one bar.
_MOST_BARS = 24
_ACCELERATED = ("xnnpack", "mlas")

Operator = Mapping[str, Any]


def profiles(findings: Findings, place: Place) -> ET.Element | None:
    """Return the section; None if nothing was profiled."""
    found = {file: each for file, each in findings.report.profiles.items() if isinstance(each, Mapping)}
    if not found:
        return None
    parts = (_profile(findings, place, index, file, each) for index, (file, each) in enumerate(found.items()))
    return place.section("profile", "Time by operator", *parts)


def _profile(findings: Findings, place: Place, index: int, file: str, profile: Mapping[str, Any]) -> ET.Element:
    subject = next((each for each in findings.subjects if each.measured.file == file), None)
    operators = [each for each in _list(profile.get("operators")) if isinstance(each, Mapping)]
    name = subject.name if subject else file
    engine = " ".join(_plain(profile[key]) for key in ("engine", "version") if profile.get(key))
    took = _number(profile.get("whole_us")) or sum(_number(each.get("us")) for each in operators)
    sentences = [str(each) for each in _list(profile.get("sentences"))]
    class_ = colour_class(subject.measured.format) if subject else "c-other"
    words = f"{amount(took)}{THIN}\u00b5s a call, {counted(len(operators), 'operator')}"
    return folded(
        f"{name}{f' ({engine})' if engine else ''}: {words}",
        listed(sentences) if sentences else None,
        paragraph(str(profile["method"])) if profile.get("method") else None,
        _bars(operators, class_, f"{place.prefix}profile-{index}", name) if operators else None,
        folded("All operators as a table", _operators(operators, name)) if operators else None,
        _roofline(profile.get("roofline"), name),
        opened=not index,
    )


def _bars(operators: Sequence[Operator], class_: str, identifier: str, name: str) -> ET.Element:
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
            piece = (took, class_ if _accelerated(each) else f"{class_} fallback")
            bars.append(Bar(f"{each.get('type', '')} {each.get('name', '')}".strip(), (piece,), _note(took, total)))
    if rest:
        others = counted(len(rest), "shorter operator")
        bars.append(Bar(others, ((sum(rest), class_),), _note(sum(rest), total)))
    words = "; ".join(f"{bar.name}: {bar.note}" for bar in bars)
    title = f"Time by operator of {name}"
    pale = any(not _accelerated(each) for each in operators)
    return chart(
        lambda width, at: draw_bars(bars, width, at, title=title, axis="\u00b5s a call", words=words),
        identifier,
        f"In the order of the graph.{' Pale bars ran outside the accelerated kernels.' if pale else ''}",
    )


def _note(took: float, total: float) -> str:
    return f"{amount(took)}{THIN}\u00b5s, {percent(took / total, decimals=0)}{THIN}%"


def _operators(operators: Sequence[Operator], name: str) -> ET.Element:
    columns = [
        Column("operator", numeric=False),
        Column("type", numeric=False),
        Column("ran in", numeric=False),
        Column("values", numeric=False),
        Column("time", unit="\u00b5s"),
        Column("share", unit="%"),
        Column("MACs"),
    ]
    rows: list[list[Child]] = [
        [
            str(each.get("name", "")),
            str(each.get("type", "")),
            _plain(each.get("where", DASH)),
            str(each.get("dtype") or DASH),
            amount(_number(each.get("us"))),
            percent(_number(each.get("share")), decimals=1) if each.get("share") is not None else DASH,
            f"{_number(each.get('macs')):,.0f}" if each.get("macs") else DASH,
        ]
        for each in operators
    ]
    return table(f"Operators of {name}, in the order of the graph", columns, rows)


def _roofline(roofline: Any, name: str) -> Child:
    """Return the facts of the roofline, whatever they are."""
    if not isinstance(roofline, Mapping) or not roofline:
        return None
    rows: list[list[Child]] = [[_spelled(key), _value(key, value)] for key, value in roofline.items()]
    columns = [Column("roofline", numeric=False), Column("value")]
    return table(f"What {name} gets out of this processor", columns, rows, class_="compact")


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
    """Return whether an operator ran in the kernels made for this kind of processor, or its profile does not tell."""
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
