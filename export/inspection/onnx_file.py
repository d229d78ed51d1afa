"""Takes a .onnx file apart, with the onnx package; no engine is started."""

import math
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

import onnx

from edgeport.export.inspection.facts import BOUNDARY, NARROW, NEITHER, Constant, Graph, Operator, is_float
from edgeport.export.inspection.macs import Rule, each_input, each_output, matrix_product, product_either_way
from edgeport.export.inspection.onnx_arithmetic import BOUNDARIES, Wiring
from edgeport.export.inspection.onnx_constants import constants_of, read_constants
from edgeport.export.inspection.onnx_shapes import Tensor, infer_tensors, tensor_of
from edgeport.export.inspection.ownership import Node, find_owners
from edgeport.runtime.errors import ArtefactError
from edgeport.runtime.spec import TensorSpec

# Convolution weights are (out, in, height, width), of a transposed one (in, out, height, width).
_MACS: dict[str, Rule] = {
    "Conv": each_output(slice(1, None)),
    "ConvInteger": each_output(slice(1, None)),
    "QLinearConv": each_output(slice(1, None), at=3),
    "ConvTranspose": each_input(slice(1, None)),
    "Gemm": product_either_way(),
    "QGemm": product_either_way(),
    "MatMul": matrix_product(),
    "MatMulInteger": matrix_product(),
    "QLinearMatMul": matrix_product(0, 3),
}
# They multiply, or call what may, and their tensors do not tell how often.
_MACS_UNKNOWN = (
    "LSTM", "GRU", "RNN", "Einsum", "Attention", "DeformConv", "If", "Loop", "Scan", "SequenceMap",
)  # fmt: skip
_NO_MACS = "QLinear"


@dataclass(frozen=True)
class _Parts:
    """What is read from the file, in Python's own types."""

    producer: str
    nodes: tuple[Node, ...]
    constants: Mapping[str, Constant]
    scalars: Mapping[str, float]
    tensors: Mapping[str, Tensor]
    inputs: Mapping[str, Tensor]
    outputs: Mapping[str, Tensor]
    unknown_types: frozenset[str]
    further_graphs: int


def read_graph(content: bytes, *, name: str) -> Graph:
    """Return what an ONNX file computes.

    Args:
        content: The whole file.
        name: What to call it in an error.

    Raises:
        ArtefactError: The file is damaged, or no ONNX model.
    """
    try:
        parts = _take_apart(onnx.load_from_string(content))
    # What protobuf and onnx raise has no common base, and they notice damage late, when a field is first used. All of
    # it comes from reading the file, which ends here.
    except Exception as error:
        raise ArtefactError(
            f"{name} cannot be read as an ONNX file: it is damaged, cut off, or something else ({_cause(error)}). "
            "Copy or export it again."
        ) from error
    return _graph(parts)


def _cause(error: Exception) -> str:
    return " ".join(f"{type(error).__name__}: {error}".split())[:120]


def _take_apart(model: onnx.ModelProto) -> _Parts:
    graph = model.graph
    # Anything without a field that clashes can be read as an ONNX model: even no bytes at all.
    if not model.opset_import or not graph.output:
        raise ValueError("it holds no model")
    _check_texts(model)
    nodes = tuple(_node(each) for each in graph.node)
    constants = constants_of(graph)
    further = sum(
        len(attribute.graphs) + attribute.HasField("g") for each in graph.node for attribute in each.attribute
    )
    opset = next((each.version for each in model.opset_import if each.domain in ("", "ai.onnx")), 0)
    # tf2onnx adds the commit that it was built from, which is None in a release.
    made_by = f"{model.producer_name} {model.producer_version}".strip().removesuffix(" None")
    return _Parts(
        producer=", ".join(part for part in (made_by, f"opset {opset}" if opset else "") if part),
        nodes=nodes,
        constants=read_constants(constants, nodes),
        scalars={name: _scalar(tensor) for name, tensor in constants.items() if math.prod(tensor.dims) == 1},
        tensors=infer_tensors(model, one_sample=True),
        inputs={info.name: tensor_of(info) for info in graph.input if info.name not in constants},
        outputs=_outputs(model),
        unknown_types=frozenset(
            node.type
            for node, each in zip(nodes, graph.node, strict=True)
            if not onnx.defs.has(each.op_type, "" if each.domain == "ai.onnx" else each.domain)
        ),
        further_graphs=further + len(model.functions),
    )


def _outputs(model: onnx.ModelProto) -> dict[str, Tensor]:
    stated = {info.name: tensor_of(info) for info in model.graph.output}
    if all(tensor.shape is not None for tensor in stated.values()):
        return stated
    # A file need not state the shapes of its outputs.
    inferred = infer_tensors(model, one_sample=False)
    return {name: inferred.get(name, tensor) if tensor.shape is None else tensor for name, tensor in stated.items()}


def _check_texts(model: onnx.ModelProto) -> None:
    """Refuse names that are no UTF-8: protobuf gives them as bytes, where all else is text."""
    graph = model.graph
    texts: list[object] = [model.producer_name, model.producer_version]
    texts += [each.name for each in (*graph.input, *graph.output, *graph.initializer, *graph.value_info, *graph.node)]
    for node in graph.node:
        texts += [node.op_type, node.domain, *node.input, *node.output]
    if not all(isinstance(text, str) for text in texts):
        raise ValueError("a name is no text")


def _node(node: onnx.NodeProto) -> Node:
    kind = node.op_type if node.domain in ("", "ai.onnx") else f"{node.domain}.{node.op_type}"
    return Node(kind, node.name or next(iter(node.output), ""), tuple(node.input), tuple(node.output))


def _scalar(tensor: onnx.TensorProto) -> float:
    """Return the one number in a tensor, or not-a-number."""
    if tensor.data_location == onnx.TensorProto.EXTERNAL or tensor.data_type == onnx.TensorProto.STRING:
        return math.nan
    value = onnx.numpy_helper.to_array(tensor).reshape(-1)[0]
    return math.nan if isinstance(value, complex) else float(value)


def _graph(parts: _Parts) -> Graph:
    ownership = find_owners(parts.nodes, parts.constants)
    wiring = Wiring(
        parts.nodes,
        {name: tensor.dtype for name, tensor in parts.tensors.items()},
        parts.outputs,
        {name: len(constant.shape) for name, constant in parts.constants.items()},
    )
    operators = []
    for number, node in enumerate(parts.nodes):
        folded = ownership.folded[number]
        arithmetic = wiring.arithmetic(node)
        operators.append(
            Operator(
                number=number,
                type=node.type,
                name=node.name,
                arithmetic=NEITHER if folded and arithmetic != BOUNDARY else arithmetic,
                macs=0 if folded else _macs(node, parts),
                constants=ownership.owned[number],
            )
        )
    dtypes = [
        wiring.dtype(name)
        for name in {*parts.inputs, *(name for node in parts.nodes for name in node.outputs)}
        if name not in ownership.constant
    ]
    return Graph(
        producer=parts.producer,
        inputs=tuple(
            _spec(name, tensor, wiring.quantizer_behind(name), parts) for name, tensor in parts.inputs.items()
        ),
        outputs=tuple(
            _spec(name, tensor, wiring.quantizer_before(name), parts) for name, tensor in parts.outputs.items()
        ),
        operators=tuple(operators),
        activations=Counter(dtype for dtype in dtypes if is_float(dtype) or dtype in NARROW),
        unread=ownership.unread,
        further_graphs=parts.further_graphs,
        one_sample=all(tensor.shape[0] in (None, 1) for tensor in parts.inputs.values() if tensor.shape),
    )


def _macs(node: Node, parts: _Parts) -> int | None:
    if node.kind in _MACS:
        read, written = (
            [parts.tensors[name].shape if name in parts.tensors else None for name in names]
            for names in (node.inputs, node.outputs[:1])
        )
        return _MACS[node.kind](read, written[0]) if written else None
    if node.kind in BOUNDARIES or node.kind.startswith(_NO_MACS):
        return 0
    return None if node.kind in _MACS_UNKNOWN or node.type in parts.unknown_types else 0


def _spec(name: str, tensor: Tensor, quantizer: Node | None, parts: _Parts) -> TensorSpec:
    spec = TensorSpec(name, tensor.shape or (), tensor.dtype)
    if quantizer is None or len(quantizer.inputs) < 2:
        return spec
    scale, zero_point = (parts.scalars.get(each, math.nan) for each in (*quantizer.inputs[1:3], "")[:2])
    if not math.isfinite(scale):
        return spec
    return spec._replace(scale=scale, zero_point=int(zero_point) if math.isfinite(zero_point) else 0)
