"""Arrays by name: which are samples, which are targets, and of which split."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from edgeport.runtime.errors import InputError, unknown_name
from edgeport.runtime.samples.array_names import ALL, ONLY, meaning_of
from edgeport.train.datasets.data import Data, Part

_SAMPLES_OR_TARGETS = "x, y, x_train, y_train, x_val, y_val, x_test, y_test (or images, labels ...)"
_TARGET, _GROUP = object(), object()


def data_of(arrays: Mapping[str, npt.NDArray[Any]], inputs: Sequence[str], *, named: str, groups: str = "") -> Data:
    """Return the samples and targets among arrays, by their names.

    A name is that of an input of the model, or one of Keras' (``x``, ``images``, ``y``, ``labels`` ...), with
    ``train``, ``val`` or ``test`` before or behind it, or alone. ``labels`` beside other targets are the names of the
    classes. An array whose name says nothing is the samples if no other is. All other arrays are left alone.

    Args:
        arrays: Arrays of (n, ...).
        inputs: The names of the model's inputs; empty if they are not known.
        named: What messages call the source.
        groups: The name of the array that says which samples belong together; empty if there shall be none.

    Raises:
        InputError: There is no array of groups; no array, or two for the same, are samples; or targets have no samples.
    """
    meanings = {key: _meaning(key, [*inputs, groups] if groups else inputs) for key in arrays}
    if groups:
        meanings = {key: (_GROUP if base == groups else base, split) for key, (base, split) in meanings.items()}
        if not any(base is _GROUP for base, _ in meanings.values()):
            raise unknown_name("array of groups", groups, arrays)
    targets = [key for key, (base, _) in meanings.items() if base is _TARGET]
    labels: tuple[str, ...] = ()
    if "labels" in targets and len(targets) > 1 and "labels" not in inputs:
        labels = tuple(map(str, np.atleast_1d(arrays["labels"])))
        del meanings["labels"]
    if not any(isinstance(base, str) for base, _ in meanings.values()):
        unknown = [key for key, (base, _) in meanings.items() if base is None]
        if len(unknown) == 1:
            meanings[unknown[0]] = ONLY, meanings[unknown[0]][1]
    found: dict[str, dict[Any, str]] = {}
    for key, (base, split) in meanings.items():
        if base is not None:
            other = found.setdefault(split, {}).setdefault(base, key)
            if other != key:
                what = "targets" if base is _TARGET else "groups" if base is _GROUP else "samples"
                raise InputError(f"{named}: got both {other} and {key}, expected one array of {what}: leave one out")
    _check(found, arrays, inputs, named)
    parts = {}
    for split, bases in found.items():
        beside = (bases.pop(each, None) for each in (_TARGET, _GROUP))
        others = [None if key is None else arrays[key] for key in beside]
        parts[split] = Part({base: arrays[key] for base, key in bases.items()}, *others)
    return Data(named, parts, labels)


def _meaning(key: str, inputs: Sequence[str]) -> tuple[Any, str]:
    """Return what an array is (an input, samples, targets or None) and the split that it is of."""
    meaning = meaning_of(key, inputs)
    return (_TARGET if meaning.is_target else meaning.input), meaning.split


def _check(
    found: Mapping[str, Mapping[Any, str]], arrays: Mapping[str, Any], inputs: Sequence[str], named: str
) -> None:
    expected = (f"{' and '.join(inputs)}, or " if inputs else "") + _SAMPLES_OR_TARGETS
    got = ", ".join(arrays) or "none"
    if not any(isinstance(base, str) for bases in found.values() for base in bases):
        raise InputError(f"{named}: got the arrays {got}, expected names that say what is what: {expected}")
    for bases in found.values():
        if not any(isinstance(base, str) for base in bases):
            raise InputError(f"{named}: got {next(iter(bases.values()))} without its samples, expected both")
        if ONLY in bases and any(isinstance(base, str) and base for base in bases):
            names = " and ".join(key for base, key in bases.items() if isinstance(base, str))
            raise InputError(f"{named}: got {names}, expected either the names of inputs or {bases[ONLY]}")
    if ALL in found and len(found) > 1:
        first, other = (next(iter(found[each].values())) for each in (ALL, next(name for name in found if name != ALL)))
        raise InputError(f"{named}: got both {first} and {other}, expected all samples divided, or none")
