"""How many samples an engine is given at a time: what more of them take in memory grows, and no speed does."""

from collections.abc import Sequence
from math import prod

import numpy as np

from edgeport.runtime.artefact.spec import TensorSpec

# What an engine computes in between takes tens of times as much as its inputs.
_MOST_SAMPLES, _MOST_BYTES = 256, 2 << 20


def samples_at_a_time(inputs: Sequence[TensorSpec], batch: int | None) -> int:
    """Return how many samples to compute at a time, at most.

    Args:
        inputs: The input tensors; a free axis counts once.
        batch: The batch that the artefact is fixed to, whose multiples alone are wanted; None for a free one.
    """
    bytes_of_one = sum(np.dtype(each.dtype).itemsize * prod(axis or 1 for axis in each.shape[1:]) for each in inputs)
    count = min(_MOST_SAMPLES, max(1, _MOST_BYTES // max(1, bytes_of_one)))
    return count if batch is None else max(count // batch, 1) * batch
