"""Operators of TensorFlow that reach out of a graph: to files, processes, the network or Python.

A model that holds one does what its author wants as soon as it is loaded, traced or run: ``WriteFile`` writes while it
is exported. So a graph is looked through by the names of its operators first, in its bytes, before anything parses it.

Every SavedModel holds ``SaveV2`` and ``RestoreV2``, with which TensorFlow itself keeps its weights. They are allowed
there alone: in what its saver names, and not in what a signature or another function can reach.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from edgeport.runtime.artefact.foreign.protobuf import BYTES, BrokenMessageError, fields
from edgeport.runtime.errors import ArtefactError, InputError
from edgeport.runtime.host.terminal import visible

_CHECKPOINT = "reads or writes a checkpoint"
_KINDS: tuple[tuple[str, str], ...] = (
    ("ReadFile|MatchingFiles|ImmutableConst|LoadAndRemapMatrix|GenerateVocabRemapping", "reads files"),
    (r"InitializeTableFromTextFile\w*", "reads a file of words"),
    (r"(WholeFile|TextLine|FixedLengthRecord|TFRecord|LMDB)Reader(V2)?", "reads files"),
    (r"(Experimental)?(TextLine|FixedLengthRecord|TFRecord|CSV|Sql|LMDB)Dataset(V\d)?", "reads files"),
    (r"(Experimental)?MatchingFilesDataset|LoadDataset|ListSnapshotChunksDataset", "reads files"),
    (r"(Save|Cache|Snapshot(Chunk|Nested)?)Dataset\w*", "writes files"),
    (r"(Experimental)?DatasetToTFRecord|WriteFile|DumpTensor|CalibrationStatisticsSaver", "writes files"),
    (r"CreateSummary\w+Writer|SummaryWriter|Write\w*Summary|StatsAggregatorSetSummaryWriter", "writes files"),
    (r"Debug(Identity|NumericSummary|NanCount)\w*|Print(V2)?", "writes to files or to the terminal"),
    ("PyFunc|PyFuncStateless|EagerPyFunc|GeneratorDataset", "runs Python"),
    (r"Rpc\w+|RemoteCall|DataServiceDataset\w*|RegisterDataset\w*|DistributedSave", "talks to other processes"),
    ("FileSystemSetConfiguration|Abort", "changes the process"),
    (r"Save(V2|Slices)?|Restore(V2|Slice)?|DTensorRestoreV2|MergeV2Checkpoints", _CHECKPOINT),
)  # fmt: skip
_ALL = re.compile("|".join(f"(?P<k{number}>{pattern})" for number, (pattern, _) in enumerate(_KINDS)))


@dataclass
class _Body:
    """The nodes of a graph or of a function: the operator of each by its name, and what it takes and calls."""

    operators: dict[str, str] = field(default_factory=dict)
    takes: dict[str, list[str]] = field(default_factory=dict)
    calls: dict[str, list[str]] = field(default_factory=dict)


def reaches_out(operator: str) -> str:
    """Return in words how an operator reaches out of its graph; empty if it does not."""
    found = _ALL.fullmatch(operator)
    return "" if found is None else _KINDS[int(str(found.lastgroup)[1:])][1]


def check_operators(operators: Iterable[str], *, name: str) -> None:
    """Raise InputError if one of these operators reaches out of its graph.

    Args:
        operators: Their types, as those of the nodes of a traced function and of the functions that it calls.
        name: What to call the model in the message.
    """
    refused = {operator: how for operator in operators if (how := reaches_out(operator))}
    if refused:
        named = ", ".join(f"{visible(operator)} ({how})" for operator, how in sorted(refused.items())[:4])
        raise InputError(
            f"{name} holds operators that reach out of the model: {named}. Nothing of it was run. Export a model "
            "without them: what reads, writes or prints belongs into the program around it"
        )


def check_saved_model(content: bytes, *, name: str) -> None:
    """Raise if the graphs of a SavedModel hold an operator that reaches out, its saver's own checkpoint aside.

    Args:
        content: The bytes of ``saved_model.pb``.
        name: What to call the model in the message.

    Raises:
        InputError: They do.
        ArtefactError: The bytes are no SavedModel.
    """
    try:
        # SavedModel.meta_graphs
        for meta in _parts(memoryview(content), 2):
            check_operators(_operators_of_meta_graph(meta), name=name)
    except BrokenMessageError as error:
        raise ArtefactError(f"{name} is damaged: {error}, so it is no SavedModel") from None


def check_graph_def(content: bytes, *, name: str) -> None:
    """Raise as ``check_saved_model`` does, for the bytes of one ``GraphDef``, such as that of a traced function."""
    try:
        main, functions = _graph(memoryview(content))
    except BrokenMessageError as error:
        raise ArtefactError(f"{name} is damaged: {error}, so it is no graph") from None
    check_operators(_all_operators([main, *functions.values()]), name=name)


def _operators_of_meta_graph(meta: memoryview) -> Iterator[str]:
    """Yield the operators of a MetaGraphDef, but those of checkpoints that its saver alone can reach."""
    main = _Body()
    functions: dict[str, _Body] = {}
    for graph in _parts(meta, 2):  # graph_def; a parser merges several
        part, more = _graph(graph)
        main.operators |= part.operators
        main.takes |= part.takes
        main.calls |= part.calls
        functions |= more
    # saver_def: filename_tensor_name, save_tensor_name, restore_op_name
    saver = [_text(part) for saver in _parts(meta, 3) for number in (2, 3) for part in _parts(saver, number)]
    saving, saving_functions = _upstream(main, functions, saver)
    others = [node for node in main.operators if node not in saving]
    called = _closure(functions, (name for node in others for name in main.calls[node]))
    # A function that nothing in the graph calls may be called by an object that is loaded.
    free = _closure(functions, set(functions) - saving_functions)
    private = saving_functions - called - free
    for node in others:
        yield main.operators[node]
    for name, body in functions.items():
        if name not in private:
            yield from body.operators.values()
    hidden = [body for name, body in functions.items() if name in private]
    for operator in (*(main.operators[node] for node in saving), *_all_operators(hidden)):
        if reaches_out(operator) != _CHECKPOINT:
            yield operator


def _upstream(main: _Body, functions: Mapping[str, _Body], ends: Iterable[str]) -> tuple[set[str], set[str]]:
    """Return the nodes that are needed for some, and the functions that these call."""
    waiting = [_node(end) for end in ends]
    nodes: set[str] = set()
    while waiting:
        node = waiting.pop()
        if node in main.operators and node not in nodes:
            nodes.add(node)
            waiting += map(_node, main.takes[node])
    return nodes, _closure(functions, (name for node in nodes for name in main.calls[node]))


def _closure(functions: Mapping[str, _Body], names: Iterable[str]) -> set[str]:
    waiting, found = list(names), set()
    while waiting:
        name = waiting.pop()
        if name in functions and name not in found:
            found.add(name)
            waiting += [called for calls in functions[name].calls.values() for called in calls]
    return found


def _all_operators(bodies: Iterable[_Body]) -> Iterator[str]:
    for body in bodies:
        yield from body.operators.values()


def _graph(graph: memoryview) -> tuple[_Body, dict[str, _Body]]:
    """Return the nodes of a GraphDef, and the functions of its library by name."""
    functions = {}
    for library in _parts(graph, 2):
        for function in _parts(library, 1):
            signature = next(_parts(function, 1), memoryview(b""))
            functions[_text(next(_parts(signature, 1), memoryview(b"")))] = _body(_parts(function, 3))
    return _body(_parts(graph, 1)), functions


def _body(nodes: Iterable[memoryview]) -> _Body:
    body = _Body()
    for number, node in enumerate(nodes):
        # Two of a name would hide one of them.
        name = _text(next(_parts(node, 1), memoryview(b"")))
        key = name if name not in body.operators else f"{name}\0{number}"
        operators = [_text(part) for part in _parts(node, 2)] or [""]
        body.operators[key] = operators[-1]
        body.takes[key] = [_text(part) for part in _parts(node, 3)]
        # An operator may be the name of a function, and so may an attribute, alone or in a list.
        body.calls[key] = [
            operators[-1],
            *(_text(name) for attribute in _parts(node, 5) for name in _called(attribute)),
        ]
    return body


def _called(attribute: memoryview) -> Iterator[memoryview]:
    """Yield the names of the functions in an attribute: in AttrValue.func, and in AttrValue.list.func."""
    for value in _parts(attribute, 2):
        for function in (*_parts(value, 10), *(each for many in _parts(value, 1) for each in _parts(many, 9))):
            yield from _parts(function, 1)


def _parts(message: memoryview, wanted: int) -> Iterator[memoryview]:
    for number, wire, _, start, end in fields(message):
        if number == wanted and wire == BYTES:
            yield message[start:end]


def _text(part: memoryview) -> str:
    return bytes(part).decode("utf-8", "replace")


def _node(tensor: str) -> str:
    """Return the node that a tensor or a control input comes from."""
    return tensor.lstrip("^").partition(":")[0]
