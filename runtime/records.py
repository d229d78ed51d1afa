"""The records of the runtime as plain values, as JSON has them.

What every start of the runtime needs is a ``NamedTuple`` and no dataclass: to define one takes a seventh of the time,
and on a small computer the records of the runtime would be a tenth of the way to the first prediction.
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
