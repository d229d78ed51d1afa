"""Sound as a network hears it: the logarithm of its power in bands of the mel scale, by numpy alone.

Training and the device compute it by this very code, so that a model never hears anything else than it learned.
"""

from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from edgeport.runtime.errors import InputError

Floats = npt.NDArray[np.float64]

# Added to the power before its logarithm is taken: digital silence becomes log(1e-6) = -13.8.
FLOOR = 1e-6
# A window of 32 ms, and twice as many of them: what is usual for speech.
_WINDOW_MS = 32
_LEAST_RATE, _MOST_RATE = 1_000, 384_000
_LEAST_WINDOW, _MOST_WINDOW = 16, 1 << 16


class LogMel(NamedTuple):
    """How sound becomes log-mel features; how many frames and bands there are is the model's own shape.

    Attributes:
        rate: Samples a second, which the sound must have.
        window: Samples of a frame, which a Hann window weighs.
        hop: Samples from the beginning of a frame to that of the next.
    """

    rate: int
    window: int
    hop: int

    def __str__(self) -> str:
        return f"log-mel:{self.rate}:{self.window}:{self.hop}"

    @property
    def makes_sense(self) -> bool:
        """Whether sound can be cut so: no hop is longer than a frame, and nothing is beyond what is ever recorded."""
        rates, windows = range(_LEAST_RATE, _MOST_RATE + 1), range(_LEAST_WINDOW, _MOST_WINDOW + 1)
        return self.rate in rates and self.window in windows and 1 <= self.hop <= self.window

    def length(self, frames: int) -> int:
        """Return how many samples so many frames hear."""
        return self.window + (frames - 1) * self.hop


def parsed_log_mel(text: str) -> LogMel:
    """Return what ``log-mel:RATE`` or ``log-mel:RATE:WINDOW:HOP`` says.

    Raises:
        InputError: It is neither.

    Examples:
        >>> parsed_log_mel("log-mel:8000")
        LogMel(rate=8000, window=256, hop=128)
    """
    _, *details = text.split(":")
    if len(details) not in (1, 3) or not all(each.isascii() and each.isdigit() and len(each) < 8 for each in details):
        raise InputError(
            f"--input: got {text!r}, expected log-mel:RATE or log-mel:RATE:WINDOW:HOP: samples a second, samples of a "
            "frame and from one to the next, such as log-mel:8000:256:128"
        )
    rate, *rest = map(int, details)
    window, hop = rest or (rate * _WINDOW_MS // 1000, rate * _WINDOW_MS // 2000)
    features = LogMel(rate, window, hop)
    if not features.makes_sense:
        raise InputError(
            f"--input: got {text!r}, expected {_LEAST_RATE:,} to {_MOST_RATE:,} samples a second, {_LEAST_WINDOW} to "
            f"{_MOST_WINDOW:,} samples of a frame, and no more than those from one to the next"
        )
    return features


def recorded_log_mel(value: Any) -> LogMel | None:
    """Return what a record says of features, None for null; raises TypeError or ValueError if it is damaged."""
    if value is None:
        return None
    features = LogMel(**value)
    if not all(type(each) is int for each in features) or not features.makes_sense:
        raise ValueError(f"impossible features of sound: {value}")
    return features


def log_mel(samples: npt.NDArray[Any], features: LogMel, *, frames: int, bands: int) -> npt.NDArray[np.float32]:
    """Return the log-mel features of a sound.

    Sound that is too short is followed by silence, and of sound that is too long the beginning is heard: see
    ``LogMel.length``. Frames are weighed with a periodic Hann window; their power spectrum is summed in triangles of
    equal width on the mel scale of HTK, 1127 ln(1 + f / 700), from 0 Hz to half the sample rate, as
    ``tf.signal.linear_to_mel_weight_matrix`` makes them (Davis and Mermelstein, "Comparison of parametric
    representations for monosyllabic word recognition", 1980). All is computed in float64.

    Args:
        samples: Mono, -1 to 1, of shape (n,).
        features: Its rate, and how it is cut into frames.
        frames: How many frames.
        bands: How many bands.

    Returns:
        float32 of shape (frames, bands): ln(power + 1e-6).

    Raises:
        InputError: There are so many bands that one of them would be between two frequencies, and always silent.

    Examples:
        >>> import numpy as np
        >>> tone = np.sin(2 * np.pi * 1000 * np.arange(8000) / 8000)
        >>> heard = log_mel(tone, LogMel(8000, 256, 128), frames=61, bands=32)
        >>> heard.shape, int(heard.mean(axis=0).argmax())
        ((61, 32), 14)
    """
    length = features.length(frames)
    heard = np.zeros(length)
    heard[: min(length, len(samples))] = samples[:length]
    windows = np.lib.stride_tricks.sliding_window_view(heard, features.window)[:: features.hop]
    hann = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(features.window) / features.window)
    spectrum = np.fft.rfft(windows * hann)
    power = spectrum.real**2 + spectrum.imag**2
    return np.log(power @ _triangles(features, bands) + FLOOR).astype(np.float32)


@lru_cache(maxsize=4)
def _triangles(features: LogMel, bands: int) -> Floats:
    """Return what each frequency adds to each band: float64 of shape (window // 2 + 1, bands)."""
    frequencies = np.arange(features.window // 2 + 1, dtype=np.float64) * (features.rate / features.window)
    mels = _mel(frequencies)[:, np.newaxis]
    edges = np.linspace(0.0, float(_mel(np.array([features.rate / 2.0]))[0]), bands + 2)
    low, middle, high = edges[:-2], edges[1:-1], edges[2:]
    triangles = np.maximum(0.0, np.minimum((mels - low) / (middle - low), (high - mels) / (high - middle)))
    # What never changes is no sound.
    triangles[0] = 0
    silent = np.flatnonzero(triangles.sum(axis=0) == 0)
    if len(silent):
        raise InputError(
            f"{features}: got {bands} bands, of which band {silent[0]} has no frequency of its own, expected fewer of "
            "them, or a longer window"
        )
    return np.asarray(triangles)


def _mel(frequencies: Floats) -> Floats:
    return np.asarray(1127.0 * np.log1p(frequencies / 700.0))
