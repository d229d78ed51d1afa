"""Arrays by name: which are samples, of which input, which are targets, and of which split."""

from collections.abc import Collection
from typing import NamedTuple

# The part of a source that nobody has divided.
ALL = "all"
# Samples whose input has no name: a model of several inputs cannot take them.
ONLY = ""
_SPLITS = {
    "train": "train", "training": "train", "val": "validation", "valid": "validation", "validation": "validation",
    "test": "test",
}  # fmt: skip
# As Keras' data sets, scikit-learn and TensorFlow Datasets call them.
_SAMPLES = {"x", "image", "images", "input", "inputs", "data", "features", "samples"}
_TARGETS = {"y", "label", "labels", "target", "targets", "class", "classes"}


class ArrayMeaning(NamedTuple):
    """What an array is, by its name.

    Attributes:
        input: The name of the input that it is for, or ``ONLY``; None for targets and for what is neither.
        split: ``train``, ``validation``, ``test`` or ``all``.
        is_target: Whether it is what shall be answered.
    """

    input: str | None
    split: str = ALL
    is_target: bool = False


def meaning_of(key: str, inputs: Collection[str]) -> ArrayMeaning:
    """Return what an array is.

    Args:
        key: Its name: that of an input, or one of Keras' (``x``, ``images``, ``y``, ``labels`` ...), with ``train``,
            ``val`` or ``test`` before or behind it, or alone.
        inputs: The names of the model's inputs; empty if they are not known.
    """
    if key in inputs:
        return ArrayMeaning(key)
    words = key.split("_")
    for place in (-1, 0):
        split = _SPLITS.get(words[place].lower())
        if split is not None:
            base = "_".join(words[:-1] if place else words[1:])
            return _of_split(base, inputs, split) if base else ArrayMeaning(ONLY, split)
    return _of_split(key, inputs, ALL)


def _of_split(name: str, inputs: Collection[str], split: str) -> ArrayMeaning:
    if name in inputs:
        return ArrayMeaning(name, split)
    low = name.lower()
    return ArrayMeaning(ONLY if low in _SAMPLES else None, split, low in _TARGETS)
