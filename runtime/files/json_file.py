"""The one way to read JSON that may come from elsewhere: a plain file of bounded size and depth. Records as JSON."""

import json
import os
from collections.abc import Mapping
from typing import Any

from edgeport.runtime.errors import ArtefactError, EdgeportError
from edgeport.runtime.files.plain_file import MOST_JSON, read_plain

# Ours have up to ten levels; what walks through a value calls itself once a level.
_DEEPEST = 64


def read_json(
    path: str | os.PathLike[str], *, hint: str, most: int = MOST_JSON, error: type[EdgeportError] = ArtefactError
) -> Any:
    """Return what a JSON file holds.

    Args:
        path: The file.
        hint: What to do about a damaged one.
        most: How many bytes it has, at most.
        error: What to raise.

    Raises:
        EdgeportError: Of the type ``error``: it cannot be read, is no JSON, or is nested too deep.
    """
    content = read_plain(path, most=most, error=error)
    try:
        return parse_json(content)
    except ValueError as problem:
        raise error(f"{os.fspath(path)} is damaged ({problem}): {hint}") from problem


def parse_json(content: bytes) -> Any:
    """Return what JSON text holds; raises ValueError if it is none, nested too deep, or has two values of one name."""
    too_deep = f"it is nested more than {_DEEPEST} deep"
    try:
        value = json.loads(content, object_pairs_hook=_object)
    except RecursionError:
        raise ValueError(too_deep) from None
    level = [value]
    for _ in range(_DEEPEST):
        level = [
            part
            for each in level
            for part in (each.values() if isinstance(each, dict) else each if isinstance(each, list) else ())
            if isinstance(part, (dict, list))
        ]
        if not level:
            return value
    raise ValueError(too_deep)


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"it has two values of the name {twice[:64]!r}")
    return found


def to_plain(value: Any) -> Any:
    """Return a value with every ``NamedTuple`` in it, however deep, as a dictionary."""
    if isinstance(value, Mapping):
        return {key: to_plain(each) for key, each in value.items()}
    if hasattr(value, "_asdict"):
        return to_plain(value._asdict())
    return [to_plain(each) for each in value] if isinstance(value, (tuple, list)) else value
