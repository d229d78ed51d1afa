"""The command line as a person meets it: one line for what is wrong, exit code 2, no traceback."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from edgeport.runtime.cli import COMMANDS, Command, empty_parsers, main, with_options


def edgeport(*arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "edgeport.runtime.cli", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.fixture
def digit(tmp_path: Path, golden: dict[str, np.ndarray]) -> Path:
    Image.fromarray(golden["images"][0]).save(tmp_path / "digit.png")
    return tmp_path / "digit.png"


def test_help_lists_every_command() -> None:
    printed = edgeport("--help")
    assert printed.returncode == 0
    for command in COMMANDS:
        assert command.name in printed.stdout


@pytest.mark.parametrize("command", [command.name for command in COMMANDS])
def test_every_command_has_help(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="0"):
        main([command, "--help"])
    assert "usage: edgeport" in capsys.readouterr().out


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command.name)
def test_help_begins_with_an_example_that_is_right(command: Command, capsys: pytest.CaptureFixture[str]) -> None:
    program, name, *arguments = command.example.split()
    assert (program, name) == ("edgeport", command.name)
    _, parsers = empty_parsers()
    with_options(command, parsers[name])
    parsers[name].parse_args(arguments)
    with pytest.raises(SystemExit, match="0"):
        main([name, "--help"])
    assert capsys.readouterr().out.startswith(f"$ {command.example}\n\nusage: edgeport {name}")


@pytest.mark.skipif(shutil.which("bash") is None, reason="no bash")
def test_bash_completes_commands_and_options_and_files(tmp_path: Path) -> None:
    (tmp_path / "edge.tflite").touch()
    (tmp_path / "completion").write_text(edgeport("completion", "bash").stdout)
    asked = """
source completion
COMP_WORDS=("$@") COMP_CWORD=$(($# - 1))
_shtab_edgeport
printf '%s\\n' "${COMPREPLY[@]}"
"""

    def completed(*words: str) -> list[str]:
        ended = subprocess.run(["bash", "-c", asked, "bash", "edgeport", *words], cwd=tmp_path, capture_output=True,
                               text=True, check=True)  # fmt: skip
        return ended.stdout.split()

    assert completed("exp") == ["export"]
    assert "--calibration" in completed("export", "--cal")
    assert completed("predict", "edge") == ["edge.tflite"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["trian"], "did you mean train?"),
        (["predict"], "required: ARTEFACT"),
        (["predict", "missing.tflite", "a.png"], "cannot read missing.tflite"),
        (["predict", "x.tflite", "a.png", "--bogus"], "unrecognized arguments: --bogus"),
        (["train", "--model", "clasic", "-o", "x"], "did you mean classic?"),
        (["train", "--dataset", "mnist5k", "-o", "x"], "did you mean mnist-5k?"),
        (["train", "--dataset", "mnist-5k", "--epochs", "0", "-o", "x"], "--epochs: got 0"),
        (["train", "--seed", "-1", "-o", "x"], "--seed: got -1"),
        (["train", "--dataset", "mnist", "--data-dir", ".", "-o", "x"], "holds neither mnist.npz nor"),
        (["benchmark", "tests"], "no export folder"),
        (["benchmark", "tests", "--threads", "0"], "--threads: got 0"),
        (["export", "model.keras", "-o", "tests"], "tests is not empty"),
        (["export", "model.keras", "-o", "x", "--input-range", "1", "0"], "--input-range: got 1 0"),
    ],
)
def test_bad_input_is_one_line(arguments: list[str], message: str) -> None:
    ended = edgeport(*arguments)
    assert ended.returncode == 2
    assert message in ended.stderr
    assert ended.stderr.count("\n") == 1
    assert not Path("x").exists()


@pytest.mark.parametrize("name", ["tiny.int8.tflite", "tiny.float32.onnx"])
def test_predict_prints_a_line_an_image(name: str, data: Path, digit: Path, golden: dict[str, np.ndarray]) -> None:
    ended = edgeport("predict", data / name, digit, digit, "--top", "2")
    assert (ended.returncode, ended.stderr) == (0, "")
    best = golden[name][0].argmax()
    lines = ended.stdout.splitlines()
    assert len(lines) == 2
    assert lines[0].startswith(f"{digit}  {best}  {golden[name][0].max():.1%}   (")


def test_predict_json_names_every_class(data: Path, digit: Path) -> None:
    printed = json.loads(edgeport("predict", data / "tiny.int8.onnx", digit, "--json").stdout)
    assert printed["sample"] == str(digit)
    (answer,) = printed["outputs"].values()
    assert answer["label"] == next(iter(answer["probabilities"]))
    assert len(answer["probabilities"]) == 10
    assert sum(answer["probabilities"].values()) == pytest.approx(1)


def test_predict_checks_its_options_before_the_artefact_is_opened(data: Path, digit: Path, tmp_path: Path) -> None:
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "mine.txt").touch()
    for options, message in (
        (["--threshold", "1.5"], "--threshold: got 1.5, expected a probability"),
        (["--top", "0"], "--top: got 0"),
        (["-o", str(tmp_path / "full")], "is not empty (it holds mine.txt)"),
    ):
        ended = edgeport("predict", data / "tiny.int8.onnx", digit, *options)
        assert (ended.returncode, ended.stderr.count("\n")) == (2, 1)
        assert message in ended.stderr


def test_an_altered_artefact_is_refused(data: Path, digit: Path, tmp_path: Path) -> None:
    content = bytearray((data / "tiny.int8.tflite").read_bytes())
    content[-1000] ^= 1
    (tmp_path / "bad.tflite").write_bytes(content)
    ended = edgeport("predict", tmp_path / "bad.tflite", digit)
    assert ended.returncode == 2
    assert "has been altered" in ended.stderr


def test_without_the_extra_the_command_names_it() -> None:
    code = (
        "import sys; sys.modules['rich'] = None; sys.modules['rich.console'] = None\n"
        "from edgeport.runtime.cli import main; sys.exit(main(['train', '-o', 'x']))"
    )
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert ended.returncode == 2
    assert "pip install 'edgeport[train]'" in ended.stderr


def test_what_the_file_system_refuses_is_one_line(data: Path, digit: Path) -> None:
    for arguments in (
        ["train", "--dataset", "mnist-5k", "-o", "x" * 300],
        ["train", "--dataset", "x" * 300 + "/", "-o", "x"],
    ):
        ended = edgeport(*arguments)
        assert ended.returncode == 2
        assert ended.stderr.count("\n") == 1


def test_a_reader_that_leaves_is_no_error(data: Path, digit: Path) -> None:
    command = f"{sys.executable} -m edgeport.runtime.cli predict {data / 'tiny.int8.onnx'} {digit} | true"
    ended = subprocess.run(command, shell=True, capture_output=True, text=True, check=False)
    assert "Traceback" not in ended.stderr


def test_ctrl_c_in_a_destructor_ends_the_program_too() -> None:
    code = """
import os, signal, sys, time
from edgeport.runtime.cli import exit_code_of

class Closing:
    def __del__(self):
        os.kill(os.getpid(), signal.SIGINT)
        time.sleep(0.01)

def work():
    Closing()
    time.sleep(30)
    return 0

sys.exit(exit_code_of("edgeport", work))
"""
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=20)
    assert (ended.returncode, ended.stderr) == (130, "edgeport: interrupted\n")
