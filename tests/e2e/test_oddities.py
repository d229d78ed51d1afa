"""Commands x oddities: exit 0, 1, 2 or 141 as documented, at most one line of complaint, no traceback."""

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

ROOT = Path(__file__).parents[2]
REPORT = ROOT / "docs" / "results" / "mnist-edge" / "report.json"
WORDS = ("Traceback", "Exception ignored", "Error:")


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with one file of every kind that commands take."""
    folder = tmp_path_factory.mktemp("place")
    Image.new("L", (28, 28)).save(folder / "digit.png")
    for name in ("tiny.int8.tflite", "tiny.int8.onnx", "manifest.json"):
        shutil.copy(ROOT / "tests" / "data" / name, folder / name)
    return folder


COMMANDS = {
    "predict": "predict tiny.int8.tflite digit.png",
    "predict --json": "predict tiny.int8.onnx digit.png --json",
    "zoo": "zoo",
    "inspect": "inspect tiny.int8.onnx",
    "compare": f"compare {REPORT} {REPORT}",
    "help": "--help",
}


def shell(line: str, folder: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    line = line.replace("edgeport ", f"{sys.executable} -m edgeport.runtime.cli ", 1)
    environment = {**os.environ, "TMPDIR": "/tmp", **variables}
    environment.pop("PYTHONIOENCODING", None)
    return subprocess.run(
        ["bash", "-c", f"set -o pipefail; {line}"], capture_output=True, text=True, encoding="utf-8",
        errors="backslashreplace", check=False, cwd=folder, env=environment, timeout=120,
    )  # fmt: skip


def printed(ended: subprocess.CompletedProcess[str]) -> str:
    """Return the one line of a complaint, or nothing."""
    assert not any(word in ended.stdout + ended.stderr for word in WORDS), ended
    assert ended.stderr.count("\n") <= 1, ended.stderr
    return ended.stderr


@pytest.mark.parametrize("command", COMMANDS)
def test_a_full_disk_behind_the_output_exits_2(command: str, place: Path) -> None:
    ended = shell(f"edgeport {COMMANDS[command]} > /dev/full", place)
    assert (ended.returncode, printed(ended)) == (
        2, "edgeport: cannot write to the standard output: No space left on device\n",
    )  # fmt: skip


@pytest.mark.parametrize("command", COMMANDS)
def test_a_closed_output_exits_2_and_a_closed_error_output_changes_nothing(command: str, place: Path) -> None:
    ended = shell(f"edgeport {COMMANDS[command]} >&-", place)
    assert ended.returncode == 2
    assert "Bad file descriptor" in printed(ended)
    usual = shell(f"edgeport {COMMANDS[command]}", place)
    for end in ("2>&-", "2>/dev/full", "<&- 2>&-"):
        ended = shell(f"edgeport {COMMANDS[command]} {end}", place)
        assert (ended.returncode, ended.stdout) == (usual.returncode, usual.stdout)


@pytest.mark.parametrize("command", COMMANDS)
def test_a_reader_that_leaves_ends_it_quietly(command: str, place: Path) -> None:
    ended = shell(f"edgeport {COMMANDS[command]} | true", place)
    assert printed(ended) == ""
    assert ended.returncode == 128 + signal.SIGPIPE


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize("locale", ["C", "en_US.ISO-8859-1"])
def test_a_terminal_of_any_encoding_gets_escapes(command: str, locale: str, place: Path) -> None:
    for encoding in ("ascii", "latin-1"):
        line = f"PYTHONUTF8=0 PYTHONCOERCECLOCALE=0 PYTHONIOENCODING={encoding} edgeport {COMMANDS[command]}"
        line = line.replace("edgeport ", f"{sys.executable} -m edgeport.runtime.cli ", 1)
        ended = shell(line, place, LC_ALL=locale, COLUMNS="40")
        assert ended.returncode == 0, ended.stderr
        printed(ended)


ODD_FILES = ["pipe", "device", "folder", "empty", "gone", "loop", "private"]


def odd(kind: str, path: Path) -> Path:
    match kind:
        case "pipe":
            os.mkfifo(path)
        case "device":
            path.symlink_to("/dev/zero")
        case "folder":
            path.mkdir()
        case "empty":
            path.touch()
        case "loop":
            path.symlink_to(path.name)
        case "private":
            path.touch(mode=0)
    return path


@pytest.mark.parametrize("kind", ODD_FILES)
@pytest.mark.parametrize(
    ("line", "name"),
    [
        ("predict {} digit.png", "a.tflite"),
        ("predict tiny.int8.onnx {}", "a.png"),
        ("inspect {}", "a.onnx"),
        ("inspect --probe {}", "a.tflite"),
        ("selftest {folder}", "golden.npz"),
        ("benchmark {folder}", "golden.npz"),
        ("benchmark {folder}", "manifest.json"),
        ("bundle {folder} -o out.tar.gz", "manifest.json"),
        ("report {} -o out.html", "report.json"),
        (f"compare {REPORT} {{}}", "report.json"),
        ("sweep {} -o out", "sweep.toml"),
        ("train --dataset {} -o out", "a.npz"),
        ("train --dataset mnist-5k --model {} -o out", "a.keras"),
        ("train --dataset mnist-5k --teacher {} -o out", "a.keras"),
        ("export {} -o out", "a.keras"),
        ("export {} -o out", "a.h5"),
        ("export zoo:edge-2k --calibration {} -o out", "a.npz"),
    ],
)
def test_a_file_that_is_none_is_refused_at_once(
    line: str, name: str, kind: str, place: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from edgeport.runtime.cli import main

    path = odd(kind, tmp_path / name)
    arguments = line.format(path, folder=tmp_path).replace("tiny", f"{place}/tiny").replace("digit", f"{place}/digit")
    before = sorted(os.listdir(tmp_path))
    arguments = arguments.replace("-o out", f"-o {tmp_path}/out")

    def too_long(number: int, frame: object) -> None:
        raise TimeoutError

    signal.signal(signal.SIGALRM, too_long)
    signal.alarm(60)
    try:
        code = main(arguments.split())
    finally:
        signal.alarm(0)
    error = capsys.readouterr().err
    # A file without content is one that every engine refuses.
    expected = (1, 0) if "--probe" in line and kind in ("empty", "private") else (2, 1)
    assert (code, error.count("\n")) == expected, error
    assert sorted(os.listdir(tmp_path)) == before


def test_a_file_name_that_is_no_utf8_is_shown_by_its_bytes(place: Path, tmp_path: Path) -> None:
    raw = os.fsencode(tmp_path) + b"/caf\xe9\n\x1b[2J.png"
    shutil.copy(place / "digit.png", raw)
    command = [sys.executable, "-m", "edgeport.runtime.cli", "predict", place / "tiny.int8.onnx"]
    ended = subprocess.run([*command, raw], capture_output=True, check=False)
    assert ended.returncode == 0, ended.stderr
    assert rb"caf\xe9\n\x1b[2J.png  " in ended.stdout
    assert (ended.stdout.count(b"\n"), ended.stderr) == (1, b"")
    missing = subprocess.run([*command, raw + b"x"], capture_output=True, check=False)
    assert (missing.returncode, missing.stderr.count(b"\n")) == (2, 1)
    assert b"\x1b" not in missing.stderr


def test_a_working_folder_that_was_removed_is_one_line(place: Path) -> None:
    for command in ("zoo", "predict a.tflite b.png", "selftest"):
        run = f"{sys.executable} -m edgeport.runtime.cli {command}"
        ended = shell(f"mkdir gone && cd gone && rmdir ../gone && {run}", place)
        assert ended.returncode in (0, 2)
        printed(ended)


@pytest.mark.parametrize("epochs", ["9" * 20, "-1", "0"])
def test_a_number_of_any_size_is_reported(epochs: str, place: Path) -> None:
    ended = shell(f"edgeport train --dataset mnist-5k --epochs {epochs} -o out", place)
    assert ended.returncode == 2
    assert "expected 1 to 1,000,000" in printed(ended)


def test_without_its_metadata_edgeport_still_runs(place: Path) -> None:
    code = (
        "import importlib.metadata as m, sys\n"
        "def none(name): raise m.PackageNotFoundError(name)\n"
        "m.version = none\n"
        "from edgeport.runtime.cli import main; sys.exit(main(['--version']))"
    )
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (ended.returncode, ended.stdout) == (0, "edgeport unknown\n")
