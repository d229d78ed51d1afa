"""Answers that are a row of numbers: classes, labels, yes or no, values, and whatever else."""

from collections.abc import Sequence

import numpy as np

from edgeport.runtime.artefact.contract import Output
from edgeport.runtime.prediction.showing.shown import Choices, Shown, column_names, number, summary_of, with_values
from edgeport.runtime.tensors.arrays import Tensor

# What float16 leaves of a sum of 1.
_SLACK = 1e-6


def show_classes(values: Tensor, port: Output, choices: Choices) -> Shown:
    """Show the class with the best score and those behind it, or the classes that numbers stand for."""
    if values.dtype.kind in "iub":
        found = [name_of(each, port.columns) for each in values.ravel().tolist()]
        one_or_all = found[0] if len(found) == 1 else found
        return with_values(Shown((", ".join(found),), {"kind": "classes", "label": one_or_all}), values)
    row = values.ravel()
    order = np.argsort(-row, kind="stable").tolist()
    names = column_names(port.columns, row.size)
    # A file that does not say what its scores are shows them as what they look like.
    shares = port.ending in ("softmax", "sigmoid") or (not port.ending and _are_shares(row))
    best = [(names[place], float(row[place])) for place in order]
    key = "probabilities" if shares else "scores"
    facts: dict[str, object] = {"kind": "classes", "label": best[0][0], key: dict(best)}
    return Shown((_ranked(best[: choices.top], ".1%" if shares else ".4g"),), facts)


def show_labels(values: Tensor, port: Output, choices: Choices) -> Shown:
    """Show the labels over the threshold, the most probable first."""
    row = values.ravel()
    names = column_names(port.columns, row.size)
    order = np.argsort(-row, kind="stable").tolist()
    found = [place for place in order if row[place] >= choices.threshold]
    text = ", ".join(f"{names[place]}  {row[place]:.1%}" for place in found)
    if not found:
        text = f"none from {choices.threshold:.0%} on   ({names[order[0]]}  {row[order[0]]:.1%})"
    facts = {
        "kind": "labels",
        "labels": [names[place] for place in found],
        "probabilities": {names[place]: float(row[place]) for place in order},
    }
    return Shown((text,), facts)


def show_yes_no(values: Tensor, port: Output, choices: Choices) -> Shown:
    """Show yes or no, under the names that these have."""
    probability = float(values.reshape(()))
    names = port.columns or ("no", "yes")
    both = [(names[0], 1 - probability), (names[1], probability)]
    answer = probability >= choices.threshold
    facts = {"kind": "yes-no", "answer": answer, "label": names[answer], "probability": probability}
    return Shown((_ranked([both[answer], both[not answer]], ".1%"),), facts)


def show_values(values: Tensor, port: Output, choices: Choices) -> Shown:
    """Show real values with their names and units."""
    columns = values.shape[-1] if values.ndim else 1
    facts: dict[str, object] = {"kind": "values"}
    if port.columns:
        facts["columns"] = list(port.columns)
    if port.units:
        facts["units"] = list(port.units)
    rows = values.reshape(-1, columns)
    if len(rows) > 1 or columns > MOST_COLUMNS:
        unit = f" {port.units[0]}" if len(set(port.units)) == 1 else ""
        return with_values(Shown((f"{summary_of(values)}{unit}",), facts), values)
    names = [f"{name} " for name in port.columns] or [""] * columns
    units = [f" {unit}" if unit else "" for unit in port.units] or [""] * columns
    parts = zip(names, rows[0].tolist(), units, strict=True)
    text = ", ".join(f"{name}{number(value)}{unit}" for name, value, unit in parts)
    return with_values(Shown((text,), facts), values)


def show_any(values: Tensor, port: Output, choices: Choices) -> Shown:
    """Show the values themselves, or what many of them are like."""
    return with_values(Shown((summary_of(values),), {"kind": "any"}), values)


def name_of(index: int, columns: Sequence[str]) -> str:
    """Return the name of a class, or its number."""
    return columns[index] if 0 <= index < len(columns) else str(index)


# More of them are summed up in one line.
MOST_COLUMNS = 64


def _are_shares(row: Tensor) -> bool:
    return bool(row.min() >= 0 and row.max() <= 1 + _SLACK)


def _ranked(best: Sequence[tuple[str, float]], style: str) -> str:
    first, *others = (f"{name}  {value:{style}}" for name, value in best)
    return f"{first}   ({', '.join(others)})" if others else first
