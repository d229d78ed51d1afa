"""Random affine changes that leave a digit's meaning alone: a little rotation, stretch, shear and shift."""

import math

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from edgeport.train.recipe import Recipe

Changes = npt.NDArray[np.float32]


def draw_changes(count: int, *, seed: tuple[int, int]) -> Changes:
    """Return how each of ``count`` images shall be changed, as float32 of shape (count, 6), each from -1 to 1.

    The columns are rotation, horizontal and vertical stretch, shear, horizontal and vertical shift, in parts of
    what the recipe allows. The same seed gives the same changes on every machine.
    """
    changes: Changes = np.random.default_rng(seed).uniform(-1.0, 1.0, (count, 6)).astype(np.float32)
    return changes


def augment(images: tf.Tensor, changes: tf.Tensor, recipe: Recipe) -> tf.Tensor:
    """Return each image under its own affine map about its centre, black where nothing was.

    Args:
        images: float32 of shape (n, height, width, channels).
        changes: As ``draw_changes`` gives them, of shape (n, 6).
        recipe: How far each change may go.

    Returns:
        float32 of the same shape.
    """
    height, width = images.shape[1], images.shape[2]
    draws = tf.unstack(changes, axis=1)
    angle = draws[0] * math.radians(recipe.rotation)
    stretch_x, stretch_y = 1 + draws[1] * recipe.scaling, 1 + draws[2] * recipe.scaling
    shear = draws[3] * recipe.shear
    cosine, sine = tf.cos(angle), tf.sin(angle)
    # ImageProjectiveTransformV3 asks where each output pixel comes from: x' = a0 x + a1 y + a2, and so on.
    a0, a1 = cosine * stretch_x, (shear - sine) * stretch_x
    b0, b1 = sine * stretch_y, cosine * stretch_y
    centre_x, centre_y = (width - 1) / 2, (height - 1) / 2
    a2 = centre_x - a0 * centre_x - a1 * centre_y + draws[4] * recipe.shift * width
    b2 = centre_y - b0 * centre_x - b1 * centre_y + draws[5] * recipe.shift * height
    zero = tf.zeros_like(a0)
    return tf.raw_ops.ImageProjectiveTransformV3(
        images=images,
        transforms=tf.stack([a0, a1, a2, b0, b1, b2, zero, zero], axis=1),
        output_shape=(height, width),
        fill_value=0.0,
        interpolation="BILINEAR",
        fill_mode="CONSTANT",
    )
