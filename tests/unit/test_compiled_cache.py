"""What OpenVINO has compiled, kept in a folder: the same answers or one line, and never another CPU's or version's."""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from edgeport.runtime import ArtefactError, EdgeportError, InputError, Predictor, load
from edgeport.runtime.cli import main
from edgeport.runtime.engines import compiled, openvino

FILES = ("tiny.float32.onnx", "tiny.int8.onnx", "tiny.float32.tflite")


def files(cache: Path) -> list[Path]:
    return sorted(cache.glob("*.compiled"))


@pytest.fixture
def counted(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What OpenVINO is asked for."""
    calls: list[str] = []

    class Counting:
        def __getattr__(self, name: str) -> object:
            if name in ("compile_model", "import_model"):
                calls.append(name)
            return getattr(core, name)

    core = openvino._core()
    monkeypatch.setattr(openvino, "_core", lambda: Counting())
    return calls


def cached(data: Path, name: str, cache: Path, **options: object) -> Predictor:
    return load(data / name, engine="openvino", cache=cache, **options)


@pytest.mark.parametrize("name", FILES)
def test_what_was_kept_answers_bit_for_bit_alike(
    name: str, data: Path, tmp_path: Path, golden: dict[str, np.ndarray], counted: list[str]
) -> None:
    cache = tmp_path / "deep" / "cache"
    expected = load(data / name, engine="openvino")
    assert counted == ["compile_model"]
    for asked in ("compile_model", "import_model"):
        counted.clear()
        ours = cached(data, name, cache)
        for images in (golden["images"][:1], golden["images"], golden["images"][:3]):
            np.testing.assert_array_equal(ours.predict(images), expected.predict(images))
        assert ours.spec == expected.spec
        assert set(counted) == {asked}
    assert cache.stat().st_mode & 0o777 == 0o700
    assert not list(cache.glob(".partial*"))
    assert len(files(cache)) == (1 if name.endswith("tflite") else 2), "for single samples, and for any number"


def test_it_is_off_unless_it_is_asked_for_and_other_engines_leave_it_alone(data: Path, tmp_path: Path) -> None:
    load(data / "tiny.int8.onnx", engine="onnxruntime", cache=tmp_path / "cache")
    load(data / "tiny.int8.tflite", cache=tmp_path / "cache")
    load(data / "tiny.int8.onnx", engine="openvino")
    assert not (tmp_path / "cache").exists()


def other_cpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compiled, "cpu_model", lambda: "another")


def fewer_instructions(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compiled, "cpu_facts", lambda: {"flags": "avx2"})


def other_version(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(openvino.openvino, "__version__", "2026.9.9-1")


def other_options(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(openvino._SETTINGS, "PERFORMANCE_HINT", "THROUGHPUT")


@pytest.mark.parametrize("change", [other_cpu, fewer_instructions, other_version, other_options])
def test_on_another_cpu_version_or_with_other_options_it_is_compiled_anew(
    change: Callable[[pytest.MonkeyPatch], None],
    data: Path,
    tmp_path: Path,
    counted: list[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    cached(data, "tiny.int8.onnx", tmp_path / "cache")
    change(monkeypatch)
    cached(data, "tiny.int8.onnx", tmp_path / "cache")
    assert counted == ["compile_model"] * 2
    assert len(files(tmp_path / "cache")) == 2


def test_other_threads_and_other_files_have_their_own(data: Path, tmp_path: Path, counted: list[str]) -> None:
    cached(data, "tiny.int8.onnx", tmp_path / "cache")
    cached(data, "tiny.int8.onnx", tmp_path / "cache", threads=2)
    cached(data, "tiny.float32.onnx", tmp_path / "cache")
    assert counted == ["compile_model"] * 3
    assert len(files(tmp_path / "cache")) == 3


def flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-100])


def empty(path: Path) -> None:
    path.write_bytes(b"")


def swap(path: Path) -> None:
    other = next(each for each in files(path.parent) if each != path)
    path.write_bytes(other.read_bytes())


def pipe(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


def no_model(path: Path) -> None:
    """Well written, with the right checksum, and nothing that OpenVINO can read."""
    import json

    _, head, _ = path.read_bytes().split(b"\n", 2)
    facts, rest = json.loads(head)["facts"], b"no model"
    path.write_bytes(b"\n".join((compiled._MAGIC[:-1], compiled._head(facts, rest), rest)))


@pytest.mark.parametrize("damage", [flip, truncate, empty, swap, pipe, no_model])
def test_a_damaged_or_foreign_file_is_rejected_in_one_line(
    damage: Callable[[Path], None], data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    cache = tmp_path / "cache"
    cached(data, "tiny.int8.onnx", cache)
    (path,) = files(cache)
    cached(data, "tiny.float32.onnx", cache)
    damage(path)
    with pytest.raises(ArtefactError) as rejected:
        cached(data, "tiny.int8.onnx", cache)
    assert "\n" not in str(rejected.value)
    assert str(path) in str(rejected.value)
    assert damage is pipe or "delete it, and it is made anew" in str(rejected.value)
    path.unlink()
    cached(data, "tiny.int8.onnx", cache)
    assert path.is_file()


def test_a_folder_that_others_may_write_to_is_rejected(data: Path, tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    cache.mkdir()
    for mode in (0o777, 0o770, 0o702):
        cache.chmod(mode)
        with pytest.raises(InputError, match=f"others own or may write to \\(mode {mode:o}\\), expected a folder of"):
            cached(data, "tiny.int8.onnx", cache)
    (tmp_path / "file").write_text("x")
    with pytest.raises(InputError, match=r"cache: cannot use the folder .*file: File exists"):
        cached(data, "tiny.int8.onnx", tmp_path / "file")
    with pytest.raises(EdgeportError, match="Not a directory"):
        cached(data, "tiny.int8.onnx", tmp_path / "file" / "below")


def test_threads_and_processes_that_start_at_once_all_answer(
    data: Path, tmp_path: Path, golden: dict[str, np.ndarray]
) -> None:
    cache, image = tmp_path / "cache", golden["images"][:1]
    expected = load(data / "tiny.int8.onnx", engine="openvino").predict(image)
    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(lambda _: cached(data, "tiny.int8.onnx", cache).predict(image), range(8)))
    assert all((answer == expected).all() for answer in answers)
    shutil.rmtree(cache)
    code = (
        "import sys, numpy; from edgeport.runtime import load; "
        "p = load(sys.argv[1], engine='openvino', cache=sys.argv[2]); "
        "print(p.predict(numpy.zeros((1, 28, 28), numpy.uint8)).tobytes().hex())"
    )
    command = [sys.executable, "-c", code, str(data / "tiny.int8.onnx"), str(cache)]
    running = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(3)]
    printed = {process.communicate()[0] for process in running}
    assert len(printed) == 1
    assert [process.returncode for process in running] == [0, 0, 0]
    assert len(files(cache)) == 1
    assert not list(cache.glob(".partial*"))


def test_the_commands_take_a_cache(data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    np.save(tmp_path / "x.npy", np.zeros((1, 28, 28, 1), np.uint8))
    command = ["predict", str(data / "tiny.int8.onnx"), str(tmp_path / "x.npy"), "--engine", "openvino"]
    printed = []
    for _ in range(2):
        assert main([*command, "--cache", str(tmp_path / "cache")]) == 0
        printed.append(capsys.readouterr().out)
    assert printed[0] == printed[1]
    (path,) = files(tmp_path / "cache")
    flip(path)
    assert main([*command, "--cache", str(tmp_path / "cache")]) == 2
    error = capsys.readouterr().err
    assert error.startswith("edgeport: cache: ")
    assert error.count("\n") == 1
