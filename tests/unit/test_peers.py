"""The peers' own parts: what a user writes by hand answers like the runtime; the result file and its table."""

import importlib
import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from edgeport.benchmarks.lab.peers.environments import tflite_runtime_python
from edgeport.benchmarks.lab.peers.peers_report import (
    EDGEPORT,
    RESULT,
    ModelFacts,
    PeersReport,
    Row,
    markdown,
)
from edgeport.benchmarks.lab.peers.ways import by_hand
from edgeport.benchmarks.report.raw.record import ENGINE_CALL, LABEL, PREDICT, Condition, Series
from edgeport.runtime import load
from edgeport.runtime.errors import ArtefactError, InputError
from edgeport.runtime.tensors.quantization import dequantize, quantize, softmax


def row(by: str, medians: list[int], *, file: str = "int8.onnx", agreeing: int = 99) -> Row:
    """A row whose launches have these medians, and take twice as long from pixels."""
    series = tuple(
        Series(what, 1, 1, [[times * ns - 10, times * ns, times * ns + 10] for ns in medians])
        for what, times in ((ENGINE_CALL, 1), (PREDICT, 2))
    )
    return Row("m", file, by, "int8.onnx", {"name": by, "version": "1"}, agreeing, series)


OURS = [10_000 + 500 * number for number in range(8)]
REPORT = PeersReport(
    created_utc="2026-01-01T00:00:00+00:00",
    edgeport={"version": "0"},
    host={"cores": 2},
    protocol={"launches": 8},
    models=(ModelFacts("m", {"int8.onnx": "0" * 64}, {"source": "s", "count": 100, "shape": [1], "sha256": "0"}),),
    rows=(
        row(EDGEPORT, OURS),
        row("quicker", [ns * 9 // 10 for ns in OURS]),
        row("seldom", [30_000, 33_000], file="model.keras", agreeing=100),
    ),
    conditions={"m": (Condition(1.0, 0.0, 0.0, 1000),) * len(OURS)},
)


def test_by_hand_quantizes_as_the_runtime_does() -> None:
    pixels = np.arange(256, dtype=np.float32)
    for scale, zero_point in ((1.0, -128), (0.5, -20), (2.3, 7)):
        expected = quantize(pixels, scale=scale, zero_point=zero_point, dtype="int8")
        np.testing.assert_array_equal(by_hand.quantized(pixels, scale=scale, zero_point=zero_point), expected)
        np.testing.assert_array_equal(
            by_hand.dequantized(expected, scale=scale, zero_point=zero_point),
            dequantize(expected, scale=scale, zero_point=zero_point),
        )
    logits = np.array([[1.0, -3.0, 200.0], [0.5, 0.25, 0.125]], np.float32)
    np.testing.assert_allclose(by_hand.softmax(logits), softmax(logits), rtol=1e-6)


@pytest.mark.parametrize(
    ("file", "module", "function"),
    [
        ("tiny.float32.tflite", "litert_peer", "open_tflite"),
        ("tiny.int8.tflite", "litert_peer", "open_tflite"),
        ("tiny.float32.onnx", "onnxruntime_peer", "open_onnx"),
        ("tiny.int8.onnx", "onnxruntime_peer", "open_onnx"),
    ],
)
def test_a_peer_answers_like_the_predictor(
    data: Path, golden: dict[str, np.ndarray], file: str, module: str, function: str
) -> None:
    pytest.importorskip({"litert_peer": "ai_edge_litert"}.get(module, module.removesuffix("_peer")))
    peer_module = importlib.import_module(f"edgeport.benchmarks.lab.peers.ways.{module}")
    predictor = load(data / file)
    images = golden["images"] if golden["images"].ndim == 4 else golden["images"][..., np.newaxis]
    peer = getattr(peer_module, function)(path=str(data / file), threads=1, activation=predictor.spec.activation)
    expected = predictor.predict(images)
    np.testing.assert_allclose(peer.answers(images), expected, atol=1e-5)
    one = images[:1]
    np.testing.assert_allclose(peer.call(PREDICT, one)(), expected[:1], atol=1e-5)
    assert peer.call(LABEL, one)() == expected[:1].argmax(axis=1)
    assert np.shape(peer.call(ENGINE_CALL, one)()) == np.shape(expected[:1])


def test_a_peer_is_held_to_edgeport_launch_by_launch() -> None:
    quicker = REPORT.ratio(REPORT.rows[1], ENGINE_CALL)
    assert quicker is not None
    # The launches differ by a third between themselves, and always by a tenth from their partners.
    assert (quicker.low, quicker.ratio, quicker.high) == pytest.approx((0.9, 0.9, 0.9), rel=1e-3)
    assert REPORT.ratio(REPORT.rows[0], ENGINE_CALL) is None


def test_what_took_part_in_the_first_launches_is_compared_with_those() -> None:
    seldom = REPORT.ratio(REPORT.rows[2], ENGINE_CALL)
    assert seldom is not None
    assert seldom.ratio == pytest.approx((30_000 / 10_000 * 33_000 / 10_500) ** 0.5, rel=1e-3)
    assert (seldom.low, seldom.high) == (0.0, float("inf"))


def test_the_table_shows_every_row_wherever_edgeport_lands() -> None:
    lines = markdown(REPORT).splitlines()
    assert lines[0] == "| file | run by | m, call | m, predict | same top-1 as Keras, % |"
    assert "| int8.onnx | **edgeport** | **11.8** | **23.5** | 99.0 |" in lines
    assert "| int8.onnx | quicker | 10.6 (0.90-0.90) | 21.1 (0.90-0.90) | 99.0 |" in lines
    assert "| model.keras | seldom | 31.5 (3.07) | 63.0 (3.07) | 100.0 |" in lines
    assert len(lines) == 5
    assert "| file | run by | m, predict | same" in markdown(REPORT, whats=(PREDICT,))


def test_the_table_tells_what_is_missing_and_what_was_disturbed() -> None:
    busy = [Condition(1.0, 1.5, 0.0, 1000) for _ in OURS]
    skipped = ({"model": "m", "file": "int8.tflite", "by": "old-engine", "reason": "no wheel"},)
    printed = markdown(replace(REPORT, skipped=skipped, conditions={"m": busy}, partial="interrupted"))
    assert "Not run: old-engine with the int8.tflite of m (no wheel)." in printed
    assert "Disturbed machine while m ran: Other processes used 1.50 cores" in printed
    assert "The run is partial: interrupted." in printed


def test_a_report_is_read_as_it_was_written(tmp_path: Path) -> None:
    path = tmp_path / "peers.json"
    path.write_text(RESULT.text(REPORT))
    assert RESULT.read(path) == REPORT


@pytest.mark.parametrize("damage", [{"schema": 9}, {"kind": "loadgen"}, {"rows": [{"model": "m"}]}])
def test_another_or_a_damaged_report_is_reported(tmp_path: Path, damage: dict[str, object]) -> None:
    path = tmp_path / "peers.json"
    path.write_text(json.dumps({**json.loads(RESULT.text(REPORT)), **damage}))
    with pytest.raises(ArtefactError, match="comparison with peers"):
        RESULT.read(path)


def test_an_environment_replaces_nothing(tmp_path: Path) -> None:
    (tmp_path / "letter.txt").write_text("mine")
    with pytest.raises(InputError, match="holds something else"):
        tflite_runtime_python(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["letter.txt"]


def test_a_comparison_loads_no_engine_until_it_runs() -> None:
    code = (
        "import sys, edgeport.benchmarks.lab.peers.comparison; print(*{name.partition('.')[0] for name in sys.modules})"
    )
    printed = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert not {"tensorflow", "keras", "onnxruntime", "openvino", "ai_edge_litert"} & set(printed)
