"""Rules for resizing that the formats lack: bicubic, Lanczos, by area, with or without antialiasing.

Each of these is linear, and the same for every column and every row. So it is two matrix products, and TensorFlow's own
operator, asked what it makes of an identity matrix, gives the matrices.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import tensorflow as tf

from edgeport.export.graphs.operators.rewriting import constant_of

# From images of shape (1, length, 1, channels) and a length to images of that length.
_Along = Callable[[Any, int, int], Any]


def resize_bicubic(operation: Any) -> Any:
    """ResizeBicubic, of images (n, height, width, channels) to float32."""
    return _in_two_products(operation, operation.inputs[1], _same_way(operation, tf.raw_ops.ResizeBicubic))


def resize_area(operation: Any) -> Any:
    """ResizeArea, of images (n, height, width, channels) to float32."""
    if operation.get_attr("align_corners"):
        return None
    return _in_two_products(
        operation,
        operation.inputs[1],
        lambda images, axis, length: tf.raw_ops.ResizeArea(images=images, size=[length, 1]),
    )


def scale_and_translate(operation: Any) -> Any:
    """ScaleAndTranslate: ``tf.image.resize`` by Lanczos, Mitchell or Gauss, and whatever is antialiased."""
    scale, translation = (constant_of(tensor) for tensor in operation.inputs[2:4])
    if scale is None or translation is None:
        return None

    def along(images: Any, axis: int, length: int) -> Any:
        return tf.raw_ops.ScaleAndTranslate(
            images=images,
            size=[length, 1],
            scale=[scale[axis], 1.0],
            translation=[translation[axis], 0.0],
            kernel_type=operation.get_attr("kernel_type").decode(),
            antialias=operation.get_attr("antialias"),
        )

    return _in_two_products(operation, operation.inputs[1], along)


def _same_way(operation: Any, function: Any) -> _Along:
    settings = {name: operation.get_attr(name) for name in ("align_corners", "half_pixel_centers")}
    return lambda images, axis, length: function(images=images, size=[length, 1], **settings)


def _in_two_products(operation: Any, size: Any, along: _Along) -> Any:
    images, lengths = operation.inputs[0], constant_of(size)
    if lengths is None or images.shape.rank != 4 or None in images.shape[1:]:
        return None
    height, width, channels = images.shape[1:]
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        rows, columns = (
            session.run(tf.transpose(along(tf.reshape(tf.eye(old), (1, old, 1, old)), axis, int(new))[0, :, 0, :]))
            for axis, (old, new) in enumerate(zip((height, width), lengths, strict=True))
        )
    if not (np.isfinite(rows).all() and np.isfinite(columns).all()):
        return None
    images = tf.transpose(tf.cast(images, tf.float32), (0, 2, 3, 1))
    images = tf.reshape(tf.reshape(images, (-1, height)) @ rows, (-1, width, channels, int(lengths[0])))
    images = tf.transpose(images, (0, 3, 2, 1))
    images = tf.reshape(tf.reshape(images, (-1, width)) @ columns, (-1, *map(int, (lengths[0], channels, lengths[1]))))
    return tf.transpose(images, (0, 1, 3, 2))
