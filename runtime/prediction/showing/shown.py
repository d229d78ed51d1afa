"""What is shown of one output for one sample, before it is printed or written."""

import io
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from edgeport.runtime.tensors.arrays import Tensor

# Arrays of more numbers go to files.
MOST_LISTED = 1_000
_MOST_PRINTED = 8


class Shown(NamedTuple):
    """What is shown of one output for one sample.

    Attributes:
        lines: For people; the first stands beside the sample's name.
        facts: For programs, as JSON has it.
        files: What can be written besides: by the key of ``facts`` that its path gets, the end of its name, and what
            makes its bytes.
    """

    lines: Sequence[str]
    facts: Mapping[str, Any]
    files: Mapping[str, tuple[str, Callable[[], bytes]]] = {}


class Choices(NamedTuple):
    """How a user wants answers to be shown.

    Attributes:
        top: How many classes are printed.
        threshold: The probability from which on a label, a yes, a place or a box counts.
    """

    top: int = 3
    threshold: float = 0.5


def with_values(shown: Shown, values: Tensor) -> Shown:
    """Return it with all the numbers: in its facts, or in a file where they are many."""
    facts = {**shown.facts, "shape": list(values.shape), "dtype": str(values.dtype)}
    if values.size <= MOST_LISTED:
        return shown._replace(facts={**facts, "values": values.tolist()})
    facts |= dict(zip(("min", "max", "mean"), _summary(values), strict=True))
    return shown._replace(facts=facts, files={**shown.files, "file": (".npy", lambda: _npy(values))})


def summary_of(values: Tensor) -> str:
    """Return the values in a few words: all of a few, what many are like."""
    if values.size <= _MOST_PRINTED:
        return ", ".join(number(each) for each in values.ravel().tolist())
    least, largest, mean = _summary(values)
    axes = ", ".join(map(str, values.shape))
    return f"{values.dtype} ({axes})  {number(least)} to {number(largest)}, mean {number(mean)}"


def number(value: Any) -> str:
    """Return a number for people: four digits that count, or all of a whole one."""
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def column_names(columns: Sequence[str], count: int) -> Sequence[str]:
    """Return the names of columns, or their numbers."""
    return columns or tuple(map(str, range(count)))


def _summary(values: Tensor) -> tuple[Any, Any, float]:
    return values.min().item(), values.max().item(), float(values.mean(dtype=np.float64))


def _npy(values: Tensor) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, values, allow_pickle=False)
    return buffer.getvalue()
