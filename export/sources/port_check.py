"""What no artefact can have as an input or an output, said before anything is converted."""

from edgeport.export.sources.opened import Opened
from edgeport.runtime.artefact.contract import Input, Output
from edgeport.runtime.errors import ExportError

# TensorFlow's numbers for its two kinds of float8.
_FLOAT8 = (24, 25)


def check_ports(opened: Opened) -> None:
    """Raise ExportError for inputs and outputs of text, of complex numbers, or without a batch; and for float8."""
    graph = opened.graph
    text = _of(graph.inputs, "string")
    if text:
        raise ExportError(
            f"{opened.what} takes text ({text}), and neither format's engine does: look up the tokens, or decode the "
            "pictures, before the model, and export the rest"
        )
    text = _of(graph.outputs, "string")
    if text:
        raise ExportError(
            f"{opened.what} answers with text ({text}), and neither format's engine does: let it answer with the place "
            "of each word in a list"
        )
    pairs = _of((*graph.inputs, *graph.outputs), "complex")
    if pairs:
        raise ExportError(
            f"{opened.what} takes or gives complex numbers ({pairs}), and not every engine has them: use the real and "
            "the imaginary part, one after the other"
        )
    nodes = {node.name: node for node in graph.definition.node}
    small = next((node for node in nodes.values() if any(each.type in _FLOAT8 for each in node.attr.values())), None)
    if small is not None:
        raise ExportError(
            f"{opened.what}: operator {small.op}{graph.place_of(small.name)} is in float8, which no engine has: export "
            "the model as it was before quantize()"
        )
    for port in graph.inputs:
        if nodes[port.name].attr["shape"].shape.unknown_rank:
            raise ExportError(
                f"{opened.what}: its input {port.name} may have any number of axes: give it a shape, such as "
                "(None, 4), where the model is saved"
            )
        if not port.shape:
            raise ExportError(
                f"{opened.what}: its input {port.name} is one number for all samples, expected one for each: give it a "
                "batch axis (shape (None, 1)), or make it a constant of the model"
            )


def _of(ports: tuple[Input | Output, ...], kind: str) -> str:
    return ", ".join(port.name for port in ports if port.dtype.startswith(kind))
