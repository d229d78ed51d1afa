"""The manifest, the calibration set and the comparison with the reference, without TensorFlow."""

import json
from pathlib import Path

import numpy as np
import pytest

from edgeport.export import load_calibration, read_manifest
from edgeport.export.manifest import manifest_text
from edgeport.export.verification import compare, verify
from edgeport.runtime import ArtefactError, ExportError, InputError, load


def test_a_manifest_comes_back(data: Path, tmp_path: Path) -> None:
    manifest = read_manifest(data)
    assert [artefact.file for artefact in manifest.artefacts] == [
        "tiny.float32.tflite", "tiny.int8.tflite", "tiny.float32.onnx", "tiny.int8.onnx",
    ]  # fmt: skip
    (tmp_path / "manifest.json").write_text(manifest_text(manifest))
    assert manifest_text(read_manifest(tmp_path)) == manifest_text(manifest)


def test_a_manifest_tells_what_the_engine_tells(data: Path) -> None:
    for artefact in read_manifest(data).artefacts:
        spec = load(data / artefact.file).spec
        assert (artefact.input, artefact.output) == (spec.input, spec.output)
        assert artefact.bytes == (data / artefact.file).stat().st_size


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (None, "no export folder"),
        ("{", "damaged"),
        ("[]", "schema list"),
        ('{"schema": 2}', "got schema 2, expected 1"),
        ('{"schema": 1}', "damaged"),
        ('{"schema": 1, "artefacts": [{}]}', "damaged"),
    ],
)
def test_a_manifest_that_is_wrong_is_told(text: str | None, told: str, tmp_path: Path) -> None:
    if text is not None:
        (tmp_path / "manifest.json").write_text(text)
    with pytest.raises(ArtefactError, match=told):
        read_manifest(tmp_path)


@pytest.mark.parametrize(
    ("place", "value"),
    [
        (("artefacts", 0, "file"), "../tiny.float32.tflite"),
        (("artefacts", 0, "file"), ""),
        (("artefacts", 0, "file"), 3),
        (("artefacts", 0, "file"), "tiny.int8.onnx"),
        (("artefacts",), []),
        (("source",), {}),
        (("name",), None),
        (("dataset",), 7),
        (("labels",), [1, 2]),
        (("input", "range"), ["a", "b"]),
        (("input", "shape"), ["a"]),
    ],
)
def test_a_manifest_that_was_edited_is_told(place: tuple, value: object, data: Path, tmp_path: Path) -> None:
    content = json.loads((data / "manifest.json").read_text())
    inner = content
    for key in place[:-1]:
        inner = inner[key]
    inner[place[-1]] = value
    (tmp_path / "manifest.json").write_text(json.dumps(content))
    with pytest.raises(ArtefactError, match="damaged"):
        read_manifest(tmp_path)


def test_compare_is_its_definition() -> None:
    reference = np.array([[1.0, 0.0], [0.0, 2.0], [3.0, 0.0], [0.0, 4.0]], np.float32)
    outputs = reference + np.array([[0.1, 0.1], [0.1, 0.1], [0.1, 0.1], [9.0, 0.0]], np.float32)
    result = compare(outputs, reference)
    noise = 6 * np.float64(0.1) ** 2 + 81
    assert result.samples == 4
    assert result.max_abs_error == pytest.approx(9.0)
    assert result.sqnr_db == pytest.approx(10 * np.log10(30 / noise), abs=1e-4)
    assert result.agreement == 0.75
    assert compare(reference, reference).sqnr_db == 300.0


def test_an_artefact_that_answers_otherwise_is_refused(data: Path, golden: dict[str, np.ndarray]) -> None:
    predictor = load(data / "tiny.int8.onnx")
    verify(predictor, golden["images"], golden["keras"], precision="int8")
    for precision, reference in (("int8", golden["keras"][::-1]), ("int8", golden["keras"] * np.nan)):
        with pytest.raises(ExportError, match=r"tiny\.int8\.onnx does not answer like the Keras model"):
            verify(predictor, golden["images"], reference, precision=precision)
    with pytest.raises(ExportError, match="expected up to"):
        verify(predictor, golden["images"], golden["keras"], precision="float32")


def test_calibration_draws_from_train_and_proves_on_validation() -> None:
    chosen = load_calibration("mnist-5k", image_shape=(28, 28, 1), count=100, seed=1)
    assert (len(chosen.images), len(chosen.held_out)) == (100, 500)
    assert chosen.facts == load_calibration("mnist-5k", image_shape=(28, 28, 1), count=100, seed=1).facts
    assert chosen.facts["sha256"] != load_calibration("mnist-5k", image_shape=(28, 28, 1), count=100).facts["sha256"]


def test_calibration_maps_pixels_to_the_models_range() -> None:
    chosen = load_calibration("mnist-5k", image_shape=(28, 28, 1), count=10, input_range=(-1, 1))
    real = chosen.to_real(np.array([0, 51, 255], np.uint8))
    assert real.dtype == np.float32
    np.testing.assert_allclose(real, [-1, -0.6, 1], atol=1e-6)


def images(count: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (count, 28, 28), np.uint8)


def test_calibration_from_a_file_holds_images_back(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", images(50))
    chosen = load_calibration(str(tmp_path / "a.npz"), image_shape=(28, 28, 1), count=30)
    assert (len(chosen.images), len(chosen.held_out)) == (30, 20)
    few = load_calibration(str(tmp_path / "a.npz"), image_shape=(28, 28, 1), count=500)
    assert (len(few.images), len(few.held_out)) == (40, 10)
    used = {image.tobytes() for image in chosen.images}
    assert not used & {image.tobytes() for image in chosen.held_out}


@pytest.mark.parametrize(
    ("arrays", "count", "told"),
    [
        ({"x_test": images(50)}, 20, "not the test split"),
        ({"a": images(50), "b": images(50)}, 20, "expected x_train"),
        ({}, 20, "lacks x_train"),
        ({"a": images(50)}, 5, "expected 10 or more"),
        ({"a": np.zeros((50, 28, 28), np.uint8)}, 20, "got 0 in every pixel"),
        ({"a": images(50)[:1]}, 20, "expected 10 or more"),
        ({"a": images(50)[:, 1:]}, 20, r"uint8 pixels and shape \(n, 28, 28, 1\)"),
        ({"a": images(50).astype(np.float32)}, 20, "got float32"),
    ],
)
def test_calibration_that_is_wrong_is_told(arrays: dict, count: int, told: str, tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", **arrays)
    with pytest.raises(InputError, match=told):
        load_calibration(str(tmp_path / "a.npz"), image_shape=(28, 28, 1), count=count)


def test_the_manifest_is_json_with_units_in_its_names(data: Path) -> None:
    entry = json.loads((data / "manifest.json").read_text())["artefacts"][0]
    assert entry["verified"].keys() == {"samples", "max_abs_error", "sqnr_db", "agreement"}
