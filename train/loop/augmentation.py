"""Random changes that leave a digit's meaning alone: rotation, stretch, shear, shift and elastic distortion."""

import math

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from edgeport.train.loop.recipe import Recipe

Changes = npt.NDArray[np.float32]

_AFFINE = 6
# Elastic distortion moves the points of a grid of so many rows and columns, and what lies between them smoothly along.
_GRID = 4


def draw_changes(count: int, *, seed: tuple[int, int]) -> Changes:
    """Return how each of ``count`` images shall be changed, as float32 of shape (count, 38), each from -1 to 1.

    The columns are rotation, horizontal and vertical stretch, shear, horizontal and vertical shift, and then both
    shifts of each point of a 4 x 4 grid, in parts of what the recipe allows. The same seed gives the same changes on
    every machine.
    """
    generator = np.random.default_rng(seed)
    changes: Changes = np.hstack(
        [generator.uniform(-1.0, 1.0, (count, columns)).astype(np.float32) for columns in (_AFFINE, 2 * _GRID**2)]
    )
    return changes


def augment(images: tf.Tensor, changes: tf.Tensor, recipe: Recipe) -> tf.Tensor:
    """Return each image under its own affine map about its centre, then distorted, black where nothing was.

    Args:
        images: float32 of shape (n, height, width, channels).
        changes: As ``draw_changes`` gives them, of shape (n, 38).
        recipe: How far each change may go.

    Returns:
        float32 of the same shape.
    """
    moved = _affine(images, changes[:, :_AFFINE], recipe)
    return _elastic(moved, changes[:, _AFFINE:], recipe) if recipe.elastic else moved


def _affine(images: tf.Tensor, changes: tf.Tensor, recipe: Recipe) -> tf.Tensor:
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


def _elastic(images: tf.Tensor, changes: tf.Tensor, recipe: Recipe) -> tf.Tensor:
    """Take each output pixel from where a smooth random field points (Simard et al., ICDAR 2003), bilinearly."""
    _, height, width, channels = images.shape
    count = tf.shape(images)[0]
    grid = tf.reshape(changes, (-1, _GRID, _GRID, 2)) * tf.constant([recipe.elastic * height, recipe.elastic * width])
    field = tf.image.resize(grid, (height, width), method="bicubic")
    # A border of one black pixel, which every pixel from outside is taken from.
    padded = tf.pad(images, [[0, 0], [1, 1], [1, 1], [0, 0]])
    rows = tf.clip_by_value(field[..., 0] + tf.range(1.0, height + 1)[:, tf.newaxis], 0.0, height + 0.999)
    columns = tf.clip_by_value(field[..., 1] + tf.range(1.0, width + 1), 0.0, width + 0.999)
    top, left = tf.floor(rows), tf.floor(columns)
    down, right = (rows - top)[..., tf.newaxis], (columns - left)[..., tf.newaxis]
    image_starts = tf.range(count)[:, tf.newaxis, tf.newaxis] * ((height + 2) * (width + 2))
    first = image_starts + tf.cast(top, tf.int32) * (width + 2) + tf.cast(left, tf.int32)
    pixels = tf.reshape(padded, (-1, channels))
    upper = tf.gather(pixels, first) * (1 - right) + tf.gather(pixels, first + 1) * right
    lower = tf.gather(pixels, first + width + 2) * (1 - right) + tf.gather(pixels, first + width + 3) * right
    return upper * (1 - down) + lower * down
