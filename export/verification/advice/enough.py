"""Are there enough calibration samples? The error of int8 files against how many samples their ranges come from."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from edgeport.export.conversion.ranges.choice import Judged, is_better
from edgeport.runtime.artefact.precisions import PRECISIONS

# The least that calibration takes, and each about three times as many.
_COUNTS = (10, 30, 100, 300, 1_000, 3_000, 10_000, 30_000)

# What an int8 file must keep to be verified.
_BAD_DB = PRECISIONS["int8"].limits.sqnr_db


@dataclass(frozen=True, eq=False)
class Step:
    """What some of the samples give.

    Attributes:
        count: How many give the ranges.
        judged: What the file loses.
    """

    count: int
    judged: Judged


def counts_up_to(count: int) -> tuple[int, ...]:
    """Return how many samples to try of so many."""
    return (*(each for each in _COUNTS if each < count), count)


def steps_of(counts: Sequence[int], make: Callable[[int], Judged]) -> Iterator[Step]:
    """Yield what so many samples give, the fewest first.

    Args:
        counts: How many to try.
        make: Makes a file with the ranges of the first so many, and judges it.
    """
    for count in counts:
        yield Step(count, make(count))


def verdict(steps: Sequence[Step]) -> tuple[bool, str]:
    """Return whether there are enough, and that in words.

    They are if all of them are not measurably better than a part of them.
    """
    last = steps[-1]
    if len(steps) < 2:
        return False, f"{last.count} samples cannot be divided: give a hundred or more to see whether they are enough"
    enough = [
        step.count
        for place, step in enumerate(steps[:-1])
        if not any(is_better(later.judged, step.judged) for later in steps[place + 1 :])
    ]
    if enough:
        return (
            True,
            f"these {last.count} samples are enough: from {enough[0]} on, more change nothing that is measurable",
        )
    return False, f"the error still falls with {last.count} samples: give more"
