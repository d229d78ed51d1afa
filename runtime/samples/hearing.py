"""Recordings as a model of log-mel features hears them, in training and on the device alike."""

from pathlib import Path
from typing import NamedTuple

from edgeport.runtime.artefact.contract import Input
from edgeport.runtime.errors import InputError
from edgeport.runtime.files.plain_file import read_plain
from edgeport.runtime.samples.log_mel import log_mel
from edgeport.runtime.samples.wav_file import read_wav
from edgeport.runtime.tensors.arrays import Tensor

# An hour of stereo sound takes 600 MB.
MOST_WAV = 1 << 30


class Heard(NamedTuple):
    """What a model hears of a recording.

    Attributes:
        features: float32 of the shape of one sample.
        seconds: How long the recording is.
        missed: How many seconds of it come after all that the model hears; 0 if it hears everything.
    """

    features: Tensor
    seconds: float
    missed: float


def hear(path: Path, port: Input) -> Heard:
    """Return the log-mel features of a WAV file.

    Args:
        path: The file.
        port: The input of the model, which says how sound becomes features.

    Raises:
        InputError: The file cannot be read, has several channels, or another sample rate.
    """
    assert port.log_mel, "only what takes log-mel features hears"
    sound = read_wav(read_plain(path, most=MOST_WAV, error=InputError), named=str(path))
    length, channels = sound.samples.shape
    rate, frames, bands = port.log_mel.rate, port.shape[1] or 0, port.shape[2] or 0
    if (sound.rate, channels) != (rate, 1):
        raise InputError(
            f"{path}: got {channels} channel{'s' * (channels > 1)} at {sound.rate:,} Hz, expected 1 at {rate:,}, as "
            f"{port.name} hears ({port.log_mel}): convert it first (ffmpeg -i IN.wav -ac 1 -ar {rate} OUT.wav)"
        )
    features = log_mel(sound.samples[:, 0], port.log_mel, frames=frames, bands=bands)
    shape = tuple(axis or 1 for axis in port.shape[1:])
    missed = max(0, length - port.log_mel.length(frames)) / rate
    return Heard(features.reshape(shape), length / rate, missed)
