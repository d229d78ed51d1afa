"""The graphs of a file, one inside the other: an operator may run others, as a loop runs its body.

Every format's reader gives its graphs in this form, with keys of tensors that are unique in the whole file. What a body
gets unchanged from the graph around it has the key that it has there, so a weight belongs to the layer that computes
with it, however many loops stand around that.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from edgeport.export.inspection.facts import BOUNDARY, NEITHER, Constant, Operator
from edgeport.export.inspection.ownership import Node, Ownership, find_owners

# How an operator runs its graphs: the first again and again, with the second before each round and after the last; one
# of them, of which the file does not say; each once; or before the first sample comes, never after.
LOOP, BRANCH, CALL, START = "loop", "branch", "call", "start"


@dataclass(frozen=True)
class GraphRun:
    """The graphs that an operator runs.

    Attributes:
        how: ``LOOP``, ``BRANCH``, ``CALL`` or ``START``.
        scopes: The graphs.
        rounds: How often a loop runs its body; None if the file does not say, or if it is no loop.
    """

    how: str
    scopes: tuple["Scope", ...]
    rounds: int | None = None

    def macs(self) -> int | None:
        """Return the multiplications with an addition of all that is run; None if the file does not say."""
        sums = [_total(scope) for scope in self.scopes]
        if self.how == START or all(each == 0 for each in sums):
            return 0
        known = [each for each in sums if each is not None]
        if len(known) < len(sums):
            return None
        if self.how == LOOP:
            return None if self.rounds is None else sum(known) * self.rounds + sum(known[1:])
        if self.how == BRANCH:
            return known[0] if len(set(known)) == 1 else None
        return sum(known)


@dataclass(frozen=True)
class Place:
    """An operator in its graph.

    Attributes:
        node: What it is, and its tensors by keys that are unique in the file.
        macs: Those of the operator itself, without what it runs; None if the file does not say.
        run: What it runs, if it does.
    """

    node: Node
    macs: int | None
    run: GraphRun | None = None


@dataclass(frozen=True)
class Scope:
    """A graph.

    Attributes:
        path: The way to it from the main graph, which is empty: ``12/body`` belongs to operator 12.
        places: Its operators, in the order in which they run.
        outputs: The keys of the tensors that leave it.
    """

    path: str
    places: tuple[Place, ...]
    outputs: tuple[str, ...]


def _total(scope: Scope) -> int | None:
    macs = [place.macs if place.run is None else place.run.macs() for place in scope.places]
    known = [each for each in macs if each is not None]
    return sum(known) if len(known) == len(macs) else None


def places_of(scopes: Iterable[Scope]) -> Iterator[Place]:
    """Give all operators, each after those that it runs."""
    for scope in scopes:
        for place in scope.places:
            yield from places_of(place.run.scopes if place.run else ())
            yield place


def outputs_of(scopes: Iterable[Scope]) -> Iterator[str]:
    """Give the keys of all tensors that leave a graph."""
    for scope in scopes:
        yield from scope.outputs
        for place in scope.places:
            yield from outputs_of(place.run.scopes if place.run else ())


def owners_in(scopes: Sequence[Scope], constants: Mapping[str, Constant]) -> Ownership:
    """Give each constant of the file to the first operator that computes with it, in whatever graph that stands."""
    return find_owners([place.node for place in places_of(scopes)], constants)


def operators_in(
    scopes: Sequence[Scope], ownership: Ownership, arithmetic: Callable[[Node], str]
) -> tuple[tuple[Operator, ...], ...]:
    """Return the operators of each graph, with those that they run inside them.

    Args:
        scopes: The graphs.
        ownership: What ``owners_in`` found for the same graphs.
        arithmetic: Says what an operator computes in.
    """
    numbers = iter(range(len(ownership.owned)))

    def build(scope: Scope) -> tuple[Operator, ...]:
        return tuple(operator(number, place, scope.path) for number, place in enumerate(scope.places))

    def operator(number: int, place: Place, path: str) -> Operator:
        inside = tuple(each for scope in (place.run.scopes if place.run else ()) for each in build(scope))
        at = next(numbers)
        folded = ownership.folded[at]
        computes_in = NEITHER if place.run else arithmetic(place.node)
        macs = place.run.macs() if place.run else place.macs
        return Operator(
            number=number,
            type=place.node.type,
            name=place.node.name,
            arithmetic=NEITHER if folded and computes_in != BOUNDARY else computes_in,
            macs=0 if folded else macs,
            constants=ownership.owned[at],
            graph=path,
            rounds=place.run.rounds if place.run else None,
            inside=inside,
        )

    return tuple(build(scope) for scope in scopes)
