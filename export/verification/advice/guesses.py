"""What could have been done to samples by mistake, as the arithmetic that undoes it."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt

from edgeport.runtime.artefact.contract import Input

Array = npt.NDArray[Any]
# Of ImageNet's training images, as torchvision and keras.applications' "torch" mode have them.
_MEAN, _DEVIATION = (np.array(each, np.float32) for each in ([0.485, 0.456, 0.406], [0.229, 0.224, 0.225]))
_GAINS = tuple(10 ** (quarters / 4) for quarters in range(-10, 11) if abs(quarters) > 1)
_SHIFTS = tuple(sign * quarters / 4 for quarters in (*range(1, 33), *range(34, 57, 2)) for sign in (1, -1))


@dataclass(frozen=True)
class Guess:
    """One mistake.

    Attributes:
        kind: What it is.
        text: The same in words, as the end of a sentence.
        cure: What to do.
        undone: Returns the samples without it.
    """

    kind: str
    text: str
    cure: str
    undone: Callable[[Array], Array]


def guesses(port: Input, samples: Array) -> Iterator[Guess]:
    """Yield what could be wrong with the samples of an input, the simplest first.

    Args:
        port: The input.
        samples: As the model takes them, of shape (n, ...).
    """
    if not port.is_real or samples.dtype.kind != "f":
        return
    if port.is_image:
        yield from _of_pictures(samples)
    if not port.is_image or (port.kind != "pixels" and samples.shape[-1] != 3):
        yield from _of_levels(samples)
    yield Guess(
        "normalisation",
        "as if the mean was not taken off, or not divided by the standard deviation",
        "normalise them as in training",
        lambda x: (x - _per_channel(x, np.mean)) / np.maximum(_per_channel(x, np.std), 1e-9),
    )


def _of_pictures(samples: Array) -> Iterator[Guess]:
    scaled = "give what the model was trained on, or say with --input pixels:LOW:HIGH what pixels 0 and 255 are to it"
    scalings: tuple[tuple[str, Callable[[Array], Array]], ...] = (
        ("as if scaled twice, or to 0 to 1 for a model that takes 0 to 255", lambda x: x * 255),
        ("0 to 255 for a model that takes 0 to 1", lambda x: x / 255),
        ("0 to 1 for a model that takes -1 to 1", lambda x: x * 2 - 1),
        ("-1 to 1 for a model that takes 0 to 1", lambda x: (x + 1) / 2),
        ("0 to 255 for a model that takes -1 to 1", lambda x: x / 127.5 - 1),
        ("-1 to 1 for a model that takes 0 to 255", lambda x: (x + 1) * 127.5),
    )
    for text, undone in scalings:
        yield Guess("scaling", text, scaled, undone)
    if samples.shape[-1] == 3:
        yield Guess(
            "channels", "with red and blue exchanged", "exchange them, or say --input pixels:LOW:HIGH:bgr", _exchanged
        )
        for text, undone in scalings:
            yield Guess(
                "scaling and channels",
                f"{text}, and with red and blue exchanged",
                scaled,
                partial(_after_exchange, undone),
            )
        yield Guess(
            "normalisation",
            "0 to 1 for a model whose pictures had ImageNet's mean taken off and were divided by its deviation",
            "normalise them as in training",
            lambda x: (x - _MEAN) / _DEVIATION,
        )
        yield Guess(
            "normalisation",
            "0 to 255 for a model whose pictures had ImageNet's mean taken off and were divided by its deviation",
            "normalise them as in training",
            lambda x: (x / 255 - _MEAN) / _DEVIATION,
        )
        yield Guess(
            "normalisation",
            "normalised by ImageNet's mean and deviation, for a model that takes 0 to 1",
            "leave that out",
            lambda x: x * _DEVIATION + _MEAN,
        )
        yield Guess(
            "normalisation",
            "normalised by ImageNet's mean and deviation, for a model that takes 0 to 255",
            "leave that out",
            lambda x: (x * _DEVIATION + _MEAN) * 255,
        )


def _of_levels(samples: Array) -> Iterator[Guess]:
    for gain in _GAINS:
        text = f"{_times(1 / gain)} the level of the training data"
        yield Guess("level", text, "bring them to that level", partial(np.multiply, np.float32(gain)))
    if samples.ndim > 2:
        for shift in _SHIFTS:
            text = f"{abs(shift):g} {'below' if shift > 0 else 'above'} the level of the training data throughout"
            cure = "bring the sound to that level, or take the same logarithm"
            yield Guess("level", text, cure, partial(np.add, np.float32(shift)))


def _after_exchange(undone: Callable[[Array], Array], pictures: Array) -> Array:
    return undone(_exchanged(pictures))


def _exchanged(pictures: Array) -> Array:
    return pictures[..., ::-1]


def _per_channel(samples: Array, figure: Callable[..., Any]) -> Array:
    return np.asarray(figure(samples.reshape(-1, samples.shape[-1]), axis=0), samples.dtype)


def _times(factor: float) -> str:
    return f"{factor:.2g} times" if factor > 1 else f"1/{1 / factor:.2g} of"
