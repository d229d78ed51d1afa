"""Whether an ONNX operator computes in integers or in floats.

A file in QDQ form has float tensors everywhere: each integer tensor passes a DequantizeLinear before an operator reads
it, and what the operator writes passes a QuantizeLinear. An engine fuses the three into one integer operator. So an
operator counts as integer when all floats that it reads come from DequantizeLinear and all that it writes go to
QuantizeLinear. Whether an engine has such an operator for the type, only the engine knows.
"""

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence

from edgeport.export.inspection.facts import BOUNDARY, FLOAT, INTEGER, NARROW, NEITHER, UNKNOWN, is_float
from edgeport.export.inspection.ownership import Node

QUANTIZE, DEQUANTIZE = "QuantizeLinear", "DequantizeLinear"
BOUNDARIES = (QUANTIZE, DEQUANTIZE, "DynamicQuantizeLinear")
# QLinearConv, QLinearMatMul, and onnxruntime's QLinearAdd and the like.
_QLINEAR = "QLinear"
# DynamicQuantizeLSTM, DynamicQuantizeMatMul: they quantize the floats that they get.
_DYNAMIC = "DynamicQuantize"
_INTEGER = ("ConvInteger", "MatMulInteger", "QGemm")
_MEASURES = ("Constant", "Shape", "Size")
# They move elements and change none, so the scale on their one side is that on the other.
_MOVES = ("Reshape", "Transpose", "Squeeze", "Unsqueeze", "Flatten", "Identity")


class Wiring:
    """Who writes and who reads each tensor.

    Args:
        nodes: The operators.
        dtypes: The dtype of each tensor of which it is known.
        outputs: The tensors that leave the graph.
        ranks: The number of axes of each constant.
    """

    def __init__(
        self,
        nodes: Sequence[Node],
        dtypes: Mapping[str, str],
        outputs: Collection[str],
        ranks: Mapping[str, int],
    ) -> None:
        self._dtypes = dtypes
        self._outputs = frozenset(outputs)
        self._ranks = ranks
        self._writer = {name: node for node in nodes for name in node.outputs if name}
        self._readers: dict[str, list[Node]] = defaultdict(list)
        for node in nodes:
            for name in node.inputs:
                if name:
                    self._readers[name].append(node)

    def arithmetic(self, node: Node) -> str:
        """Return what an operator computes in."""
        if node.kind in BOUNDARIES:
            return BOUNDARY
        if node.kind in _MEASURES:
            return NEITHER
        if node.kind in _INTEGER or node.kind.startswith((_QLINEAR, _DYNAMIC)):
            return INTEGER
        # A scalar constant, such as the bounds of a Clip, is a setting rather than data.
        read = [name for name in node.inputs if name and self._ranks.get(name) != 0]
        written = [name for name in node.outputs if name]
        dtypes = [self.dtype(name) for name in (*read, *written)]
        if any(map(is_float, dtypes)):
            return INTEGER if self._fed(read) and self._drained(written) else FLOAT
        if any(self.dtype(name) in NARROW for name in (*read, *written) if name not in self._ranks):
            return INTEGER
        return UNKNOWN if "" in dtypes else NEITHER

    def dtype(self, name: str) -> str:
        """Return the dtype of a tensor; empty if it is not known."""
        known = self._dtypes.get(name, "")
        writer = self._writer.get(name)
        if not known and writer is not None and writer.kind.startswith(_QLINEAR) and writer.inputs:
            return self._dtypes.get(writer.inputs[-1], "")
        return known

    def quantizer_behind(self, name: str) -> Node | None:
        """Return the one QuantizeLinear or DequantizeLinear that reads an input of the graph, if there is one."""
        seen: set[str] = set()
        while name not in seen:
            seen.add(name)
            readers = self._readers.get(name, [])
            if readers and all(node.kind in (QUANTIZE, DEQUANTIZE) for node in readers):
                return readers[0]
            if len(readers) == 1 and readers[0].kind in _MOVES and readers[0].outputs:
                name = readers[0].outputs[0]
        return None

    def quantizer_before(self, name: str) -> Node | None:
        """Return the QuantizeLinear or DequantizeLinear that writes an output of the graph, if there is one."""
        seen: set[str] = set()
        while name not in seen:
            seen.add(name)
            writer = self._writer.get(name)
            if writer is not None and writer.kind in (QUANTIZE, DEQUANTIZE):
                return writer
            if writer is not None and writer.kind in _MOVES and writer.inputs:
                name = writer.inputs[0]
        return None

    def _fed(self, names: Sequence[str]) -> bool:
        """Whether there are floats among these tensors, and all of them come from a DequantizeLinear."""
        writers = [self._writer.get(name) for name in names if is_float(self.dtype(name))]
        return bool(writers) and all(writer is not None and writer.kind == DEQUANTIZE for writer in writers)

    def _drained(self, names: Sequence[str]) -> bool:
        """Whether all floats among these tensors go to a QuantizeLinear, and nowhere else."""
        floats = [name for name in names if is_float(self.dtype(name)) or not self.dtype(name)]
        return all(
            name not in self._outputs
            and name in self._readers
            and all(node.kind == QUANTIZE for node in self._readers[name])
            for name in floats
        )
