"""The programs that ride along to a device."""

import os
import re
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from edgeport.export.bundle.device import predict_camera, predict_folder, predict_lines, text_of
from edgeport.export.bundle.device.predict_folder import pictures, settled
from edgeport.runtime import EdgeportError, load


def test_the_camera_feeds_the_model(data: Path, golden: dict, capsys) -> None:
    predictor = load(data / "tiny.int8.tflite")
    frame = np.repeat(golden["images"][0].reshape(28, 28, 1), 3, axis=2)
    predict_camera.answer(predictor, frame, invert=False)
    assert re.match(rf"\d\d:\d\d:\d\d  {golden['tiny.int8.tflite'][0].argmax()}  ", capsys.readouterr().out)


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


def test_a_picture_gets_its_label(data: Path, golden: dict, tmp_path: Path, capsys) -> None:
    Image.fromarray(golden["images"][0].reshape(28, 28)).save(tmp_path / "digit.png")
    predictor = load(data / "tiny.int8.onnx")
    label = golden["tiny.int8.onnx"][0].argmax()
    predict_folder.answer(predictor, tmp_path / "digit.png", invert=False)
    assert capsys.readouterr().out.startswith(f"digit.png  {label}  ")
    (tmp_path / "digit.png").write_text("no picture")
    with pytest.raises(EdgeportError, match="cannot read"):
        predict_folder.answer(predictor, tmp_path / "digit.png", invert=False)


def test_the_watch_goes_on_after_a_file_that_is_no_picture(data: Path, golden: dict, tmp_path: Path) -> None:
    script = tmp_path / "predict_folder.py"
    script.write_bytes(text_of("predict_folder.py"))
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
    assert answered.startswith(f"2.png  {golden['tiny.int8.tflite'][0].argmax()}  ")
    assert again.startswith("3.png  ")
    assert "1.png" in complained


def lines_of(images: np.ndarray) -> list[bytes]:
    return [",".join(map(str, image.ravel().tolist())).encode() + b"\n" for image in images]


@pytest.mark.parametrize("names", [[], [b",".join(b"p%d" % place for place in range(784)) + b"\n"]])
def test_each_line_gets_its_answer_and_one_that_is_no_sample_a_line(
    data: Path, golden: dict, names: list[bytes], capsys
) -> None:
    predictor = load(data / "tiny.int8.tflite")
    first, second = lines_of(golden["images"][:2])
    text = b",".join([b"x"] * 784) + b"\n"
    predict_lines.answer_lines(predictor, [*names, first, b"1,2\n", b"\n", text, second])
    printed = capsys.readouterr()
    classes = golden["tiny.int8.tflite"].argmax(axis=1)
    start = 1 + len(names)
    assert [line.split("  ")[:2] for line in printed.out.splitlines()] == [
        [f"-:{start}", str(classes[0])],
        [f"-:{start + 4}", str(classes[1])],
    ]
    short, odd = printed.err.splitlines()
    assert "expected 784" in short
    assert f"the standard input, line {start + 3}, " in odd


def test_a_line_without_end_ends_the_program(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(predict_lines, "_LONGEST_LINE", 10)
    with pytest.raises(EdgeportError, match="line 1: got over 10 bytes"):
        predict_lines.answer_lines(load(data / "tiny.int8.tflite"), [b"1,2,3,4,5,6"])


def test_a_line_is_answered_before_the_next_one_comes(data: Path, golden: dict, tmp_path: Path) -> None:
    script = tmp_path / "predict_lines.py"
    script.write_bytes(text_of("predict_lines.py"))
    command = [sys.executable, str(script), str(data / "tiny.int8.tflite")]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as child:
        late = threading.Timer(60, child.kill)
        late.start()
        try:
            answers = []
            for line in lines_of(golden["images"][:2]):
                child.stdin.write(line)
                child.stdin.flush()
                answers.append(child.stdout.readline().decode())
            child.stdin.close()
            assert child.wait() == 0
        finally:
            late.cancel()
            child.kill()
    classes = golden["tiny.int8.tflite"].argmax(axis=1)
    assert [answer.split("  ")[:2] for answer in answers] == [[f"-:{1 + n}", str(classes[n])] for n in range(2)]


def test_a_text_with_a_key_that_has_no_value_is_a_bug() -> None:
    with pytest.raises(KeyError):
        text_of("install.sh", {"TOP": "x"})
