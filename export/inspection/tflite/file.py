"""Takes a .tflite file apart, with the flatbuffer classes that ai-edge-litert brings; no engine is started."""

from collections import Counter
from collections.abc import Sequence
from typing import Any

from ai_edge_litert import schema_py_generated as schema

from edgeport.export.inspection.facts import BOUNDARY, FLOAT, INTEGER, NEITHER, ArtefactGraph, is_float
from edgeport.export.inspection.ownership import Node
from edgeport.export.inspection.scopes import Scope, operators_in, owners_in
from edgeport.export.inspection.tflite.scopes import RUNS, GraphTable, TfliteReader
from edgeport.export.inspection.tflite.shapes import LinkedOperator
from edgeport.export.inspection.tflite.tensors import TfliteTensor, numbers, read_tensor, spec_of
from edgeport.runtime.errors import ArtefactError

_BOUNDARIES = ("QUANTIZE", "DEQUANTIZE")
_OPERATORS = {number: name for name, number in vars(schema.BuiltinOperator).items() if isinstance(number, int)}
_CUSTOM = schema.BuiltinOperator.CUSTOM
# Far more than any model has: a damaged length must not keep us reading nonsense.
_MOST_ENTRIES = 1_000_000


def read_graph(content: bytes, *, name: str) -> ArtefactGraph:
    """Return what a TFLite file computes.

    Args:
        content: The whole file.
        name: What to call it in an error.

    Raises:
        ArtefactError: The file is damaged.
    """
    try:
        model = _unpack(content)
        tables = [_table(each, model, content) for each in model.subgraphs]
        signatures = {each.subgraphIndex: _text(each.signatureKey) for each in model.signatureDefs or []}
        reader = TfliteReader(tables)
        scopes = [reader.read(0)]
        for number in (*signatures, *range(len(tables))):
            if number not in reader.reached:
                called = f"signature {signatures[number]}" if signatures.get(number) else f"graph {number}"
                scopes.append(reader.read(number, called))
        return _graph(_text(model.description).rstrip("."), tables[0], scopes, reader)
    # The flatbuffer classes check nothing: damage shows as whatever the wrong bytes lead to (struct.error, IndexError,
    # TypeError, MemoryError, ...). All of it comes from reading the file, which ends here.
    except Exception as error:
        raise ArtefactError(
            f"{name} cannot be read as a TFLite file: it is damaged, cut off, or something else ({_cause(error)}). "
            "Copy or export it again."
        ) from error


def _cause(error: Exception) -> str:
    return " ".join(f"{type(error).__name__}: {error}".split())[:120]


def _unpack(content: bytes) -> Any:
    """Return the file as the schema's objects, after a look at the lengths of its lists."""
    model = schema.Model.GetRootAs(content)
    graphs = [model.Subgraphs(index) for index in range(_checked(model.SubgraphsLength(), content))]
    if not graphs:
        raise ValueError("it holds no graph")
    entries = [model.OperatorCodesLength(), model.BuffersLength(), model.MetadataLength(), model.SignatureDefsLength()]
    entries += [length for each in graphs for length in (each.TensorsLength(), each.OperatorsLength())]
    _checked(sum(entries), content)
    return schema.ModelT.InitFromObj(model)


def _checked(count: int, content: bytes) -> int:
    # An entry takes an offset of 4 bytes at the least; what it leads to may be shared.
    most = min(_MOST_ENTRIES, len(content) // 4)
    if count > most:
        raise ValueError(f"a list of {count} entries, where {most} can be")
    return count


def _table(graph: Any, model: Any, content: bytes) -> GraphTable:
    tensors = [read_tensor(each, model, content) for each in graph.tensors or []]
    operators = graph.operators or []
    steps = [_step(each, model, len(tensors)) for each in operators]
    return GraphTable(
        name=_text(graph.name),
        tensors=tensors,
        steps=steps,
        runs={
            place: _called(each, step.type, len(model.subgraphs))
            for place, (each, step) in enumerate(zip(operators, steps, strict=True))
            if step.type in RUNS
        },
        inputs=_indices(graph.inputs, len(tensors)),
        outputs=_indices(graph.outputs, len(tensors)),
    )


def _step(table: Any, model: Any, tensors: int) -> LinkedOperator:
    code = model.operatorCodes[table.opcodeIndex]
    # Files of before 2020 have the number in the deprecated field alone.
    number = max(code.builtinCode, code.deprecatedBuiltinCode)
    kind = _OPERATORS.get(number, f"BUILTIN_{number}")
    if number == _CUSTOM:
        kind = f"CUSTOM {_text(code.customCode)}".strip()
    return LinkedOperator(kind, *(_indices(side, tensors, optional=True) for side in (table.inputs, table.outputs)))


def _called(table: Any, kind: str, graphs: int) -> tuple[int, ...]:
    """Return the numbers of the graphs that an operator runs."""
    options = table.builtinOptions2 if kind.startswith("STABLEHLO_") else table.builtinOptions
    called = tuple(int(getattr(options, field)) for field, _ in RUNS[kind][1])
    if not all(0 <= each < graphs for each in called):
        raise ValueError(f"{kind} runs a graph that is not among the {graphs}")
    return called


def _text(stored: Any) -> str:
    return (stored or b"").decode("utf-8", "replace")


def _indices(vector: Any, count: int, *, optional: bool = False) -> tuple[int, ...]:
    """Return the numbers of tensors in a list, -1 for one that is left out."""
    indices = numbers(vector)
    if any(not (-1 if optional else 0) <= index < count for index in indices):
        raise ValueError(f"a list of tensors names one that is not among the {count}")
    return indices


def _graph(producer: str, main: GraphTable, scopes: Sequence[Scope], reader: TfliteReader) -> ArtefactGraph:
    ownership = owners_in(scopes, reader.constants)
    tensors = {key: each for key, each in reader.tensors.items() if key not in ownership.constant}

    def arithmetic(node: Node) -> str:
        return _arithmetic(node.type, [tensors[key] for key in (*node.inputs, *node.outputs) if key in tensors])

    operators, *others = operators_in(scopes, ownership, arithmetic)
    inputs, outputs = ([main.tensors[index] for index in side] for side in (main.inputs, main.outputs))
    return ArtefactGraph(
        producer=producer,
        inputs=tuple(map(spec_of, inputs)),
        outputs=tuple(map(spec_of, outputs)),
        operators=operators,
        activations=Counter(each.dtype for each in tensors.values() if each.quantized or is_float(each.dtype)),
        unread=ownership.unread,
        others=tuple(each for graph in others for each in graph),
        further_graphs=len(others),
        one_sample=all(each.signature[0] in (None, 1) for each in inputs if each.signature),
    )


def _arithmetic(kind: str, data: Sequence[TfliteTensor]) -> str:
    if kind in _BOUNDARIES:
        return BOUNDARY
    if any(is_float(each.dtype) for each in data):
        return FLOAT
    return INTEGER if any(each.quantized for each in data) else NEITHER
