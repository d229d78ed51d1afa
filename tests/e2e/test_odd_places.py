"""What takes long, in odd places: names of any bytes, locales, streams and folders that fail. See test_oddities.py."""

import ctypes
import os
import shutil
import signal
import subprocess
import sys
import tarfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from edgeport.benchmarks.report.raw.report_file import read_report
from edgeport.benchmarks.sweep.results import read_results
from edgeport.export.manifest import read_manifest
from edgeport.runtime import load
from edgeport.runtime.cli import main
from edgeport.runtime.golden.answers import golden_bytes

DATA = Path(__file__).parents[1] / "data"
REPORT = DATA.parents[1] / "docs" / "results" / "mnist-classic" / "report.json"
SWEEP = """dataset = "{}"
models = ["edge-2k"]
seeds = [0]
precisions = ["int8"]
latency = false
[recipes.short]
epochs = 1
"""
# What cannot be shown: a byte that is no UTF-8, a newline, an escape sequence; a space and a quote; a dash in front.
ODD = os.fsdecode(b"-caf\xe9 \n\x1b[31m'x")


@pytest.fixture(scope="module")
def small(edgeport, shared) -> Path:
    """A data set of 160 small pictures, what was trained on it, and its export."""

    def make(folder: Path) -> None:
        classes = np.arange(160) % 4
        noise = np.random.default_rng(0).integers(0, 60, (160, 24, 24))
        images = (noise + 45 * classes[:, None, None]).astype(np.uint8)
        arrays = {"x_train": images[:120], "y_train": classes[:120], "x_test": images[120:], "y_test": classes[120:]}
        np.savez(folder / "data.npz", allow_pickle=False, **arrays)
        (folder / "sweep.toml").write_text(SWEEP.format(folder / "data.npz"), encoding="utf-8")
        edgeport(*TRAIN.format(folder).split(), "-o", folder / "train")
        edgeport(*EXPORT.format(folder).split(), "-o", folder / "export")
        shutil.copytree(REPORT.parent, folder / "benchmark")

    return shared("small", make)


TRAIN = "train --dataset {}/data.npz --model edge-2k --epochs 1"
EXPORT = "export {}/train/model.keras --precisions int8"


def whole_training(output: Path) -> None:
    pictures = {"learning-curves.png", "predictions.png", "confusion-matrix.png"}
    assert {path.name for path in output.iterdir()} == {"model.keras", "training.json", *pictures}


def whole_export(output: Path) -> None:
    for artefact in read_manifest(output).artefacts:
        load(output / artefact.file)


def whole_page(output: Path) -> None:
    assert output.read_text("utf-8").endswith("</html>\n")


def whole_archive(output: Path) -> None:
    with tarfile.open(output) as archive:
        assert archive.getnames()


# Each command that reads or works for long, the name of what it writes, and what looks whether that is whole.
COMMANDS: dict[str, tuple[str, str, Callable[[Path], object]]] = {
    "train": (TRAIN, "out", whole_training),
    "export": (EXPORT, "out", whole_export),
    "benchmark": ("benchmark {}/export --rounds 1", "out", read_report),
    "sweep": ("sweep {}/sweep.toml --jobs 1", "out", read_results),
    "report": ("report {}/benchmark", "out.html", whole_page),
    "bundle": ("bundle {}/export", "out.tar.gz", whole_archive),
    "compare": ("compare {0}/benchmark {0}/benchmark", "", lambda output: None),
}


def shell(line: str, *, place: Path, **variables: str) -> subprocess.CompletedProcess[bytes]:
    """Run a line of bash in which ``edgeport`` stands for the command line."""
    edgeport = f"{sys.executable} -m edgeport.runtime.cli"
    return subprocess.run(
        ["bash", "-c", line.replace("edgeport ", f"{edgeport} ", 1)], capture_output=True, check=False, cwd=place,
        env={**os.environ, **variables}, timeout=300,
    )  # fmt: skip


def said(ended: subprocess.CompletedProcess[bytes], code: int) -> list[str]:
    """Return the lines of complaint of a command that has ended with a code, none of which is of a traceback."""
    both = ended.stdout + ended.stderr
    assert ended.returncode == code, both
    assert not any(word in both for word in (b"Traceback", b"Exception ignored", b"\x1b")), both
    lines = ended.stderr.decode("utf-8", "backslashreplace").splitlines()
    assert all(line.startswith("edgeport") for line in lines), lines
    return lines


@pytest.fixture(scope="module")
def latin_1(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The environment variables of a machine whose files and terminal are not in UTF-8."""
    if shutil.which("localedef") is None:
        return {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    locale = tmp_path_factory.mktemp("locales") / "en_US.ISO-8859-1"
    subprocess.run(["localedef", "-i", "en_US", "-f", "ISO-8859-1", locale], check=True)
    variables = {"LOCPATH": str(locale.parent), "LC_ALL": locale.name, "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    encoding = "import locale; print(locale.getpreferredencoding())"
    found = subprocess.run(
        [sys.executable, "-c", encoding], capture_output=True, check=True, env=os.environ | variables
    )
    assert found.stdout.strip() == b"ISO-8859-1"
    return variables


@pytest.mark.parametrize("command", COMMANDS)
def test_where_nobody_reads_and_the_folder_is_gone_the_work_is_whole_in_any_locale(
    command: str, small: Path, tmp_path: Path, latin_1: dict[str, str]
) -> None:
    line, name, check = COMMANDS[command]
    output = tmp_path / f"caf\u00e9-\u4e2d-{name}"
    option = f"-o {output}" if name else ""
    ended = shell(
        f"mkdir gone && cd gone && rmdir ../gone && edgeport {line.format(small)} {option} <&- >&- 2>&-",
        place=tmp_path, **latin_1,
    )  # fmt: skip
    assert not said(ended, 2)
    check(output)
    assert os.listdir(tmp_path) == ([output.name] if name else [])


@pytest.mark.parametrize("command", ["report", "bundle", "compare"])
def test_a_full_disk_behind_the_output_is_the_last_line(command: str, small: Path, tmp_path: Path) -> None:
    line, name, check = COMMANDS[command]
    output = f"-o {name}" if name else ""
    ended = shell(f"edgeport {line.format(small)} {output} > /dev/full", place=tmp_path)
    assert said(ended, 2)[-1] == "edgeport: cannot write to the standard output: No space left on device"
    check(tmp_path / name)


def test_names_of_any_bytes_go_all_the_way_where_only_ascii_is_known(small: Path, tmp_path: Path) -> None:
    ascii_only = {
        "LC_ALL": "C",
        "PYTHONUTF8": "0",
        "PYTHONCOERCECLOCALE": "0",
        "COLUMNS": "40",
        "SOURCE_DATE_EPOCH": "",
    }
    odd = tmp_path / ODD
    odd.mkdir()
    shutil.copy(small / "data.npz", odd / f"{ODD}.npz")
    environment = {**os.environ, **ascii_only}

    def run(*arguments: object, code: int = 0) -> bytes:
        command = [sys.executable, "-m", "edgeport.runtime.cli", *map(str, arguments)]
        ended = subprocess.run(command, capture_output=True, check=False, cwd=tmp_path, env=environment)
        said(ended, code)
        return ended.stdout + ended.stderr

    printed = run("train", "--dataset", odd / f"{ODD}.npz", "--model", "edge-2k", "--epochs", 1, "-o", odd / "train")
    whole_training(odd / "train")
    # The command line that comes next can be copied as it stands.
    following = printed.decode("ascii").rpartition("Next: ")[2].strip()
    said(shell(f"{following} --precisions int8", place=tmp_path, **ascii_only), 0)
    whole_export(odd / "export")
    shutil.copy(odd / "train" / "model.keras", odd / f"{ODD}.keras")
    assert b"give --name" in run("export", odd / f"{ODD}.keras", "--calibration", "random", "-o", odd / "no", code=2)
    run("benchmark", odd / "export", "--rounds", 1, "-o", odd / "benchmark")
    read_report(odd / "benchmark")
    run("report", odd / "benchmark", "-o", odd / f"{ODD}.html")
    whole_page(odd / f"{ODD}.html")
    run("compare", odd / "benchmark", odd / "benchmark")
    run("bundle", odd / "export", "-o", odd / f"{ODD}.tar.gz")
    whole_archive(odd / f"{ODD}.tar.gz")
    assert not (odd / "no").exists()


@contextmanager
def small_disk(place: Path, *, kilobytes: int) -> Iterator[Path]:
    """A file system of its own in memory."""
    place.mkdir()
    if subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={kilobytes}k", "tmpfs", place], capture_output=True, check=False
    ).returncode:
        pytest.skip("may not mount a file system")
    try:
        yield place
    finally:
        subprocess.run(["umount", place], check=True)


@pytest.mark.parametrize("command", ["export", "benchmark", "bundle"])
def test_a_full_folder_for_temporary_files_is_the_one_to_blame(command: str, small: Path, tmp_path: Path) -> None:
    line, name, _ = COMMANDS[command]
    more = "--with-wheels" if command == "bundle" else ""
    # Python looks for another folder where not even four bytes can be written.
    with small_disk(tmp_path / "disk", kilobytes=4) as disk:
        ended = shell(f"edgeport {line.format(small)} {more} -o {name}", place=tmp_path, TMPDIR=str(disk))
        last = said(ended, 2)[-1]
        assert f"{disk}" in last
        assert "TMPDIR" in last
        assert not os.listdir(disk)
    assert os.listdir(tmp_path) == ["disk"]


def test_a_killed_benchmark_leaves_nothing_that_the_next_does_not_remove(tmp_path: Path) -> None:
    folder, temporary = tmp_path / "golden", tmp_path / "temporary"
    folder.mkdir()
    temporary.mkdir()
    for name in ("tiny.int8.tflite", "manifest.json"):
        shutil.copy(DATA / name, folder)
    images = np.random.default_rng(0).integers(0, 256, (500, 28, 28, 1), np.uint8)
    classes = np.arange(500) % 10
    content = golden_bytes(
        folder, ["tiny.int8.tflite"], {"image": images}, labels=classes, reference=np.eye(10, dtype=np.float32)[classes]
    )
    (folder / "golden.npz").write_bytes(content)
    command = [sys.executable, "-m", "edgeport.runtime.cli", "benchmark", folder, "--rounds", "1"]
    environment = {**os.environ, "TMPDIR": str(temporary)}
    with subprocess.Popen([*command, "-o", tmp_path / "out"], env=environment, stdout=subprocess.DEVNULL) as killed:
        while not (left := list(temporary.glob("*/input0.npy"))):
            assert killed.poll() is None
            time.sleep(0.01)
        killed.send_signal(signal.SIGKILL)
    assert left[0].exists()
    hours_ago = time.time() - 10_000
    os.utime(left[0].parent, (hours_ago, hours_ago))
    subprocess.run([*command, "-o", tmp_path / "out"], env=environment, check=True, capture_output=True)
    assert not os.listdir(temporary)
    assert sorted(os.listdir(tmp_path)) == ["golden", "out", "temporary"]


class _CapabilityHeader(ctypes.Structure):
    _fields_ = (("version", ctypes.c_uint32), ("pid", ctypes.c_int))


@contextmanager
def as_no_root() -> Iterator[None]:
    """Take root's right to read and write everything away from this thread; see capabilities(7)."""
    libc = ctypes.CDLL(None, use_errno=True)
    header, data = _CapabilityHeader(0x20080522, 0), (ctypes.c_uint32 * 6)()
    assert libc.capget(ctypes.byref(header), data) == 0
    # The effective capabilities 0 to 31: without those to pass by the permissions of files (1, 2) and owners (3).
    before, data[0] = data[0], data[0] & ~0b1110
    assert libc.capset(ctypes.byref(header), data) == 0
    try:
        yield
    finally:
        data[0] = before
        assert libc.capset(ctypes.byref(header), data) == 0


def refused(arguments: list[str], capfd: pytest.CaptureFixture[str]) -> str:
    """Return the one line of a command that exits with 2."""
    capfd.readouterr()
    try:
        code = main(arguments)
    except SystemExit as ended:
        code = ended.code
    printed = capfd.readouterr()
    lines = printed.err.splitlines()
    assert (code, len(lines)) == (2, 1), printed
    assert "Traceback" not in printed.err
    return lines[0]


INPUTS = {
    "train": "data.npz", "export": "train/model.keras", "benchmark": "export/manifest.json", "sweep": "sweep.toml",
    "report": "benchmark/report.json", "bundle": "export/manifest.json", "compare": "benchmark/report.json",
}  # fmt: skip


@pytest.mark.parametrize("command", COMMANDS)
def test_what_may_not_be_read_or_written_is_one_line(
    command: str, small: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    line, name, _ = COMMANDS[command]
    copy, closed = shutil.copytree(small, tmp_path / "copy"), tmp_path / "closed"
    (copy / INPUTS[command]).chmod(0)
    closed.mkdir(mode=0o555)
    output = ["-o", str(tmp_path / name)] if name else []
    with as_no_root():
        assert "Permission denied" in refused([*line.format(copy).split(), *output], capfd)
        if name:
            printed = refused([*line.format(small).split(), "-o", str(closed / name)], capfd)
            assert "Permission denied" in printed
            assert str(closed) in printed
    assert sorted(os.listdir(tmp_path)) == ["closed", "copy"]
    assert not os.listdir(closed)


HUGE = "9" * 30


@pytest.mark.parametrize(
    ("command", "option"),
    [
        ("train", "--epochs"), ("train", "--seed"), ("export", "--calibration-count"), ("export", "--opset"),
        ("export", "--unroll-limit"), ("export", "--batch"), ("export", "--require-agreement"),
        ("benchmark", "--rounds"), ("benchmark", "--threads"), ("benchmark", "--batches"), ("sweep", "--jobs"),
        ("bundle", "--samples"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("number", [HUGE, f"-{HUGE}", "nan"])
def test_numbers_of_any_size_and_kind_are_answered_in_a_line(
    command: str, option: str, number: str, small: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    line, name, _ = COMMANDS[command]
    output = ["-o", str(tmp_path / name)] if name else []
    printed = refused([*line.format(small).split(), *output, f"{option}={number}"], capfd)
    assert option[2:].rpartition("-")[2] in printed
    assert "got " in printed or "invalid" in printed
    assert not os.listdir(tmp_path)


@pytest.mark.parametrize("options", [[], ["--resume"]])
def test_a_class_folder_whose_name_is_no_utf8_is_refused_before_the_first_epoch(
    options: list[str], tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    for name in (b"caf\xe9", b"tea"):
        folder = Path(os.fsdecode(os.fsencode(tmp_path) + b"/data/" + name))
        folder.mkdir(parents=True)
        for number in range(12):
            Image.new("L", (8, 8), 20 * number).save(folder / f"{number}.png")
    arguments = ["train", "--dataset", f"{tmp_path}/data", "--epochs", "1", "-o", f"{tmp_path}/out", *options]
    assert "caf\\xe9" in refused(arguments, capfd)
    assert os.listdir(tmp_path) == ["data"]


@pytest.mark.parametrize("value", ["abc", "1.5", "-1", HUGE, "\n"])
def test_a_date_of_the_sources_is_a_whole_number_or_none(
    value: str, small: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SOURCE_DATE_EPOCH", value)
    if value.strip():
        assert "SOURCE_DATE_EPOCH" in refused(["zoo"], capfd)
    else:
        assert main(["zoo"]) == 0
