"""What a Keras file was compiled with, read from its configuration alone: nothing of it is opened or run."""

import io
import json
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

_MOST_BYTES = 64 << 20
_NAMES = ("loss", "metrics", "weighted_metrics")


def compiled_metrics(path: Path) -> tuple[str, ...]:
    """Return the loss and the metrics that a ``.keras`` file was compiled with, named as ``--metric`` takes them.

    Args:
        path: The file; one of another kind, or damaged, has none.
    """
    try:
        with zipfile.ZipFile(path) as archive, archive.open("config.json") as entry:
            content = entry.read(_MOST_BYTES + 1)
        configuration = json.load(io.BytesIO(content)).get("compile_config") or {}
        names = [name for key in _NAMES for name in _names(configuration.get(key))]
    except (
        OSError,
        KeyError,
        ValueError,
        AttributeError,
        RuntimeError,
        RecursionError,
        zipfile.BadZipFile,
        zlib.error,
    ):
        # Whether the file is a sound one is for those who open it.
        return ()
    return tuple(dict.fromkeys(f"keras:{name}" for name in names if name.isidentifier()))


def _names(value: Any) -> Iterator[str]:
    """Yield the names in a part of the configuration: text, or Keras' own objects, in lists and dictionaries."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, list):
        for each in value:
            yield from _names(each)
    elif isinstance(value, dict) and "class_name" in value:
        own = str(value.get("module") or "").partition(".")[0] in ("keras", "builtins") and not value.get(
            "registered_name"
        )
        name = value.get("config") if value["class_name"] == "function" else value["class_name"]
        if own and isinstance(name, str):
            yield name
    elif isinstance(value, dict):
        for each in value.values():
            yield from _names(each)
