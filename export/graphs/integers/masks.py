"""Masks in front of a softmax, rewritten so that integers can hold them.

A mask hides a place from a softmax by a huge negative logit: -1e9, float32's lowest number, -infinity. One such number
in a tensor makes its integer step larger than all logits, and they are lost. So what is hidden becomes a logit just low
enough: ``lowest - 12``, where ``lowest`` is the lowest logit that a calibration sample has in a place that is not
hidden.

Why 12: the largest logit of a softmax that does not hide all is at least ``lowest``, so what is hidden gets at most
exp(-12) = 6e-6 of the largest share. Half a step of an int8 softmax is 2e-3, of an int16 softmax 1.5e-5: both round it
to the 0 that it was. (float32 would ask for 104, where exp underflows; that costs int8 five bits of logits that span 4.
Files in floats keep their masks as they are.) Where all is hidden, all logits are one number as before, and the shares
equal.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from edgeport.export.graphs.graph import Graph
from edgeport.export.graphs.running import Batch, answers, computed
from edgeport.runtime.errors import ExportError

_BELOW = 12.0
# What a mask adds to logits: nothing that counts, or more than any logit.
_HUGE, _SMALL = 1e3, 1e2
# What a computed mask hides by inside its own tensors: TFLite's comparisons ask for an integer step below 1.
_HIDDEN = 100.0
_COMPARED, _ALIKE = 20, 1e-3
_SAME_PLACES = ("Identity", "StopGradient", "Reshape", "Transpose", "ExpandDims", "Squeeze")
_SUMS = ("Add", "AddV2", "Sub")
# What turns constants into a mask.
_OF_MASKS = (
    *_SAME_PLACES, *_SUMS, "Select", "SelectV2", "Mul", "Neg", "Cast", "RealDiv", "Maximum", "Minimum", "Tile",
    "BroadcastTo", "Fill", "StridedSlice", "Slice", "ConcatV2", "Pack", "MatrixBandPart", "GatherV2",
)  # fmt: skip


Batches = Callable[[], Iterable[Batch]]


@dataclass(frozen=True)
class _Mask:
    """A node that hides places, and what is known about it.

    Attributes:
        node: Its name; an addition, a subtraction or a selection.
        hiding: Which of its inputs brings the huge numbers.
    """

    node: str
    hiding: int

    @property
    def tensor(self) -> str:
        """What the range of what it brings is known by."""
        return f"{self.node}:{self.hiding}"


@dataclass
class _Seen:
    """The range of a tensor over samples, apart from what is hidden."""

    low: float = np.inf
    high: float = -np.inf
    hides: bool = False

    @property
    def spread(self) -> float:
        return max(0.0, self.high - self.low)

    def add(self, values: npt.NDArray[Any], sign: float) -> None:
        values = sign * values
        hidden = values <= -_HUGE
        self.hides |= bool(hidden.any())
        if not hidden.all():
            kept = values[~hidden]
            self.low, self.high = min(self.low, float(kept.min())), max(self.high, float(kept.max()))


def with_clamped_masks(graph: Graph, batches: Batches, *, computed_in_integers: bool) -> Graph:
    """Return the graph with clamped masks, or itself if it has none; its answers change by what integers cannot hold.

    Args:
        graph: A frozen graph; its softmax may stand anywhere.
        batches: Returns the calibration samples anew: for each batch an array an input, in order.
        computed_in_integers: Whether integers compute a mask too, so that they must have seen it hide.

    Raises:
        ExportError: They must, and no sample has anything to hide.
    """
    nodes = {node.name: node for node in graph.definition.node}
    starts = [node for node in nodes.values() if node.op == "Softmax"]
    possible = [mask for start in starts for mask in _masks_before(start, nodes, lambda masks: masks)]
    if not possible:
        return graph
    seen = _ranges(graph, possible, batches())

    def likelier(masks: list[_Mask]) -> list[_Mask]:
        # Of logits that one mask hides already, and another mask, the latter varies less where it hides nothing.
        return sorted(masks, key=lambda mask: seen[mask.tensor].spread)[:1]

    clamped = _Clamped(graph)
    for mask in dict.fromkeys(mask for start in starts for mask in _masks_before(start, nodes, likelier)):
        if computed_in_integers:
            _check_hides(graph, nodes[mask.node], mask, seen[mask.tensor])
        clamped.clamp(mask, seen)
    return clamped.graph if _alike(graph, clamped.graph, batches) else graph


def _check_hides(graph: Graph, node: Any, mask: _Mask, hiding: _Seen) -> None:
    """Raise ExportError if a mask that is computed from the inputs is 0 for all samples: its integers would stay 0."""
    constants = {each.name for each in graph.definition.node if each.op == "Const"}
    is_computed = node.op != "SelectV2" and _node_of(node.input[mask.hiding]) not in constants
    if is_computed and hiding.low == hiding.high == 0.0 and not hiding.hides:
        raise ExportError(
            f"the mask{graph.place_of(node.name)} hides nothing in any calibration sample, so its integers would never "
            "hide anything: add samples with what it hides (padding), or use float16 or dynamic"
        )


def _masks_before(softmax: Any, nodes: Mapping[str, Any], choose: Callable[[list[_Mask]], list[_Mask]]) -> list[_Mask]:
    """Return the masks that lead to a softmax, and go on from each with the operand that is not chosen as its mask."""
    found, ahead = [], [_node_of(softmax.input[0])]
    while ahead:
        node = nodes[ahead.pop()]
        if node.op in _SAME_PLACES:
            ahead.append(_node_of(node.input[0]))
        elif node.op in (*_SUMS, "SelectV2"):
            places = (0, 1) if node.op in _SUMS else (1, 2)
            masks = [_Mask(node.name, place) for place in places if _huge_constants(node.input[place], nodes)]
            chosen = choose(masks)
            found += chosen
            passed = [mask.hiding for mask in chosen] if len(chosen) == 1 else []
            ahead += [_node_of(node.input[place]) for place in places if place not in passed]
    return found


def _huge_constants(tensor: str, nodes: Mapping[str, Any]) -> set[str]:
    """Return the constants of huge numbers that a tensor is made of, by operators that masks are made by."""
    found, ahead, known = set(), [_node_of(tensor)], set()
    while ahead:
        name = ahead.pop()
        if name in known:
            continue
        known.add(name)
        node = nodes[name]
        if node.op in _OF_MASKS:
            ahead += [_node_of(each) for each in node.input]
        elif node.op == "Const" and _is_huge(node):
            found.add(name)
    return found


def _is_huge(constant: Any) -> bool:
    if not tf.as_dtype(constant.attr["dtype"].type).is_floating:
        return False
    # NaN is no mask, and not larger than anything.
    return bool((np.abs(tf.make_ndarray(constant.attr["value"].tensor)) >= _HUGE).any())


def _ranges(graph: Graph, masks: Sequence[_Mask], batches: Iterable[Batch]) -> dict[str, _Seen]:
    """Return the range of each masking node's result and of what hides there (the latter by the mask's tensor)."""
    nodes = {node.name: node for node in graph.definition.node}
    fetched, signs = {}, {}
    for mask in masks:
        node = nodes[mask.node]
        fetched[mask.node] = f"{mask.node}:0"
        fetched[mask.tensor] = _full(node.input[mask.hiding])
        signs[mask.tensor] = -1.0 if node.op == "Sub" and mask.hiding == 1 else 1.0
    seen = {name: _Seen() for name in fetched}
    for values in computed(graph, fetched, batches):
        for name, array in values.items():
            seen[name].add(array, signs.get(name, 1.0))
    return seen


class _Clamped:
    """A graph whose masks are rewritten one after the other."""

    def __init__(self, graph: Graph) -> None:
        definition = tf.compat.v1.GraphDef()
        definition.CopyFrom(graph.definition)
        self.graph = replace(graph, definition=definition)
        self._nodes = {node.name: node for node in definition.node}
        self._copies: dict[str, str] = {}

    def clamp(self, mask: _Mask, seen: Mapping[str, _Seen]) -> None:
        node, result, hiding = self._nodes[mask.node], seen[mask.node], seen[mask.tensor]
        if not np.isfinite(result.low) or result.high >= _HUGE:
            return
        dtype = tf.as_dtype(node.attr["T"].type).as_numpy_dtype
        lowest = np.array(result.low - _BELOW, dtype)
        brings = self._nodes[_node_of(node.input[mask.hiding])]
        if node.op == "SelectV2":
            # Only what is a mask as a whole may be replaced.
            if np.isinf(hiding.low):
                if brings.op == "Const":
                    lowest = np.full_like(tf.make_ndarray(brings.attr["value"].tensor), lowest)
                node.input[mask.hiding] = self._constant(f"{node.name}/hidden", lowest)
            return
        only_hides = np.isinf(hiding.low) or hiding.low == hiding.high == 0.0
        # What never hides is a mask only if it does nothing else; numbers in between are none of a mask.
        if only_hides or (hiding.hides and hiding.low > -_SMALL and hiding.high < _SMALL):
            self._hide(node, mask.hiding, self._constant(f"{node.name}/hidden", lowest), only_hides=only_hides)

    def _hide(self, node: Any, place: int, lowest: str, *, only_hides: bool) -> None:
        """Make an addition a selection between ``lowest`` and its other operand, or the sum if the mask also weighs."""
        dtype, name, mask, other = node.attr["T"].type, node.name, node.input[place], node.input[1 - place]
        negative = node.op != "Sub" or place == 0
        known = self._nodes[_node_of(mask)]
        if known.op == "Const":
            values = tf.make_ndarray(known.attr["value"].tensor)
            hidden = values <= -_HUGE if negative else values >= _HUGE
            hides = self._constant(f"{name}/hides", hidden)
            mask = self._constant(f"{name}/weighs", np.where(hidden, values.dtype.type(0), values))
        else:
            mask = self._copy(mask)
            limit = np.array(-_HIDDEN / 2 if negative else _HIDDEN / 2, tf.as_dtype(dtype).as_numpy_dtype)
            compared = [mask, self._constant(f"{name}/limit", limit)]
            hides = self._add(f"{name}/hides", "Less" if negative else "Greater", compared, T=dtype)
        if not only_hides:
            other = self._add(f"{name}/sum", node.op, [mask, other] if place == 0 else [other, mask], T=dtype)
        node.op = "SelectV2"
        node.input[:] = [hides, lowest, other]

    def _copy(self, tensor: str) -> str:
        """Return a tensor like a given one whose huge constants are smaller; what has none is not copied."""
        name = _node_of(tensor)
        node = self._nodes[name]
        if name in self._copies:
            return tensor.replace(name, self._copies[name], 1)
        huge = _huge_constants(name, self._nodes)
        if not huge:
            return tensor
        copied = tf.compat.v1.NodeDef()
        copied.CopyFrom(node)
        copied.name = f"{name}/clamped"
        if name in huge:
            values = tf.make_ndarray(node.attr["value"].tensor)
            values = np.where(np.abs(values) >= _HUGE, np.sign(values) * values.dtype.type(_HIDDEN), values)
            copied.attr["value"].tensor.CopyFrom(tf.make_tensor_proto(values))
        else:
            copied.input[:] = [self._copy(each) for each in node.input]
        self._copies[name] = copied.name
        self._nodes[copied.name] = self.graph.definition.node.add()
        self._nodes[copied.name].CopyFrom(copied)
        return tensor.replace(name, copied.name, 1)

    def _constant(self, name: str, value: npt.NDArray[Any]) -> str:
        node = self.graph.definition.node.add(name=name, op="Const")
        node.attr["dtype"].type = tf.as_dtype(value.dtype).as_datatype_enum
        node.attr["value"].tensor.CopyFrom(tf.make_tensor_proto(value))
        self._nodes[name] = node
        return name

    def _add(self, name: str, operator: str, inputs: Sequence[str], **types: int) -> str:
        node = self._nodes[name] = self.graph.definition.node.add(name=name, op=operator, input=inputs)
        for key, value in types.items():
            node.attr[key].type = value
        return name


def _alike(graph: Graph, changed: Graph, batches: Batches) -> bool:
    """Return whether some samples get the same answers, hidden logits of an output aside.

    They do not where a whole row is hidden by a number so small that its logits still counted.
    """
    before, after = (answers(each, islice(batches(), _COMPARED)) for each in (graph, changed))
    for one, other in zip(before, after, strict=True):
        for name, expected in one.items():
            kept = expected > -_HUGE
            allowed = _ALIKE * max(1.0, float(np.abs(expected[kept]).max(initial=0.0)))
            if np.abs(other[name] - expected)[kept].max(initial=0.0) > allowed:
                return False
    return True


def _node_of(tensor: str) -> str:
    return tensor.partition(":")[0].removeprefix("^")


def _full(tensor: str) -> str:
    return tensor if ":" in tensor else f"{tensor}:0"
