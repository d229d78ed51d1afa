"""Takes a .onnx file apart, with the onnx package; no engine is started."""

import math
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import onnx
import onnx.inliner

from edgeport.export.inspection.facts import NARROW, ArtefactGraph, Constant, is_float
from edgeport.export.inspection.onnx.arithmetic import Wiring
from edgeport.export.inspection.onnx.constants import constants_of, read_constants
from edgeport.export.inspection.onnx.scopes import OnnxReader
from edgeport.export.inspection.onnx.shapes import Tensor, tensor_of
from edgeport.export.inspection.ownership import Node
from edgeport.export.inspection.scopes import Scope, operators_in, outputs_of, owners_in, places_of
from edgeport.runtime.artefact.spec import TensorSpec
from edgeport.runtime.errors import ArtefactError

# Functions that call one another may unfold to any number of operators.
_MOST_OPERATORS = 200_000


@dataclass(frozen=True)
class _Parts:
    """What is read from the file, in Python's own types."""

    producer: str
    scope: Scope
    constants: Mapping[str, Constant]
    scalars: Mapping[str, float]
    tensors: Mapping[str, Tensor]
    inputs: Mapping[str, Tensor]
    outputs: Mapping[str, Tensor]


def read_graph(content: bytes, *, name: str) -> ArtefactGraph:
    """Return what an ONNX file computes.

    Args:
        content: The whole file.
        name: What to call it in an error.

    Raises:
        ArtefactError: The file is damaged, or no ONNX model.
    """
    try:
        return _graph(_take_apart(onnx.load_from_string(content)))
    # What protobuf and onnx raise has no common base, and they notice damage late, when a field is first used. All of
    # it comes from reading the file, which ends here.
    except Exception as error:
        raise ArtefactError(
            f"{name} cannot be read as an ONNX file: it is damaged, cut off, or something else ({_cause(error)}). "
            "Copy or export it again."
        ) from error


def inlined(model: onnx.ModelProto) -> onnx.ModelProto:
    """Return a model with the operators of its own functions in the places of their calls.

    Raises:
        ValueError: They call themselves, or unfold to more operators than any model has.
    """
    if not model.functions:
        return model
    bodies = {(each.domain, each.name): each.node for each in model.functions}
    sizes: dict[tuple[str, str], int] = {}

    def unfolded(nodes: object, within: tuple[tuple[str, str], ...]) -> int:
        total = 0
        for node in nodes:  # type: ignore[attr-defined]
            called = (node.domain, node.op_type)
            if called in within:
                raise ValueError(f"function {node.op_type} calls itself")
            if called in bodies and called not in sizes:
                sizes[called] = unfolded(bodies[called], (*within, called))
            total += sizes.get(called, 1)
            total += sum(unfolded(each.g.node, within) for each in node.attribute if each.HasField("g"))
            if total > _MOST_OPERATORS:
                raise ValueError(f"its functions unfold to more than {_MOST_OPERATORS:,} operators")
        return total

    unfolded(model.graph.node, ())
    return onnx.inliner.inline_local_functions(model)


def _cause(error: Exception) -> str:
    return " ".join(f"{type(error).__name__}: {error}".split())[:120]


def _take_apart(model: onnx.ModelProto) -> _Parts:
    # Anything without a field that clashes can be read as an ONNX model: even no bytes at all.
    if not model.opset_import or not model.graph.output:
        raise ValueError("it holds no model")
    _check_texts(model)
    model = inlined(model)
    graph = model.graph
    reader = OnnxReader(model)
    scope = reader.read(of_one_sample=True)
    main = constants_of(graph)
    opset = next((each.version for each in model.opset_import if each.domain in ("", "ai.onnx")), 0)
    # tf2onnx adds the commit that it was built from, which is None in a release.
    made_by = f"{model.producer_name} {model.producer_version}".strip().removesuffix(" None")
    return _Parts(
        producer=", ".join(part for part in (made_by, f"opset {opset}" if opset else "") if part),
        scope=scope,
        constants=read_constants(reader.constants, [place.node for place in places_of([scope])]),
        scalars={name: _scalar(tensor) for name, tensor in main.items() if math.prod(tensor.dims) == 1},
        tensors=reader.tensors,
        inputs={info.name: tensor_of(info) for info in graph.input if info.name not in main},
        outputs=_outputs(model),
    )


def _outputs(model: onnx.ModelProto) -> dict[str, Tensor]:
    stated = {info.name: tensor_of(info) for info in model.graph.output}
    if all(tensor.shape is not None for tensor in stated.values()):
        return stated
    # A file need not state the shapes of its outputs.
    reader = OnnxReader(model)
    reader.read(of_one_sample=False)
    return {
        name: reader.tensors.get(name, tensor) if tensor.shape is None else tensor for name, tensor in stated.items()
    }


def _check_texts(model: onnx.ModelProto) -> None:
    """Refuse names that are no UTF-8: protobuf gives them as bytes, where all else is text."""
    texts: list[object] = [model.producer_name, model.producer_version]
    for graph in _graphs_in(model.graph):
        texts += [each.name for each in (*graph.input, *graph.output, *graph.initializer, *graph.value_info)]
        for node in graph.node:
            texts += [node.name, node.op_type, node.domain, *node.input, *node.output]
    if not all(isinstance(text, str) for text in texts):
        raise ValueError("a name is no text")


def _graphs_in(graph: onnx.GraphProto) -> Iterator[onnx.GraphProto]:
    yield graph
    for node in graph.node:
        for attribute in node.attribute:
            for inner in (*attribute.graphs, *([attribute.g] if attribute.HasField("g") else ())):
                yield from _graphs_in(inner)


def _scalar(tensor: onnx.TensorProto) -> float:
    """Return the one number in a tensor, or not-a-number."""
    if tensor.data_location == onnx.TensorProto.EXTERNAL or tensor.data_type == onnx.TensorProto.STRING:
        return math.nan
    value = onnx.numpy_helper.to_array(tensor).reshape(-1)[0]
    return math.nan if isinstance(value, complex) else float(value)


def _graph(parts: _Parts) -> ArtefactGraph:
    scopes = [parts.scope]
    ownership = owners_in(scopes, parts.constants)
    nodes = [place.node for place in places_of(scopes)]
    wiring = Wiring(
        nodes,
        {name: tensor.dtype for name, tensor in parts.tensors.items()},
        {*parts.outputs, *outputs_of(scopes)},
        {name: len(constant.shape) for name, constant in parts.constants.items()},
    )
    (operators,) = operators_in(scopes, ownership, wiring.arithmetic)
    dtypes = [
        wiring.dtype(name)
        for name in {*parts.inputs, *(name for node in nodes for name in node.outputs)}
        if name not in ownership.constant
    ]
    return ArtefactGraph(
        producer=parts.producer,
        inputs=tuple(
            _spec(name, tensor, wiring.quantizer_behind(name), parts) for name, tensor in parts.inputs.items()
        ),
        outputs=tuple(
            _spec(name, tensor, wiring.quantizer_before(name), parts) for name, tensor in parts.outputs.items()
        ),
        operators=operators,
        activations=Counter(dtype for dtype in dtypes if is_float(dtype) or dtype in NARROW),
        unread=ownership.unread,
        others=(),
        further_graphs=0,
        one_sample=all(tensor.shape[0] in (None, 1) for tensor in parts.inputs.values() if tensor.shape),
    )


def _spec(name: str, tensor: Tensor, quantizer: Node | None, parts: _Parts) -> TensorSpec:
    spec = TensorSpec(name, tensor.shape or (), tensor.dtype)
    if quantizer is None or len(quantizer.inputs) < 2:
        return spec
    scale, zero_point = (parts.scalars.get(each, math.nan) for each in (*quantizer.inputs[1:3], "")[:2])
    if not math.isfinite(scale):
        return spec
    return spec._replace(scale=scale, zero_point=int(zero_point) if math.isfinite(zero_point) else 0)
