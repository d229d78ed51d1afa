"""The table of docs/results/mutants.json: what became of damaged artefacts."""

from collections import Counter
from collections.abc import Mapping
from typing import Any

from edgeport.benchmarks.report.renderers.markdown_table import markdown_table

_FOREIGN = ("refused", "runs", "crashed", "timed out", "too much memory")


def mutants_table(content: Mapping[str, Any]) -> str:
    """Return one row for each artefact in each engine.

    Args:
        content: The result file of tests/robustness/mutants.py.
    """
    totals = {
        (row["file"], f"{row['engine']} {row['engine_version']}", row["origin"]): sum(
            map(Counter, row["outcomes"].values()), Counter[str]()
        )
        for row in content["rows"]
    }
    rows = []
    for (file, engine, origin), sealed in totals.items():
        if origin == "sealed":
            foreign = totals[file, engine, "foreign"]
            ours = f"{sealed['refused']:,} of {sum(sealed.values()):,}"
            rows.append((file, engine, ours, *(f"{foreign[outcome]:,}" for outcome in _FOREIGN)))
    heads = ("artefact", "engine", "ours: refused", *(f"foreign: {outcome}" for outcome in _FOREIGN))
    return markdown_table(heads, rows, left=(0, 1))
