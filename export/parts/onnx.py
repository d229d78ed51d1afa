"""A .onnx file cut into parts that onnxruntime runs."""

from collections.abc import Mapping, Sequence

import numpy as np
import onnx
import onnxruntime
from onnx import helper, numpy_helper

from edgeport.export.parts.graph import Disturbed, Part, PartOperator, Quantization, with_makers
from edgeport.runtime.tensors.arrays import Tensor

_DEQUANTIZE = "DequantizeLinear"


class OnnxParts:
    """See PartedGraph.

    In a quantized file (QDQ) every tensor between operators holds real values, rounded to those that integers can
    stand for where it has passed a QuantizeLinear and a DequantizeLinear.
    """

    def __init__(self, content: bytes) -> None:
        self._model = onnx.load_from_string(content)
        graph = self._model.graph
        self._initializers = {each.name: each for each in graph.initializer}
        self._nodes = list(graph.node)
        self.operators = tuple(
            PartOperator(each.op_type, each.name or each.output[0], tuple(each.input), tuple(each.output), _alone(each))
            for each in self._nodes
        )
        self.inputs = tuple(each.name for each in graph.input if each.name not in self._initializers)
        self.outputs = tuple(each.name for each in graph.output)
        held = set(self._initializers)
        for each in self.operators:
            if each.type == "Constant" or (each.inputs and all(not name or name in held for name in each.inputs)):
                held.update(each.outputs)
        self.constants = frozenset(held)
        # QuantizeLinear and DequantizeLinear name their scale and zero point; what reads them is quantized so.
        dequantizing = [each for each in self._nodes if each.op_type == _DEQUANTIZE]
        self._scales = {name: each for each in dequantizing for name in (*each.input[:1], *each.output)}
        self._everything: onnxruntime.InferenceSession | None = None

    def values(self, inputs: Sequence[Tensor]) -> dict[str, Tensor]:
        """See PartedGraph."""
        names = [name for each in self.operators for name in each.outputs if name]
        if self._everything is None:
            whole = onnx.ModelProto()
            whole.CopyFrom(self._model)
            stated = {each.name for each in whole.graph.output}
            whole.graph.output.extend(onnx.ValueInfoProto(name=name) for name in names if name not in stated)
            self._everything = _session(whole)
        given = dict(zip(self.inputs, inputs, strict=True))
        found = zip(names, self._everything.run(names, given), strict=True)
        return {**given, **{name: value for name, value in found if isinstance(value, np.ndarray)}}

    def constant(self, name: str) -> Tensor | None:
        """See PartedGraph."""
        # What reads weights reads them behind their DequantizeLinear.
        integers = self._scales[name].input[0] if name in self._scales and name in self.constants else name
        stored = self._initializers.get(integers)
        return None if stored is None else np.asarray(numpy_helper.to_array(stored))

    def quantization(self, name: str) -> Quantization | None:
        """See PartedGraph."""
        if name not in self._scales:
            return None
        node = self._scales[name]
        found = [self.constant(each) for each in node.input[1:]]
        if not found or any(each is None for each in found):
            return None
        scale = np.atleast_1d(np.asarray(found[0], np.float32))
        zero = np.asarray(found[1] if len(found) > 1 else np.uint8(0))
        axis = next((each.i for each in node.attribute if each.name == "axis"), 1) if scale.size > 1 else None
        return Quantization(scale, np.broadcast_to(zero.astype(np.int64), scale.shape), axis, zero.dtype)

    def part(self, operators: Sequence[int], given: Mapping[str, Tensor], written: Sequence[str]) -> Part:
        """See PartedGraph."""
        session, names = _session(self.model_of(operators, given, written)), list(written)

        def run(values: Mapping[str, Tensor]) -> dict[str, Tensor]:
            return dict(zip(names, session.run(names, {name: values[name] for name in given}), strict=True))

        return run

    def model_of(
        self, operators: Sequence[int], given: Mapping[str, Tensor], written: Sequence[str]
    ) -> onnx.ModelProto:
        """Return the model of a part; see ``part``."""
        nodes = [self._nodes[number] for number in with_makers(self, operators, given)]
        small = onnx.ModelProto(ir_version=self._model.ir_version)
        small.opset_import.extend(self._model.opset_import)
        small.functions.extend(self._model.functions)
        graph = small.graph
        graph.name = "part"
        graph.node.extend(nodes)
        read = {name for each in nodes for name in each.input}
        graph.initializer.extend(each for name, each in self._initializers.items() if name in read - given.keys())
        graph.input.extend(
            helper.make_tensor_value_info(name, helper.np_dtype_to_tensor_dtype(value.dtype), [None] * value.ndim)
            for name, value in given.items()
        )
        graph.output.extend(onnx.ValueInfoProto(name=name) for name in written)
        return small

    def disturbed(self, names: Sequence[str], first: Mapping[str, Tensor], written: Sequence[str]) -> Disturbed:
        """See PartedGraph."""
        whole = onnx.ModelProto()
        whole.CopyFrom(self._model)
        graph = whole.graph
        del graph.node[:]
        changed = {name: f"{name} disturbed" for name in names}

        def disturb(name: str) -> None:
            graph.node.append(helper.make_node("Add", [name, f"{name} added"], [changed[name]]))
            kind = helper.np_dtype_to_tensor_dtype(first[name].dtype)
            graph.input.append(helper.make_tensor_value_info(f"{name} added", kind, [None] * first[name].ndim))

        for name in (each for each in self.inputs if each in changed):
            disturb(name)
        for each in self._nodes:
            graph.node.append(each)
            graph.node[-1].input[:] = [changed.get(name, name) for name in each.input]
            for name in (each for each in each.output if each in changed):
                disturb(name)
        del graph.output[:], graph.value_info[:]
        graph.output.extend(onnx.ValueInfoProto(name=name) for name in written)
        session, ends = _session(whole, fused=True), list(written)
        nothing = {name: np.zeros([1] * first[name].ndim, first[name].dtype) for name in names}

        def run(inputs: Sequence[Tensor], added: Mapping[str, Tensor]) -> dict[str, Tensor]:
            given = {f"{name} added": array for name, array in {**nothing, **added}.items()}
            return dict(
                zip(ends, session.run(ends, {**dict(zip(self.inputs, inputs, strict=True)), **given}), strict=True)
            )

        return run


def _alone(node: onnx.NodeProto) -> bool:
    """Whether an operator needs its inputs alone: loops and branches read tensors of the graph around them too."""
    return not any(each.HasField("g") or each.graphs for each in node.attribute)


def _session(model: onnx.ModelProto, *, fused: bool = False) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads, options.log_severity_level = 1, 1, 4
    if not fused:
        # That would leave no tensors between operators.
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    return onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
