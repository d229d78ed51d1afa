"""Are samples like what the model was trained on, and if not, what was done to them?"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from edgeport.export.graphs.graph import Graph
from edgeport.export.verification.advice.guesses import Guess, guesses
from edgeport.export.verification.advice.mistake import Mistake
from edgeport.export.verification.advice.moments import Moments, Sums, unlikeness
from edgeport.export.verification.advice.samples import is_noise
from edgeport.export.verification.advice.witnesses import Witness, seen_by
from edgeport.runtime.artefact.contract import Input

Samples = Mapping[str, npt.NDArray[Any]]
# Sound data stay below 0.1.
_UNLIKE, _VERY_UNLIKE = 0.25, 1.0
# A mistake explains what is seen if nothing of it is left without the mistake, or little of much.
_ALIKE, _LITTLE = 0.12, 0.1
# One order of the channels may be hardly less likely than the other.
_EXCHANGED, _LEFT_OF_IT = 0.03, 0.25
# A simpler mistake is likelier than another one that leaves a little less.
_SIMPLER = 3.0
# What a layer keeps before it is trained, mixed into what it sees: by how much.
_UNTRAINED = np.linspace(0.05, 0.95, 19)
# The first layers are nearest to the samples.
_LAYERS = 4
_COLUMN, _OTHER_COLUMNS = 1.5, 0.3


class Likeness:
    """Holds the samples of a model against what its normalisation layers have seen, and undoes mistakes on trial."""

    def __init__(self, graph: Graph, inputs: Sequence[Input], witnesses: Sequence[Witness], *, at_once: int) -> None:
        self._graph, self._inputs, self._at_once = graph, inputs, at_once
        self._witnesses = tuple(witnesses)[:_LAYERS]

    def mistakes(self, real: Samples) -> Iterator[Mistake]:
        """Yield what was done to samples, as the model takes them."""
        if not self._witnesses:
            return
        seen = self._seen(real)
        found = self._unlike(seen)
        total = _mean(found)
        if total > _EXCHANGED and self._hardly_trained(seen, total):
            return
        columns = list(self._columns(found))
        if columns:
            yield from columns
            return
        if total < _EXCHANGED:
            return
        tried = [
            (guess, _mean(self._unlike(self._seen({**real, port.name: guess.undone(real[port.name])}))))
            for port in self._inputs
            for guess in guesses(port, real[port.name])
        ]
        explained = _explanation(total, tried)
        if explained is not None:
            yield Mistake(explained.kind, f"they look {explained.text}", explained.cure)
        elif total > _UNLIKE and any(is_noise(array) for array in real.values() if array.dtype.kind == "f"):
            yield Mistake(
                "noise",
                "neighbouring values have nothing in common, as in random numbers, and are unlike the training data",
                "give real samples",
            )
        elif total > _VERY_UNLIKE:
            yield self._unlike_training(found)

    def _seen(self, real: Samples) -> list[Moments]:
        """Return what comes to each layer."""
        fixed = self._graph.inputs[0].shape[0]
        count = len(next(iter(real.values())))
        step = fixed or self._at_once
        names = [port.name for port in self._graph.inputs]
        batches = ([real[name][start : start + step] for name in names] for start in range(0, count, step))
        whole = (batch for batch in batches if not fixed or len(batch[0]) == fixed)
        with np.errstate(over="ignore", invalid="ignore"):
            return seen_by(self._witnesses, self._graph, whole)

    def _unlike(self, seen: Sequence[Moments]) -> list[npt.NDArray[np.float64]]:
        """Return for each layer how unlike its channels are what they were in training."""
        with np.errstate(over="ignore", invalid="ignore"):
            found = [unlikeness(each, by.expected) for each, by in zip(seen, self._witnesses, strict=True)]
        return [np.nan_to_num(each, nan=np.inf) for each in found]

    def _hardly_trained(self, seen: Sequence[Moments], total: float) -> bool:
        """Whether the layers have kept a mixture of what they see and of the 0 and 1 that they begin with.

        A BatchNormalization forgets these in some hundred steps of training, and shows little before.
        """
        if any(each.on_input for each in self._witnesses):
            return False
        mixed = (
            [Moments(share * each.mean, 1 - share + share * each.variance) for each in seen] for share in _UNTRAINED
        )
        return min(_mean(self._unlike(each)) for each in mixed) < min(_ALIKE, total / 2)

    def _columns(self, found: Sequence[npt.NDArray[np.float64]]) -> Iterator[Mistake]:
        """Yield the columns of a table that are in other units than in training, where the others are not."""
        ports = {port.name: port for port in self._inputs}
        for witness, unlike in zip(self._witnesses, found, strict=True):
            port = ports.get(witness.on_input)
            if port is None or len(unlike) < 3 or len(port.shape) > 2:
                continue
            wrong = np.flatnonzero(unlike > _COLUMN)
            others = np.delete(unlike, wrong)
            if not len(wrong) or len(wrong) > len(unlike) / 3 or float(np.median(others)) > _OTHER_COLUMNS:
                continue
            yield from (self._column(port, witness, int(place)) for place in wrong[:3])

    def _column(self, port: Input, witness: Witness, place: int) -> Mistake:
        name = port.columns[place] if len(port.columns) == len(witness.expected.mean) else f"column {place}"
        mean, deviation = witness.expected.mean[place], np.sqrt(witness.expected.variance[place])
        return Mistake(
            "units of a column",
            f"{name} of {port.name} is unlike the training data, where it was {mean:.3g} with a deviation of "
            f"{deviation:.2g}, and the other columns are like them",
            "give it in the units of the training data",
        )

    def _unlike_training(self, found: Sequence[npt.NDArray[np.float64]]) -> Mistake:
        worst = self._witnesses[int(np.argmax([each.mean() for each in found]))]
        return Mistake(
            "unlike the training data",
            f"they are unlike what the model was trained on: {worst.layer} gets other means and variances than it has "
            "kept from training",
            "give samples like those that the model will see, scaled and normalised as in training",
        )


def witness_of(port: Input, samples: npt.NDArray[Any]) -> Witness:
    """Return samples of other data as what the input of a model has seen; real values of shape (n, ...)."""
    sums = Sums(samples.shape[-1])
    sums.add(samples)
    return Witness("the input", f"{port.name}:0", sums.moments, port.name)


def _mean(found: Sequence[npt.NDArray[np.float64]]) -> float:
    return float(np.mean([each.mean() for each in found]))


def _explanation(total: float, tried: Sequence[tuple[Guess, float]]) -> Guess | None:
    """Return the mistake without which samples are as they should be: the simplest of those that are about as good."""
    fitting = [
        (guess, left)
        for guess, left in tried
        if (left < _LEFT_OF_IT * total if guess.kind == "channels" else _explains(left, total))
    ]
    if not fitting:
        return None
    best = min(left for _, left in fitting)
    return next(guess for guess, left in fitting if left <= max(_SIMPLER * best, _ALIKE / 3))


def _explains(left: float, total: float) -> bool:
    return total > _UNLIKE and (left < min(_ALIKE, total / 4) or (total > _VERY_UNLIKE and left < _LITTLE * total))
