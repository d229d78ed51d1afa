"""A fixed piece of arithmetic, timed beside the candidates: when it takes longer, the machine has become slower."""

from collections.abc import Callable, Mapping

import numpy as np

from edgeport.runtime.host.machine import version_of
from edgeport.runtime.tensors.arrays import FloatArray, Pixels

_PAGE, _LINE = 4096, 64
# All of it fits into the first-level cache of a small computer, so that only the core's own speed counts.
_SIDE = 32
_ROUNDS = 10


class ReferenceWorkload:
    """The arithmetic as something to be timed; see OpenedCandidate."""

    def __init__(self) -> None:
        self.engine: Mapping[str, str] = {"name": "numpy", "version": version_of("numpy")}
        self._call = reference_workload()

    def answers(self, images: Pixels) -> FloatArray:
        """Return zeros: it classifies nothing."""
        return np.zeros((len(images), 2), np.float32)

    def call(self, what: str, images: Pixels) -> Callable[[], object]:
        """Return the arithmetic, whatever is asked for."""
        return self._call


def open_reference_workload(*, threads: int) -> ReferenceWorkload:
    """Open the reference workload, which always runs on one thread."""
    return ReferenceWorkload()


def reference_workload() -> Callable[[], object]:
    """Return a call that does the same arithmetic each time, some 40 microseconds on a current core.

    Half of it are float32 multiplications, additions and comparisons, half a product of matrices of small integers, for
    which numpy uses no library that has threads of its own.
    """
    # One block from the start of a page on: how the arrays lie to each other is the same in every process.
    size = _SIDE * _SIDE * 4
    block = np.zeros(6 * (size + _LINE) + _PAGE, np.uint8)
    start = -block.ctypes.data % _PAGE
    # A cache line more than their size apart: loads and stores whole pages apart are taken for each other.
    rows = [block[first : first + size] for first in range(start, start + 6 * (size + _LINE), size + _LINE)]
    values, weights, sums = (row.view(np.float32) for row in rows[:3])
    pixels, kernel, products = (row.view(np.int32).reshape(_SIDE, _SIDE) for row in rows[3:])
    values[:] = np.linspace(-1, 1, values.size)
    weights[:] = np.linspace(0.5, 1.5, weights.size)
    pixels[:] = np.arange(pixels.size).reshape(_SIDE, _SIDE) % 255
    kernel[:] = np.arange(kernel.size).reshape(_SIDE, _SIDE) % 127 - 63

    def arithmetic() -> object:
        np.matmul(pixels, kernel, out=products)
        for _ in range(_ROUNDS):
            np.multiply(values, weights, out=sums)
            np.add(sums, values, out=sums)
            np.maximum(sums, 0, out=sums)
        return sums

    return arithmetic
