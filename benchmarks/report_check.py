"""Whether the content of a report.json has the types and the sizes that figures can be computed from.

A file from elsewhere may be cut, edited or written by another program. What is wrong with it must be told as such: a
comparison that stumbled over it would end with the exit code of a regression.
"""

import unicodedata
from collections.abc import Mapping
from dataclasses import MISSING, fields, is_dataclass
from types import UnionType
from typing import Any, get_args, get_origin, get_type_hints

from edgeport.benchmarks.report import Report

# What does not fit into 64 bits is no measurement, and no array can hold it. It is more than any NaN, too.
_LARGEST = 2**63
_DATASET = {"name": str, "split": str, "count": int, "sha256": str, "labels": list[str]}


def problem_in(content: Mapping[str, Any]) -> str:
    """Return what is wrong with the content of a report.json, and where; empty if nothing is.

    Args:
        content: What the file says, without its ``schema``.
    """
    problem = _mismatch(content, Report, "") or _missing_keys(content["dataset"], _DATASET)
    return problem or _wrong_values(content)


def _mismatch(value: Any, kind: Any, where: str) -> str:
    """Return where a value is not of a kind, which is a type as annotations have it; empty if it is."""
    origin, inner = get_origin(kind), get_args(kind)
    if kind is Any:
        return _mismatch_of_anything(value, where)
    if is_dataclass(kind):
        return _mismatch_of_facts(value, kind, where)
    if origin is UnionType:
        return "" if any(not _mismatch(value, each, where) for each in inner) else _wrong(value, kind, where)
    if origin in (list, tuple):
        if not isinstance(value, list):
            return _wrong(value, "a list", where)
        if inner[0] is int and all(type(each) is int and abs(each) < _LARGEST for each in value):
            return ""  # there are a million of them in a file
        problems = (_mismatch(each, inner[0], f"{where}[{index}]") for index, each in enumerate(value))
        return next(filter(None, problems), "")
    if origin is Mapping:
        if not isinstance(value, dict):
            return _wrong(value, "an object", where)
        return next(filter(None, (_mismatch(each, inner[1], f"{where}.{key}") for key, each in value.items())), "")
    return _mismatch_of_scalar(value, kind, where)


def _mismatch_of_scalar(value: Any, kind: type, where: str) -> str:
    # A bool is an int to Python, and a NaN a float to its JSON.
    fits = type(value) in (int, float) if kind is float else type(value) is kind
    if fits and kind in (int, float):
        fits = abs(value) < _LARGEST
    if fits and kind is str and not _shows(value):
        return _wrong(value, "text without control characters", where)
    return "" if fits else _wrong(value, getattr(kind, "__name__", kind), where)


def _mismatch_of_anything(value: Any, where: str) -> str:
    """Return where a value of JSON holds a number or a text that cannot be shown; empty if it does not."""
    if isinstance(value, dict):
        entries = [(f"{where}.{key}", each) for key, each in value.items()]
        if not all(map(_shows, value)):
            return f"{where} has a key that cannot be shown"
    else:
        entries = [(f"{where}[{index}]", each) for index, each in enumerate(value)] if isinstance(value, list) else []
    if isinstance(value, (int, float)) and not abs(value) < _LARGEST:
        return _wrong(value, "a finite number of 64 bits", where)
    if isinstance(value, str) and not _shows(value):
        return _wrong(value, "text without control characters", where)
    return next(filter(None, (_mismatch_of_anything(each, place) for place, each in entries)), "")


def _shows(text: str) -> bool:
    """Whether a text can be printed: one from elsewhere could clear a terminal, or hold half a character."""
    return not any(unicodedata.category(character) in ("Cc", "Cs") for character in text)


def _mismatch_of_facts(value: Any, kind: Any, where: str) -> str:
    if not isinstance(value, dict):
        return _wrong(value, "an object", where)
    kinds = get_type_hints(kind)
    prefix = f"{where}." if where else ""
    known = {field.name: field for field in fields(kind)}
    for name, field in known.items():
        if name in value:
            problem = _mismatch(value[name], kinds[name], prefix + name)
            if problem:
                return problem
        elif field.default is MISSING and field.default_factory is MISSING:
            return f"{prefix}{name} is missing"
    return next((f"{prefix}{name} is not known" for name in value if name not in known), "")


def _missing_keys(dataset: Mapping[str, Any], kinds: Mapping[str, Any]) -> str:
    for name, kind in kinds.items():
        if name not in dataset:
            return f"dataset.{name} is missing"
        problem = _mismatch(dataset[name], kind, f"dataset.{name}")
        if problem:
            return problem
    return ""


def _wrong_values(content: Mapping[str, Any]) -> str:
    """Return what no measurement can give, in content whose types are right."""
    count = len(content["truth"])
    if not content["artefacts"]:
        return "it measured nothing"
    if count < 1 or content["dataset"]["count"] != count:
        return f"{count} true classes for {content['dataset']['count']} images"
    if any(not {"file", "reason"} <= entry.keys() for entry in content.get("skipped", ())):
        return "what was skipped lacks its file or its reason"
    if any(condition["yardstick_ns"] < 1 for condition in content.get("conditions", ())):
        return "a yardstick took no time"
    files = [entry["file"] for entry in content["artefacts"]]
    if len(set(files)) < len(files):
        return "two artefacts have the same file name"
    return next(filter(None, (_wrong_measurement(entry, count) for entry in content["artefacts"])), "")


def _wrong_measurement(entry: Mapping[str, Any], count: int) -> str:
    for name in ("predictions", "confidence_ppm"):
        if len(entry[name]) != count:
            return f"{entry['file']} has {len(entry[name])} {name} for {count} images"
    for series in entry.get("series", ()):
        if not series["launches"] or not all(series["launches"]):
            return f"{entry['file']} has a series or a launch without a timed call"
        if any(min(launch) < 1 for launch in series["launches"]):
            return f"a call of {entry['file']} took no time"
    return ""


def _wrong(value: Any, expected: Any, where: str) -> str:
    shown = repr(value)
    return f"{where}: got {shown if len(shown) <= 40 else shown[:37] + '...'}, expected {expected}"
