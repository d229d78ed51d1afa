"""Where an operator is, in the words of the user."""

import re
from collections.abc import Sequence

CALLS = ("PartitionedCall", "StatefulPartitionedCall")
_SUFFIX = re.compile(r"_\d+$")


def place_of(node: str, layers: Sequence[str]) -> str:
    """Return in words where a node is, such as `` of layer dense``; nothing if it is in no layer.

    Where the layers are not known, as in a SavedModel, that is `` in lstm_1``, the innermost scope.

    Args:
        node: Its name: the scopes that it was made in, and the operator's own. Keras 3 numbers each scope once more
            than the layer's name.
        layers: See Graph.
    """
    scopes = node.split("/")[:-1]
    if not layers:
        own = [scope for scope in scopes if scope.removeprefix("Stateful").partition("_")[0] not in ("Func", *CALLS)]
        return f" in {own[-1]}" if own else ""
    numbered = scopes[:1] != [layers[0]]
    for scope in reversed(scopes):
        name = _SUFFIX.sub("", scope) if numbered else scope
        if name in layers[1:]:
            return f" of layer {name}"
    return ""
