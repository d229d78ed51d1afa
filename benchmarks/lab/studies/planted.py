"""A candidate with a slowdown planted in it: to see whether a benchmark finds it."""

import time
from collections.abc import Callable

from edgeport.benchmarks.measure.candidates.candidate import Samples
from edgeport.benchmarks.measure.candidates.openers import OpenedArtefact
from edgeport.runtime.prediction.loading import load


class SlowedArtefact(OpenedArtefact):
    """An artefact each of whose calls takes a given multiple of its own time."""

    factor = 1.0

    def call(self, what: str, samples: Samples) -> Callable[[], object]:
        """See OpenedCandidate.call."""
        call, factor, clock = super().call(what, samples), self.factor, time.perf_counter_ns

        def slowed() -> object:
            started = clock()
            answer = call()
            ends = started + factor * (clock() - started)
            while clock() < ends:
                pass
            return answer

        return slowed


def open_slowed(*, path: str, threads: int, factor: float) -> SlowedArtefact:
    """Open an artefact that is slower by a factor.

    Args:
        path: The file.
        threads: How many threads its engine may use.
        factor: How long a call takes, as a multiple of what it would.
    """
    opened = SlowedArtefact(load(path, threads=threads))
    opened.factor = factor
    return opened
