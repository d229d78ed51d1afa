"""What came out, as one JSON file and as text."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from itertools import groupby
from pathlib import Path
from typing import Any

from comparison import Compared, Selftest

KIND = "same answers"
SCHEMA = 1


@dataclass(frozen=True)
class Report:
    """Everything that was compared.

    Attributes:
        qemu: QEMU's version.
        digits: Which were used: data set, split, count and SHA-256 of the pixels.
        model: Its name, and the SHA-256 of each artefact.
        compared: Engines on other CPUs beside themselves on this machine.
        between_engines: On this machine, tflite-runtime (``engine``) beside ai-edge-litert. No promise is made of it.
        selftests: What the bundles' own selftests said.
        broken: What does not hold, one line each.
    """

    qemu: str
    digits: dict[str, Any]
    model: dict[str, Any]
    compared: tuple[Compared, ...]
    between_engines: tuple[Compared, ...]
    selftests: tuple[Selftest, ...]
    broken: tuple[str, ...]


def report_text(report: Report) -> str:
    """Return the content of the JSON file, with a line for each comparison, so that changes show in a diff."""
    facts = {"kind": KIND, "schema": SCHEMA, "passed": not report.broken, **asdict(report)}
    lists = ("compared", "between_engines", "selftests")
    text = json.dumps({**facts, **{name: f"@{name}@" for name in lists}}, indent=1)
    for name in lists:
        rows = ",\n".join(f"  {json.dumps(row)}" for row in facts[name])
        text = text.replace(f'"@{name}@"', f"[\n{rows}\n ]")
    return text + "\n"


def write_report(report: Report, path: Path) -> None:
    """Write the JSON file, whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.partial")
    partial.write_text(report_text(report), "utf-8")
    partial.replace(path)


def table(report: Report) -> str:
    """Return the comparisons as text: one line for an artefact in an engine on a CPU."""
    lines = []
    for (system, engine, version), rows in groupby(
        report.compared, key=lambda each: (each.system, each.engine, each.version)
    ):
        lines.append(f"{system}, {engine} {version}")
        lines += [_line(each, each.cpu) for each in rows]
    return "\n".join([*lines, *_between(report.between_engines), *_selftests(report.selftests)])


def _between(rows: Sequence[Compared]) -> list[str]:
    return ["tflite-runtime beside ai-edge-litert, both here (no promise)", *(_line(each, "native") for each in rows)]


def _selftests(rows: Sequence[Selftest]) -> list[str]:
    counts = {status: sum(row.status == status for row in rows) for status in ("passed", "failed")}
    return [f"selftests: {counts['passed']} passed, {counts['failed']} failed"]


def _line(each: Compared, where: str) -> str:
    found = each.difference
    return (
        f"  {where:<11} {each.file:<22} {found.rows} rows, {found.rows_different:>3} differ, "
        f"by {found.largest_difference:<8.2g} {found.labels_changed} classes changed"
    )
