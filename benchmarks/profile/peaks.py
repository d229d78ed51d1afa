"""The most that an engine gets out of this processor, measured on operators that suit it."""

import importlib
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache

PEAK_MODULES = {
    "ai-edge-litert": "edgeport.benchmarks.profile.tflite.peak",
    "onnxruntime": "edgeport.benchmarks.profile.onnx.peak",
}
_SECONDS = 0.25
_LEAST_CALLS = 10

# Large enough that nothing but arithmetic counts, small enough to stay in the caches of a small computer. The last one
# fills the vectors of every kind of kernel: its channels are a multiple of all their widths.
# A product of matrices: rows, summed, columns. A 3x3 convolution: height and width, channels in and out.
PRODUCTS = ((256, 512, 512), (128, 1024, 1024))
CONVOLUTIONS = ((14, 256),)


@dataclass(frozen=True, eq=False)
class Effort:
    """One operator that keeps the processor busy.

    Attributes:
        macs: Its multiplications with an addition.
        call: Runs it once.
    """

    macs: int
    call: Callable[[], object]


@cache
def measured_peak(engine: str, kind: str, *, threads: int) -> float:
    """Return the most MACs a second that an engine reaches here, in 10^9.

    The fastest call counts: whatever else runs on the machine takes from a peak and never adds to it.

    Args:
        engine: ``ai-edge-litert`` or ``onnxruntime``.
        kind: ``int8`` or ``float32``.
        threads: Threads that it may use.
    """
    efforts: Sequence[Effort] = importlib.import_module(PEAK_MODULES[engine]).efforts(kind, threads=threads)
    return max(each.macs / _fastest_ns(each.call) for each in efforts)


def _fastest_ns(call: Callable[[], object]) -> int:
    call()
    taken: list[int] = []
    deadline = time.monotonic() + _SECONDS
    while len(taken) < _LEAST_CALLS or time.monotonic() < deadline:
        started = time.perf_counter_ns()
        call()
        taken.append(time.perf_counter_ns() - started)
    return min(taken)
