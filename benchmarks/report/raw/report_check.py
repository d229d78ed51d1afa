"""Whether the content of a report.json has the types and the sizes that figures can be computed from."""

from collections.abc import Mapping
from typing import Any

from edgeport.benchmarks.report.raw.record import Report
from edgeport.runtime.files.json_schema import problem_of

_DATASET = {"name": str, "split": str, "count": int, "sha256": str, "labels": list[str]}


def problem_in(content: Mapping[str, Any]) -> str:
    """Return what is wrong with the content of a report.json, and where; empty if nothing is.

    Args:
        content: What the file says, without its ``schema``.
    """
    problem = problem_of(content, Report) or _missing_keys(content["dataset"], _DATASET)
    return problem or _wrong_values(content)


def _missing_keys(dataset: Mapping[str, Any], kinds: Mapping[str, Any]) -> str:
    for name, kind in kinds.items():
        if name not in dataset:
            return f"dataset.{name} is missing"
        problem = problem_of(dataset[name], kind, f"dataset.{name}")
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
        return "a reference workload took no time"
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
