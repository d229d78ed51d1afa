"""The shapes inside a TFLite file with a free batch, for one sample.

The converter writes 1 for every axis that it does not know. Mostly that is the batch of one sample, but not always: a
dilated convolution moves pixels into the batch axis, and a Reshape may join the batch with another axis. So the free
axis is followed from the inputs on, and what cannot be followed stays unknown.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import prod

from edgeport.export.inspection.counting.macs import Shape, size

# Says what the operator at a place writes that runs other graphs, from the shapes so far.
Called = Callable[[int, "LinkedOperator", Sequence[Shape]], Sequence[Shape]]

_SAME_ELEMENTS = {"RESHAPE", "TRANSPOSE", "SQUEEZE", "EXPAND_DIMS", "DEPTH_TO_SPACE", "SPACE_TO_DEPTH"}
_REDUCTIONS = {"MEAN", "SUM", "REDUCE_MAX", "REDUCE_MIN", "REDUCE_PROD"}
# The operators whose samples do not meet: the first axis goes through.
_SAMPLE_BY_SAMPLE = {
    "CONV_2D", "CONV_3D", "DEPTHWISE_CONV_2D", "TRANSPOSE_CONV", "FULLY_CONNECTED", "BATCH_MATMUL",
    "AVERAGE_POOL_2D", "MAX_POOL_2D", "L2_POOL_2D", *_REDUCTIONS,
    "ADD", "SUB", "MUL", "DIV", "MAXIMUM", "MINIMUM", "POW", "SQUARED_DIFFERENCE", "PRELU",
    "RELU", "RELU6", "RELU_N1_TO_1", "RELU_0_TO_1", "LEAKY_RELU", "ELU", "GELU", "HARD_SWISH", "LOGISTIC", "TANH",
    "SOFTMAX", "LOG_SOFTMAX", "EXP", "LOG", "ABS", "NEG", "SQRT", "RSQRT", "SQUARE", "FLOOR", "CEIL", "ROUND",
    "COS", "SIN", "PAD", "PADV2", "MIRROR_PAD", "RESIZE_BILINEAR", "RESIZE_NEAREST_NEIGHBOR", "CONCATENATION",
    "L2_NORMALIZATION", "LOCAL_RESPONSE_NORMALIZATION", "QUANTIZE", "DEQUANTIZE", "CAST",
    "LESS", "GREATER", "EQUAL", "SELECT_V2",
}  # fmt: skip


@dataclass(frozen=True)
class LinkedOperator:
    """One operator: what it does, and the numbers of the tensors that it reads and writes, -1 for one left out."""

    type: str
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]


def shapes_for_one_sample(
    signatures: Sequence[tuple[int | None, ...]],
    steps: Sequence[LinkedOperator],
    *,
    given: Mapping[int, Shape],
    constants: Mapping[int, tuple[int, ...]],
    run: Mapping[int, Called] | None = None,
) -> list[Shape]:
    """Return the shape of every tensor when one sample goes in; None for an axis that cannot be known.

    Args:
        signatures: The shapes in the file, None for a free axis.
        steps: The operators, in the order in which they run.
        given: The numbers of the tensors that go in, and their shapes for one sample.
        constants: The numbers of the constant tensors, and the values of those that hold a few integers.
        run: For the places of the operators that run other graphs, what says the shapes of what they write.
    """
    shapes: list[Shape] = [
        _joined(signature, given[index]) if index in given else signature for index, signature in enumerate(signatures)
    ]
    for place, step in enumerate(steps):
        if run and place in run:
            for output, shape in zip(step.outputs, run[place](place, step, shapes), strict=False):
                if output >= 0:
                    shapes[output] = _joined(signatures[output], shape)
            continue
        for output in step.outputs:
            shape = shapes[output] if output >= 0 else None
            if shape is not None and shape.count(None) == 1:
                length = _length(step, output, signatures, shapes, constants)
                shapes[output] = tuple(length if axis is None else axis for axis in shape)
    return shapes


def _joined(signature: tuple[int | None, ...], known: Shape) -> Shape:
    """Return a shape of the file with what is known of its free axes."""
    if known is None or len(known) != len(signature):
        return signature
    return tuple(length if axis is None else axis for axis, length in zip(signature, known, strict=True))


def _length(
    step: LinkedOperator,
    output: int,
    signatures: Sequence[tuple[int | None, ...]],
    shapes: Sequence[Shape],
    constants: Mapping[int, tuple[int, ...]],
) -> int | None:
    """Return the length of the one free axis of what an operator writes, or None."""
    shape = signatures[output]
    known = {index: shapes[index] or () for index in step.inputs if index >= 0}
    data = [index for index in known if index not in constants]
    if step.type in _SAME_ELEMENTS:
        return _divided(size(shapes[data[0]]) if data else None, prod(axis for axis in shape if axis is not None))
    if shape[0] is not None:
        return None
    if step.type == "GATHER" and len(step.inputs) > 1 and -1 not in step.inputs[:2]:
        # Rows of a table: (words, width) by (n, words) gives (n, words, width). Along another axis it differs.
        table, rows = signatures[step.inputs[0]], signatures[step.inputs[1]]
        return known[step.inputs[1]][0] if rows and (*rows, *table[1:]) == signatures[output] else None
    if step.type == "FULLY_CONNECTED" and len(data) == 1 and len(known[data[0]]) != len(shape) == 2:
        # It flattens what it reads to rows that are as long as its weights are wide.
        return _divided(size(shapes[data[0]]), (signatures[step.inputs[1]] or (None,))[-1])
    # The samples are the first axis only where that is the one axis that is free.
    batched = [index for index in data if known[index] and None not in signatures[index][1:]]
    if step.type not in _REDUCTIONS:
        batched = [index for index in batched if len(known[index]) == len(shape)]
    batches = {known[index][0] for index in batched}
    return _batch(step, batches.pop(), constants) if len(batches) == 1 else None


def _batch(step: LinkedOperator, batch: int | None, constants: Mapping[int, tuple[int, ...]]) -> int | None:
    if step.type in _SAMPLE_BY_SAMPLE:
        return batch
    block = constants.get(step.inputs[1], ()) if len(step.inputs) > 1 else ()
    if batch is None or not block:
        return None
    if step.type == "SPACE_TO_BATCH_ND":
        return batch * prod(block)
    return _divided(batch, prod(block)) if step.type == "BATCH_TO_SPACE_ND" else None


def _divided(total: int | None, parts: int | None) -> int | None:
    return total // parts if total is not None and parts and total % parts == 0 else None
