"""Finds for each operator that onnxruntime made by fusion the one in the file that multiplies.

onnxruntime names a fused operator after one of those that went into it, the first or the last, and adds marks:
``relu_2_nchwc``, ``conv_1_token_4``, ``fused matmul_8/MatMulAddFusion``.
"""

import re
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from edgeport.export.inspection.facts import Operator
from edgeport.export.inspection.ownership import Node

_MARKS = re.compile(r"^fused |(_nchwc|_nhwc|_token_\d+|_quant)+$")


@dataclass(frozen=True)
class Fused:
    """One operator of the optimized graph.

    Attributes:
        name: As onnxruntime calls it.
        multiplies: Whether it is a convolution or a product of matrices.
    """

    name: str
    multiplies: bool


def plain_name(name: str) -> str:
    """Return the name without onnxruntime's marks."""
    return _MARKS.sub("", _MARKS.sub("", name))


def find_origins(
    fused: Sequence[Fused], nodes: Sequence[Node], operators: Sequence[Operator]
) -> tuple[Operator | None, ...]:
    """Return for each operator of the optimized graph that of the file whose MACs it does; None if there is none.

    Args:
        fused: The optimized graph, in order.
        nodes: The operators of the file with their tensors, in order.
        operators: What an inspection says of the same ones.
    """
    search = _Search(nodes, operators)
    origins = [search.claim(each.name) if each.multiplies else None for each in fused]
    # What no name leads to, such as operators without one, is taken in order, if it comes out even.
    open_places = [place for place, each in enumerate(fused) if each.multiplies and origins[place] is None]
    if len(open_places) == len(search.unclaimed):
        for place, number in zip(open_places, sorted(search.unclaimed), strict=True):
            origins[place] = operators[number]
    return tuple(origins)


class _Search:
    """Looks for operators that multiply, and gives each away once."""

    def __init__(self, nodes: Sequence[Node], operators: Sequence[Operator]) -> None:
        self._nodes = nodes
        self._operators = operators
        self._by_name: Mapping[str, int] = {node.name: number for number, node in enumerate(nodes)}
        self._writer = {out: number for number, node in enumerate(nodes) for out in node.outputs if out}
        self.unclaimed = {each.number for each in operators if each.macs != 0}

    def claim(self, name: str) -> Operator | None:
        """Return the nearest unclaimed operator: the one of this name, or before it."""
        plain = plain_name(name)
        start = next(
            (self._by_name[each] for each in (name, plain, plain.partition("/")[0]) if each in self._by_name), None
        )
        waiting = deque([] if start is None else [start])
        seen = set(waiting)
        while waiting:
            number = waiting.popleft()
            if number in self.unclaimed:
                self.unclaimed.discard(number)
                return self._operators[number]
            before = {self._writer[each] for each in self._nodes[number].inputs if each in self._writer} - seen
            seen |= before
            waiting.extend(sorted(before, reverse=True))
        return None
