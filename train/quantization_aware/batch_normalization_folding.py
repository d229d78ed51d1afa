"""Normalisations at inference are ``scale * x + offset`` per channel, which the layer before can carry in its kernel.

The arithmetic alone, in numpy; Jacob et al., arXiv 1712.05877, section 3.2.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

from edgeport.runtime.tensors.arrays import FloatArray


@dataclass(frozen=True, eq=False)
class Affine:
    """A function ``scale * x + offset`` of each channel.

    Attributes:
        scale: float32 of shape (channels,), or a single number of shape ().
        offset: The same.
    """

    scale: FloatArray
    offset: FloatArray

    @property
    def is_pure_scale(self) -> bool:
        """Whether it multiplies by one positive number and does nothing else, which changes no integer."""
        return self.scale.ndim == 0 and bool(self.scale > 0) and not self.offset.any()


def batch_normalization(*, mean: Any, variance: Any, epsilon: float, gamma: Any = None, beta: Any = None) -> Affine:
    """Return what a batch normalisation does at inference: ``gamma * (x - mean) / sqrt(variance + epsilon) + beta``.

    Args:
        mean: The moving average of each channel, of shape (channels,).
        variance: That of each channel's variance.
        epsilon: What is added to the variance.
        gamma: The factor of each channel; None for 1.
        beta: The offset of each channel; None for 0.
    """
    scale = (1.0 if gamma is None else np.asarray(gamma, np.float64)) / np.sqrt(
        np.asarray(variance, np.float64) + epsilon
    )
    offset = (0.0 if beta is None else np.asarray(beta, np.float64)) - np.asarray(mean, np.float64) * scale
    return Affine(scale.astype(np.float32), offset.astype(np.float32))


def fold_after(
    kernel: FloatArray, bias: FloatArray | None, affine: Affine, *, channel_axes: int = 1
) -> list[FloatArray]:
    """Return the kernel and bias of a layer that also does what an affine function after it does.

    Args:
        kernel: The kernel; its last ``channel_axes`` axes count the output channels.
        bias: The bias, of shape (output channels,); None for 0.
        affine: The function of the layer's outputs.
        channel_axes: 1 for Conv2D and Dense; 2 for DepthwiseConv2D, which has (input channels, multiplier).
    """
    shape = kernel.shape[kernel.ndim - channel_axes :]
    channels = int(np.prod(shape))
    scale = np.broadcast_to(affine.scale, (channels,))
    shift = np.zeros(channels, np.float32) if bias is None else bias
    return [kernel * scale.reshape(shape), shift * scale + affine.offset]
