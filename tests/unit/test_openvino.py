"""OpenVINO as an engine: the same answers or one line, and never another answer without a word."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import pytest
from hand_made import save_decoder
from onnx import TensorProto, helper, numpy_helper

from edgeport.runtime import ArtefactError, InputError, load
from edgeport.runtime.artefact.foreign.probing import probe
from edgeport.runtime.errors import WrongEngineError

FLOATS = ("tiny.float32.onnx", "tiny.float32.tflite")


def save_onnx(path: Path, node: onnx.NodeProto, kind: int, *, constant: np.ndarray | None = None) -> Path:
    """Write a model of one operator, from x (n, 2) to y (n, 2), both of this type; ``c`` is its constant."""
    ports = [helper.make_tensor_value_info(name, kind, ("n", 2)) for name in "xy"]
    constants = [] if constant is None else [numpy_helper.from_array(constant, "c")]
    graph = helper.make_graph([node], "one", ports[:1], ports[1:], constants)
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path)
    return path


@pytest.mark.parametrize("name", FLOATS)
def test_floats_are_those_of_the_default_engine_but_for_rounding(
    name: str, data: Path, golden: dict[str, np.ndarray]
) -> None:
    ours, theirs = load(data / name, engine="openvino"), load(data / name)
    assert ours.spec.engine == "openvino"
    assert (ours.spec.inputs, ours.spec.outputs) == (theirs.spec.inputs, theirs.spec.outputs)
    for images in (golden["images"][:1], golden["images"], golden["images"][:7], golden["images"][1:2]):
        np.testing.assert_allclose(ours.predict(images), theirs.predict(images), atol=1e-5)


def test_integers_of_onnx_are_those_of_onnxruntime(data: Path, golden: dict[str, np.ndarray]) -> None:
    ours, theirs = (load(data / "tiny.int8.onnx", engine=engine) for engine in ("openvino", "onnxruntime"))
    for images in (golden["images"], golden["images"][:1]):
        np.testing.assert_array_equal(ours.run(ours.encode(images)), theirs.run(theirs.encode(images)))


def test_integers_of_tflite_are_left_to_its_own_engines(data: Path, tmp_path: Path) -> None:
    with pytest.raises(WrongEngineError, match=r"holds integers.* take ai_edge_litert or tflite_runtime"):
        load(data / "tiny.int8.tflite", engine="openvino")
    assert probe(data / "tiny.int8.tflite", engine="openvino").outcome == "left out"


def test_integers_are_left_to_onnxruntime_on_arm(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("platform.machine", lambda: "aarch64")
    with pytest.raises(WrongEngineError, match=r"tiny.int8.onnx: not for openvino: .* on ARM .*; take onnxruntime$"):
        load(data / "tiny.int8.onnx", engine="openvino")
    for name in FLOATS:
        assert load(data / name, engine="openvino").spec.engine == "openvino"


@pytest.mark.parametrize("name", FLOATS)
def test_the_probe_runs_what_is_sound(name: str, data: Path) -> None:
    ended = probe(data / name, engine="openvino", memory_bytes=4 << 30)
    assert ended.outcome == "runs", ended.detail


def test_tflite_that_finds_no_space_for_its_copy_is_one_line(data: Path) -> None:
    code = (
        "import resource, signal, sys; from edgeport.runtime import load, InputError\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN); resource.setrlimit(resource.RLIMIT_FSIZE, (100, 100))\n"
        "try: load(sys.argv[1], engine='openvino')\n"
        "except InputError as error: print(error)"
    )
    command = [sys.executable, "-B", "-c", code, str(data / "tiny.float32.tflite")]
    printed = subprocess.run(command, capture_output=True, check=True, text=True).stdout
    start = "tiny.float32.tflite: openvino reads TFLite from a file of its own: cannot write temporary files"
    assert printed.startswith(start)
    assert printed.count("\n") == 1


def test_what_it_would_compute_in_fewer_bits_is_refused(tmp_path: Path) -> None:
    add = helper.make_node("Add", ["x", "c"], ["y"])
    path = save_onnx(tmp_path / "wide.onnx", add, TensorProto.INT64, constant=np.array([2**33], np.int64))
    with pytest.raises(WrongEngineError, match=r"more than 32 bits.* take onnxruntime"):
        load(path, engine="openvino", verify=False)
    path = save_onnx(tmp_path / "narrow.onnx", add, TensorProto.INT64, constant=np.array([7], np.int64))
    predictor = load(path, engine="openvino", verify=False)
    values = np.array([[2**31 - 1 - 7, -(2**31)]])
    np.testing.assert_array_equal(predictor.run(values), values + 7)
    for beyond in (2**31, -(2**31) - 1):
        with pytest.raises(InputError, match=r"got values from .* for x, expected -2147483648 to 2147483647"):
            predictor.run(np.array([[0, beyond]]))
    # To the end of an axis is no such number.
    slicing = helper.make_node("Identity", ["x"], ["y"])
    assert load(save_onnx(tmp_path / "i.onnx", slicing, TensorProto.FLOAT), engine="openvino", verify=False)
    with pytest.raises(ArtefactError, match="is a f64"):
        load(save_onnx(tmp_path / "f64.onnx", slicing, TensorProto.DOUBLE), engine="openvino", verify=False)


def test_an_operator_that_it_lacks_and_a_damaged_file_are_one_line(data: Path, tmp_path: Path) -> None:
    unknown = save_onnx(tmp_path / "u.onnx", helper.make_node("NoSuch", ["x"], ["y"]), TensorProto.FLOAT)
    with pytest.raises(ArtefactError, match=r"openvino cannot open it .*NoSuch") as printed:
        load(unknown, engine="openvino", verify=False)
    assert "\n" not in str(printed.value)
    assert "src/" not in str(printed.value)
    for name in FLOATS:
        content = (data / name).read_bytes()
        with pytest.raises(ArtefactError):
            load(content[: len(content) // 2], engine="openvino", verify=False)


def test_a_cache_grows_and_may_be_empty(tmp_path: Path) -> None:
    predictor = load(save_decoder(tmp_path / "m.onnx"), engine="openvino", verify=False)
    cache, steps = np.zeros((1, 0, 4), np.float32), np.arange(12, dtype=np.float32).reshape(3, 1, 1, 4)
    for step in steps:
        cache = predictor.run({"cache": cache, "step": step})["longer"]
    np.testing.assert_array_equal(cache, steps.reshape(1, 3, 4))


def test_an_answer_is_nobody_elses_memory(data: Path, golden: dict[str, np.ndarray]) -> None:
    predictor = load(data / "tiny.int8.onnx", engine="openvino")
    tensors = [predictor.encode(golden["images"][place : place + 1]) for place in range(3)]
    first = predictor.run(tensors[0])
    kept = first.copy()
    others = [predictor.run(tensor) for tensor in tensors[1:]]
    np.testing.assert_array_equal(first, kept)
    assert not all(np.array_equal(first, other) for other in others)
    # As it lies in memory elsewhere: backwards, and read-only.
    turned = np.ascontiguousarray(tensors[0][:, ::-1])[:, ::-1]
    turned.flags.writeable = False
    np.testing.assert_array_equal(predictor.run(turned), kept)


def test_its_telemetry_is_off(data: Path, tmp_path: Path) -> None:
    clean = {key: value for key, value in os.environ.items() if key != "CI"}
    code = (
        "import sys; from edgeport.runtime import load; load(sys.argv[1], engine='openvino'); "
        "print('openvino_telemetry' in sys.modules)"
    )
    command = [sys.executable, "-c", code, str(data / "tiny.float32.onnx")]
    printed = subprocess.run(command, env={**clean, "HOME": str(tmp_path)}, capture_output=True, text=True, check=True)
    assert printed.stdout == "False\n"
    assert not list(tmp_path.iterdir()), "it has written to the home"


def test_it_is_offered_by_its_name_and_missed_in_one_line(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(InputError, match="did you mean openvino"):
        load(data / "tiny.int8.onnx", engine="openvin")
    monkeypatch.setitem(sys.modules, "openvino", None)
    monkeypatch.setattr("edgeport.runtime.engines.installed.find_spec", lambda name: None)
    with pytest.raises(ImportError, match=r"pip install 'edgeport\[openvino\]'"):
        load(data / "tiny.int8.onnx", engine="openvino")
