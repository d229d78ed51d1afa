"""An inspection as text for a person, in at most 100 columns."""

from collections.abc import Iterable, Mapping, Sequence
from textwrap import wrap
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table

from edgeport.export.inspection.facts import BOUNDARY, FLOAT, INTEGER, Inspection, Operator, is_float
from edgeport.runtime.artefact.contract import Input
from edgeport.runtime.artefact.spec import TensorSpec

_MOST_LAYERS = 10
_MOST_ISLANDS = 10
_MOST_LABELS = 12
_DIGEST = 64
# A space at which no line is broken.
_GLUE = "\u00a0"
_LONGEST_NAME, _SHORTEST_NAME, _LONGEST_TYPE, _LONGEST_LABEL = 40, 12, 28, 30
_CHECKSUMS = {
    "intact": "intact: edgeport made this file, and it is unchanged",
    "altered": "ALTERED: the content does not match the SHA-256 inside it; copy or export it again",
    "none": "none: no edgeport metadata; another tool made the file, or took the metadata out",
}


def inspection_text(inspection: Inspection, *, width: int) -> str:
    """Return what a file is: facts, tensors and the biggest layers, in lines of at most so many columns."""
    facts = (
        ("file", inspection.file),
        *_file_facts(inspection),
        *_cost_facts(inspection),
        *_metadata_facts(inspection),
    )
    tensors = (*inspection.graph.inputs, *inspection.graph.outputs)
    lines = [*_fact_lines(facts, width), "", *_table_lines(_tensor_table(inspection, width), width)]
    if any(tensor.quantized and is_float(tensor.dtype) for tensor in tensors):
        lines.append("scale and zero point of a float: those of the quantizer beside it")
    lines += ["", *_table_lines(_layer_table(inspection, width), width)]
    hidden = len(inspection.layers) - _MOST_LAYERS
    if any(operator.graph for operator in inspection.layers[:_MOST_LAYERS]):
        lines.append("12/body/3: operator 3 of what operator 12 runs; its MACs are those of one round")
    if hidden > 0:
        lines.append(f"and {hidden} smaller {'one' if hidden == 1 else 'ones'}: --json has all")
    return "\n".join(lines)


def _fact_lines(facts: Sequence[tuple[str, str]], width: int) -> Iterable[str]:
    margin = max(len(name) for name, _ in facts) + 2
    for name, text in facts:
        heads = (name.ljust(margin), *[" " * margin] * len(text))
        broken = wrap(_printable(text), max(width - margin, 1), break_on_hyphens=False)
        for head, line in zip(heads, broken, strict=False):
            yield f"{head}{line}".replace(_GLUE, " ")


def _table_lines(table: Table, width: int) -> Iterable[str]:
    console = Console(width=width, highlight=False, markup=False, emoji=False, color_system=None)
    with console.capture() as capture:
        console.print(table)
    return capture.get().splitlines()


def _file_facts(inspection: Inspection) -> Iterable[tuple[str, str]]:
    producer = f" ({inspection.graph.producer})" if inspection.graph.producer else ""
    yield "format", f"{inspection.format}{producer}"
    constants = inspection.constant_bytes
    rest = inspection.bytes - constants
    yield "size", f"{inspection.bytes:,} bytes: {constants:,} of constants, {rest:,} of graph, names and metadata"
    if any(constant.elements and not constant.bytes for constant in inspection.constants):
        yield "", "some constants lie in other files, and are not in these sizes"
    yield "sha256", inspection.sha256
    yield "checksum", _CHECKSUMS[inspection.checksum]


def _cost_facts(inspection: Inspection) -> Iterable[tuple[str, str]]:
    yield "computes in", inspection.arithmetic
    if inspection.quantization == "integer":
        yield "in floats", _islands(inspection)
    boundaries = {operator.type for operator in inspection.operators if operator.arithmetic == BOUNDARY}
    counts = inspection.operator_counts
    inner = _counted({kind: count for kind, count in counts.items() if kind not in boundaries})
    between = _counted({kind: count for kind, count in counts.items() if kind in boundaries})
    yield "operators", "; conversions: ".join(part for part in (inner, between) if part) or "none"
    loops = [operator for operator in inspection.operators if operator.inside]
    if loops:
        inside = sum(len(operator.inside) for operator in loops)
        yield "", f"{inside} of them inside {_named([(each, _rounds(each)) for each in loops])}"
    if inspection.graph.further_graphs:
        count = inspection.graph.further_graphs
        yield "", f"with those of {count} graph{'s' * (count > 1)} that the main one does not run, such as signatures"
    yield "parameters", f"{inspection.parameters:,}"
    yield (
        "MACs",
        f"{inspection.macs:,} for one {'sample' if inspection.graph.one_sample else 'run'}{_unknown(inspection)}",
    )


def _rounds(operator: Operator) -> str:
    return "" if operator.rounds is None else f" ({operator.rounds:,} rounds)"


def _unknown(inspection: Inspection) -> str:
    """Return how many operators have MACs that the file does not say, and which these are."""
    if not inspection.macs_unknown:
        return ""
    plural = "" if inspection.macs_unknown == 1 else "s"
    causes = [(operator, why) for operator in inspection.graph.operators for operator, why in _causes(operator)]
    return f", and unknown for {inspection.macs_unknown} operator{plural}: {_named(causes)}"


def _causes(operator: Operator) -> Iterable[tuple[Operator, str]]:
    """Give the operators, this one or some inside it, whose MACs are unknown, and why if that can be said."""
    if operator.macs is not None:
        return
    inner = [cause for each in operator.inside for cause in _causes(each)]
    loop = any(each.graph.endswith("/body") for each in operator.inside)
    reason = (" (rounds unknown)" if loop else " (sides differ)") if operator.inside else ""
    yield from inner or [(operator, reason)]


def _named(operators: Sequence[tuple[Operator, str]]) -> str:
    """Return the types and names of operators, each with what is to be said of it."""
    shown = [
        _glued(f"{operator.type} {_tail(operator.name, _LONGEST_NAME)}{remark}")
        for operator, remark in operators[:_MOST_ISLANDS]
    ]
    more = f", and {len(operators) - _MOST_ISLANDS} more" if len(operators) > _MOST_ISLANDS else ""
    return f"{', '.join(shown)}{more}"


def _islands(inspection: Inspection) -> str:
    islands = inspection.float_islands
    if not islands:
        return "none"
    computing = [operator for operator in inspection.running if operator.arithmetic in (INTEGER, FLOAT)]
    return f"{len(islands)} of {len(computing)} operators: {_named([(each, '') for each in islands])}"


def _counted(counts: Mapping[str, int]) -> str:
    return ", ".join(_glued(f"{count} {kind}") for kind, count in counts.items())


def _metadata_facts(inspection: Inspection) -> Iterable[tuple[str, str]]:
    metadata = inspection.metadata
    if metadata is None:
        return
    yield (
        "model",
        f"{metadata.model}, {metadata.precision}{f', trained on {metadata.dataset}' if metadata.dataset else ''}",
    )
    if metadata.in_floats:
        yield "kept", f"in floats: {_labels(metadata.in_floats)}"
    yield from _inputs(metadata.inputs)
    for output in metadata.outputs:
        meaning = f"{output.kind}, " if output.kind else ""
        yield "output", f"{output.name}, {meaning}{_activation(output.activation)}"
        if output.units:
            names = output.columns or ("",) * len(output.units)
            yield "values", _labels([f"{name} {unit}".strip() for name, unit in zip(names, output.units, strict=True)])
        elif output.columns or output is metadata.outputs[0]:
            yield "labels", _labels(output.columns)
    if metadata.calibration:
        yield "calibration", _pairs(metadata.calibration)
    if metadata.source_sha256:
        yield "Keras file", f"sha256 {metadata.source_sha256}"
    if metadata.versions:
        yield "versions", _pairs(metadata.versions)


def _inputs(inputs: Iterable[Input]) -> Iterable[tuple[str, str]]:
    for each in inputs:
        # Files that do not say of which kind an input is say so by its range.
        kind = f", {each.log_mel or each.kind}" if each.kind else ""
        if each.range is not None:
            channels = ", blue first" if each.channels == "bgr" else ""
            kind = f", pixels as {' to '.join(map(_number, each.range))}{channels}"
        yield "input", f"{each.name}, {each.layout or 'other axes'}{kind}"
        if each.columns:
            yield "columns", _labels(each.columns)


def _activation(name: str) -> str:
    return "as it is" if name == "none" else f"{name} to be applied in float32"


def _labels(labels: Sequence[Any]) -> str:
    shown = ", ".join(str(label)[:_LONGEST_LABEL] for label in labels[:_MOST_LABELS])
    return f"{shown}, ... ({len(labels):,})" if len(labels) > _MOST_LABELS else shown or "none"


def _pairs(pairs: Mapping[str, Any]) -> str:
    return ", ".join(_glued(f"{name} {_brief(str(value))}") for name, value in pairs.items())


def _brief(text: str) -> str:
    return f"{text[:12]}..." if len(text) == _DIGEST else text


def _number(value: Any) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)


def _tensor_table(inspection: Inspection, width: int) -> Table:
    tensors = [("input", each) for each in inspection.graph.inputs] + [
        ("output", each) for each in inspection.graph.outputs
    ]
    rows = [(kind, *_tensor_row(tensor)) for kind, tensor in tensors]
    return _table(("", "name", "dtype", "shape", "scale", "zero point"), rows, texts=4, width=width)


def _tensor_row(tensor: TensorSpec) -> tuple[str, ...]:
    shape = f"({', '.join('n' if axis is None else str(axis) for axis in tensor.shape)})"
    scale = f"{tensor.scale:.6g}" if tensor.quantized else "-"
    zero_point = str(tensor.zero_point) if tensor.quantized else "-"
    return tensor.name, tensor.dtype, shape, scale, zero_point


def _layer_table(inspection: Inspection, width: int) -> Table:
    rows = [_layer_row(operator) for operator in inspection.layers[:_MOST_LAYERS]]
    return _table(("operator", "name", "runs in", "#", "bytes", "parameters", "MACs"), rows, texts=3, width=width)


def _layer_row(operator: Operator) -> tuple[str, ...]:
    macs = "unknown" if operator.macs is None else f"{operator.macs:,}"
    runs = operator.arithmetic if operator.arithmetic in (INTEGER, FLOAT) else "-"
    place = f"{operator.graph}/{operator.number}" if operator.graph else f"{operator.number}"
    numbers = (place, f"{operator.bytes:,}", f"{operator.parameters:,}", macs)
    return _tail(operator.type, _LONGEST_TYPE), operator.name, runs, *numbers


def _table(names: Sequence[str], rows: Sequence[Sequence[str]], *, texts: int, width: int) -> Table:
    """Return a table whose second column is a name of any length, cut to the room that the others leave.

    Args:
        names: The heads of the columns.
        rows: The cells.
        texts: How many columns, from the left, are text; the others are numbers.
        width: How many columns of characters there are.
    """
    table = Table(
        box=box.SIMPLE_HEAD,
        padding=(0, 1, 0, 0),
        show_edge=False,
        pad_edge=False,
        header_style="",
    )
    for index, name in enumerate(names):
        table.add_column(name, justify="left" if index < texts else "right", no_wrap=True)
    others = [max(len(row[index]) for row in (names, *rows)) + 2 for index in range(len(names)) if index != 1]
    for kind, name, *cells in rows:
        table.add_row(_printable(kind), _tail(name, max(_SHORTEST_NAME, width - sum(others))), *cells)
    return table


def _tail(name: str, longest: int) -> str:
    """Return a name without its beginning if it is too long: the end names the layer."""
    name = _printable(name)
    return name if len(name) <= longest else f"...{name[3 - longest :]}"


def _printable(text: str) -> str:
    # Names come from the file, and a terminal obeys control characters.
    return "".join(letter if letter.isprintable() or letter == _GLUE else "?" for letter in text)


def _glued(text: str) -> str:
    """Return a text within which no line is broken."""
    return text.replace(" ", _GLUE)
