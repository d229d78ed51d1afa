"""Times the parts of a graph: each operator alone, in turns, again and again.

The engines' own profilers count whole microseconds, which is what an operator of a small network takes, and
onnxruntime's slows such a network down to less than half its speed. A graph that holds one operator alone runs at its
own speed and is timed in nanoseconds. What an empty graph takes is subtracted.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

QUANTIZE, DEQUANTIZE = "quantize", "dequantize"
_WARMUP_SECONDS = 0.1
_LEAST_ROUNDS, _MOST_ROUNDS = 20, 20_000
_UNTIMED_CALLS = 2
_BLOCKS = 20
# Of 20 values, those between the 6th and the 15th hold the median with 95.9 %: the binomial distribution.
_LOW, _HIGH = 5, 14


@dataclass(frozen=True, eq=False)
class OperatorPart:
    """One operator, ready to be run alone.

    Attributes:
        name: What to call it.
        type: What the engine runs.
        where: See OperatorTime.
        dtype: See OperatorTime.
        macs: Its MACs; None if the file does not say.
        outputs: How many numbers it writes; 0 if that is not known.
        boundary: ``quantize``, ``dequantize``, or empty.
        call: Runs it once; None for one that takes no part in a call, or cannot run alone.
    """

    name: str
    type: str
    where: str
    dtype: str
    macs: int | None
    outputs: int
    boundary: str
    call: Callable[[], object] | None

    @property
    def products(self) -> int | None:
        """How many products each of its outputs sums up; None if it does not come out even, as with padded outputs."""
        even = self.macs and self.outputs and not self.macs % self.outputs
        return self.macs // self.outputs if self.macs and even else None


@dataclass(frozen=True, eq=False)
class Cut:
    """A graph in parts.

    Attributes:
        parts: Its operators, in the order in which they run.
        empty: Runs a graph without an operator.
        notes: What the engine did to the graph, in sentences.
    """

    parts: tuple[OperatorPart, ...]
    empty: Callable[[], object]
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class TimedMedian:
    """A median and how far it can be trusted, in microseconds.

    Attributes:
        us: The median.
        noise_us: Half the width of its 95 % interval.
    """

    us: float
    noise_us: float


@dataclass(frozen=True)
class PartTimings:
    """What was timed in the same rounds.

    Attributes:
        parts: Of each part what it takes beyond an empty graph, never less than nothing.
        whole: A call of the whole artefact.
        empty_us: A call of an empty graph.
        rounds: How often everything was timed.
    """

    parts: tuple[TimedMedian, ...]
    whole: TimedMedian
    empty_us: float
    rounds: int


def time_parts(cut: Cut, whole: Callable[[], object], *, seconds: float) -> PartTimings:
    """Time the parts, the whole and an empty graph in rounds.

    Each gets its turn in every round: calls that are not timed, and one that is. In a call of the whole, an operator
    finds in the caches what the one before it has just written; alone, it finds there what it was given a call ago.

    Args:
        cut: The parts.
        whole: Calls the whole artefact.
        seconds: How long to go on; at least 20 rounds are made.
    """
    calls = [cut.empty, *(part.call for part in cut.parts if part.call), whole]
    _rounds(calls, _WARMUP_SECONDS, least=1)
    empty, *alone, together = _rounds(calls, seconds, least=_LEAST_ROUNDS)
    floor = float(np.median(empty)) / 1e3
    measured = iter(alone)
    times = []
    for part in cut.parts:
        timing = _timing(next(measured)) if part.call else TimedMedian(floor, 0.0)
        times.append(TimedMedian(max(timing.us - floor, 0.0), timing.noise_us))
    return PartTimings(tuple(times), _timing(together), floor, len(empty))


def _rounds(calls: Sequence[Callable[[], object]], seconds: float, *, least: int) -> list[list[int]]:
    clock = time.perf_counter_ns
    times: list[list[int]] = [[] for _ in calls]
    deadline = time.monotonic() + seconds
    while len(times[0]) < least or (time.monotonic() < deadline and len(times[0]) < _MOST_ROUNDS):
        for call, taken in zip(calls, times, strict=True):
            for _ in range(_UNTIMED_CALLS):
                call()
            started = clock()
            call()
            taken.append(clock() - started)
    return times


def _timing(nanoseconds: Sequence[int]) -> TimedMedian:
    """Return the median and its interval, from the medians of 20 stretches of time.

    Calls that follow each other resemble each other; stretches do so less, and give an interval that is not too narrow.
    """
    taken: npt.NDArray[np.float64] = np.asarray(nanoseconds, np.float64) / 1e3
    stretches = np.sort([np.median(each) for each in np.array_split(taken, _BLOCKS)])
    return TimedMedian(float(np.median(taken)), float(stretches[_HIGH] - stretches[_LOW]) / 2)
