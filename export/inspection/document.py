"""An inspection as the JSON object that ``edgeport inspect --json`` prints: docs/guides/inspect.md has every key."""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from edgeport.export.inspection.facts import Inspection, Operator
from edgeport.runtime.artefact.spec import TensorSpec
from edgeport.runtime.files.json_file import to_plain

# 2: what loops and branches run is among the layers and counted with them.
SCHEMA = 3


def to_document(inspection: Inspection) -> dict[str, Any]:
    """Return an inspection in the types that JSON has; docs/guides/inspect.md explains every key."""
    graph = inspection.graph
    document = {
        "schema": SCHEMA,
        "file": inspection.file,
        "format": inspection.format,
        "bytes": inspection.bytes,
        "sha256": inspection.sha256,
        "producer": graph.producer,
        "checksum": inspection.checksum,
        "metadata": to_plain(inspection.metadata),
        "inputs": [_tensor(tensor) for tensor in graph.inputs],
        "outputs": [_tensor(tensor) for tensor in graph.outputs],
        "quantization": inspection.quantization,
        "arithmetic": inspection.arithmetic,
        "float_islands": [_short(operator) for operator in inspection.float_islands],
        "operators": inspection.operator_counts,
        "further_graphs": graph.further_graphs,
        "parameters": inspection.parameters,
        "weights": inspection.weights,
        "macs": inspection.macs,
        "macs_for": "one sample" if graph.one_sample else "one run",
        "macs_unknown": inspection.macs_unknown,
        "constant_bytes": inspection.constant_bytes,
        "layers": [_layer(operator) for operator in inspection.layers],
        "unread_constants": [asdict(constant) for constant in graph.unread],
    }
    plain: dict[str, Any] = _plain(document)
    return plain


def document_text(inspection: Inspection) -> str:
    """Return the text that ``edgeport inspect --json`` prints."""
    return json.dumps(to_document(inspection), indent=1, allow_nan=False)


def _tensor(tensor: TensorSpec) -> dict[str, Any]:
    return {
        "name": tensor.name,
        "dtype": tensor.dtype,
        "shape": list(tensor.shape),
        "scale": tensor.scale if tensor.quantized else None,
        "zero_point": tensor.zero_point if tensor.quantized else None,
    }


def _short(operator: Operator) -> dict[str, Any]:
    return {"number": operator.number, "type": operator.type, "name": operator.name}


def _layer(operator: Operator) -> dict[str, Any]:
    return {
        **_short(operator),
        "graph": operator.graph,
        "arithmetic": operator.arithmetic,
        "bytes": operator.bytes,
        "parameters": operator.parameters,
        "macs": operator.macs,
        "rounds": operator.rounds,
        "constants": [asdict(constant) for constant in operator.constants],
    }


def _plain(value: Any) -> Any:
    """Return a value without what JSON has not: tuples become lists, infinite numbers null."""
    if isinstance(value, Mapping):
        return {str(key): _plain(each) for key, each in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [_plain(each) for each in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
