"""Samples to try a model with: of a bundle's golden answers, or of a file of the user; and what changed on them."""

import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from edgeport.runtime.artefact.contract import Input
from edgeport.runtime.errors import ArtefactError, InputError
from edgeport.runtime.files.numpy_file import read_npz
from edgeport.runtime.golden.answers import FILE_NAME, read_golden
from edgeport.runtime.samples.array_names import meaning_of
from edgeport.runtime.samples.reading import read_samples
from edgeport.runtime.serving.limits import RequestError
from edgeport.runtime.serving.request_log import log
from edgeport.runtime.serving.served import Served
from edgeport.runtime.tensors.arrays import Tensor

# All of them are answered by two artefacts before the page shows what changed.
_MOST = 5_000


class SampleSet(NamedTuple):
    """Samples as ``Predictor.answer`` takes them.

    Attributes:
        values: For each input its name and n samples.
        labels: What is true of each, in words; empty if nobody knows.
    """

    values: Mapping[str, Tensor]
    labels: tuple[str, ...] = ()

    @property
    def total(self) -> int:
        """How many there are."""
        return len(next(iter(self.values.values()), ()))


def find_samples(paths: Sequence[Path], data: Path | None, served: Served) -> SampleSet:
    """Return the samples of a file, or else those of the golden answers beside the artefacts, or none.

    Raises:
        InputError: The file cannot be read, or its samples are not what the artefact takes.
    """
    columns = served.outputs[0].columns
    if data is not None:
        found = read_samples([data], served.predictor.spec)
        return _first(found.values, _truth(data, served.ports, columns))
    for path in paths:
        golden = (path if path.is_dir() else path.parent) / FILE_NAME
        if golden.is_file():
            try:
                answers = read_golden(golden)
            except ArtefactError as error:
                # They are no part of what is served.
                log("samples", message=f"none are offered: {error}")
                continue
            if answers.inputs.keys() == {port.name for port in served.ports}:
                return _first(answers.inputs, _named(answers.labels, columns))
    return SampleSet({})


def _first(values: Mapping[str, Tensor], labels: Sequence[str]) -> SampleSet:
    return SampleSet({name: each[:_MOST] for name, each in values.items()}, tuple(labels[:_MOST]))


def _truth(path: Path, ports: Sequence[Input], columns: Sequence[str]) -> Sequence[str]:
    """Return the targets that lie beside the samples of a .npz file, where they are one number each."""
    if path.suffix.lower() != ".npz":
        return ()
    names = [port.name for port in ports]
    arrays = read_npz(path)
    found = [array for key, array in arrays.items() if key not in names and meaning_of(key, names).input is None]
    rows = [array for array in found if array.ndim == 1 and array.dtype.kind in "iu"]
    return _named(rows[0], columns) if len(rows) == 1 else ()


def _named(labels: Tensor | None, columns: Sequence[str]) -> Sequence[str]:
    if labels is None:
        return ()
    return [columns[each] if 0 <= each < len(columns) else str(each) for each in labels.tolist()]


class Changes:
    """Which samples two artefacts answer differently; each answers all of them once."""

    def __init__(self, samples: SampleSet) -> None:
        self._samples = samples
        self._decisions: dict[str, Tensor] = {}
        self._one = threading.Lock()

    def between(self, one: Served, other: Served) -> dict[str, Any]:
        """Return the places of the samples whose class changes, of how many.

        Raises:
            RequestError: The artefacts choose no class.
        """
        changed = np.flatnonzero(self._decided(one) != self._decided(other))
        return {"count": self._samples.total, "changed": changed.tolist()}

    def _decided(self, served: Served) -> Tensor:
        with self._one:
            if served.name not in self._decisions:
                port = served.outputs[0]
                answers = served.answer(self._samples.values).values[port.name]
                if port.kind == "yes-no":
                    decided = answers.reshape(-1) >= 0.5
                elif port.kind == "classes" and answers.ndim == 2 and answers.dtype.kind == "f":
                    decided = answers.argmax(axis=1)
                else:
                    raise RequestError(400, f"{served.name} chooses no class: there is nothing that could change")
                self._decisions[served.name] = decided
            return self._decisions[served.name]


def sample_at(samples: SampleSet, index: str) -> dict[str, Any]:
    """Return one sample as JSON has it; raises RequestError if there is none at that place."""
    if not (index.isascii() and index.isdigit() and int(index[:9]) < samples.total):
        expected = f"expected 0 to {samples.total - 1}" if samples.total else "and there are none: give --data FILE"
        raise RequestError(404, f"got the sample {index[:32]!r}, {expected}")
    place = int(index[:9])
    values = {name: plain(each[place]) for name, each in samples.values.items()}
    return {"values": values, "label": samples.labels[place] if samples.labels else None}


def plain(values: Tensor) -> dict[str, Any]:
    """Return an array as JSON has it: its shape, and all its numbers in a row."""
    if values.dtype.kind == "f" and not np.isfinite(values).all():
        raise InputError("a sample holds values that are no numbers")
    return {"shape": list(values.shape), "data": values.ravel().tolist()}
