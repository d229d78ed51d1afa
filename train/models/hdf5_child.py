"""Reads all of an HDF5 file in a process of its own: the library ends a process at some damage, rather than say so."""

import json
import sys
from collections.abc import Iterator
from typing import Any

import h5py

from edgeport.runtime.engines.signal_errors import raised_within
from edgeport.runtime.errors import ArtefactError
from edgeport.runtime.host.replies import refusal, replies


def main() -> None:
    """Answer one line, ``path``, ``name`` and ``most``: with ``total``, the bytes of all weights, or with an error."""
    reply = replies()
    order = json.loads(sys.stdin.readline())
    try:
        reply({"total": _read(order["path"], order["name"], order["most"])})
    except ArtefactError as error:
        reply(refusal(error))


def _read(path: str, name: str, most: int) -> int:
    """Return the bytes that the weights take; up to ``most`` they are read, too."""
    try:
        with h5py.File(path, "r") as file:
            objects = list(_objects(file, name))
            datasets = [each for each in objects if isinstance(each, h5py.Dataset)]
            total = sum(_bytes_of(dataset, name) for dataset in datasets)
            for each in objects:
                for attribute in each.attrs:
                    each.attrs[attribute]
            if total <= most:
                for dataset in datasets:
                    dataset[()]
    except ArtefactError:
        raise
    except Exception as error:  # damage leads h5py into any error there is
        if not raised_within(error, "h5py", "numpy", *sys.stdlib_module_names):
            raise
        raise ArtefactError(f"{name} holds weights that are damaged ({error}): copy or save it again") from error
    return total


def _objects(file: Any, name: str) -> Iterator[Any]:
    """Yield every group and dataset once."""
    waiting, seen = [file], set()
    while waiting:
        each = waiting.pop()
        if each.id.__hash__() in seen:
            continue
        seen.add(each.id.__hash__())
        yield each
        for key in each if isinstance(each, h5py.Group) else ():
            link = each.get(key, getlink=True)
            if isinstance(link, h5py.ExternalLink):
                raise ArtefactError(f"{name} keeps weights in another file ({link.filename}): save it as one file")
            found = each[key]
            if isinstance(found, (h5py.Group, h5py.Dataset)):
                waiting.append(found)


def _bytes_of(dataset: Any, name: str) -> int:
    if dataset.external or dataset.is_virtual:
        raise ArtefactError(f"{name} keeps weights in another file: save it as one file")
    return int(dataset.size or 0) * int(dataset.dtype.itemsize)


if __name__ == "__main__":
    main()
