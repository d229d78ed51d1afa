"""What an inspection finds."""

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property

from edgeport.runtime.artefact.embedded_metadata import EmbeddedMetadata
from edgeport.runtime.artefact.spec import TensorSpec
from edgeport.runtime.host.notebook import html_table

# What an operator computes in. A boundary turns floats into integers or back; an operator on shapes or indices alone
# computes in neither; "unknown" is an operator of which the file does not say.
INTEGER, FLOAT, BOUNDARY, NEITHER, UNKNOWN = "integer", "float", "boundary", "neither", "unknown"
# The integers that quantized activations and weights are made of; wider ones are biases, axes and indices.
NARROW = ("int8", "uint8", "int16", "uint16", "int4", "uint4", "int2", "uint2")


@dataclass(frozen=True)
class Constant:
    """One constant tensor of a file.

    Attributes:
        name: Its name in the file.
        dtype: Its numpy dtype's name, or ``int4`` and the like, which numpy has not.
        shape: Its axes.
        bytes: What it takes in this file; 0 for one that lies in another file.
        weight: Whether its elements are weights or biases, rather than axes, indices, scales or zero points.
        per_channel: Whether it has a scale for every channel.
    """

    name: str
    dtype: str
    shape: tuple[int, ...]
    bytes: int
    weight: bool
    per_channel: bool = False

    @property
    def elements(self) -> int:
        """How many numbers it holds."""
        return elements_of(self.shape)


@dataclass(frozen=True)
class Operator:
    """One operator of a graph.

    Attributes:
        number: Its place in the file, from 0.
        type: What it does, in the format's own words: ``CONV_2D``, ``Conv``; with its domain if that is a foreign one.
        name: Its own name, or that of its first output where operators have none.
        arithmetic: What it computes in: ``integer``, ``float``, ``boundary``, ``neither`` or ``unknown``.
        macs: Multiplications with an addition; None if the file does not say the shapes that decide it.
            Of one that runs graphs, those of all that is run: of a loop, of all its rounds.
        constants: The constants that it is the first to read, itself or through operators on constants alone.
        graph: The way to the graph that it stands in, empty for the main one: ``12/body`` is what operator 12 runs.
        rounds: How often a loop runs its body; None if the file does not say, or if it is no loop.
        inside: The operators of the graphs that it runs: a loop's body, the sides of a branch.
    """

    number: int
    type: str
    name: str
    arithmetic: str
    macs: int | None
    constants: tuple[Constant, ...] = ()
    graph: str = ""
    rounds: int | None = None
    inside: tuple["Operator", ...] = ()

    @property
    def bytes(self) -> int:
        """What its constants take in the file."""
        return sum(constant.bytes for constant in self.constants)

    @property
    def parameters(self) -> int:
        """How many weights and biases it has."""
        return sum(constant.elements for constant in self.constants if constant.weight)

    @property
    def macs_unknown(self) -> int:
        """How many operators are not in its MACs, itself or inside: those that multiply, or may."""
        if self.macs is not None:
            return 0
        return sum(each.macs_unknown or each.macs != 0 for each in self.inside) or 1


@dataclass(frozen=True)
class ArtefactGraph:
    """What one format's reader finds in a file.

    Attributes:
        producer: Which tool wrote the file, in its own words; empty if it does not say.
        inputs: The tensors that go in.
        outputs: The tensors that come out.
        operators: The operators of the main graph, in the order of the file, with those that they run inside them.
        activations: How many tensors between operators have each dtype; floats and quantized integers alone.
        unread: The constants that no operator reads.
        others: The operators of graphs that the main one does not run, such as other signatures.
        further_graphs: How many such graphs there are.
        one_sample: Whether the MACs are those of one sample: the first axis of every input is free, or 1.
    """

    producer: str
    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]
    operators: tuple[Operator, ...]
    activations: Mapping[str, int]
    unread: tuple[Constant, ...]
    others: tuple[Operator, ...]
    further_graphs: int
    one_sample: bool


@dataclass(frozen=True)
class Inspection:
    """What one artefact is.

    Attributes:
        file: Its path, as it was given.
        format: ``tflite`` or ``onnx``.
        bytes: Its size.
        sha256: The digest of the whole file.
        checksum: ``intact`` for a file as edgeport made it, ``altered`` for one that has been changed since, ``none``
            for one without metadata.
        metadata: What the file says about itself; None if it says nothing, or nothing that can be read.
        graph: What it computes.
    """

    file: str
    format: str
    bytes: int
    sha256: str
    checksum: str
    metadata: EmbeddedMetadata | None
    graph: ArtefactGraph

    def _repr_html_(self) -> str:
        """Show it in a notebook: its tensors, then how many operators of each type there are."""
        ports = [("input", each) for each in self.graph.inputs] + [("output", each) for each in self.graph.outputs]
        tensors = [
            (what, each.name, each.dtype, str(tuple("n" if size is None else size for size in each.shape)))
            for what, each in ports
        ]
        counts = [(type_, f"{count:,}") for type_, count in self.operator_counts.items()]
        caption = f"{self.file}: {self.bytes:,} bytes, checksum {self.checksum}"
        return html_table(caption, ("", "tensor", "type", "shape"), tensors, left=4) + html_table(
            f"{len(self.operators):,} operators", ("operator", "count"), counts
        )

    @cached_property
    def running(self) -> tuple[Operator, ...]:
        """The operators of the main graph and of all graphs that it runs, each behind the one that runs it."""
        return tuple(_with_inside(self.graph.operators))

    @cached_property
    def operators(self) -> tuple[Operator, ...]:
        """All operators of the file."""
        return (*self.running, *_with_inside(self.graph.others))

    @cached_property
    def operator_counts(self) -> dict[str, int]:
        """How many operators there are of each type, the most frequent first."""
        return dict(Counter(operator.type for operator in self.operators).most_common())

    @cached_property
    def layers(self) -> tuple[Operator, ...]:
        """All operators by the size of their constants, biggest first."""
        return tuple(sorted(self.operators, key=lambda operator: -operator.bytes))

    @cached_property
    def constants(self) -> tuple[Constant, ...]:
        """Every constant, each once."""
        owned = [constant for operator in self.operators for constant in operator.constants]
        return (*owned, *self.graph.unread)

    @cached_property
    def constant_bytes(self) -> int:
        """What the constants take in the file; the rest is graph, names and metadata."""
        return sum(constant.bytes for constant in self.constants)

    @cached_property
    def parameters(self) -> int:
        """How many weights and biases the file stores; what several operators share counts once."""
        return sum(constant.elements for constant in self.constants if constant.weight)

    @cached_property
    def macs(self) -> int:
        """Multiplications with an addition for one sample, without those of ``macs_unknown`` operators."""
        return sum(operator.macs or 0 for operator in self.graph.operators)

    @cached_property
    def macs_unknown(self) -> int:
        """How many operators have shapes, rounds or insides that the file does not say."""
        return sum(operator.macs_unknown for operator in self.graph.operators)

    @cached_property
    def weights(self) -> dict[str, int]:
        """How many elements the weights of each dtype have, the most frequent first; biases only if all are."""
        stored = [constant for constant in self.constants if constant.weight]
        counts: Counter[str] = Counter()
        for constant in [each for each in stored if len(each.shape) > 1] or stored:
            counts[constant.dtype] += constant.elements
        return dict(counts.most_common())

    @cached_property
    def quantization(self) -> str:
        """How the file is quantized.

        ``none``; ``weights`` for narrow weights and float activations; ``dynamic`` for activations that are quantized
        while it runs, with ranges found on the way; ``integer`` for activations with ranges that were calibrated.
        """
        heavy = [operator for operator in self.running if operator.macs != 0 and not operator.inside]
        deciding = heavy or self.running
        if any(operator.arithmetic == INTEGER for operator in deciding):
            return "dynamic" if any("DynamicQuantize" in kind for kind in self.operator_counts) else "integer"
        activation = _bits(self._activation(FLOAT)) or 32
        narrow = any(0 < _bits(dtype) < activation for dtype in self.weights)
        return "weights" if narrow else "none"

    @cached_property
    def arithmetic(self) -> str:
        """What it computes in, in words: ``int8 weights, float32 activations``."""
        float_dtype = self._activation(FLOAT) or "float32"
        weights = f"{' and '.join(self.weights)} weights" if self.weights else "no weights"
        if any(constant.per_channel for constant in self.constants):
            weights += " (scales per channel)"
        return {
            "none": f"{float_dtype}, not quantized",
            "weights": f"{weights}, {float_dtype} activations",
            "dynamic": f"{weights}, {float_dtype} activations that are quantized while it runs",
            "integer": f"{weights}, {self._activation(INTEGER) or 'integer'} activations",
        }[self.quantization]

    @cached_property
    def float_islands(self) -> tuple[Operator, ...]:
        """The operators that compute in floats although the file is quantized to integers."""
        if self.quantization != "integer":
            return ()
        return tuple(operator for operator in self.running if operator.arithmetic == FLOAT)

    def _activation(self, arithmetic: str) -> str:
        """Return the most frequent dtype between operators that is a float, or that is none; empty if none is."""
        fitting = {
            dtype: count for dtype, count in self.graph.activations.items() if is_float(dtype) == (arithmetic == FLOAT)
        }
        return max(fitting, key=lambda dtype: fitting[dtype], default="")


def _with_inside(operators: Iterable[Operator]) -> Iterator[Operator]:
    for operator in operators:
        yield operator
        yield from _with_inside(operator.inside)


def is_float(dtype: str) -> bool:
    """Whether a dtype of this name is a floating-point one."""
    return "float" in dtype


def elements_of(shape: tuple[int, ...]) -> int:
    """Return how many elements a tensor of this shape has."""
    product = 1
    for axis in shape:
        product *= axis
    return product


def bytes_of(dtype: str, elements: int) -> int | None:
    """Return what so many elements take, packed; None for a dtype without a fixed width, such as strings."""
    bits = _bits(dtype)
    return -(-elements * bits // 8) if bits else None


def _bits(dtype: str) -> int:
    """Return the width that a dtype's name gives; 0 if it gives none."""
    if dtype == "bool":
        return 8
    width = re.match(r"[a-z]+(\d+)", dtype)
    return int(width[1]) if width else 0
