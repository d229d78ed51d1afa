"""Sound as log-mel features: what they are, who says so, and that training and the device hear the same."""

import json
import re
from pathlib import Path

import numpy as np
import pytest
from scipy.io import wavfile

from edgeport.export.verification.calibration import load_calibration
from edgeport.runtime import InputError
from edgeport.runtime.artefact.contract import Input
from edgeport.runtime.artefact.embedded_metadata import EmbeddedMetadata, read_metadata, to_json, with_checksum
from edgeport.runtime.artefact.input_kinds import kind_text, parsed_input, with_kinds
from edgeport.runtime.artefact.spec import Spec, TensorSpec
from edgeport.runtime.errors import ArtefactError
from edgeport.runtime.samples.log_mel import LogMel, log_mel
from edgeport.runtime.samples.reading import Samples, read_samples
from edgeport.train import load_dataset
from edgeport.train.datasets.named import load_data

FEATURES = LogMel(8_000, 256, 128)
SOUND = Input("sound", (None, 20, 16, 1), "float32", kind="real", log_mel=FEATURES)
RANDOM = np.random.default_rng(0)


def spoken(folder: Path, *, speakers: tuple[str, ...] = ("ann", "bob"), numbers: int = 15) -> Path:
    """Write recordings under the names of the data set: a tone for each digit, longer for the later ones."""
    folder.mkdir()
    for digit in range(10):
        for speaker in speakers:
            for number in range(numbers):
                times = np.arange(1500 + 300 * digit) / 8_000
                wave = 0.3 * np.sin(2 * np.pi * (300 + 250 * digit) * times) + RANDOM.normal(0, 0.02, len(times))
                wavfile.write(folder / f"{digit}_{speaker}_{number}.wav", 8_000, (wave * 2**15).astype(np.int16))
    return folder


def predicted(*paths: Path, port: Input = SOUND) -> Samples:
    """Return what ``edgeport predict`` reads for an artefact whose metadata went through its JSON."""
    metadata = EmbeddedMetadata("m", "float32", (port._replace(shape=(), dtype=""),))
    metadata = read_metadata(with_checksum(to_json(metadata).encode()), name="m.tflite")
    tensor = TensorSpec(port.name, port.shape, port.dtype)
    return read_samples(paths, Spec("m.tflite", "tflite", "e", "1", 1, (tensor,), (), metadata))


@pytest.mark.parametrize("features", [FEATURES, LogMel(16_000, 400, 160)])
def test_features_are_those_of_the_formula(features: LogMel) -> None:
    """Every number by the definition: a sum for each frequency, a triangle for each band."""
    bands, window = 12, features.window
    sound = RANDOM.normal(0, 0.1, features.length(3)).astype(np.float32)
    heard = log_mel(sound, features, frames=3, bands=bands)
    top = 1127 * np.log(1 + features.rate / 2 / 700)
    for frame in range(3):
        part = sound[frame * features.hop :][:window].astype(np.float64)
        part = part * (0.5 - 0.5 * np.cos(2 * np.pi * np.arange(window) / window))
        for band in range(bands):
            left, middle, right = (top * (band + side) / (bands + 1) for side in range(3))
            power = 0.0
            for number in range(1, window // 2 + 1):
                mel = 1127 * np.log(1 + number * features.rate / window / 700)
                height = (mel - left) / (middle - left) if mel < middle else (right - mel) / (right - middle)
                if height > 0:
                    turns = np.exp(-2j * np.pi * number * np.arange(window) / window)
                    power += height * abs((part * turns).sum()) ** 2
            assert heard[frame, band] == pytest.approx(np.log(power + 1e-6), abs=1e-5)
    assert heard.dtype == np.float32


def test_silence_follows_what_is_too_short_and_the_beginning_of_what_is_too_long_is_heard() -> None:
    sound = RANDOM.normal(0, 0.1, 4_000)
    length = FEATURES.length(10)
    whole = log_mel(sound, FEATURES, frames=10, bands=16)
    np.testing.assert_array_equal(log_mel(sound[:length], FEATURES, frames=10, bands=16), whole)
    short = log_mel(sound[:640], FEATURES, frames=10, bands=16)
    np.testing.assert_array_equal(short[:4], whole[:4])
    np.testing.assert_allclose(short[5:], np.log(1e-6), rtol=1e-6)


def test_a_band_without_a_frequency_is_refused() -> None:
    with pytest.raises(InputError, match=r"log-mel:8000:256:128: got 120 bands, of which band \d+ has no frequency"):
        log_mel(np.zeros(10), FEATURES, frames=2, bands=120)


def test_what_is_said_of_sound_is_read_and_written_alike() -> None:
    said = parsed_input("word=log-mel:16000")
    assert said == Input("word", kind="real", log_mel=LogMel(16_000, 512, 256))
    assert kind_text(said) == "log-mel:16000:512:256"
    assert parsed_input(kind_text(said))._replace(name="word") == said
    (port,) = with_kinds([SOUND._replace(kind="", log_mel=None)], [parsed_input("log-mel:8000")], what="m")
    assert port == SOUND


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("log-mel", "expected log-mel:RATE or log-mel:RATE:WINDOW:HOP"),
        ("log-mel:8000:256", "expected log-mel:RATE or log-mel:RATE:WINDOW:HOP"),
        ("log-mel:8e3", "expected log-mel:RATE or log-mel:RATE:WINDOW:HOP"),
        ("log-mel:-8000", "expected log-mel:RATE or log-mel:RATE:WINDOW:HOP"),
        ("log-mel:80", "expected 1,000 to 384,000 samples a second"),
        ("log-mel:8000:256:257", "no more than those from one to the next"),
        ("log-mel:8000:256:0", "no more than those from one to the next"),
    ],
)
def test_what_is_no_way_to_hear_is_refused(text: str, message: str) -> None:
    with pytest.raises(InputError, match=re.escape(message)):
        parsed_input(text)


@pytest.mark.parametrize("shape", [(None, 20), (None, None, 16), (None, 20, 16, 3), (None, 20, 16, 1, 1)])
def test_only_frames_and_bands_hear(shape: tuple[int | None, ...]) -> None:
    with pytest.raises(InputError, match=r"expected an input of \(n, frames, bands\)"):
        with_kinds([Input("sound", shape, "float32")], [parsed_input("log-mel:8000")], what="m.keras")


def test_an_artefact_says_how_it_hears_and_others_say_nothing() -> None:
    assert "log_mel" not in to_json(EmbeddedMetadata("m", "float32"))
    text = to_json(EmbeddedMetadata("m", "float32", (SOUND._replace(shape=(), dtype=""),)))
    assert json.loads(text)["inputs"][0]["log_mel"] == {"rate": 8_000, "window": 256, "hop": 128}
    for wrong in ('"hop":0', '"hop":1.5', '"hop":true', '"hop":"128"', '"jump":128'):
        content = with_checksum(text.replace('"hop":128', wrong).encode())
        with pytest.raises(ArtefactError, match="metadata cannot be read"):
            read_metadata(content, name="m.tflite")


def test_training_and_predict_hear_the_same(tmp_path: Path) -> None:
    folder = spoken(tmp_path / "recordings")
    data = load_data(f"fsdd:{tmp_path}", inputs=[SOUND])
    paths = sorted(folder.glob("*_[0-4].wav"))
    np.testing.assert_array_equal(data.parts["test"].inputs["sound"], predicted(*paths).values["sound"])
    flat = SOUND._replace(shape=(1, 20, 16))
    values = predicted(paths[0], port=flat).values["sound"]
    np.testing.assert_array_equal(values, data.parts["test"].inputs["sound"][:1, ..., 0])


def test_the_numbers_0_to_4_of_each_speaker_and_digit_are_the_test(tmp_path: Path) -> None:
    folder = spoken(tmp_path / "mine")
    (folder / "LICENCE.txt").write_text("no recording")
    dataset = load_dataset(f"fsdd:{folder}", inputs=[SOUND])
    assert [len(split) for split in (dataset.train, dataset.validation, dataset.test)] == [180, 20, 100]
    assert dataset.labels == tuple("0123456789")
    assert np.bincount(dataset.test.classes).tolist() == [10] * 10
    # The digits are tones of their own: which recording became which sample cannot be mixed up.
    highest = dataset.test.samples[..., 0].mean(axis=1).argmax(axis=1)
    means = [highest[dataset.test.classes == digit].mean() for digit in range(10)]
    assert means == sorted(means)
    calibration = load_calibration(f"fsdd:{folder}", inputs=[SOUND], count=30)
    assert (calibration.count, len(calibration.held_out["sound"])) == (30, 20)
    assert calibration.inputs[0].log_mel == FEATURES


def test_who_speaks_too_long_is_said_to_be_heard_in_part(tmp_path: Path) -> None:
    wavfile.write(tmp_path / "long.wav", 8_000, RANDOM.integers(-99, 99, 8_000).astype(np.int16))
    wavfile.write(tmp_path / "short.wav", 8_000, RANDOM.integers(-99, 99, 800).astype(np.int16))
    samples = predicted(tmp_path / "long.wav", tmp_path / "short.wav")
    assert samples.notes == (f"{tmp_path / 'long.wav'}: the model hears the first 0.34 s of 1.00 s",)
    assert samples.names == (str(tmp_path / "long.wav"), str(tmp_path / "short.wav"))


@pytest.mark.parametrize(
    ("rate", "channels", "message"),
    [
        (16_000, 1, "got 1 channel at 16,000 Hz, expected 1 at 8,000, as sound hears (log-mel:8000:256:128)"),
        (8_000, 2, "got 2 channels at 8,000 Hz, expected 1 at 8,000"),
    ],
)
def test_another_rate_and_stereo_are_refused_everywhere(rate: int, channels: int, message: str, tmp_path: Path) -> None:
    path = tmp_path / "1_ann_5.wav"
    wavfile.write(path, rate, np.ones((4_000, channels), np.int16))
    with pytest.raises(InputError, match=re.escape(message)):
        predicted(path)
    with pytest.raises(InputError, match=re.escape(message)):
        load_data(f"fsdd:{tmp_path}", inputs=[SOUND])


def test_what_is_no_folder_of_spoken_digits_is_refused(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    wavfile.write(tmp_path / "seven.wav", 8_000, np.ones(4_000, np.int16))
    for source, inputs, message in (
        (f"fsdd:{tmp_path / 'none'}", [SOUND], "cannot read .*none: No such file or directory"),
        (f"fsdd:{tmp_path / 'empty'}", [SOUND], "got no WAV files in"),
        (f"fsdd:{tmp_path}", [SOUND], r"seven.wav: got another name, expected DIGIT_SPEAKER_NUMBER.wav"),
        (f"fsdd:{tmp_path}", [SOUND._replace(log_mel=None)], "nobody says how sound becomes what the model takes"),
        (f"fsdd:{tmp_path}", [], r"nobody says .* \(train: --model FILE.keras\)"),
    ):
        with pytest.raises(InputError, match=message):
            load_dataset(source, inputs=inputs)
