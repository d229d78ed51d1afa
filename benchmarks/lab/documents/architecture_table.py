"""The tables of docs/results/architectures.json and keras-files.json: what becomes of each model in each variant."""

import re
from collections.abc import Mapping
from typing import Any

from edgeport.benchmarks.report.renderers.markdown_table import markdown_table

# What a reason says of one model alone: the place of an operator in it, and the figures that it missed a limit by.
_PLACE = re.compile(r" of layer [^:]+(?=:)|[.:]? ?(Node number \d+ .*|Failed for tensor .*)$")
_MISSED = re.compile(r"(max error|SQNR|agreement) [^,]+, expected (?:up to|from) [^;]+")


def keras_files_table(rows: Mapping[str, Mapping[str, Any]]) -> str:
    """Return one row a model and one column a kind of file: the larger error of both formats, or why there is none."""
    outcomes = {
        name: {
            kind: outcome if isinstance(outcome, str) else f"{max(outcome.values()):.0e}"
            for kind, outcome in row.items()
        }
        for name, row in rows.items()
    }
    return architecture_table(outcomes, subject="model")


def architecture_table(outcomes: Mapping[str, Mapping[str, str]], *, subject: str = "architecture") -> str:
    """Return one row an architecture and one column a variant, with the reasons as notes below.

    A variant that was not tried has an empty cell; reasons that differ only in names and figures share a note.
    """
    # In the order of the longest row: a shorter one leaves variants out.
    columns: list[str] = max((list(row) for row in outcomes.values()), key=len, default=[])
    columns += sorted({variant for row in outcomes.values() for variant in row} - set(columns))
    notes: list[str] = []
    rows = [(name, *(_cell(row.get(variant, ""), notes) for variant in columns)) for name, row in outcomes.items()]
    table = markdown_table((subject, *columns), rows, left=range(len(columns) + 1))
    listed = "".join(f"{number}. {note}\n" for number, note in enumerate(notes, 1))
    return f"{table}\n{listed}" if notes else table


def _cell(outcome: str, notes: list[str]) -> str:
    if " " not in outcome:
        return outcome
    note = _MISSED.sub(r"\1 misses its limit", _PLACE.sub("", outcome))
    if note not in notes:
        notes.append(note)
    return f"no ({notes.index(note) + 1})"
