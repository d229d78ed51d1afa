"""How far the outputs of two models are apart, in the outputs' own units; no truth is needed."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt


@dataclass(frozen=True)
class OutputChange:
    """One output of a model beside the same output of its reference, on the same samples.

    Attributes:
        largest: The largest absolute difference of any value.
        mean: The mean absolute difference.
        bias: The mean difference; above 0 the model answers with larger values than its reference.
        correlation: Pearson's, over all values; NaN where one of the two never changes.
        values_equal: The share of values that are the same, bit for bit.
    """

    largest: float
    mean: float
    bias: float
    correlation: float
    values_equal: float


def output_change(reference: npt.NDArray[np.generic], other: npt.NDArray[np.generic]) -> OutputChange:
    """Return how far two outputs are apart.

    Args:
        reference: The reference's answers, of any shape.
        other: The other model's, of the same shape.

    Examples:
        >>> import numpy as np
        >>> output_change(np.array([1.0, 2.0, 4.0]), np.array([1.0, 2.5, 4.0])).largest
        0.5
    """
    first, second = (np.asarray(each, np.float64).ravel() for each in (reference, other))
    difference = second - first
    around = [each - each.mean() for each in (first, second)]
    spread = float(np.sqrt(np.square(around[0]).sum() * np.square(around[1]).sum()))
    return OutputChange(
        largest=float(np.abs(difference).max()),
        mean=float(np.abs(difference).mean()),
        bias=float(difference.mean()),
        correlation=float(around[0] @ around[1]) / spread if spread else float("nan"),
        values_equal=float((difference == 0).mean()),
    )
