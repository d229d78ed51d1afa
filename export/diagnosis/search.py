"""The fewest layers that must stay in floats, with as few trials as can be."""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

# How many trials a search may take.
MOST_TRIALS = 30


class Tried(Protocol):
    """What became of a trial."""

    @property
    def good(self) -> bool:
        """Whether it is good enough."""

    @property
    def too_many(self) -> bool:
        """Whether it cannot be: nothing is left in integers."""

    @property
    def upper(self) -> float:
        """How bad it may be; less is better."""


T = TypeVar("T", bound=Tried)


@dataclass(frozen=True)
class Found(Generic[T]):
    """What a search has found.

    Attributes:
        layers: The layers in floats.
        trial: What became of them: good, or the nearest where none was good.
        trials: How many were made.
    """

    layers: tuple[str, ...]
    trial: T
    trials: int


class _Trials(Generic[T]):
    """Trials, each made once, and no more than so many."""

    def __init__(self, attempt: Callable[[tuple[str, ...]], T], order: Sequence[str], most: int) -> None:
        self._attempt, self._order, self._most = attempt, order, most
        self._made: dict[frozenset[str], T] = {}

    @property
    def spent(self) -> bool:
        return len(self._made) >= self._most

    def good(self, layers: Collection[str]) -> bool:
        key = frozenset(layers)
        if key not in self._made:
            if self.spent:
                return False
            self._made[key] = self._attempt(self._ordered(key))
        return self._made[key].good

    def enough(self, layers: Collection[str]) -> bool:
        """Return whether some layers are good enough, or more than can be."""
        return self.good(layers) or (frozenset(layers) in self._made and self._made[frozenset(layers)].too_many)

    def found(self, layers: Collection[str]) -> Found[T]:
        key = frozenset(layers)
        return Found(self._ordered(key), self._made[key], len(self._made))

    def nearest(self) -> Found[T]:
        (key, _) = min(self._made.items(), key=lambda item: (item[1].upper, len(item[0])))
        return self.found(key)

    def _ordered(self, layers: Collection[str]) -> tuple[str, ...]:
        return tuple(layer for layer in self._order if layer in layers)


def search(
    ranked: Sequence[Sequence[str]],
    attempt: Callable[[tuple[str, ...]], T],
    *,
    always: Sequence[str] = (),
    cost: Callable[[str], float] = lambda layer: 1.0,
    most: int = MOST_TRIALS,
) -> Found[T]:
    """Return few layers in floats that are good enough.

    More and more are added by rank, one, two, four and so on, until it is good; what lies between the last bad number
    and the first good one is halved; and then those that are not needed are taken back, the dearest first, many at a
    time as long as there are many.

    Args:
        ranked: Groups of layers that go into floats together, those that cost most first.
        attempt: Says how good some layers in floats are.
        always: Layers that are in floats whatever is found.
        cost: What a layer costs in floats.
        most: How many trials may be made.

    Returns:
        The layers in the order of their rank, those of ``always`` first.
    """
    order = list(dict.fromkeys([*always, *(layer for group in ranked for layer in group)]))
    trials = _Trials(attempt, order, most)

    def first(count: int) -> set[str]:
        return {*always, *(layer for group in ranked[:count] for layer in group)}

    doubled = [2**power for power in range(len(ranked).bit_length()) if 2**power < len(ranked)]
    counts = sorted({0, *doubled, len(ranked)})
    good = next((count for count in counts if trials.enough(first(count))), None)
    if good is None:
        return trials.nearest()
    bad = max((count for count in counts if count < good), default=-1)
    while good - bad > 1:
        middle = (bad + good) // 2
        bad, good = (bad, middle) if trials.enough(first(middle)) else (middle, good)
    kept = first(good)
    if not trials.good(kept):
        # One layer must be left in integers: that which costs least, if it is good so.
        fewer = [kept - {layer} for layer in reversed(order) if layer in kept and layer not in always]
        kept = next((layers for layers in fewer if trials.good(layers)), set())
        if not kept:
            return trials.nearest()
    dearest = sorted(kept - set(always), key=lambda layer: (-cost(layer), order.index(layer)))
    return trials.found(_without_needless(trials, kept, dearest))


def _without_needless(trials: _Trials[T], kept: set[str], dearest: Sequence[str]) -> set[str]:
    """Return the layers that are needed; of those that may be taken back, the dearest come first."""
    size = max(1, len(dearest) // 2)
    while dearest:
        for start in range(0, len(dearest), size):
            without = kept - set(dearest[start : start + size])
            if trials.good(without):
                kept = without
        if size == 1:
            break
        dearest, size = [layer for layer in dearest if layer in kept], size // 2
    return kept
