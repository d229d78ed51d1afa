"""The rule for Einsum of two tensors: one matrix product, or a sum of products."""

from typing import Any

import tensorflow as tf


def einsum_as_product(operation: Any) -> Any:
    """Einsum of two tensors, each with any letter once: sorted axes, and one matrix product (n, i, k) x (n, k, j).

    Without a letter for i or j, as in ``bij,bij->b``, it is the sum of the products of numbers.
    """
    equation = operation.get_attr("equation").decode().replace(" ", "")
    sides, _, result = equation.partition("->")
    terms = sides.split(",")
    if len(terms) != 2 or "." in equation or any(len({*term}) != len(term) for term in (*terms, result)):
        return None
    (one, first), (other, second) = (
        _needed(side, term, {*other, *result})
        for side, term, other in zip(operation.inputs, terms, reversed(terms), strict=True)
    )
    batch = [axis for axis in first if axis in second and axis in result]
    inner = [axis for axis in first if axis in second and axis not in result]
    left, right = [axis for axis in first if axis not in second], [axis for axis in second if axis not in first]
    lengths = {
        axis: length
        for side, term in ((one, first), (other, second))
        for axis, length in zip(term, side.shape, strict=True)
    }
    a = tf.transpose(one, [first.index(axis) for axis in (*batch, *left, *inner)])
    b = tf.transpose(other, [second.index(axis) for axis in (*batch, *inner, *right)])
    if not left and not right:
        product = tf.reduce_sum(a * b, range(len(batch), len(batch) + len(inner))) if inner else a * b
        return tf.transpose(product, [batch.index(axis) for axis in result])
    shapes = [_merged(lengths, groups) for groups in ((batch, left, inner), (batch, inner, right))]
    made = [-1 if lengths[axis] is None else lengths[axis] for axis in (*batch, *left, *right)]
    if None in shapes or made.count(-1) > 1:
        return None
    product = tf.reshape(tf.linalg.matmul(tf.reshape(a, shapes[0]), tf.reshape(b, shapes[1])), made)
    return tf.transpose(product, [(*batch, *left, *right).index(axis) for axis in result])


def _needed(side: Any, term: str, elsewhere: set[str]) -> tuple[Any, str]:
    """Return a tensor and its letters without those that are nowhere else, which are summed up."""
    alone = [place for place, axis in enumerate(term) if axis not in elsewhere]
    kept = "".join(axis for axis in term if axis in elsewhere)
    return (tf.reduce_sum(side, alone) if alone else side), kept


def _merged(lengths: dict[str, int | None], groups: tuple[list[str], ...]) -> list[int] | None:
    """Return the shape with each group of axes as one; None if more than one of them is of unknown length."""
    shape = []
    for group in groups:
        size = 1
        for axis in group:
            length = lengths[axis]
            size = -1 if length is None or size == -1 else size * length
        shape.append(size)
    return shape if shape.count(-1) <= 1 else None
