"""The table of docs/results/repaired-models.json: what brings the answers of each model back, and for what."""

from collections.abc import Mapping, Sequence
from typing import Any

from edgeport.benchmarks.report.renderers.markdown_table import markdown_table

_PLAIN = ("plain int8", "int8")


def repaired_table(rows: Sequence[Mapping[str, Any]]) -> str:
    """Return a row for each model and format."""
    heads = (
        "model", "format", "less than", "int8 loses", "delivered", "loses", "in floats", "MACs", "kB", "int8, kB",
        "float32, kB", "files", "minutes",
    )  # fmt: skip
    return markdown_table(heads, [_row(row) for row in rows], left=(0, 1, 2, 4))


def _row(row: Mapping[str, Any]) -> tuple[str, ...]:
    uppers, sizes, enough = row["uppers"], row["bytes"], row["enough"]
    before = next((uppers[name] for name in _PLAIN if name in uppers), None)
    share = "" if row["macs_in_floats"] is None else f"{row['macs_in_floats']:.1%}"
    counted = f"{len(set(row['in_floats']) - {'inputs and outputs'})} of {row['layers']}" if row["layers"] else "0"
    return (
        row["model"],
        row["format"],
        row["measure"],
        "" if before is None else f"{before:.3g}",
        enough or "none",
        f"{uppers[enough or 'mixed']:.3g}",
        counted,
        share,
        *(f"{sizes[name] / 1000:,.0f}" if name in sizes else "" for name in (enough, "int8", "float32")),
        f"{row['files']}",
        f"{row['seconds'] / 60:.1f}",
    )
