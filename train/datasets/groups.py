"""Which samples belong together, as the windows of one recording or the pictures of one person do."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from edgeport.runtime.errors import InputError
from edgeport.runtime.files.numpy_file import read_npy
from edgeport.runtime.files.plain_file import read_plain
from edgeport.runtime.samples.array_names import ALL
from edgeport.train.datasets.data import Data, Part

_FILES = (".npy", ".txt", ".csv")
_MOST = 1 << 28


def is_file_of_groups(source: str) -> bool:
    """Return whether a source of groups is a file of its own, not a column or an array of the data."""
    return Path(source).suffix.lower() in _FILES


def with_groups(data: Data, source: str) -> Data:
    """Return data whose samples have groups: those that were read with them, or of a file of its own.

    Args:
        data: Samples.
        source: ``FILE.npy`` with an array (n,), or a text file with a line for each sample of the test part, or of all
            samples if nobody has divided them; else the name of the column or array that was read.

    Raises:
        InputError: There are no groups, or not one for each sample.
    """
    if not is_file_of_groups(source):
        if any(part.groups is None for name, part in data.parts.items() if name in (ALL, "test")):
            raise InputError(
                f"--group-by: got {source}, and {data.name} has no such column or array (FILE.csv and FILE.npz have): "
                "expected FILE.npy or FILE.txt, a group for each sample"
            )
        return replace(data, parts={name: _checked(part, source) for name, part in data.parts.items()})
    name = next((each for each in ("test", ALL) if each in data.parts), None)
    groups = _read(source)
    if name is None or len(groups) != len(data.parts[name]):
        count = 0 if name is None else len(data.parts[name])
        raise InputError(f"--group-by: got {len(groups)} groups in {source}, expected {count}, one for each sample")
    return replace(data, parts={**data.parts, name: _checked(replace(data.parts[name], groups=groups), source)})


def _read(source: str) -> npt.NDArray[Any]:
    path = Path(source)
    if path.suffix.lower() == ".npy":
        return read_npy(path)
    lines = read_plain(source, most=_MOST, error=InputError).decode("utf-8-sig", "replace").splitlines()
    return np.array([line.strip() for line in lines if line.strip()])


def _checked(part: Part, source: str) -> Part:
    """Return a part whose groups are an axis of names or numbers."""
    if part.groups is None:
        return part
    groups = part.groups.reshape(-1) if part.groups.size == len(part.groups) else part.groups
    known = groups.dtype.kind in "iubUS" or (groups.dtype.kind == "f" and np.isfinite(groups).all())
    if groups.ndim != 1 or not known:
        raise InputError(
            f"--group-by: got {source} of {groups.dtype} {groups.shape}, expected a name or a number a sample (n,)"
        )
    return replace(part, groups=groups)
