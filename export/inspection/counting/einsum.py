"""How many multiplications with an addition an Einsum takes."""

from collections.abc import Mapping, Sequence
from math import prod

from edgeport.export.inspection.counting.macs import Rule, Shape

_REST = "..."


def einsum(equation: str) -> Rule:
    """Return the rule of an Einsum: that of a product of matrices, where it is one.

    The axes that both factors share and the output has are a batch, those that it has not are summed over. Without a
    sum, and with no axis of each factor's own, the product is element by element and counts 0, as a multiplication does
    elsewhere. More than two factors are multiplied from left to right.

    Args:
        equation: As the operator has it: ``bij,bjk->bik``; ``...`` stands for any axes, and the output may be missing.
    """

    def rule(inputs: Sequence[Shape], output: Shape) -> int | None:
        sides = equation.replace(" ", "").split("->")
        terms = sides[0].split(",")
        if len(sides) > 2 or len(terms) != len(inputs) or any(shape is None for shape in inputs):
            return None
        factors = [_axes(term, shape) for term, shape in zip(terms, inputs, strict=True) if shape is not None]
        if any(factor is None for factor in factors):
            return None
        known = [factor for factor in factors if factor is not None]
        return _products(known, _kept(sides, known))

    return rule


def _axes(term: str, shape: tuple[int | None, ...]) -> dict[str, int | None] | None:
    """Return the length of each axis of a factor by its letter; those of ``...`` are counted from the right."""
    before, dots, behind = term.partition(_REST)
    rest = len(shape) - len(before) - len(behind)
    if rest < 0 or (rest and not dots):
        return None
    letters = [*before, *(f"{_REST}{place}" for place in range(rest, 0, -1)), *behind]
    axes: dict[str, int | None] = {}
    for letter, length in zip(letters, shape, strict=True):
        axes[letter] = _broadcast(axes.get(letter, 1), length)
    return axes


def _kept(sides: Sequence[str], factors: Sequence[Mapping[str, int | None]]) -> set[str]:
    """Return the axes of the output."""
    rest = {letter for factor in factors for letter in factor if letter.startswith(_REST)}
    if len(sides) == 2:
        return {*sides[1].replace(_REST, ""), *(rest if _REST in sides[1] else ())}
    letters = sides[0].replace(_REST, "").replace(",", "")
    return {letter for letter in letters if letters.count(letter) == 1} | rest


def _products(factors: Sequence[Mapping[str, int | None]], kept: set[str]) -> int | None:
    total = 0
    left = dict(factors[0])
    for place, right in enumerate(factors[1:], 2):
        needed = kept.union(*factors[place:])
        macs = _product(left, right, needed)
        if macs is None:
            return None
        total += macs
        both = {letter: _broadcast(left.get(letter, 1), right.get(letter, 1)) for letter in {**left, **right}}
        left = {letter: length for letter, length in both.items() if letter in needed}
    return total


def _product(left: Mapping[str, int | None], right: Mapping[str, int | None], needed: set[str]) -> int | None:
    shared = left.keys() & right.keys()
    own = [{letter for letter in (side.keys() - shared) if letter in needed} for side in (left, right)]
    if not (shared - needed) and not all(own):
        return 0
    # What stands in one factor alone and is not needed is summed before anything is multiplied.
    lengths = [_broadcast(left.get(letter, 1), right.get(letter, 1)) for letter in shared.union(*own)]
    known = [length for length in lengths if length is not None]
    return prod(known) if len(known) == len(lengths) else None


def _broadcast(one: int | None, other: int | None) -> int | None:
    """Return the length of an axis of two factors, where 1 stands for any."""
    if one == 1 or one == other:
        return other
    return one if other == 1 else None
