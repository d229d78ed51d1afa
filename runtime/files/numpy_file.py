"""Arrays in .npy and .npz files that somebody else has made: nothing is unpickled, and damage is one line."""

import zipfile
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from edgeport.runtime.errors import InputError
from edgeport.runtime.files.plain_file import open_plain
from edgeport.runtime.files.unpacking import check_unpacked

# Larger than any memory that it could be read into.
_MOST_BYTES = 1 << 42
# NotImplementedError and RuntimeError: a compression or encryption that zipfile does not know.
_UNREADABLE = (
    OSError, ValueError, TypeError, EOFError, MemoryError, NotImplementedError, RuntimeError, SyntaxError,
    zipfile.BadZipFile, zlib.error,
)  # fmt: skip


def read_npz(path: Path) -> dict[str, npt.NDArray[Any]]:
    """Return the arrays of a .npz file by name; raises InputError if it cannot be read."""
    loaded = _loaded(path, "a .npz file of plain arrays")
    arrays = dict(loaded) if isinstance(loaded, dict) else {}
    if not all(isinstance(array, np.ndarray) for array in arrays.values()):
        raise InputError(f"cannot read {path}: it holds something else than arrays, expected what numpy.savez writes")
    return arrays


def read_npy(path: Path) -> npt.NDArray[Any]:
    """Return the array of a .npy file; raises InputError if it cannot be read."""
    loaded = _loaded(path, "a .npy file of a plain array")
    if not isinstance(loaded, np.ndarray):
        raise InputError(f"cannot read {path}: expected one array, as numpy.save writes it")
    return loaded


def _loaded(path: Path, expected: str) -> Any:
    """Return the array in a file, or a dictionary of all that an archive holds."""
    with open_plain(path, most=_MOST_BYTES, error=InputError) as file:
        check_unpacked(file, named=str(path), size=path.stat().st_size, error=InputError)
        try:
            loaded = np.load(file, allow_pickle=False)
            return dict(loaded) if isinstance(loaded, np.lib.npyio.NpzFile) else loaded
        except InputError:
            raise
        except _UNREADABLE as error:
            reason = " ".join(str(error).split())
            if "allow_pickle" in reason:
                # numpy's advice is to unpickle it, which would run whatever it holds.
                objects = "Object arrays" in reason
                reason = "it holds Python objects" if objects else "it does not begin as one"
            raise InputError(f"cannot read {path}: damaged, or not {expected} ({reason})") from error
