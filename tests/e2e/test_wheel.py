"""The wheel: every module, no lab and no test, and the same labels where nothing but one engine is installed."""

import ast
import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

ROOT = Path(__file__).parents[2]
DATA = ROOT / "tests" / "data"
ZOO = ROOT / "train" / "zoo"

PREDICT = """
import sys
import numpy as np
from edgeport.runtime import load
images = np.load(sys.argv[1], allow_pickle=False)["images"]
predictor = load(sys.argv[2])
print(predictor.spec.engine)
print(predictor.predict(images).argmax(axis=1).tolist())
heavy = {"tensorflow", "keras", "matplotlib", "scipy", "PIL", "rich", "onnx"} & set(sys.modules)
assert not heavy, heavy
"""


def test_the_wheel_holds_every_module_but_those_of_the_lab_and_no_test(wheel: Path) -> None:
    held = set(zipfile.ZipFile(wheel).namelist())
    layers = ("train", "export", "runtime", "benchmarks")
    modules = {
        f"edgeport/{path.relative_to(ROOT)}"
        for layer in layers
        for path in (ROOT / layer).rglob("*.py")
        if not path.is_relative_to(ROOT / "benchmarks" / "lab")
    }
    assert {name for name in held if name.endswith(".py")} == modules
    published = {f"edgeport/{path.relative_to(ROOT)}" for path in ZOO.glob("*/*") if path.parent.name != "__pycache__"}
    assert any(name.endswith("/model.keras") for name in published)
    assert published <= held
    device = ROOT / "export" / "bundle" / "device"
    assert {f"edgeport/{path.relative_to(ROOT)}" for path in device.iterdir() if path.is_file()} <= held
    templates = ROOT / "benchmarks" / "report" / "renderers" / "templates"
    assert {f"edgeport/{path.relative_to(ROOT)}" for path in templates.iterdir()} <= held
    assert {f"edgeport/{layer}/py.typed" for layer in layers} <= held
    assert not [name for name in held if "/lab/" in name]
    assert not [name for name in held if "tests" in name or "/test_" in name or name == "edgeport/__init__.py"]


def labels(python: Path, name: str, folder: Path) -> tuple[str, list[int]]:
    clean = {key: value for key, value in os.environ.items() if not key.startswith("PYTHON")}
    command = [str(python), "-c", PREDICT, str(DATA / "golden.npz"), str(DATA / name)]
    printed = subprocess.run(command, capture_output=True, text=True, check=True, env=clean, cwd=folder).stdout
    engine, answers = printed.splitlines()[-2:]
    return engine, ast.literal_eval(answers)


@pytest.mark.parametrize(
    ("extra", "engine", "name", "oldest"),
    [
        ("tflite", "ai-edge-litert", "tiny.int8.tflite", ()),
        ("onnx", "onnxruntime", "tiny.int8.onnx", ()),
        # Beside the oldest versions that are allowed: those of Debian 12, as on 32-bit Raspberry Pi OS.
        pytest.param(
            "tflite-runtime",
            "tflite-runtime",
            "tiny.int8.tflite",
            ("numpy==1.24.2", "pillow==9.4.0"),
            marks=pytest.mark.skipif(sys.version_info >= (3, 12), reason="tflite-runtime has no wheel for this Python"),
        ),
    ],
)
def test_with_one_engine_alone_the_labels_are_the_same(
    wheel: Path, environment, extra: str, engine: str, name: str, oldest: tuple[str, ...], tmp_path: Path
) -> None:
    python = environment(extra, f"{wheel}[{extra}]", *oldest)
    listed = subprocess.run([str(python), "-m", "pip", "list"], capture_output=True, text=True, check=True).stdout
    assert "tensorflow" not in listed
    assert "matplotlib" not in listed
    with np.load(DATA / "golden.npz", allow_pickle=False) as golden:
        expected = golden[name].argmax(axis=1).tolist()
        Image.fromarray(golden["images"][0]).convert("RGBA").save(tmp_path / "digit.png")
    assert labels(python, name, tmp_path) == (engine, expected)
    printed = subprocess.run(
        [str(python.parent / "edgeport"), "predict", str(DATA / name), "digit.png"],
        capture_output=True, text=True, check=True, cwd=tmp_path,
    )  # fmt: skip
    assert printed.stdout.startswith(f"digit.png  {expected[0]}  ")
    ended = subprocess.run(
        [str(python.parent / "edgeport"), "train", "-o", "x"], capture_output=True, text=True, check=False, cwd=tmp_path
    )
    assert (ended.returncode, ended.stdout) == (2, "")
    assert "pip install 'edgeport[train]'" in ended.stderr


def test_without_an_engine_the_zoo_is_listed_and_the_extra_is_named(wheel: Path, environment, tmp_path: Path) -> None:
    python = environment("bare", wheel)
    listed = subprocess.run(
        [str(python.parent / "edgeport"), "zoo", "--json"], capture_output=True, text=True, check=True, cwd=tmp_path
    )
    names = {model["name"] for model in json.loads(listed.stdout)}
    assert names == {path.parent.name for path in ZOO.glob("*/model.keras")}
    ended = subprocess.run(
        [str(python.parent / "edgeport"), "export", "zoo:x", "-o", "x"],
        capture_output=True, text=True, check=False, cwd=tmp_path,
    )  # fmt: skip
    assert ended.returncode == 2
    assert "pip install 'edgeport[export]'" in ended.stderr
    for extra in ("tflite", "onnx"):
        ended = subprocess.run(
            [str(python.parent / "edgeport"), "predict", str(DATA / f"tiny.int8.{extra}"), "x.png"],
            capture_output=True, text=True, check=False, cwd=tmp_path,
        )  # fmt: skip
        assert ended.returncode == 2
        assert f"pip install 'edgeport[{extra}]'" in ended.stderr
