"""Sound from WAV files: PCM of 8, 16, 24 and 32 bits, and floats.

``wave`` of the standard library reads no floats, and before Python 3.12 no file of the extensible kind, which is what
many recorders write; so the chunks are walked here, within the bytes that are there.
"""

import struct
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from edgeport.runtime.errors import InputError

_PCM, _FLOAT, _EXTENSIBLE = 1, 3, 0xFFFE
# What follows the first two bytes of the format of an extensible file (its GUID).
_SUFFIX = bytes.fromhex("000000001000800000aa00389b71")
_KINDS = {1: "PCM", 2: "ADPCM", 3: "floats", 6: "A-law", 7: "mu-law", 17: "IMA ADPCM", 85: "MP3"}
# The value that full scale, 1.0, has.
_FULL = {(_PCM, 8): 2**7, (_PCM, 16): 2**15, (_PCM, 24): 2**23, (_PCM, 32): 2**31, (_FLOAT, 32): 1, (_FLOAT, 64): 1}


class Sound(NamedTuple):
    """What a WAV file holds.

    Attributes:
        samples: float32 of shape (frames, channels). PCM is divided by its full scale, so it lies in -1 to 1, as
            ``tf.audio.decode_wav`` gives it for 16 bits; floats are as they are.
        rate: Frames a second.
    """

    samples: npt.NDArray[np.float32]
    rate: int


def read_wav(content: bytes, *, named: str) -> Sound:
    """Return the sound of a WAV file; raises InputError if it is damaged or compressed."""
    if content[:4] != b"RIFF" or content[8:12] != b"WAVE":
        raise InputError(f"cannot read {named}: it does not begin as a WAV file does (RIFF ... WAVE)")
    form: tuple[int, int, int, int] | None = None
    for name, chunk in _chunks(content, named):
        if name == b"fmt ":
            form = _format(chunk, named)
        elif name == b"data":
            if form is None:
                break
            return _sound(chunk, *form, named)
    raise InputError(f"cannot read {named}: damaged, it lacks its {'format' if form is None else 'sound'}")


def _chunks(content: bytes, named: str) -> list[tuple[bytes, memoryview]]:
    """Return the parts of a RIFF file up to its sound, each with its name."""
    whole, place, found = memoryview(content), 12, []
    while place + 8 <= len(content):
        name, size = content[place : place + 4], int.from_bytes(content[place + 4 : place + 8], "little")
        chunk = whole[place + 8 : place + 8 + size]
        if len(chunk) < size:
            raise InputError(
                f"cannot read {named}: damaged or cut off, got {len(chunk):,} of {size:,} bytes of its part "
                f"{name.decode('latin-1')!r}"
            )
        found.append((name, chunk))
        if name == b"data":
            break
        place += 8 + size + size % 2
    return found


def _format(chunk: memoryview, named: str) -> tuple[int, int, int, int]:
    """Return kind, bits, channels and rate."""
    if len(chunk) < 16:
        raise InputError(f"cannot read {named}: damaged, its format has {len(chunk)} bytes, expected 16 or more")
    kind, channels, rate, _, block, bits = struct.unpack("<HHIIHH", chunk[:16])
    if kind == _EXTENSIBLE and len(chunk) >= 40 and bytes(chunk[26:40]) == _SUFFIX:
        kind = int.from_bytes(chunk[24:26], "little")
    if (kind, bits) not in _FULL:
        raise InputError(
            f"cannot read {named}: got {_KINDS.get(kind, f'kind {kind}')} of {bits} bits, expected PCM of 8, 16, 24 or "
            "32 bits, or floats of 32 or 64: convert it (ffmpeg -i IN.wav -c:a pcm_s16le OUT.wav)"
        )
    if not channels or not rate or block != channels * bits // 8:
        raise InputError(
            f"cannot read {named}: damaged, its format has {channels} channels of {bits} bits in blocks of {block} "
            f"bytes, at {rate} Hz"
        )
    return kind, bits, channels, rate


def _sound(chunk: memoryview, kind: int, bits: int, channels: int, rate: int, named: str) -> Sound:
    if not len(chunk) or len(chunk) % (channels * bits // 8):
        raise InputError(
            f"cannot read {named}: got {len(chunk):,} bytes of sound, expected whole frames of {channels} x {bits} bits"
        )
    values: npt.NDArray[np.number]
    if bits == 24:
        # Three bytes become the upper three of four; the sign is in the uppermost.
        padded = np.zeros((len(chunk) // 3, 4), np.uint8)
        padded[:, 1:] = np.frombuffer(chunk, np.uint8).reshape(-1, 3)
        values = padded.view("<i4")[:, 0] >> 8
    elif kind == _FLOAT:
        values = np.frombuffer(chunk, f"<f{bits // 8}")
    elif bits == 8:
        # The only unsigned kind.
        values = np.frombuffer(chunk, np.uint8).astype(np.int16) - 128
    else:
        values = np.frombuffer(chunk, f"<i{bits // 8}")
    with np.errstate(over="ignore"):
        samples = (values / np.float64(_FULL[kind, bits])).astype(np.float32)
    if not np.isfinite(samples).all():
        raise InputError(f"cannot read {named}: its sound holds values that are no finite numbers")
    return Sound(samples.reshape(-1, channels), rate)
