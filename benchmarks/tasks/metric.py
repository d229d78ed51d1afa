"""A metric: a figure of truth and answers, which way is better, and how it is drawn again and again."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from edgeport.runtime.errors import InputError

Floats = npt.NDArray[np.float64]
Array = npt.NDArray[Any]
# The figure of samples of which each counts as often as its weight says; NaN where it has none.
Weighted = Callable[[Floats], float]
UP, DOWN, ZERO = "up", "down", "zero"
SHARE = "points"


class MetricError(InputError):
    """A metric gives no number; what was measured stands."""


@dataclass(frozen=True, eq=False)
class Metric:
    """One way to judge answers.

    Attributes:
        name: How users call it.
        better: ``up``, ``down``, or ``zero`` where the figure that is nearest to zero is best (a bias).
        value: The figure, from truth and answers of n samples each: the library's own function.
        weighted: From the same two, a function of the weights of the n samples: what does not change from draw to draw
            (an order, sums of each sample) is computed once. None where nothing can be kept: the figure is computed
            anew from the samples that were drawn.
        right: Where each answer is right or wrong, which ones are right: bool of shape (n,), whose mean is the figure.
        unit: ``points`` for shares of 0 to 1, which are shown times 100; else what the figure is measured in.
    """

    name: str
    better: str
    value: Callable[[Array, Array], float]
    weighted: Callable[[Array, Array], Weighted] | None = None
    right: Callable[[Array, Array], npt.NDArray[np.bool_]] | None = None
    unit: str = SHARE

    def shown(self, figure: float) -> str:
        """Return a figure, or a difference of two, as people read it: shares in points, the rest in its unit."""
        if self.unit == SHARE:
            return f"{100 * figure:.2f}"
        return f"{figure:.4g} {self.unit}".strip()

    def loss(self, reference: float, other: float) -> float:
        """Return by how much another figure is worse than the reference's; negative if it is better."""
        if self.better == ZERO:
            return abs(other) - abs(reference)
        return reference - other if self.better == UP else other - reference

    def drawn(self, truth: Array, answers: Array) -> Weighted:
        """Return the figure as a function of how often each sample was drawn."""
        if self.weighted is not None:
            return self.weighted(truth, answers)

        def anew(weights: Floats) -> float:
            places = np.repeat(np.arange(len(weights)), weights.astype(np.int64))
            return self.value(truth[places], answers[places])

        return anew


def mean_of(scores: Array) -> Weighted:
    """Return the mean of one score a sample, as a function of the weights."""
    values = np.asarray(scores, np.float64)
    return lambda weights: float(weights @ values / weights.sum())
