"""Keras files that unpack to far more than they are, or take weights from other files: known before they are opened."""

import io
import sys
import zipfile
import zlib
from collections.abc import Iterator
from typing import Any

import h5py

from edgeport.runtime.engines.signal_errors import raised_within
from edgeport.runtime.errors import ArtefactError
from edgeport.runtime.files.unpacking import check_unpacked

# Keras stores weights as they are; a small file of zeros that somebody packed is no reason to refuse it.
_HARMLESS = 64 << 20
_MOST_TIMES = 20
_OF_DAMAGE = (ValueError, EOFError, NotImplementedError, RuntimeError, OSError, KeyError)
_HDF5 = b"\x89HDF\r\n\x1a\n"


def check_unpacked_size(content: bytes, *, name: str) -> None:
    """Raise if a ``.keras`` or ``.h5`` file would take much more memory than it has bytes, or reads other files.

    Args:
        content: The whole file.
        name: What to call it in the message.

    Raises:
        ArtefactError: It would, or its weights are damaged.
    """
    if content.startswith(_HDF5):
        _check_hdf5(content, name)
        return
    check_unpacked(io.BytesIO(content), named=name, size=len(content), error=ArtefactError, harmless=_HARMLESS)
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            weights = [archive.read(entry) for entry in archive.infolist() if entry.filename.endswith(".h5")]
    except (zipfile.BadZipFile, zlib.error, *_OF_DAMAGE):
        # Nothing unpacks from it; who opens it says what it is.
        return
    for each in weights:
        _check_hdf5(each, name)


def _check_hdf5(content: bytes, name: str) -> None:
    try:
        with h5py.File(io.BytesIO(content), "r") as file:
            total = sum(_bytes_of(dataset, name) for dataset in _datasets(file, name))
    except ArtefactError:
        raise
    except Exception as error:  # damage leads h5py into any error there is
        if not raised_within(error, "h5py", "numpy", *sys.stdlib_module_names):
            raise
        raise ArtefactError(f"{name} holds weights that are damaged ({error}): copy or save it again") from error
    if total > max(_HARMLESS, _MOST_TIMES * len(content)):
        raise ArtefactError(
            f"cannot read {name}: weights of {len(content):,} bytes would unpack to {total:,}, which no model's do"
        )


def _datasets(group: Any, name: str) -> Iterator[Any]:
    waiting, seen = [group], set()
    while waiting:
        each = waiting.pop()
        if each.id.__hash__() in seen:
            continue
        seen.add(each.id.__hash__())
        for key in each:
            link = each.get(key, getlink=True)
            if isinstance(link, h5py.ExternalLink):
                raise ArtefactError(f"{name} keeps weights in another file ({link.filename}): save it as one file")
            found = each[key]
            if isinstance(found, h5py.Group):
                waiting.append(found)
            elif isinstance(found, h5py.Dataset):
                yield found


def _bytes_of(dataset: Any, name: str) -> int:
    if dataset.external or dataset.is_virtual:
        raise ArtefactError(f"{name} keeps weights in another file: save it as one file")
    return int(dataset.size or 0) * int(dataset.dtype.itemsize)
