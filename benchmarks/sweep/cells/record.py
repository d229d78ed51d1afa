"""What a cell has left in its folder, read back: damage is reported and never taken for a result."""

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
    try:
        whole = (
            all(isinstance(content[key], str) for key in ("model", "recipe"))
            and all(_is_count(content[key]) for key in ("seed", "parameters"))
            and bool(content["contenders"])
            and all(_is_candidate(each) for each in content["contenders"])
        )
    except (KeyError, TypeError):
        whole = False
    if not whole:
        raise _damaged(path, "it lacks a part of the result")
    return content


def _is_candidate(content: Mapping[str, Any]) -> bool:
    scores = [content["validation"], *([content["test"]] if "test" in content else [])]
    return (
        all(isinstance(content[key], str) for key in _TEXTS)
        and _is_count(content["bytes"])
        and all(_is_count(each["correct"]) and _is_count(each["count"]) and each["count"] > 0 for each in scores)
    )


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
