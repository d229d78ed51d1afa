"""Whether a graph is a function of its inputs: no state, no tables, no random numbers."""

import re
from collections.abc import Iterable, Sequence
from typing import Any

from edgeport.export.graphs.places import place_of
from edgeport.runtime.errors import ExportError

# With a seed or without, these go on to other numbers; Stateless ones follow from their seed.
_RANDOM = re.compile(
    r"Random(?:StandardNormal|Uniform|UniformInt|Shuffle|Gamma|Poisson|PoissonV2)|(?:Parameterized)?TruncatedNormal|"
    r"Multinomial|Stateful\w*(?:Normal|Uniform|Binomial)\w*"
)
_RANDOM_BY_SEED = re.compile(r"Stateless(?:Random(?!Get)|TruncatedNormal|Multinomial|Shuffle|Parameterized)\w*")


def check_pure(nodes: Iterable[Any], layers: Sequence[str], *, needed: set[str]) -> None:
    """Raise ExportError if what the outputs need is more than a function of the inputs.

    Args:
        nodes: Nodes of a graph and of its functions.
        layers: See Graph.
        needed: What the outputs are computed from: the names of nodes, and of functions.
    """
    nodes = list(nodes)
    changed = next((node for node in nodes if node.op.startswith("Assign") and node.op.endswith("VariableOp")), None)
    for node in nodes:
        seeded = changed is not None and _RANDOM_BY_SEED.fullmatch(node.op)
        if node.name in needed and (seeded or _RANDOM.fullmatch(node.op)):
            raise ExportError(
                f"operator {node.op}{place_of(node.name, layers)} draws random numbers, so the model answers otherwise "
                "each time: leave that out, or take the numbers as one more input"
            )
        if node.op.startswith("LookupTable"):
            raise ExportError(
                f"operator {node.op}{place_of(node.name, layers)}: neither format has tables; look the values up "
                "before the model, and export the rest"
            )
    if changed is not None:
        raise ExportError(
            f"operator {changed.op}{place_of(changed.name, layers)} changes a variable of the model, so its answers "
            "depend on what it was asked before: rebuild the layer without state (stateful=False), or leave a random "
            "layer out"
        )


def needed_for(definition: Any, ends: Iterable[str]) -> set[str]:
    """Return the names of the nodes that some nodes are computed from, and of all in the functions that those call."""
    nodes = {node.name: node for node in definition.node}
    functions = {function.signature.name: function for function in definition.library.function}
    needed: set[str] = set()
    waiting = [nodes[name] for name in ends]
    while waiting:
        node = waiting.pop()
        if node.name in needed:
            continue
        needed.add(node.name)
        waiting += [
            nodes[_node_of(name)] for name in node.input if not name.startswith("^") and _node_of(name) in nodes
        ]
        called = [attribute.func.name for attribute in node.attr.values() if attribute.func.name in functions]
        waiting += [inner for name in called for inner in functions.pop(name).node_def]
    return needed


def _node_of(tensor: str) -> str:
    return tensor.partition(":")[0]
