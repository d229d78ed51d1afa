"""Export: whatever is wrong is found before any conversion and reported in one line; what fails stops nothing else."""

import os
import shutil
import signal
import subprocess
import sys
import time
import zipfile
from collections.abc import Callable
from pathlib import Path

import keras
import numpy as np
import pytest

from edgeport.export import Options, export, load_calibration, load_source
from edgeport.export.conversion import exporting
from edgeport.export.onnx import convert as to_onnx
from edgeport.export.verification import engine_process
from edgeport.runtime.cli import main
from edgeport.runtime.host import json_process

Refused = Callable[..., str]


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the same small model as model.keras, model.h5 and a SavedModel, and samples for it."""
    folder = tmp_path_factory.mktemp("models")
    keras.utils.set_random_seed(1)
    tokens, facts = keras.Input((5,), dtype="int32", name="tokens"), keras.Input((4,), name="facts")
    x = keras.layers.Flatten()(keras.layers.Embedding(10, 4)(tokens))
    x = keras.layers.Dense(8, activation="relu")(keras.layers.Concatenate()([x, facts]))
    model = keras.Model([tokens, facts], keras.layers.Dense(3, activation="softmax")(x))
    model.save(folder / "model.keras")
    model.save(folder / "model.h5")
    model.export(folder / "saved", verbose=False)
    np.savez(folder / "good.npz", **samples())
    return folder


def samples(**changed: np.ndarray) -> dict[str, np.ndarray]:
    random = np.random.default_rng(0)
    good = {"tokens": random.integers(0, 10, (60, 5)), "facts": random.normal(size=(60, 4)).astype(np.float32)}
    return good | changed


@pytest.fixture
def refused(capfd: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Refused:
    """Run the export in this process: it must exit with 2 and one line, convert nothing and write nothing."""

    def convert(*arguments: object) -> None:
        raise AssertionError("something was converted")

    monkeypatch.setattr(exporting, "converted", convert)

    def run(model: Path, *arguments: object, output: Path = tmp_path / "out") -> str:
        before = sorted(tmp_path.rglob("*"))
        capfd.readouterr()
        try:
            code = main(["export", str(model), "-o", str(output), *map(str, arguments)])
        except SystemExit as ended:  # argparse
            code = ended.code
        printed = capfd.readouterr()
        lines = printed.err.splitlines()
        assert (code, len(lines)) == (2, 1), printed
        assert "Traceback" not in printed.err
        assert sorted(tmp_path.rglob("*")) == before
        return lines[0]

    return run


@pytest.mark.parametrize("name", ["model.keras", "model.h5"])
@pytest.mark.parametrize("part", [0.0, 0.01, 0.3, 0.7, 0.95, 0.999])
def test_a_file_that_was_cut_is_refused(models: Path, tmp_path: Path, refused: Refused, name: str, part: float) -> None:
    content = (models / name).read_bytes()
    (tmp_path / name).write_bytes(content[: int(len(content) * part)])
    assert name in refused(tmp_path / name, "--calibration", models / "good.npz")


@pytest.mark.parametrize("member", ["config.json", "metadata.json", "model.weights.h5"])
def test_a_keras_file_with_flipped_bytes_is_refused(
    models: Path, tmp_path: Path, refused: Refused, member: str
) -> None:
    content = bytearray((models / "model.keras").read_bytes())
    with zipfile.ZipFile(models / "model.keras") as archive:
        info = archive.getinfo(member)
    start = info.header_offset + 30 + len(member)
    for place in range(start, start + info.compress_size, 7):
        content[place] ^= 0x55
    (tmp_path / "flipped.keras").write_bytes(content)
    assert "flipped.keras" in refused(tmp_path / "flipped.keras", "--calibration", models / "good.npz")


def test_what_only_looks_like_a_model_is_refused(models: Path, tmp_path: Path, refused: Refused) -> None:
    with zipfile.ZipFile(tmp_path / "other.keras", "w") as archive:
        archive.writestr("readme.txt", "no model")
    (tmp_path / "noise.h5").write_bytes(np.random.default_rng(0).bytes(5000))
    (tmp_path / "magic.h5").write_bytes(b"\x89HDF\r\n\x1a\n" + np.random.default_rng(0).bytes(5000))
    for name in ("other.keras", "noise.h5", "magic.h5", "missing.keras"):
        assert name in refused(tmp_path / name, "--calibration", models / "good.npz")


def test_a_damaged_saved_model_is_refused(models: Path, tmp_path: Path, refused: Refused) -> None:
    bare = shutil.copytree(models / "saved", tmp_path / "bare")
    shutil.rmtree(bare / "variables")
    for name, part in (("cut", 0.5), ("cut2", 0.02), ("none", 0.0)):
        graph = shutil.copytree(models / "saved", tmp_path / name) / "saved_model.pb"
        graph.write_bytes(graph.read_bytes()[: int(graph.stat().st_size * part)])
    (tmp_path / "empty").mkdir()
    for name in ("bare", "cut", "cut2", "none", "empty"):
        assert name in refused(tmp_path / name, "--calibration", models / "good.npz")


NAN = np.full((60, 4), np.nan, np.float32)
CALIBRATIONS = {
    "shape": (samples(facts=np.ones((60, 3), np.float32)), "(60, 3)"),
    "axes": (samples(facts=np.ones((60, 4, 1), np.float32)), "(60, 4, 1)"),
    "dtype": (samples(tokens=np.ones((60, 5), np.float32)), "float32 for tokens"),
    "text": (samples(tokens=np.full((60, 5), "a")), "<U1 for tokens"),
    "NaN": (samples(facts=NAN), "NaN, infinity or beyond float32 for facts"),
    "infinity": (samples(facts=np.full((60, 4), np.inf, np.float32)), "NaN, infinity"),
    "vocabulary": (samples(tokens=np.full((60, 5), 10)), "10 to 10 for tokens, expected 0 to 9"),
    "negative": (samples(tokens=np.full((60, 5), -1)), "-1 to -1 for tokens"),
    "counts": (samples(tokens=np.ones((50, 5), np.int32)), "got 50 tokens and 60 facts, expected as many of each"),
    "few": ({name: array[:5] for name, array in samples().items()}, "10 or more"),
    "missing": ({"tokens": samples()["tokens"]}, "tokens"),
}


@pytest.mark.parametrize("wrong", CALIBRATIONS)
def test_wrong_samples_are_refused(models: Path, tmp_path: Path, refused: Refused, wrong: str) -> None:
    arrays, printed = CALIBRATIONS[wrong]
    np.savez(tmp_path / "samples.npz", **arrays)
    assert printed in refused(models / "model.keras", "--calibration", tmp_path / "samples.npz")


def test_test_data_and_missing_data_are_refused(models: Path, tmp_path: Path, refused: Refused) -> None:
    np.savez(tmp_path / "x_test.npz", **samples())
    assert "test data" in refused(models / "model.keras", "--calibration", tmp_path / "x_test.npz")
    assert "none.npz" in refused(models / "model.keras", "--calibration", tmp_path / "none.npz")
    (tmp_path / "cut.npz").write_bytes((models / "good.npz").read_bytes()[:700])
    assert "cut.npz" in refused(models / "model.keras", "--calibration", tmp_path / "cut.npz")
    assert "did you mean mnist-5k" in refused(models / "model.keras", "--calibration", "mnist5k")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--formats", "tflit"), "did you mean tflite?"),
        (("--precisions", "float32,int9"), "did you mean int8?"),
        (("--formats", "onnx", "--precisions", "int16x8"), "int16x8 is for tflite"),
        (("--batch", "0"), "got 0, expected a number from 1"),
        (("--batch", "-1"), "-1"),
        (("--batch", "abc"), "got abc"),
        (("--opset", "12"), "got 12, expected 13 to 21"),
        (("--opset", "99"), "got 99, expected 13 to 21"),
        (("--opset", "x"), "--opset"),
        (("--tensor-type", "int4"), "int4"),
        (("--require-agreement", "2"), "got 2, expected a share"),
        (("--require-agreement", "nan"), "got nan"),
        (("--require-sqnr", "nan"), "got nan"),
        (("--calibration-count", "5"), "got 5, expected 10 to 100,000"),
        (("--calibration-seed", "-1"), "got -1"),
        (("--input-range", "1", "0"), "expected two numbers, the lower one first"),
        (("--name", "a/b"), "a/b"),
        (("--activation", "softmax"), "leave it out"),
    ],
)
def test_wrong_options_are_refused(models: Path, refused: Refused, arguments: tuple[str, ...], message: str) -> None:
    assert message in refused(models / "model.keras", "--calibration", models / "good.npz", *arguments)


def test_random_and_few_samples_are_warned_of_in_the_manifest(models: Path, tmp_path: Path) -> None:
    source = load_source(models / "model.keras")
    for number, (samples_of, message) in enumerate(
        (("random", "random data"), (models / "good.npz", "48 samples only"))
    ):
        calibration = load_calibration(str(samples_of), inputs=source.inputs, vocabulary=10)
        manifest = export(source, tmp_path / str(number), calibration, options=Options(precisions=("float32",)))
        assert any(message in warning for warning in manifest.warnings)


def test_a_damaged_artefact_is_reported_and_the_others_are_delivered(
    models: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    convert, embed = to_onnx.convert, to_onnx.embed
    damaged = b"no model at all "

    def broken(source: object, *, precision: str, **more: object) -> bytes:
        return damaged if precision == "float16" else convert(source, precision=precision, **more)

    def embed_anywhere(content: bytes, metadata: object) -> bytes:
        return content + to_onnx.to_json(metadata).encode() if content == damaged else embed(content, metadata)

    monkeypatch.setattr(to_onnx, "convert", broken)
    monkeypatch.setattr(to_onnx, "embed", embed_anywhere)
    source = load_source(models / "model.keras")
    calibration = load_calibration(str(models / "good.npz"), inputs=source.inputs)
    options = Options(formats=("onnx",), precisions=("float32", "float16", "dynamic"))
    manifest = export(source, tmp_path / "out", calibration, options=options)
    assert [(each.file, each.status) for each in manifest.refused] == [("model.float16.onnx", "failed")]
    assert "onnxruntime cannot open it" in manifest.refused[0].reason
    assert {each.precision for each in manifest.artefacts} == {"float32", "dynamic"}
    assert not (tmp_path / "out" / "model.float16.onnx").exists()


KILLER = """
import os, signal, sys
from edgeport.export.verification import engine_process
load = engine_process.load
def kill(path):
    if ".float16." in path.name:
        os.kill(os.getpid(), signal.SIGSEGV)
    return load(path)
engine_process.load = kill
engine_process.main()
"""


def test_an_engine_that_dies_is_reported_and_the_others_are_delivered(
    models: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "killer.py").write_text(KILLER)
    popen = subprocess.Popen

    def start(command: list[str], **options: object) -> object:
        if command[1:3] != ["-m", engine_process.__name__]:
            return popen(command, **options)
        return popen([command[0], str(tmp_path / "killer.py"), *command[3:]], **options)

    monkeypatch.setattr(json_process.subprocess, "Popen", start)
    source = load_source(models / "model.keras")
    calibration = load_calibration(str(models / "good.npz"), inputs=source.inputs)
    options = Options(precisions=("float32", "float16", "dynamic"))
    manifest = export(source, tmp_path / "out", calibration, options=options)
    assert len(manifest.artefacts) == 4
    assert {(each.precision, each.status) for each in manifest.refused} == {("float16", "failed")}
    assert all("its engine died on it (SIGSEGV)" in each.reason for each in manifest.refused)


@pytest.mark.parametrize("to_all", [True, False])
@pytest.mark.parametrize("moment", ["float32.tflite", "Exporting"])
def test_ctrl_c_leaves_the_old_folder_and_nothing_else(models: Path, tmp_path: Path, moment: str, to_all: bool) -> None:
    output = tmp_path / "here" / "out"
    source = load_source(models / "model.keras")
    calibration = load_calibration("random", inputs=source.inputs, vocabulary=10)
    export(source, output, calibration, options=Options(formats=("onnx",), precisions=("float32",)))
    before = {path.name: path.read_bytes() for path in output.iterdir()}
    command = [sys.executable, "-u", "-m", "edgeport.runtime.cli", "export", str(models / "model.keras")]
    command += ["-o", str(output), "--overwrite", "--calibration", str(models / "good.npz")]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    ) as run:
        # The first artefact is announced by the engines' process, which is then at work on the second.
        assert any(moment in line for line in run.stdout)
        if moment == "Exporting":
            time.sleep(0.3)
        # A terminal tells the whole group, and `kill` the one process.
        (os.killpg if to_all else os.kill)(run.pid, signal.SIGINT)
        printed = run.communicate(timeout=60)[1].splitlines()
    # Interrupted inside an embedded piece of Python (TensorFlow has some), Python ends itself by the signal in the
    # end, which a shell shows as 130 too.
    assert run.returncode in (130, -signal.SIGINT)
    assert printed[1:] == ["edgeport: interrupted"]
    assert "48 samples only" in printed[0]
    assert {path.name: path.read_bytes() for path in output.iterdir()} == before
    assert [path.name for path in output.parent.iterdir()] == ["out"]
    with pytest.raises(ProcessLookupError):
        os.killpg(run.pid, 0)


def test_an_interrupt_that_a_converter_takes_for_a_failure_ends_the_export(
    models: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def convert(*arguments: object, **more: object) -> bytes:
        try:
            os.kill(os.getpid(), signal.SIGINT)
            time.sleep(5)
        except KeyboardInterrupt:
            raise RuntimeError("a Python function failed") from None

    monkeypatch.setattr(to_onnx, "convert", convert)
    source = load_source(models / "model.keras")
    calibration = load_calibration(str(models / "good.npz"), inputs=source.inputs)
    with pytest.raises(KeyboardInterrupt):
        export(source, tmp_path / "out", calibration, options=Options(precisions=("float32",)))
    assert not list(tmp_path.iterdir())
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
