"""Folders that are made once: whole or not at all, and again only when what they are made from has changed."""

import shutil
from collections.abc import Callable
from pathlib import Path

_STAMP = "made-from"


def made_once(folder: Path, key: str, make: Callable[[Path], None]) -> Path:
    """Return ``folder``, made by ``make`` unless it is there already, made from the same ``key``.

    Args:
        folder: The folder; its name without an extension.
        key: What it is made from, on one line.
        make: Fills the existing, empty folder that it is given, which gets its name when it is full.
    """
    stamp = folder / _STAMP
    if stamp.exists() and stamp.read_text("utf-8") == key:
        return folder
    partial = folder.with_name(f"{folder.name}.partial")
    for old in (partial, folder):
        shutil.rmtree(old, ignore_errors=True)
    partial.mkdir(parents=True)
    make(partial)
    (partial / _STAMP).write_text(key, "utf-8")
    partial.rename(folder)
    return folder
