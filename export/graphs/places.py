"""Where an operator is, in the words of the user."""

import re
from collections.abc import Sequence

CALLS = ("PartitionedCall", "StatefulPartitionedCall")
_SUFFIX = re.compile(r"_\d+$")
# As operators with weights are named in Keras' own scopes.
_KERNEL = re.compile(r"/(convolution|depthwise|conv_transpose|MatMul)\d*$")
# As the operators of ONNX files are named; onnxruntime adds what it has made of one.
_ONNX_NAME = re.compile(r"(.+)\.[a-z0-9]+_\d+(/.*)?")


def place_of(node: str, layers: Sequence[str]) -> str:
    """Return in words where a node is, such as `` of layer dense``; nothing if it is in no layer.

    Where the layers are not known, as in a SavedModel, that is `` in lstm_1``, the innermost scope.

    Args:
        node: See layer_of.
        layers: See Graph.
    """
    layer = layer_of(node, layers)
    return f" of layer {layer}" if layer and layers else f" in {layer}" if layer else ""


def layer_of(node: str, layers: Sequence[str]) -> str:
    """Return the layer that a node is in, or its innermost scope where layers are not known; empty if in none.

    Args:
        node: Its name: the scopes that it was made in, and the operator's own. Keras 3 numbers each scope once more
            than the layer's name.
        layers: See Graph.

    Examples:
        >>> layer_of("functional_1/stem_1/convolution", ["functional", "stem", "head"])
        'stem'
    """
    scopes = node.split("/")[:-1]
    if not layers:
        own = [scope for scope in scopes if scope.removeprefix("Stateful").partition("_")[0] not in ("Func", *CALLS)]
        return own[-1] if own else ""
    numbered = scopes[:1] != [layers[0]]
    for scope in reversed(scopes):
        name = _SUFFIX.sub("", scope) if numbered else scope
        if name in layers[1:]:
            return name
    return ""


def layer_of_onnx_node(name: str) -> str:
    """Return the layer in the name of a node of an exported ONNX file, such as ``stem.conv_3``; empty if in none."""
    named = _ONNX_NAME.fullmatch(name)
    return named[1] if named else ""


def layers_of_tflite_tensor(name: str, layers: Sequence[str]) -> tuple[str, ...]:
    """Return the layers that a tensor of a TFLite file is the output of, the one with the kernel last.

    Args:
        name: Its name: of several operators that were fused, all their names between semicolons.
        layers: See Graph.
    """
    parts = sorted(name.split(";"), key=lambda part: _KERNEL.search(part) is not None)
    return tuple(filter(None, (layer_of(each, layers) for each in parts)))


def owner_of(names: Sequence[str], layers: Sequence[str], *, format: str) -> str:
    """Return the layer that an operator belongs to, or its own name if it is in none.

    Args:
        names: Its own name, or that of the tensor that it writes, and those of its constants.
        layers: The names of the model, then of its layers.
        format: ``tflite`` or ``onnx``.
    """
    if format == "onnx":
        return layer_of_onnx_node(names[0]) or layer_of(names[0], layers) or names[0]
    # A tensor of several fused operators is named after all of them, the kernel last; an output has the model's name.
    for name in names:
        if found := layers_of_tflite_tensor(name, layers):
            return found[-1]
    return names[0]
