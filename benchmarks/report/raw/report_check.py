"""Whether the content of a report.json has the types and the sizes that figures can be computed from."""

from collections.abc import Mapping
from typing import Any

from edgeport.benchmarks.report.raw.packed import Packed
from edgeport.benchmarks.report.raw.record import Report
from edgeport.benchmarks.tasks.answers import ANSWERS
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
    judged = content.get("judged", [])
    count = content["dataset"]["count"] if judged else len(content["truth"])
    if not content["artefacts"]:
        return "it measured nothing"
    if count < 1 or content["dataset"]["count"] != count:
        return f"{count} true classes for {content['dataset']['count']} images"
    if len(content.get("groups", ())) not in (0, count) or min(content.get("groups") or [0]) < 0:
        return "its groups are not those of its samples"
    problem = _wrong_arrays(content, judged, count)
    if problem:
        return problem
    # A model either chooses a class for each sample, or has answers of another kind.
    count = 0 if judged else count
    if any(not {"file", "reason"} <= entry.keys() for entry in content.get("skipped", ())):
        return "what was skipped lacks its file or its reason"
    if any(condition["yardstick_ns"] < 1 for condition in content.get("conditions", ())):
        return "a reference workload took no time"
    files = [entry["file"] for entry in content["artefacts"]]
    if len(set(files)) < len(files):
        return "two artefacts have the same file name"
    for entry in content["artefacts"]:
        if entry.get("same_as") and (
            entry["same_as"] not in files or not {"name", "version"} <= entry["engine"].keys()
        ):
            return f"{entry['file']} is under another engine without a name, or under that of a file that is not there"
    return next(filter(None, (_wrong_measurement(entry, count) for entry in content["artefacts"])), "")


def _wrong_arrays(content: Mapping[str, Any], judged: list[Mapping[str, Any]], count: int) -> str:
    """Return which array is damaged, or is not of these samples."""
    unknown = [each["task"] for each in judged if each["task"] not in ANSWERS]
    if unknown:
        return f"an output means {unknown[0]}, which is unknown"
    targets = [(f"the targets of {each['name']}", each["targets"]) for each in judged if each.get("targets")]
    answers = [
        (f"answers of {entry['file']}", each) for entry in content["artefacts"] for each in entry.get("answers", ())
    ]
    if any(len(entry.get("answers", ())) != len(judged) for entry in content["artefacts"]):
        return "an artefact has other outputs than are judged"
    for what, each in (*targets, *answers):
        try:
            array = Packed(each["dtype"], tuple(each["shape"]), each["data"]).array
        except ValueError as error:
            return f"{what}: {error}"
        if array.shape[:1] != (count,):
            return f"{what} are not one for each of {count} samples"
    return ""


def _wrong_measurement(entry: Mapping[str, Any], count: int) -> str:
    for name in ("predictions", "confidence_ppm"):
        if len(entry[name]) != count:
            return f"{entry['file']} has {len(entry[name])} {name} for {count} images"
    for series in entry.get("series", ()):
        if not series["launches"] or not all(series["launches"]):
            return f"{entry['file']} has a series or a process without a timed call"
        if any(min(launch) < 1 for launch in series["launches"]):
            return f"a call of {entry['file']} took no time"
    return ""
