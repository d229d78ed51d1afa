"""How much to scale each channel between two layers, so that integers of one step for all of them lose less.

Nagel et al., Data-Free Quantization Through Weight Equalization and Bias Correction (2019), section 4.1, balance the
weights of both layers. Here each channel of those has a step of its own; what all channels share is the step of the
activation between them. So its reach on samples stands in the place of the first layer's weights, as in SmoothQuant
(Xiao et al. 2022, equation 4, with one half): ``s = sqrt(reach / weights)``.
"""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.floating]
# A weight below this share of the largest is rounded to zero whatever is done.
_LEAST_WEIGHT = 2.0**-16
# A channel that hardly fired on the samples may fire on others, and would saturate if it had been made much larger.
_MOST_UP, _MOST_DOWN = 2, 20


def channel_scales(reach: Floats, taking: Sequence[Floats]) -> npt.NDArray[np.float32]:
    """Return what each channel is divided by, and the weights that read it are multiplied with.

    They are powers of two, so that floats answer the same to the last bit.

    Args:
        reach: The largest absolute value of each channel on samples, shape (channels,).
        taking: The weights that read the channels and share a step between them, each of shape (channels or a multiple,
            outputs); none if each channel has weights of its own.
    """
    wanted = np.asarray(reach, np.float64)
    active = np.isfinite(wanted) & (wanted > 0)
    if not active.any():
        return np.ones(len(wanted), np.float32)
    if taking:
        sizes = [_sizes(weights, len(wanted)) for weights in taking]
        wanted = np.sqrt(wanted / np.maximum(np.max(sizes, axis=0), _LEAST_WEIGHT))
    logs = np.zeros(len(wanted))
    logs[active] = np.log2(wanted[active])
    logs[active] -= np.median(logs[active])
    scales: npt.NDArray[np.float32] = np.exp2(np.round(logs).clip(-_MOST_UP, _MOST_DOWN)).astype(np.float32)
    return scales


def _sizes(weights: Floats, channels: int) -> Floats:
    """Return for each channel its largest weight, as a share of the largest of the same output."""
    sizes = np.abs(weights.astype(np.float64))
    most = sizes.max(axis=0)
    shares = (sizes / np.where(most > 0, most, 1.0)).max(axis=1)
    found: Floats = shares.reshape(-1, channels).max(axis=0)
    return found
