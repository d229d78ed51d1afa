"""Sound: every kind of PCM and floats, as what wrote it meant them; tests/e2e holds TensorFlow's reader against it."""

import io
import struct
import wave
from pathlib import Path

import numpy as np
import pytest
from scipy.io import wavfile

from edgeport.runtime import InputError
from edgeport.runtime.samples.wav_file import read_wav


def pcm(values: np.ndarray, bits: int, *, rate: int = 16_000) -> bytes:
    """Return a WAV file of the standard library for whole numbers of (frames, channels)."""
    content = io.BytesIO()
    with wave.open(content, "wb") as file:
        file.setnchannels(values.shape[1])
        file.setsampwidth(bits // 8)
        file.setframerate(rate)
        shifted = values + 128 if bits == 8 else values
        raw = shifted.astype("<i8").reshape(-1, 1).view(np.uint8)[:, : bits // 8]
        file.writeframes(raw.tobytes())
    return content.getvalue()


@pytest.mark.parametrize("bits", [8, 16, 24, 32])
@pytest.mark.parametrize("channels", [1, 2])
def test_pcm_is_divided_by_its_full_scale(bits: int, channels: int) -> None:
    full = 2 ** (bits - 1)
    values = np.random.default_rng(bits).integers(-full, full, (500, channels))
    values[:2] = [[-full] * channels, [full - 1] * channels]
    sound = read_wav(pcm(values, bits), named="a.wav")
    np.testing.assert_array_equal(sound.samples, (values / full).astype(np.float32))
    assert (sound.rate, sound.samples.dtype) == (16_000, np.float32)


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.int16, np.int32, np.uint8])
def test_what_scipy_writes_is_read(dtype: type, tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    values = random.normal(size=(100, 2)).astype(dtype) if dtype in (np.float32, np.float64) else None
    values = values if values is not None else random.integers(0, 100, (100, 2)).astype(dtype)
    wavfile.write(tmp_path / "a.wav", 44_100, values)
    sound = read_wav((tmp_path / "a.wav").read_bytes(), named="a.wav")
    shift, full = (128, 128) if dtype is np.uint8 else (0, 1 if values.dtype.kind == "f" else -np.iinfo(dtype).min)
    expected = ((values.astype(np.float64) - shift) / full).astype(np.float32)
    np.testing.assert_array_equal(sound.samples, expected)
    assert sound.rate == 44_100


def test_files_of_the_extensible_kind_and_other_parts_are_read() -> None:
    values = np.arange(-4, 4, dtype="<i2")
    form = struct.pack("<HHIIHH", 0xFFFE, 1, 8_000, 16_000, 2, 16) + struct.pack("<HHI", 22, 16, 4)
    form += b"\x01\x00" + bytes.fromhex("000000001000800000aa00389b71")
    parts = [(b"LIST", b"abc"), (b"fmt ", form), (b"data", values.tobytes())]
    body = b"".join(name + struct.pack("<I", len(part)) + part + b"\0" * (len(part) % 2) for name, part in parts)
    sound = read_wav(b"RIFF" + struct.pack("<I", 4 + len(body)) + b"WAVE" + body, named="a.wav")
    np.testing.assert_array_equal(sound.samples[:, 0], values / np.float32(2**15))


SOUND = pcm(np.arange(100).reshape(50, 2), 16)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "does not begin as a WAV file"),
        (SOUND[:60], "damaged or cut off, got 16 of 200 bytes of its part 'data'"),
        (SOUND[:36], "damaged, it lacks its sound"),
        (SOUND[:20] + b"\x55\x00" + SOUND[22:], "got MP3 of 16 bits, expected PCM"),
        (SOUND[:34] + b"\x0c" + SOUND[35:], "got PCM of 12 bits"),
        (SOUND[:22] + b"\0\0" + SOUND[24:], "0 channels of 16 bits"),
        (SOUND[:40] + struct.pack("<I", 0), "got 0 bytes of sound"),
        (SOUND[:40] + struct.pack("<I", 199) + SOUND[44:], "whole frames of 2 x 16 bits"),
        (SOUND[:12] + SOUND[36:], "it lacks its format"),
    ],
)
def test_a_damaged_or_compressed_file_is_reported(content: bytes, message: str) -> None:
    with pytest.raises(InputError, match=message):
        read_wav(content, named="a.wav")


def test_floats_that_are_no_numbers_are_reported(tmp_path: Path) -> None:
    wavfile.write(tmp_path / "a.wav", 8_000, np.array([0, np.nan], np.float32))
    with pytest.raises(InputError, match="no finite numbers"):
        read_wav((tmp_path / "a.wav").read_bytes(), named="a.wav")
