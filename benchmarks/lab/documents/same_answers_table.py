"""The table of docs/results/test-pi.json: what the engines answer on a Pi's CPU beside what they answer on a PC."""

from collections.abc import Iterable, Mapping, Sequence
from itertools import groupby
from typing import Any

from edgeport.benchmarks.report.renderers.markdown_table import markdown_table
from edgeport.runtime.artefact.precisions import is_in_integers

_HEAD = ("system", "CPU", "engine", "integer rows", "differ", "float rows", "by at most", "classes changed", "selftest")


def same_answers_table(report: Mapping[str, Any]) -> str:
    """Return one row for each engine on each CPU.

    Args:
        report: The content of the result file, written by tests/pi/run.py.
    """
    lines = []
    for key, group in groupby(report["compared"], key=_key):
        rows = list(group)
        selftests = [check for check in report["selftests"] if _key(check) == key and check["status"] != "skipped"]
        lines.append(_cells(rows, selftests))
    return markdown_table(_HEAD, lines, left=(0, 1, 2))


def _key(row: Mapping[str, Any]) -> tuple[str, str, str]:
    return row["system"], row["cpu"], row["engine"]


def _cells(rows: Sequence[Mapping[str, Any]], selftests: Sequence[Mapping[str, Any]]) -> list[str]:
    system, cpu, engine = _key(rows[0])
    python = rows[0]["python"].rpartition(".")[0]
    integer = [row["difference"] for row in rows if is_in_integers(row["precision"])]
    real = [row["difference"] for row in rows if not is_in_integers(row["precision"])]
    passed = sum(check["status"] == "passed" for check in selftests)
    return [
        f"{system}, Python {python}",
        cpu,
        f"{engine} {rows[0]['version']}",
        f"{_sum(integer, 'rows'):,}",
        f"{_sum(integer, 'rows_different'):,}",
        f"{_sum(real, 'rows'):,}",
        f"{max((each['largest_difference'] for each in real), default=0):.1e}",
        f"{_sum([*integer, *real], 'labels_changed'):,}",
        f"{passed} of {len(selftests)}",
    ]


def _sum(differences: Iterable[Mapping[str, Any]], name: str) -> int:
    return sum(each[name] for each in differences)
