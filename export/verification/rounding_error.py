"""What float32 rounding explains of an error: the scale by which float32 artefacts are judged."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from edgeport.runtime.tensors.arrays import Tensor

# Engines round at other places than TensorFlow; where that happens not to round at all, they are still off by so many
# units in the last place of the largest value.
_LEAST_UNITS = 2.0
_UNIT = float(np.finfo(np.float32).eps)


@dataclass(frozen=True)
class Rounding:
    """How far two computations of the same model are apart that differ in nothing but rounding.

    Attributes:
        samples: On which of the held-out samples this was measured.
        largest: The largest difference of any output value.
        typical: Their mean.
        flips: For an output of decisions, the share of them that differ, 0 to 1.
    """

    samples: tuple[int, ...]
    largest: float
    typical: float
    flips: float = 0.0

    def times(self, error: npt.NDArray[np.float64], size: float) -> float:
        """Return how many times what rounding explains an error is: the largest, or four times the typical one.

        The typical one is the surer of the two, so it counts more. It is compared on the same samples, since rounding
        may be much worse on some than on others.

        Args:
            error: Absolute errors of an output on all held-out samples, of shape (n, ...).
            size: The largest absolute value of the output.
        """
        least = _LEAST_UNITS * _UNIT * size or _UNIT
        typical = float(error[list(self.samples)].mean())
        times = (float(error.max()) / max(self.largest, least), 4 * typical / max(self.typical, least / 4))
        return max(times) if np.isfinite(times).all() else float("inf")

    def times_flips(self, flipped: npt.NDArray[np.bool_]) -> float:
        """Return the same for decisions; as many as one sample has are nothing, for it may be a tie.

        Args:
            flipped: Which decisions on the held-out samples are others, of shape (n, ...).
        """
        if flipped.mean() <= 1 / len(flipped):
            return 0.0
        share = float(flipped[list(self.samples)].mean())
        return share / self.flips if self.flips else float("inf")


def sampled(error: npt.NDArray[np.float64], count: int) -> tuple[int, ...]:
    """Return the samples to measure rounding on: those with the largest errors, and as many that lie evenly between.

    Args:
        error: One number for each held-out sample.
        count: How many to return, at most.
    """
    worst = np.argsort(-error, kind="stable")[: count // 2]
    evenly = np.linspace(0, len(error) - 1, min(count - len(worst), len(error))).astype(int)
    return tuple(sorted({*worst.tolist(), *evenly.tolist()}))


def measured(samples: tuple[int, ...], plain: Tensor, other: Tensor) -> Rounding:
    """Return how far two answers are apart, each of shape (samples, ...)."""
    if plain.dtype.kind != "f":
        return Rounding(samples, 0.0, 0.0, flips=float((plain != other).mean()))
    error = np.abs(plain.astype(np.float64) - other)
    return Rounding(samples, float(error.max()), float(error.mean()))
