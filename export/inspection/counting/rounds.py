"""How often a loop runs, as far as the file says: a counter, what is added to it, and what it is compared with.

Converters write a loop over 49 steps as "while i < 49 and time < 49", with i and time growing by 1. So the numbers in
small tensors are followed as a variable of the loop and what is added to it. What cannot be followed stays unknown.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

# Tensors with more elements, and sums of more parts, are no counters.
_MOST_ELEMENTS, _DEEPEST = 64, 40
_COMPARISONS = {
    "less": (False, True),
    "less_equal": (False, False),
    "greater": (True, True),
    "greater_equal": (True, False),
}


@dataclass(frozen=True)
class Number:
    """An element of a small tensor: a variable of the loop, by its place, and what is added; or a number alone."""

    variable: int | None
    added: float


@dataclass(frozen=True)
class Inequality:
    """What has to hold for the loop to go on: that the second is above the first, or at least as large."""

    smaller: Number
    larger: Number
    strictly: bool


Numbers = tuple[Number, ...] | None


@dataclass(frozen=True)
class Small:
    """An operator on small tensors, in words that no format owns.

    Attributes:
        kind: ``add``, ``sub``, ``less``, ``less_equal``, ``greater``, ``greater_equal``, ``and``, or ``same`` for one
            that leaves the number as it is.
        inputs: The keys of what it reads.
    """

    kind: str
    inputs: tuple[str, ...]


class SmallTensors:
    """What is known of the numbers in a graph.

    Args:
        writers: The operators on small tensors, by the key of what each writes.
        constant: Gives the numbers in a constant tensor, or None.
        variables: The places of the loop's variables, by their keys.
    """

    def __init__(
        self,
        writers: Mapping[str, Small],
        *,
        constant: Callable[[str], Sequence[float] | None],
        variables: Mapping[str, int] | None = None,
    ) -> None:
        self._writers = writers
        self._constant = constant
        self._variables = variables or {}
        self._found: dict[str, Numbers] = {}

    def numbers(self, key: str, depth: int = 0) -> Numbers:
        """Return the elements of a tensor, as far as they can be followed."""
        if depth > _DEEPEST:
            return None
        if key not in self._found:
            self._found[key] = self._followed(key, depth)
        return self._found[key]

    def number(self, key: str) -> float | None:
        """Return the one number in a tensor that depends on no variable."""
        single = self.numbers(key)
        if single is None or len(single) != 1 or single[0].variable is not None or not math.isfinite(single[0].added):
            return None
        return single[0].added

    def comparisons(self, key: str, depth: int = 0) -> list[Inequality] | None:
        """Return all that has to hold for a condition to hold; None if it is something else."""
        constant = self._constant(key)
        if constant is not None and len(constant) == 1:
            return [Inequality(Number(None, 0), Number(None, float(constant[0])), strictly=True)]
        writer = self._writers.get(key)
        if writer is None or depth > _DEEPEST:
            return None
        if writer.kind == "same":
            return self.comparisons(writer.inputs[0], depth + 1)
        if writer.kind == "and":
            sides = [self.comparisons(each, depth + 1) for each in writer.inputs[:2]]
            found = [each for side in sides if side is not None for each in side]
            return None if None in sides or len(found) > _MOST_ELEMENTS else found
        if writer.kind not in _COMPARISONS:
            return None
        first, second = (self.numbers(each) for each in writer.inputs[:2])
        if first is None or second is None or len(first) != 1 or len(second) != 1:
            return None
        turned, strictly = _COMPARISONS[writer.kind]
        smaller, larger = (second[0], first[0]) if turned else (first[0], second[0])
        return [Inequality(smaller, larger, strictly)]

    def _followed(self, key: str, depth: int) -> Numbers:
        if key in self._variables:
            return (Number(self._variables[key], 0),)
        constant = self._constant(key)
        if constant is not None:
            return tuple(Number(None, float(each)) for each in constant[:_MOST_ELEMENTS])
        writer = self._writers.get(key)
        if writer is None:
            return None
        read = [self.numbers(each, depth + 1) if each else None for each in writer.inputs]
        if writer.kind == "same":
            return read[0]
        if writer.kind in ("add", "sub"):
            return _sum(read[0], read[1], -1 if writer.kind == "sub" else 1)
        return None


def first_failing(
    conditions: Sequence[Inequality], starts: Sequence[float | None], steps: Sequence[float | None]
) -> float | None:
    """Return the number of the first round, from 0, before which one of the conditions does not hold.

    Args:
        conditions: All that has to hold.
        starts: What each variable of the loop holds before the first round; None if that is not known.
        steps: What each round adds to it; None if it does something else.

    Returns:
        Infinity if they hold for ever; None if a condition cannot be followed.
    """
    failing = math.inf
    for each in conditions:
        sides = [_course(number, starts, steps) for number in (each.smaller, each.larger)]
        if sides[0] is None or sides[1] is None:
            return None
        (low, low_step), (high, high_step) = sides[0], sides[1]
        distance, closing = high - low, low_step - high_step
        if distance < 0 or (each.strictly and distance == 0):
            return 0
        if closing > 0:
            failing = min(failing, math.ceil(distance / closing) if each.strictly else distance // closing + 1)
    return failing


def _course(
    number: Number, starts: Sequence[float | None], steps: Sequence[float | None]
) -> tuple[float, float] | None:
    if not math.isfinite(number.added):
        return None
    if number.variable is None:
        return number.added, 0
    start, step = starts[number.variable], steps[number.variable]
    return None if start is None or step is None else (start + number.added, step)


def _sum(first: Numbers, second: Numbers, sign: int) -> Numbers:
    if first is None or second is None or len(first) != len(second):
        return None
    summed = []
    for one, other in zip(first, second, strict=True):
        if other.variable is not None and (sign < 0 or one.variable is not None):
            return None
        variable = one.variable if other.variable is None else other.variable
        summed.append(Number(variable, one.added + sign * other.added))
    return tuple(summed)
