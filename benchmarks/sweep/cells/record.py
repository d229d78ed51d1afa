"""What a cell has left in its folder, read back: damage is reported and never taken for a result."""

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from edgeport.benchmarks.sweep.cells.cell import IDENTITY, RECORD
from edgeport.runtime.errors import InputError
from edgeport.runtime.files.json_file import read_json

SCHEMA = 1
_TEXTS = ("format", "precision", "file", "sha256")


def read_identity(folder: Path) -> dict[str, Any] | None:
    """Return what a cell was begun as; None if it was not. Raises InputError if the file is damaged."""
    path = folder / IDENTITY
    content = _read(path)
    if content is not None and not isinstance(content.get("recipe"), dict):
        raise _damaged(path, "it has no recipe")
    return content


def read_record(folder: Path) -> dict[str, Any] | None:
    """Return what came of a cell; None if it has not ended. Raises InputError if the file is damaged."""
    path = folder / RECORD
    content = _read(path)
    if content is None:
        return None
    if content.get("schema") != SCHEMA:
        raise _damaged(path, f"its schema is {content.get('schema')!r}, expected {SCHEMA}")
    # Where anomalies are looked for, the validation samples may all be normal, which no metric can judge.
    least = "test" if _task(content) == "anomaly" else "validation"
    try:
        whole = (
            all(isinstance(content[key], str) for key in ("model", "recipe"))
            and all(_is_count(content[key]) for key in ("seed", "parameters"))
            and bool(content["contenders"])
            and all(_is_candidate(each, least=least) for each in content["contenders"])
        )
    except (KeyError, TypeError):
        whole = False
    if not whole:
        raise _damaged(path, "it lacks a part of the result")
    return content


def _task(content: Mapping[str, Any]) -> Any:
    metric = content.get("metric")
    return metric.get("task") if isinstance(metric, dict) else None


def _is_candidate(content: Mapping[str, Any], *, least: str) -> bool:
    scores = [content[split] for split in ("validation", "test") if split == least or split in content]
    return (
        all(isinstance(content[key], str) for key in _TEXTS)
        and _is_count(content["bytes"])
        and all(_is_score(each) and _is_count(each["count"]) and each["count"] > 0 for each in scores)
    )


def _is_score(score: Mapping[str, Any]) -> bool:
    """Return whether a score is a count of right answers, or the figure of a metric."""
    if "figure" in score:
        return isinstance(score["figure"], float) and math.isfinite(score["figure"])
    return _is_count(score["correct"])


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def _read(path: Path) -> dict[str, Any] | None:
    if not path.exists():
        return None
    content = read_json(path, hint=f"remove the folder {path.parent}", error=InputError)
    if not isinstance(content, dict):
        raise _damaged(path, f"it holds {type(content).__name__}, expected an object")
    return content


def _damaged(path: Path, why: str) -> InputError:
    return InputError(f"{path} is damaged ({why}): remove the folder {path.parent}")
