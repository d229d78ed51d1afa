"""The programs that ride along to a device."""

import os
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from edgeport.export.bundle.device import text_of
from edgeport.export.bundle.device.classify_camera import pixels_of
from edgeport.export.bundle.device.classify_folder import pictures, sentence, settled
from edgeport.runtime import EdgeportError, load


def test_the_camera_sees_the_square_in_the_middle() -> None:
    frame = np.zeros((48, 64, 3), np.uint8)
    frame[:, 8:56] = (255, 0, 0)  # the middle 48 columns are red
    red = pixels_of(frame, shape=(12, 12, 3))
    assert (red == (255, 0, 0)).all()
    assert red.shape == (1, 12, 12, 3)
    grey = pixels_of(frame, shape=(28, 28, 1))
    assert (grey.dtype, grey.shape) == (np.uint8, (1, 28, 28, 1))
    assert (pixels_of(frame, shape=(28, 28, 1), invert=True) == 255 - grey).all()
    assert (pixels_of(frame.transpose(1, 0, 2), shape=(12, 12, 3)) == red).all(), "upright pictures too"


def test_the_camera_feeds_the_model(data: Path, golden: dict) -> None:
    predictor = load(data / "tiny.int8.tflite")
    frame = np.repeat(golden["images"][0].reshape(28, 28, 1), 3, axis=2)
    pixels = pixels_of(frame, shape=(28, 28, 1))
    assert (pixels[0, ..., 0] == golden["images"][0].reshape(28, 28)).all()
    assert predictor.predict(pixels).argmax() == golden["tiny.int8.tflite"][0].argmax()


def test_a_picture_is_answered_once_it_has_settled_and_again_when_it_changes() -> None:
    path = Path("a.png")
    assert not list(settled({path: (1, 10)}, {}, {})), "seen for the first time: it may still grow"
    assert not list(settled({path: (2, 20)}, {path: (1, 10)}, {})), "it has grown"
    assert list(settled({path: (2, 20)}, {path: (2, 20)}, {})) == [(path, (2, 20))]
    assert not list(settled({path: None}, {path: None}, {})), "a link that leads nowhere"
    assert not list(settled({path: (2, 20)}, {path: (2, 20)}, {path: (2, 20)})), "answered"
    assert list(settled({path: (3, 20)}, {path: (3, 20)}, {path: (2, 20)})) == [(path, (3, 20))]


def test_a_folder_that_is_not_there_yet_is_no_empty_one(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        pictures(tmp_path / "later")


def test_a_link_that_leads_nowhere_hides_no_picture(tmp_path: Path) -> None:
    (tmp_path / "nowhere.png").symlink_to("gone.png")
    (tmp_path / "loop.png").symlink_to("loop.png")
    for name in ("a.PNG", ".hidden.png", "notes.txt"):
        (tmp_path / name).touch()
    found = {path.name: state for path, state in pictures(tmp_path).items()}
    assert {name for name, state in found.items() if state} == {"a.PNG"}
    assert found.keys() == {"a.PNG", "nowhere.png", "loop.png"}


def test_a_picture_gets_its_label(data: Path, golden: dict, tmp_path: Path) -> None:
    Image.fromarray(golden["images"][0].reshape(28, 28)).save(tmp_path / "digit.png")
    predictor = load(data / "tiny.int8.onnx")
    label = golden["tiny.int8.onnx"][0].argmax()
    assert sentence(predictor, tmp_path / "digit.png", invert=False).startswith(f"digit.png: {label} (")
    (tmp_path / "digit.png").write_text("no picture")
    with pytest.raises(EdgeportError, match="cannot read"):
        sentence(predictor, tmp_path / "digit.png", invert=False)


def test_the_watch_goes_on_after_a_file_that_is_no_picture(data: Path, golden: dict, tmp_path: Path) -> None:
    script = tmp_path / "classify_folder.py"
    script.write_bytes(text_of("classify_folder.py"))
    inbox = tmp_path / "inbox"
    inbox.mkdir()
    (inbox / "1.png").write_text("no picture")
    Image.fromarray(golden["images"][0].reshape(28, 28)).save(inbox / "2.png")
    command = [sys.executable, str(script), str(data / "tiny.int8.tflite"), str(inbox), "--seconds", "0.01"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=os.environ) as child:
        late = threading.Timer(60, child.kill)
        late.start()
        try:
            started, answered = child.stdout.readline(), child.stdout.readline()
            complained = next(line for line in child.stderr if not line.startswith("INFO: "))
            os.rename(inbox / "2.png", inbox / "3.png")
            again = child.stdout.readline()
        finally:
            late.cancel()
            child.kill()
    assert started.startswith("Watching ")
    assert answered.startswith(f"2.png: {golden['tiny.int8.tflite'][0].argmax()} (")
    assert again.startswith("3.png: ")
    assert "1.png" in complained


def test_a_text_with_a_key_that_has_no_value_is_a_bug() -> None:
    with pytest.raises(KeyError):
        text_of("install.sh", {"TOP": "x"})
