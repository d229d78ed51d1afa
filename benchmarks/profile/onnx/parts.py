"""Cuts what onnxruntime makes of a .onnx file into graphs of one operator each."""

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import onnx
import onnxruntime
from onnx import helper

from edgeport.benchmarks.profile.onnx.kernels import boundary_of, in_mlas, multiplies, quantizes_on_the_way
from edgeport.benchmarks.profile.onnx.origins import Fused, find_origins, plain_name
from edgeport.benchmarks.profile.parts import Cut, OperatorPart
from edgeport.benchmarks.profile.profile_facts import AT_LOAD, MLAS, PLAIN, UNTIMED
from edgeport.export.inspection.facts import Inspection
from edgeport.export.inspection.onnx.file import inlined
from edgeport.export.inspection.ownership import Node
from edgeport.export.parts.onnx import OnnxParts
from edgeport.runtime.files.temporary import temporary_folder
from edgeport.runtime.tensors.arrays import Tensor

_INT8 = "int8"
_PROVIDERS = ["CPUExecutionProvider"]


def cut(content: bytes, inspection: Inspection, inputs: Sequence[Tensor], *, threads: int) -> Cut:
    """Return each operator of the graph as onnxruntime optimizes it for this processor, as a graph of its own.

    Args:
        content: The whole file.
        inspection: What an inspection says of it.
        inputs: One sample for each input, in the engine's own types.
        threads: Threads that the engine may use.
    """
    optimized = _optimized(content, threads)
    graph, whole = onnx.load_from_string(optimized).graph, OnnxParts(optimized)
    stored = {each.name for each in graph.initializer}
    values = whole.values(inputs)
    fused = [Fused(node.name, multiplies(node.op_type)) for node in graph.node]
    origins = find_origins(fused, _nodes(inlined(onnx.load_from_string(content))), inspection.graph.operators)
    parts = []
    for number, (node, origin) in enumerate(zip(graph.node, origins, strict=True)):
        # What the engine has not folded it computes in every call.
        given = list(dict.fromkeys(name for name in node.input if name and name not in stored))
        written = [name for name in node.output if name]
        dtype = values[given[0]].dtype.name if given and given[0] in values else ""
        dtype = _INT8 if quantizes_on_the_way(node.op_type) else dtype
        accelerated = in_mlas(node.op_type, domain=node.domain, dtype=dtype)
        call = None
        if given and whole.operators[number].stands_alone and all(name in values for name in (*given, *written)):
            taken = {name: values[name] for name in given}
            small = whole.model_of([number], taken, written)
            call = _bound(small, taken, {name: values[name] for name in written}, threads)
        parts.append(
            OperatorPart(
                name=origin.name if origin else plain_name(node.name) or node.op_type,
                type=node.op_type,
                where=(MLAS if accelerated else PLAIN) if call else UNTIMED if given else AT_LOAD,
                dtype=dtype if call else "",
                macs=origin.macs if origin else 0,
                outputs=sum(values[name].size for name in node.output if name in values),
                boundary=boundary_of(node.op_type),
                call=call,
            )
        )
    return Cut(tuple(parts), _empty(threads), _notes(len(inspection.graph.operators), len(graph.node)))


def _notes(before: int, after: int) -> tuple[str, ...]:
    return (f"onnxruntime makes {after} operators of the {before} in the file.",) if before != after else ()


def session_options(threads: int, *, optimize: bool = True) -> onnxruntime.SessionOptions:
    """Return the options that the runtime opens a file with."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
    options.log_severity_level = 4
    if not optimize:
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    return options


def _optimized(content: bytes, threads: int) -> bytes:
    with temporary_folder() as folder:
        path = folder / "optimized.onnx"
        options = session_options(threads)
        options.optimized_model_filepath = str(path)
        onnxruntime.InferenceSession(content, options, providers=_PROVIDERS)
        return path.read_bytes()


def _nodes(model: onnx.ModelProto) -> list[Node]:
    return [
        Node(each.op_type, each.name or next(iter(each.output), ""), tuple(each.input), tuple(each.output))
        for each in model.graph.node
    ]


def _stated(name: str, value: Tensor) -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info(name, helper.np_dtype_to_tensor_dtype(value.dtype), value.shape)


def _bound(
    model: onnx.ModelProto, given: Mapping[str, Tensor], written: Mapping[str, Tensor], threads: int
) -> Callable[[], object]:
    """Return a call whose inputs and outputs lie in place, so that none is copied."""
    options = session_options(threads, optimize=False)
    session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=_PROVIDERS)
    binding = session.io_binding()
    for name, value in given.items():
        binding.bind_ortvalue_input(name, onnxruntime.OrtValue.ortvalue_from_numpy(value))
    for name, value in written.items():
        room = onnxruntime.OrtValue.ortvalue_from_shape_and_type(value.shape, value.dtype)
        binding.bind_ortvalue_output(name, room)

    def call() -> None:
        session.run_with_iobinding(binding)

    call()
    return call


def _empty(threads: int) -> Callable[[], object]:
    nothing = np.zeros(1, np.float32)
    stated = _stated("nothing", nothing)
    model = helper.make_model(
        helper.make_graph([], "empty", [stated], [stated]), opset_imports=[helper.make_opsetid("", 17)], ir_version=8
    )
    return _bound(model, {"nothing": nothing}, {"nothing": nothing}, threads)
