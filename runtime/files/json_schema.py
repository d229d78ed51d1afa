"""Values of JSON held against a declared schema, and made into it: the annotations of dataclasses and ``NamedTuple``s.

A file from elsewhere may be cut, edited or written by another program. What is wrong with it must be said as such: who
stumbled over it would end with a traceback, or with the exit code of a verdict.
"""

from collections.abc import Mapping
from dataclasses import MISSING, fields, is_dataclass
from types import UnionType
from typing import Any, get_args, get_origin, get_type_hints

from edgeport.runtime.host.terminal import steers

# What does not fit into 64 bits is no measurement, and no array can hold it. It is more than any NaN, too.
_LARGEST = 2**63
_NONE = type(None)


def problem_of(value: Any, kind: Any, where: str = "", *, strict: bool = True) -> str:
    """Return where a value is not of a kind, and what it is; empty if it is.

    Args:
        value: What JSON has: an object, a list, text, a number, true, false or null.
        kind: A type as annotations have it: a record, ``tuple[int, ...]``, ``Mapping[str, Any]``, ``float | None`` ...
        where: What to call the value.
        strict: Numbers are finite, and texts hold nothing that steers a terminal.
    """
    origin, inner = get_origin(kind), get_args(kind)
    if kind is Any:
        return _problem_of_anything(value, where, strict)
    if _is_record(kind):
        return _problem_of_record(value, kind, where, strict)
    if origin is UnionType:
        problems = [problem_of(value, each, where, strict=strict) for each in inner]
        # Of a record or nothing, what is wrong with the record says more.
        return "" if not all(problems) else next((p for p, k in zip(problems, inner, strict=True) if k is not _NONE))
    if origin in (list, tuple):
        return _problem_of_list(value, inner, where, strict)
    if origin is Mapping:
        if not isinstance(value, dict):
            return _wrong(value, "an object", where)
        if strict and not all(map(_shows, value)):
            return f"{where} has a key that cannot be shown"
        parts = (problem_of(each, inner[1], f"{where}.{key}", strict=strict) for key, each in value.items())
        return next(filter(None, parts), "")
    return _problem_of_scalar(value, kind, where, strict)


def built(value: Any, kind: Any) -> Any:
    """Return a value in which ``problem_of`` finds nothing as what its kind says: records and tuples for JSON's own."""
    origin, inner = get_origin(kind), get_args(kind)
    if _is_record(kind):
        hints = get_type_hints(kind)
        return kind(**{name: built(each, hints[name]) for name, each in value.items()})
    if origin is UnionType:
        return built(value, next(each for each in inner if not problem_of(value, each, strict=False)))
    if origin is tuple:
        kinds = inner[:1] * len(value) if inner[-1] is Ellipsis else inner
        return tuple(built(each, part) for each, part in zip(value, kinds, strict=True))
    if origin is Mapping:
        return {key: built(each, inner[1]) for key, each in value.items()}
    if origin is list and inner[0] is not int:
        return [built(each, inner[0]) for each in value]
    return float(value) if kind is float else value


def _problem_of_list(value: Any, inner: tuple[Any, ...], where: str, strict: bool) -> str:
    if not isinstance(value, list):
        return _wrong(value, "a list", where)
    if inner[0] is int and all(type(each) is int and abs(each) < _LARGEST for each in value):
        kinds: tuple[Any, ...] = ()  # there are a million of them in a file
    else:
        kinds = inner[:1] * len(value) if len(inner) == 1 or inner[1] is Ellipsis else inner
    if len(inner) > 1 and inner[1] is not Ellipsis and len(value) != len(inner):
        return _wrong(value, f"{len(inner)} values", where)
    parts = (
        problem_of(each, kind, f"{where}[{index}]", strict=strict)
        for index, (each, kind) in enumerate(zip(value, kinds, strict=False))
    )
    return next(filter(None, parts), "")


def _problem_of_scalar(value: Any, kind: Any, where: str, strict: bool) -> str:
    # A bool is an int to Python, and a NaN a float to its JSON.
    fits = type(value) in (int, float) if kind is float else type(value) is kind
    if fits and kind in (int, float) and (strict or type(value) is int):
        fits = abs(value) < _LARGEST
    if fits and strict and kind is str and not _shows(value):
        return _wrong(value, "text without control characters", where)
    return "" if fits else _wrong(value, getattr(kind, "__name__", kind), where)


def _problem_of_anything(value: Any, where: str, strict: bool) -> str:
    """Return where a value of JSON holds a number or a text that cannot be shown; empty if it does not."""
    if isinstance(value, dict):
        entries = [(f"{where}.{key}", each) for key, each in value.items()]
        if strict and not all(map(_shows, value)):
            return f"{where} has a key that cannot be shown"
    else:
        entries = [(f"{where}[{index}]", each) for index, each in enumerate(value)] if isinstance(value, list) else []
    if isinstance(value, (int, float)) and (strict or type(value) is int) and not abs(value) < _LARGEST:
        return _wrong(value, "a finite number of 64 bits", where)
    if strict and isinstance(value, str) and not _shows(value):
        return _wrong(value, "text without control characters", where)
    return next(filter(None, (_problem_of_anything(each, place, strict) for place, each in entries)), "")


def _problem_of_record(value: Any, kind: Any, where: str, strict: bool) -> str:
    if not isinstance(value, dict):
        return _wrong(value, "an object", where)
    kinds = get_type_hints(kind)
    prefix = f"{where}." if where else ""
    needed = _needed(kind)
    for name in kinds:
        if name in value:
            problem = problem_of(value[name], kinds[name], prefix + name, strict=strict)
            if problem:
                return problem
        elif name in needed:
            return f"{prefix}{name} is missing"
    return next((f"{prefix}{name} is not known" for name in value if name not in kinds), "")


def _is_record(kind: Any) -> bool:
    return isinstance(kind, type) and (is_dataclass(kind) or (issubclass(kind, tuple) and hasattr(kind, "_fields")))


def _needed(kind: Any) -> set[str]:
    """Return the names of a record's fields that have no default."""
    if is_dataclass(kind):
        return {each.name for each in fields(kind) if each.default is MISSING and each.default_factory is MISSING}
    return set(kind._fields) - set(kind._field_defaults)


def _shows(text: str) -> bool:
    """Whether a text can be printed: one from elsewhere could clear a terminal, or hold half a character."""
    return not steers(text)


def _wrong(value: Any, expected: Any, where: str) -> str:
    shown = repr(value)
    return f"{where}: got {shown if len(shown) <= 40 else shown[:37] + '...'}, expected {expected}"
