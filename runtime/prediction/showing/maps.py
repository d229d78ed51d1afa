"""Answers with one for each place of a picture: masks, segmentations, depth."""

from collections.abc import Sequence
from functools import partial

import numpy as np
import numpy.typing as npt

from edgeport.runtime.artefact.contract import Output
from edgeport.runtime.prediction.showing.drawing import class_picture, colour_of, grey_picture
from edgeport.runtime.prediction.showing.rows import name_of
from edgeport.runtime.prediction.showing.shown import Choices, Shown, number, summary_of, with_values
from edgeport.runtime.tensors.arrays import Tensor

_MOST_CLASSES = 12


def show_map(values: Tensor, port: Output, choices: Choices) -> Shown:
    """Show which share each class has of the places, and a picture of them.

    A softmax gives one class for each place, and so do integers; one sigmoid yes or no, several the strongest label
    that reaches the threshold. Other numbers are shown in grey from their least to their largest.

    Args:
        values: Of one sample: (height, width) or (height, width, columns).
        port: What they mean.
        choices: The threshold.
    """
    places = values if values.ndim == 3 else values[..., np.newaxis]
    columns = places.shape[-1]
    if columns == 1 and places.dtype.kind in "iub":
        return _classes(places[..., 0].astype(np.int64), port.columns, values)
    if port.ending == "softmax" and columns > 1:
        return _classes(places.argmax(axis=-1), port.columns, values)
    if port.ending == "sigmoid" and columns == 1:
        answers = (places[..., 0] >= choices.threshold).astype(np.int64)
        return _classes(answers, port.columns or ("no", "yes"), values)
    if port.ending == "sigmoid":
        return _labels(places, port, choices, values)
    shown = Shown((summary_of(values),), {"kind": "map"})
    if columns == 1:
        grey = places[..., 0].astype(np.float64)
        least, largest = number(float(grey.min())), number(float(grey.max()))
        text = f"{grey.shape[0]}x{grey.shape[1]} places, {least} (black) to {largest} (white)"
        shown = Shown((text,), {"kind": "map"}, {"picture": (".png", partial(grey_picture, grey))})
    return with_values(shown, values)


def _classes(numbers: npt.NDArray[np.int64], names: Sequence[str], values: Tensor) -> Shown:
    found, counts = np.unique(numbers, return_counts=True)
    order = np.argsort(-counts, kind="stable")
    shares = [(int(found[place]), float(counts[place] / numbers.size)) for place in order]
    return _shown(shares, numbers, names, values)


def _labels(places: Tensor, port: Output, choices: Choices, values: Tensor) -> Shown:
    over = places >= choices.threshold
    numbers = np.where(over.any(axis=-1), places.argmax(axis=-1) + 1, 0)
    names = ("none", *(name_of(place, port.columns) for place in range(places.shape[-1])))
    # Labels may overlap, so that the shares are those of each by itself.
    shares = [(0, float(1 - over.any(axis=-1).mean()))]
    shares += [(place + 1, float(over[..., place].mean())) for place in range(places.shape[-1])]
    return _shown(sorted(shares, key=lambda each: -each[1]), numbers, names, values)


def _shown(
    shares: Sequence[tuple[int, float]], numbers: npt.NDArray[np.int64], names: Sequence[str], values: Tensor
) -> Shown:
    height, width = numbers.shape
    rows = [
        f"{name_of(each, names)}  {share:.1%}  {colour_of(each)}" for each, share in shares[:_MOST_CLASSES] if share
    ]
    if len(shares) > _MOST_CLASSES:
        rows.append(f"and {len(shares) - _MOST_CLASSES} others")
    facts = {
        "kind": "map",
        "shares": {name_of(each, names): share for each, share in shares},
        "colours": {name_of(each, names): colour_of(each) for each, _ in shares},
    }
    shown = Shown((f"{height}x{width} places", *rows), facts, {"picture": (".png", partial(class_picture, numbers))})
    return with_values(shown, values)
