"""The manifest, the calibration set and the comparison with the reference, without TensorFlow."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from edgeport.export import load_calibration, read_manifest
from edgeport.export.conversion.options import Required
from edgeport.export.manifest import manifest_text
from edgeport.export.verification.calibration import CalibrationSet
from edgeport.export.verification.comparison import Verification, compare
from edgeport.runtime import ArtefactError, InputError, load
from edgeport.runtime.artefact.contract import Input, Output
from edgeport.runtime.artefact.input_kinds import parsed_input, with_kinds
from edgeport.runtime.artefact.precisions import PRECISIONS, precision_named

FIGURES_OF_SCHEMA_2 = ("samples", "max_abs_error", "relative_error", "sqnr_db", "agreement", "column_db")
IMAGE = Input("image", (None, 28, 28, 1), "float32")


def load_images(source: object, *said: str, **options: object) -> CalibrationSet:
    inputs = with_kinds([IMAGE], [parsed_input(text) for text in said], what="model.keras")
    return load_calibration(str(source), inputs=inputs, **options)


def test_a_manifest_comes_back(data: Path, tmp_path: Path) -> None:
    manifest = read_manifest(data)
    assert [artefact.file for artefact in manifest.artefacts] == [
        "tiny.float32.tflite", "tiny.int8.tflite", "tiny.float32.onnx", "tiny.int8.onnx",
    ]  # fmt: skip
    verified = Verification(4, None, None, None, 0.5, None, 2.0, {"agreement": "there is one held-out sample only"})
    manifest = replace(manifest, artefacts=(replace(manifest.artefacts[0], verified=verified), *manifest.artefacts[1:]))
    (tmp_path / "manifest.json").write_text(manifest_text(manifest))
    assert read_manifest(tmp_path) == manifest


def test_a_manifest_of_schema_2_is_still_read(data: Path, tmp_path: Path) -> None:
    content = json.loads((data / "manifest.json").read_text())
    content["schema"] = 2
    for entry in content["artefacts"]:
        entry["verified"] = {key: entry["verified"][key] for key in FIGURES_OF_SCHEMA_2}
    (tmp_path / "manifest.json").write_text(json.dumps(content))
    verified = [artefact.verified for artefact in read_manifest(tmp_path).artefacts]
    assert [(each.rounding, each.inconclusive) for each in verified] == [(None, {})] * 4
    assert verified[0].agreement == content["artefacts"][0]["verified"]["agreement"]


def test_labels_of_an_old_manifest_are_the_columns_of_its_first_output(data: Path) -> None:
    assert json.loads((data / "manifest.json").read_text())["labels"] == list("0123456789")
    assert read_manifest(data).outputs == (Output("probabilities", columns=tuple("0123456789")),)


@pytest.mark.parametrize(("kind", "classifies"), [("", True), ("classes", True), ("labels", False), ("values", False)])
def test_an_output_of_another_kind_gives_no_classes(kind: str, classifies: bool, data: Path) -> None:
    manifest = read_manifest(data)
    manifest = replace(manifest, outputs=(manifest.outputs[0]._replace(kind=kind),))
    assert manifest.classifies_images == classifies


@pytest.mark.parametrize(("field", "value"), [("kind", "sounds"), ("columns", "ab"), ("units", [1])])
def test_an_output_that_no_export_has_described_is_reported(
    field: str, value: object, data: Path, tmp_path: Path
) -> None:
    content = json.loads(manifest_text(read_manifest(data)))
    content["outputs"][0][field] = value
    (tmp_path / "manifest.json").write_text(json.dumps(content))
    with pytest.raises(ArtefactError, match="damaged"):
        read_manifest(tmp_path)


def test_a_manifest_tells_what_the_engine_tells(data: Path) -> None:
    for artefact in read_manifest(data).artefacts:
        spec = load(data / artefact.file).spec
        assert (artefact.inputs, artefact.outputs) == (spec.inputs, spec.outputs)
        assert artefact.bytes == (data / artefact.file).stat().st_size


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (None, "no export folder"),
        ("{", "damaged"),
        ("[]", "schema list"),
        ('{"schema": 1}', "got schema 1, expected 6"),
        ('{"schema": 2}', "damaged"),
        ('{"schema": 3}', "damaged"),
        ('{"schema": 3, "artefacts": [{}]}', "damaged"),
    ],
)
def test_a_manifest_that_is_wrong_is_reported(text: str | None, message: str, tmp_path: Path) -> None:
    if text is not None:
        (tmp_path / "manifest.json").write_text(text)
    with pytest.raises(ArtefactError, match=message):
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
        (("inputs",), []),
        (("inputs", 0, "range"), ["a", "b"]),
        (("inputs", 0, "range"), [1, 0]),
        (("inputs", 0, "kind"), "sounds"),
        (("inputs", 0, "channels"), "yuv"),
        (("inputs", 0, "shape"), ["a"]),
        (("artefacts", 0, "verified"), {}),
        (("refused",), [{}]),
    ],
)
def test_a_manifest_that_was_edited_is_reported(place: tuple, value: object, data: Path, tmp_path: Path) -> None:
    content = json.loads((data / "manifest.json").read_text())
    inner = content
    for key in place[:-1]:
        inner = inner[key]
    inner[place[-1]] = value
    (tmp_path / "manifest.json").write_text(json.dumps(content))
    with pytest.raises(ArtefactError, match="damaged"):
        read_manifest(tmp_path)


def test_an_input_is_described_with_its_batch_also_where_an_old_manifest_has_none(data: Path, tmp_path: Path) -> None:
    old = read_manifest(data)
    assert json.loads((data / "manifest.json").read_text())["inputs"][0]["shape"] == [28, 28, 1]
    assert old.inputs == (Input("image", (None, 28, 28, 1), "float32", "NHWC", (0.0, 255.0)),)
    (tmp_path / "manifest.json").write_text(manifest_text(old))
    assert read_manifest(tmp_path) == old


def test_compare_is_its_definition() -> None:
    reference = np.array([[1.0, 0.0], [0.0, 2.0], [3.0, 0.0], [0.0, 4.0]], np.float32)
    outputs = reference + np.array([[0.1, 0.1], [0.1, 0.1], [0.1, 0.1], [9.0, 0.0]], np.float32)
    result = compare({"y": outputs}, {"y": reference}, {"y": "largest"})
    noise = 6 * np.float64(0.1) ** 2 + 81
    assert result.samples == 4
    assert result.max_abs_error == pytest.approx(9.0)
    assert result.relative_error == pytest.approx(9.0 / 4.0)
    assert result.sqnr_db == pytest.approx(10 * np.log10(30 / noise), abs=1e-4)
    assert result.agreement == 0.75
    assert compare({"y": reference}, {"y": reference}, {}) == Verification(4, 0.0, 0.0, 300.0, None, 300.0)


def test_compare_takes_the_worst_output_and_the_samples_there_are() -> None:
    good, bad = np.ones((6, 1), np.float32), np.array([[0.4], [0.6], [0.2], [0.9], [9], [9]], np.float32)
    answers = {"good": good[:4], "bad": np.array([[0.6], [0.6], [0.2], [0.9]], np.float32)}
    result = compare(answers, {"good": good, "bad": bad}, {"bad": "half"})
    assert (result.samples, result.agreement) == (4, 0.75)
    assert result.max_abs_error == pytest.approx(0.2)
    assert result.relative_error == pytest.approx(0.2 / 0.7)


def test_large_values_hide_no_small_ones_that_are_lost() -> None:
    random = np.random.default_rng(0)
    boxes, scores = 100 * random.normal(size=(200, 4)), random.uniform(size=(200, 3))
    reference = np.concatenate([boxes, scores], axis=1).astype(np.float32)
    limits = precision_named("int8").limits
    close = reference + random.normal(0, 0.01, reference.shape).astype(np.float32)
    assert not compare({"y": close}, {"y": reference}, {}).misses(limits)
    dead = reference.copy()
    dead[:, 4:] = 0
    lost = compare({"y": dead}, {"y": reference}, {})
    assert lost.sqnr_db > 30
    assert "one column of an output is lost" in lost.misses(limits)
    # The same with a mean that is much larger than what varies.
    offset = (1000 + random.normal(size=(200, 1))).astype(np.float32)
    assert "one column" in compare({"y": np.round(offset / 4) * 4}, {"y": offset}, {}).misses(limits)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_answers_that_are_no_numbers_miss_every_limit(value: float) -> None:
    reference = np.eye(3, dtype=np.float32)
    with np.errstate(invalid="ignore"):
        result = compare({"y": reference * value}, {"y": reference}, {"y": "largest"})
    for precision in PRECISIONS.values():
        missed = result.misses(precision.limits)
        assert "max error" in missed
        assert "SQNR" in missed
        assert "agreement" in missed


def test_an_output_that_does_not_vary_is_judged_by_its_size() -> None:
    constant = np.full((5, 2), 3.0, np.float32)
    assert not compare({"y": constant + 2e-7}, {"y": constant}, {}).misses(precision_named("float32").limits)
    assert compare({"y": constant + 1e-3}, {"y": constant}, {}).misses(precision_named("float32").limits)


def test_an_artefact_that_answers_otherwise_misses_its_limits(data: Path, golden: dict[str, np.ndarray]) -> None:
    answers = {"y": load(data / "tiny.int8.onnx").predict(golden["images"])}
    limits = precision_named("int8").limits
    decisions = {"y": "largest"}
    assert not compare(answers, {"y": golden["keras"]}, decisions).misses(limits)
    assert "agreement" in compare(answers, {"y": golden["keras"][::-1]}, decisions).misses(limits)
    assert "max error" in compare(answers, {"y": golden["keras"]}, decisions).misses(precision_named("float32").limits)


def test_one_changed_sample_is_no_finding_unless_the_caller_says_so() -> None:
    reference = np.eye(12, dtype=np.float32)
    limits = precision_named("int8").limits
    for changed, missed in ((1, False), (2, True)):
        answers = reference.copy()
        answers[:changed] = np.roll(answers[:changed], 1, axis=1)
        result = compare({"y": answers}, {"y": reference}, {"y": "largest"})
        assert ("agreement" in result.misses(limits)) is missed
        assert "required 99.00%" in result.misses(limits, Required(agreement=0.99))
    assert "dB, required 99 dB" in result.misses(limits, Required(sqnr_db=99.0))


def test_calibration_draws_from_train_and_verifies_on_validation() -> None:
    chosen = load_images("mnist-5k", count=100, seed=1)
    assert (chosen.count, len(chosen.held_out["image"])) == (100, 500)
    assert chosen.facts == load_images("mnist-5k", count=100, seed=1).facts
    assert chosen.facts["sha256"] != load_images("mnist-5k", count=100).facts["sha256"]
    assert chosen.warnings == ()


def test_calibration_maps_pixels_to_the_models_range() -> None:
    chosen = load_images("mnist-5k", "pixels:-1:1", count=10)
    real = chosen.to_real({"image": np.array([0, 51, 255], np.uint8)})["image"]
    assert real.dtype == np.float32
    np.testing.assert_allclose(real, [-1, -0.6, 1], atol=1e-6)


def images(count: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (count, 28, 28), np.uint8)


def test_calibration_from_a_file_holds_images_back(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", images(50))
    np.save(tmp_path / "a.npy", images(50))
    chosen = load_images(tmp_path / "a.npz", count=30)
    assert (chosen.count, len(chosen.held_out["image"])) == (30, 20)
    assert load_images(tmp_path / "a.npy", count=30).facts["sha256"] == chosen.facts["sha256"]
    few = load_images(tmp_path / "a.npz", count=500)
    assert (few.count, len(few.held_out["image"])) == (40, 10)
    assert "calibrated on 40 samples only" in few.warnings[0]
    used = {image.tobytes() for image in chosen.samples["image"]}
    assert not used & {image.tobytes() for image in chosen.held_out["image"]}


def test_calibration_from_a_folder_of_images(tmp_path: Path) -> None:
    folder = tmp_path / "digits"
    folder.mkdir()
    for number, pixels in enumerate(images(20)):
        Image.fromarray(pixels).save(folder / f"{number:02}.png")
    chosen = load_images(folder, count=12)
    assert chosen.samples["image"].shape == (12, 28, 28, 1)
    assert chosen.samples["image"].dtype == np.uint8


def test_calibration_of_several_inputs_takes_the_same_rows_of_each(tmp_path: Path) -> None:
    rows = np.arange(60, dtype=np.int32)
    ports = (Input("tokens", (None, 3), "int32"), Input("facts", (None, None), "float32"))
    np.savez(tmp_path / "a.npz", tokens=np.stack([rows] * 3, axis=1), facts=rows[:, None].astype(np.float64))
    chosen = load_calibration(str(tmp_path / "a.npz"), inputs=ports, count=40, vocabulary=60)
    real = chosen.to_real(chosen.samples)
    assert (real["tokens"].dtype, real["facts"].dtype) == (np.int32, np.float32)
    np.testing.assert_array_equal(real["tokens"][:, 0], real["facts"][:, 0])
    assert chosen.shapes == {"tokens": (40, 3), "facts": (40, 1)}
    with pytest.raises(InputError, match="tokens from 0 to 59"):
        load_calibration(str(tmp_path / "a.npz"), inputs=ports, vocabulary=59)
    with pytest.raises(InputError, match="expected an array for each input of the model: tokens and facts"):
        load_calibration("mnist-5k", inputs=ports)


def test_random_calibration_says_that_it_is_random() -> None:
    ports = (IMAGE, Input("tokens", (None, 4), "int64"), Input("signal", (None, 9, 2), "float32"))
    chosen = load_calibration("random", inputs=ports, count=100, vocabulary=7)
    assert {name: array.dtype.name for name, array in chosen.samples.items()} == {
        "image": "uint8", "tokens": "int64", "signal": "float32",
    }  # fmt: skip
    assert chosen.samples["tokens"].max() == 6
    assert "random data" in chosen.warnings[0]
    with pytest.raises(InputError, match="has a free axis"):
        load_calibration("random", inputs=(Input("signal", (None, None, 2), "float32"),))


@pytest.mark.parametrize(
    ("factor", "said", "remarked"),
    [
        (0.2, "pixels:0:255", True),
        (1 / 127, "pixels:0:9", True),
        (1 / 255, "pixels:0:1", False),
        (1 / 255, "pixels:-0.3:1.2", False),
        (2 / 255, "pixels:0:2", False),
        (0.5, "pixels", False),
        (1.0, "pixels", False),
    ],
)
def test_real_values_that_hardly_are_pixels_are_remarked_on(
    factor: float, said: str, remarked: bool, tmp_path: Path
) -> None:
    np.save(tmp_path / "a.npy", (images(200) * factor).astype(np.float32))
    warnings = load_images(tmp_path / "a.npy", said).warnings
    assert ["check --input" in warning for warning in warnings] == [True] * remarked


@pytest.mark.parametrize(
    ("dtype", "said", "found"),
    [
        (np.uint8, (), ("pixels", "grey", (0.0, 255.0))),
        (np.uint8, ("pixels:-1:1",), ("pixels", "grey", (-1.0, 1.0))),
        (np.float32, (), ("real", "", None)),
        (np.float32, ("real",), ("real", "", None)),
        (np.float32, ("pixels",), ("pixels", "grey", (0.0, 255.0))),
    ],
)
def test_samples_say_of_which_kind_an_input_is_where_nobody_else_does(
    dtype: type, said: tuple[str, ...], found: tuple[object, ...], tmp_path: Path
) -> None:
    np.save(tmp_path / "a.npy", images(50).astype(dtype))
    (port,) = load_images(tmp_path / "a.npy", *said).inputs
    assert (port.kind, port.channels, port.range) == found
    assert (port.resizing is None) == (port.kind == "real")


def test_pixels_of_a_model_that_takes_blue_first_are_swapped_once(tmp_path: Path) -> None:
    colours = np.random.default_rng(0).integers(0, 256, (50, 4, 4, 3), np.uint8)
    np.save(tmp_path / "a.npy", colours)
    inputs = with_kinds([Input("x", (None, 4, 4, 3), "float32")], [parsed_input("pixels:0:1:bgr")], what="m.keras")
    chosen = load_calibration(str(tmp_path / "a.npy"), inputs=inputs)
    np.testing.assert_allclose(chosen.to_real({"x": colours})["x"], colours[..., ::-1] / 255, atol=1e-6)


@pytest.mark.parametrize(
    ("factor", "dtype", "said", "message"),
    [
        (1, np.float32, "pixels:0:1", "got floats from 0 to 255 for image, expected 0 to 1"),
        (-1, np.float32, "pixels", "got floats from -255 to -?0 for image, expected 0 to 255"),
        (
            1 / 255,
            np.float32,
            "pixels:-1:1",
            "for image, which look like pixels from 0 to 1, and pixels:-1:1 means",
        ),
        (1 / 255, np.float32, "pixels", "from 0 to 1 for image, which look like pixels from 0 to 1, and pixels:0:255"),
        (1, np.uint8, "real", "got uint8 pixels for image, which takes real values"),
    ],
)
def test_samples_that_a_kind_does_not_hold_are_reported(
    factor: int, dtype: type, said: str, message: str, tmp_path: Path
) -> None:
    np.save(tmp_path / "a.npy", (images(200).astype(np.float32) * factor).astype(dtype))
    with pytest.raises(InputError, match=message):
        load_images(tmp_path / "a.npy", said)


WITH_NAN = images(50).astype(np.float32)
WITH_NAN[3, 4, 5] = np.nan


@pytest.mark.parametrize(
    ("arrays", "count", "message"),
    [
        ({"x_test": images(50)}, 20, "got test samples alone, expected others"),
        ({"a": images(50), "b": images(50)}, 20, "what is what: image, or x, y, x_train"),
        ({}, 20, "got the arrays none"),
        ({"a": images(50)}, 5, "expected 10 to 100,000"),
        ({"a": np.zeros((50, 28, 28), np.uint8)}, 20, "got 0 everywhere"),
        ({"a": images(50)[:1]}, 20, "expected 10 or more"),
        ({"a": images(50)[:, 1:]}, 20, r"of shape \(n, 28, 28, 1\)"),
        ({"a": images(50).astype(np.int32)}, 20, "got int32 for image, expected real values"),
        ({"a": images(50).astype(str)}, 20, "expected real values"),
        ({"a": WITH_NAN}, 20, "got NaN, infinity or beyond float32"),
        ({"a": images(50) * 1e300}, 20, "beyond float32"),
        ({"a": np.float32(3)}, 20, "got a single number"),
        ({"x_train": images(50), "x_val": images(50) / 255}, 20, "expected the same dtype"),
    ],
)
def test_calibration_that_is_wrong_is_reported(arrays: dict, count: int, message: str, tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", **arrays)
    with pytest.raises(InputError, match=message):
        load_images(tmp_path / "a.npz", count=count)


@pytest.mark.parametrize("name", ["x_test.npy", "test.npz", "t10k-images.npy", "my-test-set.npz"])
def test_test_data_does_not_calibrate(name: str) -> None:
    with pytest.raises(InputError, match="what its name calls test data"):
        load_images(name)


@pytest.mark.parametrize("content", [b"", b"nonsense", b"\x93NUMPY\x01\x00"])
def test_a_damaged_array_is_reported(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "a.npy").write_bytes(content)
    with pytest.raises(InputError, match="damaged"):
        load_images(tmp_path / "a.npy")


def test_the_manifest_is_json_with_units_in_its_names(data: Path, tmp_path: Path) -> None:
    entry = json.loads(manifest_text(read_manifest(data)))["artefacts"][0]
    assert tuple(entry["verified"]) == (*FIGURES_OF_SCHEMA_2, "rounding", "inconclusive")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"name": "a\nExecStartPre=/bin/true"}, "control characters"),
        ({"labels": 3}, "columns: got 3, expected a list"),
        ({"labels": [1]}, "columns"),
        ({"inputs": [{"name": "x", "shape": [10**9, 10**9], "dtype": "f", "layout": "NT", "range": None}]}, "larger"),
        ({"inputs": [{"name": "x", "shape": ["a"], "dtype": "f", "layout": "NT", "range": None}]}, "shape"),
        ({"artefacts": [None]}, "artefacts"),
        ({"options": {"a": 10**400}}, "64 bits"),
        ({"unknown": 1}, "unknown is not known"),
    ],
)
def test_a_manifest_is_held_against_its_schema(change: dict, message: str, data: Path, tmp_path: Path) -> None:
    content = json.loads((data / "manifest.json").read_bytes())
    (tmp_path / "manifest.json").write_text(json.dumps(content | change))
    with pytest.raises(ArtefactError, match=message):
        read_manifest(tmp_path)


def test_a_manifest_that_is_nested_too_deep_is_reported(tmp_path: Path) -> None:
    for depth in (70, 900, 100_000):
        (tmp_path / "manifest.json").write_text("[" * depth + "]" * depth)
        with pytest.raises(ArtefactError, match="nested more than 64 deep"):
            read_manifest(tmp_path)
