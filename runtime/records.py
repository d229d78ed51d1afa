"""The records of the runtime as plain values, as JSON has them.

What every start of the runtime needs is a ``NamedTuple`` and no dataclass: to define a dataclass takes several times as
long, and every start of a program on a small computer waits for it.
"""

from collections.abc import Mapping
from typing import Any


def to_plain(value: Any) -> Any:
    """Return a value with every ``NamedTuple`` in it, however deep, as a dictionary."""
    if isinstance(value, Mapping):
        return {key: to_plain(each) for key, each in value.items()}
    if hasattr(value, "_asdict"):
        return to_plain(value._asdict())
    return [to_plain(each) for each in value] if isinstance(value, (tuple, list)) else value
