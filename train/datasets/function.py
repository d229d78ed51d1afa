"""A Python function of the user's own that gives samples and targets: ``FILE.py:NAME``."""

import inspect
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from edgeport.runtime.errors import InputError, unknown_name
from edgeport.runtime.samples.array_names import ALL, ONLY
from edgeport.train.datasets.data import Data, Part
from edgeport.train.datasets.named_arrays import data_of
from edgeport.train.python_file import run_python_file, users_code

_SOURCE = re.compile(r"(.+\.py):(\w+)")
# Who gives more has probably no end.
MOST_SAMPLES = 1_000_000
_EXPECTED = "a batch (inputs, targets), inputs alone, or a dictionary of arrays by name"


class _Batch(NamedTuple):
    inputs: Mapping[str, npt.NDArray[Any]]
    targets: npt.NDArray[Any] | None


def is_function(source: str) -> bool:
    """Return whether a source is ``FILE.py:NAME``, which runs code."""
    return _SOURCE.fullmatch(source) is not None


def check_user_named_it(source: str, *, record: str, option: str) -> None:
    """Raise InputError for a source that is code and that a record names, not the user: it must not run by itself."""
    if is_function(source):
        raise InputError(
            f"{record} names the data {source}, which is Python code and runs only if you name it: {option} {source}"
        )


def read_function(source: str, inputs: Sequence[str], *, most: int | None = None) -> Data:
    """Call a function once and return the samples that it gives.

    It takes no arguments and returns an iterable of batches, such as a generator, a ``tf.data.Dataset`` or a
    ``keras.utils.PyDataset``; a batch is (inputs, targets), inputs alone, or a dictionary of both by name, as those of
    ``datasets`` are. Inputs are an array, a tuple of them in the order of the model's inputs, or a dictionary. A third
    member of a batch, its weights, is left alone. A tuple or a dictionary is one batch; a dictionary may have splits.

    Args:
        source: ``FILE.py:NAME``.
        inputs: The names of the model's inputs; empty if they are not known.
        most: As many samples are taken, and no further batch is asked for; None for all, up to ``MOST_SAMPLES``.

    Raises:
        InputError: There is no such function, it fails, or gives something else.
    """
    found = _SOURCE.fullmatch(source)
    if found is None:
        raise InputError(f"data {source}: expected FILE.py:NAME, a function of a Python file")
    path, name = Path(found[1]), found[2]
    module = run_python_file(path, role="data")
    function = getattr(module, name, None)
    if not callable(function):
        own = [key for key, value in vars(module).items() if inspect.isfunction(value) and key[0] != "_"]
        raise unknown_name(f"function of {path}", name, own)
    with users_code(path, role=f"data {source}"):
        given = function()
    if isinstance(given, Mapping):
        return data_of({key: _array(value, source) for key, value in given.items()}, inputs, named=source)
    with users_code(path, role=f"data {source}"):
        return _joined(_taken(given, source, inputs, most), source, most)


def _taken(given: Any, source: str, inputs: Sequence[str], most: int | None) -> list[_Batch]:
    batches: list[_Batch] = []
    count = 0
    for item in _items(given, source):
        batch = _batch(item, inputs, f"{source}, batch {len(batches) + 1}")
        _check_like(batch, batches, source)
        batches.append(batch)
        count += len(next(iter(batch.inputs.values())))
        if most is not None and count >= most:
            break
        if count > MOST_SAMPLES:
            raise InputError(
                f"data {source}: got over {MOST_SAMPLES:,} samples without an end, expected fewer: end it, as "
                "tf.data.Dataset.take does"
            )
    if not batches:
        raise InputError(f"data {source}: got no batches, expected {_EXPECTED}")
    return batches


def _items(given: Any, source: str) -> Iterator[Any]:
    if isinstance(given, tuple):
        return iter([given])
    # A sequence that only has places, as keras.utils.PyDataset, ends at its length.
    if not hasattr(given, "__iter__") and hasattr(given, "__getitem__") and hasattr(given, "__len__"):
        return (given[place] for place in range(len(given)))
    if not isinstance(given, Iterable) or isinstance(given, (str, bytes, np.ndarray)):
        raise InputError(f"data {source}: got {_kind(given)}, expected an iterable of batches: each {_EXPECTED}")
    return iter(given)


def _batch(item: Any, inputs: Sequence[str], named: str) -> _Batch:
    if isinstance(item, Mapping):
        data = data_of({key: _array(value, named) for key, value in item.items()}, inputs, named=named)
        if data.parts.keys() != {ALL}:
            raise InputError(f"data {named}: got arrays of {' and '.join(data.parts)}, expected a batch without splits")
        return _Batch(data.parts[ALL].inputs, data.parts[ALL].targets)
    if isinstance(item, (tuple, list)):
        if not 1 <= len(item) <= 3:
            raise InputError(f"data {named}: got {len(item)} members, expected {_EXPECTED}")
        taken, targets = item[0], item[1] if len(item) > 1 else None
    else:
        taken, targets = item, None
    if isinstance(taken, Mapping):
        arrays = {str(key): _array(value, named) for key, value in taken.items()}
    elif isinstance(taken, (tuple, list)) and len(inputs) > 1:
        if len(taken) != len(inputs):
            raise InputError(f"data {named}: got {len(taken)} inputs, expected {len(inputs)}: {', '.join(inputs)}")
        arrays = {name: _array(value, named) for name, value in zip(inputs, taken, strict=True)}
    else:
        arrays = {ONLY: _array(taken, named)}
    if not arrays or not all(array.ndim for array in arrays.values()):
        raise InputError(f"data {named}: got a single sample or none, expected a batch: arrays of (n, ...)")
    return _Batch(arrays, None if targets is None else _array(targets, named))


def _array(value: Any, named: str) -> npt.NDArray[Any]:
    try:
        array = np.asarray(value)
    except ValueError as error:
        raise InputError(f"data {named}: got {_kind(value)} that is no array ({error})") from error
    if array.dtype.kind not in "biufSU":
        raise InputError(f"data {named}: got {_kind(value)} of {array.dtype}, expected arrays of numbers")
    return array


def _check_like(batch: _Batch, before: Sequence[_Batch], source: str) -> None:
    """Raise InputError for a batch whose members differ in length, or that is not like the first."""
    number = len(before) + 1
    arrays = [*batch.inputs.values(), *([] if batch.targets is None else [batch.targets])]
    lengths = {len(array) if array.ndim else 0 for array in arrays}
    if len(lengths) > 1:
        raise InputError(
            f"data {source}, batch {number}: got {' and '.join(map(str, sorted(lengths)))} inputs and targets, "
            "expected as many of each"
        )
    first = before[0] if before else batch
    if _looks(batch) != _looks(first):
        raise InputError(
            f"data {source}, batch {number}: got {_looks(batch)}, expected {_looks(first)}, as in the first batch"
        )


def _looks(batch: _Batch) -> str:
    arrays = {**batch.inputs} if batch.targets is None else {**batch.inputs, "targets": batch.targets}
    return ", ".join(
        f"{name or 'inputs'} {array.dtype.name if array.dtype.kind not in 'SU' else 'text'} (n, "
        f"{', '.join(map(str, array.shape[1:]))})"
        for name, array in arrays.items()
    )


def _joined(batches: Sequence[_Batch], source: str, most: int | None) -> Data:
    inputs = {name: np.concatenate([each.inputs[name] for each in batches])[:most] for name in batches[0].inputs}
    targets = [each.targets for each in batches if each.targets is not None]
    part = Part(inputs, np.concatenate(targets)[:most] if targets else None)
    return Data(source, {ALL: part}, streamed=True)


def _kind(value: Any) -> str:
    return f"a {type(value).__name__}" if value is not None else "nothing (None)"
