"""How many multiplications with an addition an operator takes, from the shapes of its tensors.

A shape that is not known gives None, never a guess. An input that is left out has the shape of a number alone: no axes.
"""

from collections.abc import Callable, Sequence
from math import prod

Shape = tuple[int | None, ...] | None
Rule = Callable[[Sequence[Shape], Shape], int | None]


def size(shape: Shape) -> int | None:
    """Return the number of elements of a tensor, or None if an axis is not known."""
    axes = [axis for axis in shape if axis is not None and axis >= 0] if shape is not None else []
    return prod(axes) if shape is not None and len(axes) == len(shape) else None


def each_output(weights: slice, *, at: int = 1, rank: int | None = None) -> Rule:
    """Return the rule of a convolution or a dense layer: every output element sums over these axes of the weights.

    Args:
        weights: The axes of the weights that are summed over.
        at: Which input the weights are.
        rank: How many axes the weights must have, if the operator knows only one number.
    """
    return lambda inputs, output: _times(size(output), size(_axes(inputs, at, weights, rank)))


def each_input(weights: slice, *, data: int = 0, at: int = 1, rank: int | None = None) -> Rule:
    """Return the rule of a transposed convolution: every input element is spread over these axes of the weights.

    Args:
        weights: The axes of the weights that an input element is multiplied with.
        data: Which input the data are.
        at: Which input the weights are.
        rank: How many axes the weights must have, if the operator knows only one number.
    """
    return lambda inputs, output: _times(
        size(_axes(inputs, data, slice(None), None)), size(_axes(inputs, at, weights, rank))
    )


def matrix_product(left: int = 0, right: int = 1) -> Rule:
    """Return the rule of numpy's matmul; the arguments say which inputs are multiplied."""

    def rule(inputs: Sequence[Shape], output: Shape) -> int | None:
        first, second = (_axes(inputs, at, slice(None), None) for at in (left, right))
        summed = first[-1] if first else None
        if summed is None and second:
            summed = second[-2] if len(second) > 1 else second[0]
        return _times(size(output), summed)

    return rule


def product_either_way() -> Rule:
    """Return the rule of a product whose first factor may be transposed: (..., M, K) or (..., K, M) to (..., M, N)."""

    def rule(inputs: Sequence[Shape], output: Shape) -> int | None:
        matrix = size(_axes(inputs, 0, slice(-2, None), None))
        rows = output[-2] if output is not None and len(output) > 1 else None
        if rows == 0:
            return 0
        if matrix is None or rows is None or matrix % rows:
            return None
        return _times(size(output), matrix // rows)

    return rule


def each_position(*weights: int) -> Rule:
    """Return the rule of a recurrent layer: what stands at each step is multiplied with all of its matrices.

    The steps are all axes of the data but the last, in whatever order time and batch are. Weights of fewer than two
    axes are biases and the like.

    Args:
        weights: Which inputs may be weights; those that are left out count nothing.
    """

    def rule(inputs: Sequence[Shape], output: Shape) -> int | None:
        steps = size(_axes(inputs, 0, slice(0, -1), None))
        given = [inputs[at] for at in weights if at < len(inputs)]
        sizes = [size(shape) for shape in given if shape is None or len(shape) > 1]
        return None if steps is None or None in sizes else steps * sum(each for each in sizes if each is not None)

    return rule


def _axes(inputs: Sequence[Shape], at: int, axes: slice, rank: int | None) -> Shape:
    shape = inputs[at] if at < len(inputs) else None
    # No axes: a number alone, or an input that is left out.
    if not shape or (rank is not None and len(shape) != rank):
        return None
    return shape[axes]


def _times(first: int | None, second: int | None) -> int | None:
    return None if first is None or second is None else first * second
