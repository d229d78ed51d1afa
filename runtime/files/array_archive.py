"""Named arrays in one .npz file: the same arrays give the same bytes, and a damaged file is reported, never trusted."""

import io
import re
import struct
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from edgeport.runtime.errors import ArtefactError
from edgeport.runtime.files.plain_file import read_plain

_LARGEST_FILE = 1 << 30
_SUFFIX = ".npy"
# The header that numpy writes, read without evaluating it. Numbers only: an array of objects would be a pickle.
_HEADER = re.compile(
    rb"\x93NUMPY\x01\x00(..)\{'descr': '([<|][biuf][1248])', 'fortran_order': False, 'shape': \(([0-9, ]*)\), \} *\n",
    re.DOTALL,
)
# What zipfile and numpy raise on bytes that are no archive of arrays, or a damaged one.
_OF_DAMAGE = (
    zipfile.BadZipFile, zipfile.LargeZipFile, struct.error, EOFError, KeyError, NotImplementedError, OSError,
    OverflowError, RuntimeError, TypeError, ValueError,
)  # fmt: skip


def archive_bytes(arrays: Mapping[str, npt.NDArray[Any]]) -> bytes:
    """Return the .npz file that holds these arrays; ``numpy.load`` reads it too.

    It is not compressed: what a compressor makes of the same bytes depends on its version.

    Args:
        arrays: Arrays of numbers or booleans by name.
    """
    written = io.BytesIO()
    with zipfile.ZipFile(written, "w", zipfile.ZIP_STORED) as archive:
        for name, array in arrays.items():
            content = io.BytesIO()
            np.lib.format.write_array(content, np.ascontiguousarray(array), version=(1, 0), allow_pickle=False)
            # A fixed date and system: the archive says nothing about when and where it was made.
            entry = zipfile.ZipInfo(f"{name}{_SUFFIX}", date_time=(1980, 1, 1, 0, 0, 0))
            entry.create_system = 3
            entry.external_attr = 0o644 << 16
            archive.writestr(entry, content.getvalue())
    return written.getvalue()


def read_archive(path: Path) -> dict[str, npt.NDArray[Any]]:
    """Return the arrays of a file that ``archive_bytes`` has made.

    Nothing is believed before it is checked: sizes are compared with the bytes that are there before memory is taken
    for them, and nothing is unpickled.

    Raises:
        ArtefactError: The file is missing, unreadable, too large, truncated or altered.
    """
    content = read_plain(path, most=_LARGEST_FILE)
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            return {entry.filename.removesuffix(_SUFFIX): _array(archive, entry) for entry in _entries(archive)}
    except _OF_DAMAGE as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        raise ArtefactError(f"{path} is no archive of arrays, or a damaged one ({reason}): copy it again") from error


def _entries(archive: zipfile.ZipFile) -> list[zipfile.ZipInfo]:
    entries = archive.infolist()
    names = [entry.filename for entry in entries]
    if len(set(names)) != len(names) or not all(name.endswith(_SUFFIX) for name in names):
        raise ValueError("its entries are not arrays, each named once")
    for entry in entries:
        # Stored as they are, so that no entry is larger than the file it is in.
        if entry.compress_type != zipfile.ZIP_STORED or entry.file_size != entry.compress_size:
            raise ValueError(f"{entry.filename} is compressed")
    return entries


def _array(archive: zipfile.ZipFile, entry: zipfile.ZipInfo) -> npt.NDArray[Any]:
    content = archive.read(entry)
    header = _HEADER.match(content)
    if header is None or header.end() != 10 + int.from_bytes(header[1], "little"):
        raise ValueError(f"{entry.filename} does not begin as an array does")
    dtype = np.dtype(header[2].decode())
    shape = tuple(int(axis) for axis in header[3].split(b",") if axis.strip())
    # Another number of values than the shape has is a ValueError, before any memory is taken.
    return np.frombuffer(content, dtype, offset=header.end()).reshape(shape)
