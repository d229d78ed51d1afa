"""From a float ONNX model to float16: half the size, and float32 at its inputs and outputs."""

import onnx
from onnxruntime.transformers.float16 import DEFAULT_OP_BLOCK_LIST, convert_float_to_float16
from onnxruntime.transformers.onnx_model import OnnxModel


def to_float16(model: onnx.ModelProto) -> onnx.ModelProto:
    """Return the model with float16 weights and activations.

    onnxruntime's CPU kernels compute most operators in float32 and convert around them, so this saves space, not time.
    Operators that ONNX defines for no float16 stay in float32.
    """
    kept = [*DEFAULT_OP_BLOCK_LIST, *_float32_alone(model)]
    converted = convert_float_to_float16(model, keep_io_types=True, op_block_list=kept)
    # It puts the casts of the inputs last, where ONNX forbids them.
    OnnxModel.graph_topological_sort(converted.graph, is_deterministic=True)
    return converted


def _float32_alone(model: onnx.ModelProto) -> set[str]:
    """Return the operators of a model that ONNX, in its opset, defines for float32 and not for float16."""
    opset = next(each.version for each in model.opset_import if each.domain in ("", "ai.onnx"))
    schemas = [
        onnx.defs.get_schema(operator, opset) for operator in _operators(model.graph) if onnx.defs.has(operator, opset)
    ]
    return {
        schema.name
        for schema in schemas
        if any(
            "tensor(float)" in each.allowed_type_strs and "tensor(float16)" not in each.allowed_type_strs
            for each in schema.type_constraints
        )
    }


def _operators(graph: onnx.GraphProto) -> set[str]:
    """Return the operators of a graph and of those inside its loops and branches."""
    inner = [each.g for node in graph.node for each in node.attribute if each.type == onnx.AttributeProto.GRAPH]
    return {node.op_type for node in graph.node if not node.domain}.union(*map(_operators, inner))
