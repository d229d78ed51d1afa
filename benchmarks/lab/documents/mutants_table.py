"""The table of docs/results/mutants.json: what became of damaged artefacts."""

from collections import Counter
from collections.abc import Mapping
from typing import Any

_FOREIGN = ("refused", "runs", "crashed", "timed out", "too much memory")


def is_mutants(content: Mapping[str, Any]) -> bool:
    """Whether a result file is one of tests/robustness/mutants.py."""
    return "mutants" in content


def mutants_table(content: Mapping[str, Any]) -> str:
    """Return one row for each artefact in each engine.

    Args:
        content: The result file.
    """
    heads = ("artefact", "engine", "ours: refused", *(f"foreign: {outcome}" for outcome in _FOREIGN))
    lines = [_line(heads), _line([":--", ":--", *["--:"] * (len(heads) - 2)])]
    totals = {
        (row["file"], f"{row['engine']} {row['engine_version']}", row["origin"]): sum(
            map(Counter, row["outcomes"].values()), Counter[str]()
        )
        for row in content["rows"]
    }
    for (file, engine, origin), sealed in totals.items():
        if origin == "sealed":
            foreign = totals[file, engine, "foreign"]
            ours = f"{sealed['refused']:,} of {sum(sealed.values()):,}"
            lines.append(_line([file, engine, ours, *(f"{foreign[outcome]:,}" for outcome in _FOREIGN)]))
    return "\n".join(lines) + "\n"


def _line(cells: Any) -> str:
    return f"| {' | '.join(cells)} |"
