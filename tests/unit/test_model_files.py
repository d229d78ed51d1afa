"""The benchmark of files that edgeport never made: which tensor is which, what they take, and what is refused."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import pytest
from hand_made import save_tflite
from onnx import TensorProto, helper

from edgeport.benchmarks import read_report
from edgeport.benchmarks.measure.candidates.layouts import FIRST, LAST, SAME, axes_to, layout_of
from edgeport.benchmarks.report.findings import findings_of
from edgeport.runtime.cli import main

RANDOM = np.random.default_rng(0)
X = RANDOM.uniform(-6, 6, (60, 4)).astype(np.float32)
FAST = ("--only", "accuracy")


def float_model(path: Path) -> Path:
    """Write y = x + 1 in floats."""
    one = np.ones(4, np.float32)
    rows = [("serving_default_x:0", "FLOAT32", (-1, 4), None, 0), ("one", "FLOAT32", (4,), one, 0),
            ("StatefulPartitionedCall:0", "FLOAT32", (-1, 4), None, 0)]  # fmt: skip
    return save_tflite(path, {"tensors": rows, "steps": [("ADD", [0, 1], [2], "AddOptions", {})], "inputs": [0],
                              "outputs": [2]})  # fmt: skip


def quantized_model(path: Path, *, scale: float, kind: str = "INT8") -> Path:
    """Write y = x + 1 whose input is integers with a scale."""
    one = np.ones(4, np.float32)
    rows = [("x", kind, (1, 4), None, scale), ("real", "FLOAT32", (1, 4), None, 0), ("one", "FLOAT32", (4,), one, 0),
            ("Identity", "FLOAT32", (1, 4), None, 0)]  # fmt: skip
    steps = [("DEQUANTIZE", [0], [1]), ("ADD", [1, 2], [3], "AddOptions", {})]
    return save_tflite(path, {"tensors": rows, "steps": steps, "inputs": [0], "outputs": [3]})


def two_sided(path: Path, inputs: dict[str, tuple], outputs: dict[str, tuple]) -> Path:
    """Write an ONNX file whose outputs are named inputs and the double of them: (name of an input, times)."""
    sides = [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["n", *shape]) for name, shape in inputs.items()]
    given = [
        helper.make_tensor_value_info(name, TensorProto.FLOAT, ["n", *inputs[of]]) for name, (of, _) in outputs.items()
    ]
    nodes = [helper.make_node("Mul", [of, f"k_{name}"], [name]) for name, (of, _) in outputs.items()]
    constants = [onnx.numpy_helper.from_array(np.float32(times), f"k_{name}") for name, (_, times) in outputs.items()]
    graph = helper.make_graph(nodes, "two", sides, given, initializer=constants)
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path)
    return path


def run(tmp_path: Path, *arguments: object, code: int = 0, data: dict[str, np.ndarray] | None = None) -> Path:
    np.savez(tmp_path / "data.npz", **({"x": X} if data is None else data))
    words = ("benchmark", *arguments, "--data", tmp_path / "data.npz", *FAST, "-o", tmp_path / "out")
    assert main(list(map(str, words))) == code
    return tmp_path / "out"


def test_files_of_others_are_compared_with_the_first_in_their_own_scales(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    files = [float_model(tmp_path / "float.tflite"), quantized_model(tmp_path / "int8.tflite", scale=0.05)]
    out = run(
        tmp_path,
        *files,
        data={"x": X, "y": X + 1},
    )
    report = read_report(out)
    assert [each.name for each in report.artefacts] == ["float.tflite", "int8.tflite"]
    (judged,) = findings_of(report).others[0].judged
    expected = np.clip(np.rint(X / 0.05), -128, 127) * 0.05
    assert judged.change.largest == pytest.approx(np.abs(expected - X).max(), abs=1e-5)
    assert [change.metric.name for change in judged.changes] == ["MAE", "RMSE", "R2", "bias"]
    assert judged.changes[0].reference == pytest.approx(0, abs=1e-6)
    printed = capsys.readouterr().out
    assert "The reference, which the others are compared with, is float.tflite" in printed
    assert "StatefulPartitionedCall is judged as values" in printed
    text = (out / "report.md").read_text()
    assert "x reference" in text
    assert "x float32" not in text
    assert "Keras" not in text


def channels_first(path: Path, *, side: int = 5) -> Path:
    """Write an ONNX file that doubles three channels, which come first, as in PyTorch."""
    shape = ["n", 3, 4 if side == 5 else side, side]
    sides = [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name in ("x", "y")]
    node = helper.make_node("Mul", ["x", "k"], ["y"])
    constants = [onnx.numpy_helper.from_array(np.float32([[[2]], [[3]], [[4]]]), "k")]
    graph = helper.make_graph([node], "first", sides[:1], sides[1:], initializer=constants)
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path)
    return path


def channels_last(path: Path, *, sides: tuple[int, int] = (4, 5)) -> Path:
    """Write the same with the channels last, as in TensorFlow."""
    shape = (-1, *sides, 3)
    rows = [("x", "FLOAT32", shape, None, 0), ("k", "FLOAT32", (3,), np.float32([2, 3, 4]), 0),
            ("y", "FLOAT32", shape, None, 0)]  # fmt: skip
    steps = [("MUL", [0, 1], [2], "MulOptions", {})]
    return save_tflite(path, {"tensors": rows, "steps": steps, "inputs": [0], "outputs": [2]})


WRITERS = {"last.tflite": channels_last, "first.onnx": channels_first}


@pytest.mark.parametrize("first", WRITERS)
def test_channels_that_stand_elsewhere_are_moved_and_that_is_said(
    first: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    files = {
        "last.tflite": channels_last(tmp_path / "last.tflite"),
        "first.onnx": channels_first(tmp_path / "first.onnx"),
    }
    other = next(name for name in files if name != first)
    shape = (30, 4, 5, 3) if first == "last.tflite" else (30, 3, 4, 5)
    samples = RANDOM.normal(size=shape).astype(np.float32)
    out = run(tmp_path, files[first], files[other], data={"x": samples})
    (judged,) = findings_of(read_report(out)).others[0].judged
    assert judged.change.largest == 0
    printed = capsys.readouterr().out
    for verb, name in (("takes", "x"), ("gives", "y")):
        assert (
            f"{other} {verb} {name} float32 (n, {'3, 4, 5' if other == 'first.onnx' else '4, 5, 3'}), its ch" in printed
        )


def test_channels_that_no_shape_places_are_asked_for(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    files = channels_last(tmp_path / "last.tflite", sides=(3, 3)), channels_first(tmp_path / "first.onnx", side=3)
    samples = {"x": RANDOM.normal(size=(30, 3, 3, 3)).astype(np.float32)}
    run(tmp_path, *files, data=samples, code=2)
    (line,) = capsys.readouterr().err.splitlines()
    assert "first.onnx: no shape says where x (3, 3, 3) has its channels: say it with --match first.onnx:x=x:" in line
    match = [word for name in "xy" for word in ("--match", f"first.onnx:{name}={name}:channels-first")]
    out = run(tmp_path, *files, *match, data=samples)
    assert findings_of(read_report(out)).others[0].judged[0].change.largest == 0
    match = [word for name in "xy" for word in ("--match", f"first.onnx:{name}={name}:same")]
    out = run(tmp_path, *files, *match, "--overwrite", data=samples)
    assert findings_of(read_report(out)).others[0].judged[0].change.largest > 0


@pytest.mark.parametrize(
    ("own", "wanted", "layout"),
    [
        ((None, 3, 8, 9), (1, 8, 9, 3), FIRST),
        ((1, 8, 9, 3), (None, 3, 8, 9), LAST),
        ((1, 8, 9, 3), (None, 8, 9, 3), SAME),
        ((1, 9, 8, 3), (None, 8, 9, 3), ""),
        ((1, 5, 7), (1, 7, 5), FIRST),
        ((1, 7), (1, 5), ""),
        ((1, 4, 4, 4), (1, 4, 4, 4), SAME),
    ],
)
def test_where_channels_are_is_seen_by_the_shapes(own: tuple, wanted: tuple, layout: str) -> None:
    assert layout_of(own, wanted) == layout
    if layout in (FIRST, LAST):
        assert np.zeros(tuple(axis or 1 for axis in wanted)).transpose(axes_to(layout, len(own))).shape[1:] == own[1:]


def test_samples_that_use_a_few_steps_of_the_integers_are_said(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model = quantized_model(tmp_path / "int8.tflite", scale=1.0)
    run(tmp_path, model, float_model(tmp_path / "float.tflite"), data={"x": np.abs(X) / 6})
    (line,) = [line for line in capsys.readouterr().out.splitlines() if "scaled as in training" in line]
    assert line.startswith("int8.tflite: the samples, ")
    assert "use 1 of 255 steps of x, which stands for -128 to 127" in line
    run(tmp_path, model, tmp_path / "float.tflite", "--overwrite")
    assert "scaled as in training" not in capsys.readouterr().out
    np.savez(tmp_path / "one.npz", x=X[:2] / 10)
    assert main(["predict", str(model), str(tmp_path / "one.npz"), "--trust"]) == 0
    assert "use 1 of 255 steps" in capsys.readouterr().err


def test_a_report_on_files_is_a_baseline(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    files = float_model(tmp_path / "float.tflite"), quantized_model(tmp_path / "int8.tflite", scale=0.05)
    data = {"x": X, "y": X + 1}
    base = run(tmp_path, *files, data=data).rename(tmp_path / "base")
    run(tmp_path, *files, "--baseline", base / "report.json", "--overwrite", data=data)
    # A file that has become worse.
    quantized_model(tmp_path / "int8.tflite", scale=0.09)
    run(tmp_path, *files, "--baseline", base / "report.json", "--overwrite", data=data, code=1)
    run(tmp_path, *files, "--baseline", base / "report.json", "--overwrite", data={"x": X, "y": X + 2}, code=2)
    assert "expected the data that will be measured" in capsys.readouterr().err


def test_times_are_ratios_to_the_reference(tmp_path: Path) -> None:
    files = [float_model(tmp_path / "float.tflite"), quantized_model(tmp_path / "int8.tflite", scale=0.05)]
    np.savez(tmp_path / "data.npz", x=X)
    words = ("benchmark", *files, "--data", tmp_path / "data.npz", "--launches", 1, "-o", tmp_path / "out")
    assert main(list(map(str, words))) == 0
    findings = findings_of(read_report(tmp_path / "out"))
    assert findings.others[0].ratio is not None
    assert findings.others[0].base is findings.reference.measured
    assert findings.reference.is_base


@pytest.mark.parametrize("kind", ["UINT8", "INT8"])
def test_pixels_become_what_the_user_says_and_then_the_integers_of_the_file(tmp_path: Path, kind: str) -> None:
    files = [float_model(tmp_path / "float.tflite"), quantized_model(tmp_path / "q.tflite", scale=1 / 127, kind=kind)]
    pixels = RANDOM.integers(0, 256, (30, 4)).astype(np.uint8)
    out = run(tmp_path, *files, "--input", "pixels:0:1", data={"x": pixels, "y": pixels / 255 + 1})
    findings = findings_of(read_report(out))
    assert findings.reference.judged[0].changes[0].other == pytest.approx(0, abs=1e-6)
    assert 0 < findings.others[0].judged[0].change.largest < 0.51 / 127


def test_pixels_of_which_nobody_says_what_they_are_are_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pixels = np.zeros((30, 4), np.uint8)
    run(tmp_path, float_model(tmp_path / "float.tflite"), code=2, data={"x": pixels})
    line = capsys.readouterr().err
    assert "--input x=pixels:LOW:HIGH" in line
    assert line.count("\n") == 1


def test_samples_beyond_what_a_file_can_hold_are_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    files = [float_model(tmp_path / "float.tflite"), quantized_model(tmp_path / "int8.tflite", scale=0.01)]
    run(tmp_path, *files, code=2)
    line = capsys.readouterr().err
    assert "int8.tflite: got samples from" in line
    assert "stands for -1.28 to 1.27" in line
    assert line.count("\n") == 1
    assert not (tmp_path / "out").exists()


ONE = {"inputs": {"a": (3,), "b": (2,)}, "outputs": {"sum": ("a", 2.0), "rest": ("b", 3.0)}}
OTHER = {"inputs": {"q": (2,), "p": (3,)}, "outputs": {"v": ("q", 3.0), "u": ("p", 2.0)}}
ALIKE = {"inputs": {"a": (3,), "b": (3,)}, "outputs": {"sum": ("a", 2.0), "rest": ("b", 3.0)}}
TURNED = {"inputs": {"b": (3,), "a": (3,)}, "outputs": {"rest": ("b", 3.0), "sum": ("a", 2.0)}}
RENAMED = {"inputs": {"b": (3,), "a": (3,)}, "outputs": {"v": ("b", 3.0), "u": ("a", 2.0)}}


@pytest.mark.parametrize(
    ("one", "other", "more"),
    [
        (ONE, OTHER, ()),
        (ALIKE, TURNED, ()),
        (ALIKE, RENAMED, ("--match", "other.onnx:u=sum", "--match", "other.onnx:v=rest")),
        # What is left when one is said.
        (ALIKE, RENAMED, ("--match", "other.onnx:v=rest")),
    ],
    ids=["by shape", "by name", "as said", "what is left"],
)
def test_tensors_are_matched_by_name_then_by_shape_then_by_the_user(
    one: dict, other: dict, more: tuple, tmp_path: Path
) -> None:
    files = [two_sided(tmp_path / "one.onnx", **one), two_sided(tmp_path / "other.onnx", **other)]
    arrays = {name: RANDOM.normal(size=(30, *shape)).astype(np.float32) for name, shape in one["inputs"].items()}
    report = read_report(run(tmp_path, *files, *more, data=arrays))
    assert [each.name for each in report.judged] == ["sum", "rest"]
    for place, (of, times) in enumerate(one["outputs"].values()):
        for each in report.artefacts:
            np.testing.assert_allclose(each.answers[place].array, arrays[of] * times, rtol=1e-6)


@pytest.mark.parametrize(
    ("other", "more", "message"),
    [
        (RENAMED, (), "v or u may be sum: say which with --match other.onnx:v=sum"),
        ({**ALIKE, "outputs": {"sum": ("a", 2.0)}}, (), "got the outputs sum float32 (n, 3), expected those of"),
        (ONE, (), "none of its own fits b float32 (n, 3)"),
        (RENAMED, ("--match", "other.onnx:w=sum"), "unknown tensor of other.onnx 'w'"),
        (RENAMED, ("--match", "another.onnx:u=sum"), "expected FILE:NAME=NAME with one of other.onnx"),
    ],
)
def test_what_nobody_can_match_is_asked_for_in_one_line(
    other: dict, more: tuple, message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    files = [two_sided(tmp_path / "one.onnx", **ALIKE), two_sided(tmp_path / "other.onnx", **other)]
    run(tmp_path, *files, *more, code=2, data={name: np.zeros((30, 3), np.float32) for name in "ab"})
    line = capsys.readouterr().err
    assert message in line
    assert line.count("\n") == 1
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("names", "more", "message"),
    [
        (["float.tflite", "float.tflite"], (), "got the same file twice"),
        (["float.tflite", "."], (), "expected one export folder, or model files alone"),
        (["missing.tflite"], (), "cannot read"),
        (["."], ("--outputs", "values"), "--outputs: got it with a folder"),
        (["damaged.tflite"], (), "damaged.tflite is no tflite file"),
        (["altered.tflite"], (), "altered.tflite has been altered"),
        (["tiny.int8.tflite"], ("--input", "real"), "which says so itself"),
    ],
)
def test_what_is_no_model_is_refused_in_one_line(
    names: list[str], more: tuple, message: str, data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    float_model(tmp_path / "float.tflite")
    content = (data / "tiny.int8.tflite").read_bytes()
    (tmp_path / "tiny.int8.tflite").write_bytes(content)
    (tmp_path / "damaged.tflite").write_bytes(b"nothing of the kind")
    (tmp_path / "altered.tflite").write_bytes(content[:-100] + bytes([content[-100] ^ 1]) + content[-99:])
    run(tmp_path, *(tmp_path / name for name in names), *more, code=2)
    line = capsys.readouterr().err
    assert message in line
    assert line.count("\n") == 1


def test_files_of_edgeport_know_what_they_take_beside_files_of_others(
    data: Path, golden: dict[str, np.ndarray], tmp_path: Path
) -> None:
    files = [data / "tiny.float32.onnx", data / "tiny.int8.tflite"]
    images = golden["images"][..., np.newaxis]
    report = read_report(run(tmp_path, *files, data={"x": images, "y": golden["keras"].argmax(1)}))
    assert [each.name for each in report.artefacts] == ["ONNX float32", "TFLite int8"]
    assert [each.task for each in report.judged] == ["classes"]
    assert findings_of(report).reference.judged[0].changes[0].other == 1.0
    np.testing.assert_allclose(report.artefacts[0].answers[0].array, golden["keras"], atol=1e-5)


def test_it_needs_numpy_and_an_engine_alone(tmp_path: Path) -> None:
    files = [float_model(tmp_path / "float.tflite"), quantized_model(tmp_path / "int8.tflite", scale=0.05)]
    np.savez(tmp_path / "data.npz", x=X, y=X + 1)
    absent = ("tensorflow", "keras", "tf_keras", "scipy", "sklearn", "matplotlib", "jinja2", "mlxtend", "onnx")
    script = f"import sys\nfor name in {absent}: sys.modules[name] = None\n"
    script += "from edgeport.runtime.cli import main\nsys.exit(main(sys.argv[1:]))"
    words = ["benchmark", *files, "--data", tmp_path / "data.npz", *FAST, "-o", tmp_path / "out"]
    ended = subprocess.run(
        [sys.executable, "-c", script, *map(str, words)], capture_output=True, text=True, check=False
    )
    assert ended.returncode == 0, ended.stderr
    assert {path.name for path in (tmp_path / "out").iterdir()} == {"report.json"}
    assert len(findings_of(read_report(tmp_path / "out")).others[0].judged[0].changes) == 4
