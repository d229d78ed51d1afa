"""Graphs that can be cut: any operators of an artefact, run alone on values that are given to them."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from edgeport.runtime.tensors.arrays import FloatArray, Tensor

# Runs some operators: the values of the tensors that they take, to those of the tensors that are asked for.
Part = Callable[[Mapping[str, Tensor]], dict[str, Tensor]]
# Runs the whole graph: its inputs in order, and what is added to some of its tensors, to what is asked for.
Disturbed = Callable[[Sequence[Tensor], Mapping[str, Tensor]], dict[str, Tensor]]


@dataclass(frozen=True, eq=False)
class Quantization:
    """How the integers of a tensor stand for real values: ``real = scale * (integer - zero_point)``.

    Attributes:
        scale: float32 of shape (1,), or one for each channel.
        zero_point: int64 of the same shape.
        axis: The axis of the channels; None for a scale for the whole tensor.
        dtype: The integers' numpy dtype.
    """

    scale: FloatArray
    zero_point: Tensor
    axis: int | None
    dtype: np.dtype[np.integer[Any]]

    @property
    def limits(self) -> tuple[float, float]:
        """The least and the largest real value that the integers can stand for, over all channels."""
        ends = [self.scale * (end - self.zero_point) for end in (np.iinfo(self.dtype).min, np.iinfo(self.dtype).max)]
        return float(min(map(np.min, ends))), float(max(map(np.max, ends)))

    def real(self, integers: Tensor) -> FloatArray:
        """Return the real values of integers, as float32 of the same shape."""
        scale, zero_point = self._beside(integers.ndim)
        return ((integers.astype(np.float64) - zero_point) * scale).astype(np.float32)

    def integers(self, real: Tensor) -> Tensor:
        """Return the nearest integers of real values, saturated."""
        scale, zero_point = self._beside(real.ndim)
        info = np.iinfo(self.dtype)
        rounded = np.rint(real.astype(np.float64) / scale) + zero_point
        return rounded.clip(info.min, info.max).astype(self.dtype)

    def _beside(self, axes: int) -> tuple[Tensor, Tensor]:
        """Return scales and zero points in a shape that broadcasts against the tensor."""
        shape = [1] * axes
        if self.axis is not None and axes:
            shape[self.axis] = self.scale.size
        return self.scale.astype(np.float64).reshape(shape), self.zero_point.reshape(shape)


@dataclass(frozen=True)
class PartOperator:
    """One operator of a graph.

    Attributes:
        type: What it does, in the format's own words.
        name: Its own name, or that of the tensor that it writes where operators have none.
        inputs: The tensors that it reads; empty for an optional one that is left out.
        outputs: The tensors that it writes.
        stands_alone: Whether it needs its inputs alone: no other graph, and no state that lasts between calls.
    """

    type: str
    name: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    stands_alone: bool = True


def with_makers(graph: "PartedGraph", operators: Sequence[int], given: Collection[str]) -> list[int]:
    """Return the numbers of some operators and of those that make their constants, in the order of the file.

    What is given needs nobody who makes it.
    """
    writer = {name: number for number, each in enumerate(graph.operators) for name in each.outputs}
    found, waiting = set(operators), list(operators)
    while waiting:
        for name in graph.operators[waiting.pop()].inputs:
            if name in graph.constants and name not in given and name in writer and writer[name] not in found:
                found.add(writer[name])
                waiting.append(writer[name])
    return sorted(found)


class PartedGraph(Protocol):
    """The main graph of an artefact, in parts. Names of tensors are unique.

    Attributes:
        operators: In an order in which they can run.
        constants: The tensors that hold constants, or what operators make of constants alone.
        inputs: The tensors that go in.
        outputs: The tensors that come out.
    """

    operators: tuple[PartOperator, ...]
    constants: frozenset[str]
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]

    def values(self, inputs: Sequence[Tensor]) -> dict[str, Tensor]:
        """Return every tensor of one call, as it is stored: real numbers, or integers."""

    def constant(self, name: str) -> Tensor | None:
        """Return what a constant of the file holds; None for one that operators make, or that is none."""

    def quantization(self, name: str) -> Quantization | None:
        """Return how the integers of a tensor stand for real values; None for one that holds real values."""

    def part(self, operators: Sequence[int], given: Mapping[str, Tensor], written: Sequence[str]) -> Part:
        """Return some operators, with those that make their constants, as a graph of their own.

        Args:
            operators: Their numbers, in order.
            given: The tensors that they get, with values of the right shapes and dtypes.
            written: The tensors that are asked for.
        """

    def disturbed(self, names: Sequence[str], first: Mapping[str, Tensor], written: Sequence[str]) -> Disturbed:
        """Return the whole graph as one in which something can be added to tensors, opened once for all of them.

        Args:
            names: The tensors.
            first: Every tensor of one call, by name: see ``values``.
            written: The tensors that are asked for.
        """
