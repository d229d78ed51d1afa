"""``edgeport debug``: a layer that was spoilt is found in both formats, and floats for it bring the accuracy back."""

import json
from pathlib import Path

import keras
import numpy as np
import numpy.typing as npt
import pytest
from keras import layers

from edgeport.export import Options, export_model, load_source, read_manifest
from edgeport.export.graphs.weighted_ends import weighted_ends
from edgeport.export.inspection import inspect
from edgeport.runtime.cli import main

SPOILT, READER = "spoilt", "reader"


def residual_network() -> keras.Model:
    """Return a small network of fixed weights, one channel of which reaches 300 times as far as the others."""
    image = keras.Input((16, 16, 3), name="image")
    stem = layers.Conv2D(12, 3, padding="same", activation="relu", name="stem")(image)
    inner = layers.Conv2D(12, 3, padding="same", activation="relu", name=SPOILT)(stem)
    inner = layers.Conv2D(12, 3, padding="same", activation="relu", name=READER)(inner)
    joined = layers.Add(name="join")([stem, inner])
    pooled = layers.GlobalAveragePooling2D(name="pool")(joined)
    model = keras.Model(image, layers.Dense(4, activation="softmax", name="scores")(pooled), name="residual")
    random = np.random.default_rng(3)
    for layer in model.layers:
        shapes = [weight.shape for weight in layer.get_weights()]
        layer.set_weights(
            [random.normal(0, 0.25, shape) if len(shape) > 1 else random.uniform(0, 0.2, shape) for shape in shapes]
        )
    kernel, bias = model.get_layer(SPOILT).get_weights()
    reader, reader_bias = model.get_layer(READER).get_weights()
    kernel[..., 5], bias[5], reader[:, :, 5] = kernel[..., 5] * 300, bias[5] * 300, reader[:, :, 5] / 300
    model.get_layer(SPOILT).set_weights([kernel, bias])
    model.get_layer(READER).set_weights([reader, reader_bias])
    return model


def whispering_network() -> keras.Model:
    """Return the same network with such small values behind one layer that integers of 16 bits cannot hold its bound.

    A ReLU6 is bounded by 6, which is more steps of that size than 32 bits count.
    """
    model = residual_network()
    spoilt, reader = model.get_layer(SPOILT), model.get_layer(READER)
    kernel, bias = spoilt.get_weights()
    reader_kernel, reader_bias = reader.get_weights()
    spoilt.set_weights([kernel * 1e-8, bias * 1e-8])
    reader.set_weights([reader_kernel * 1e8, reader_bias])
    spoilt.activation = keras.activations.relu6
    return model


@pytest.fixture(scope="module")
def samples(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("samples") / "samples.npy"
    random = np.random.default_rng(4)
    # Textures of different colours, so that the model decides differently.
    drawn: npt.NDArray[np.float64] = random.normal(0, 1, (200, 16, 16, 3)) + random.normal(0, 2, (200, 1, 1, 3))
    np.save(path, drawn.astype(np.float32))
    return path


@pytest.fixture(scope="module")
def exported(samples: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("spoilt")
    model = folder / "model.keras"
    residual_network().save(model)
    options = Options(precisions=("float32", "int8", "mixed"), keep_float=(SPOILT, READER), keep_rejected=True)
    export_model(model, folder / "out", calibration=str(samples), calibration_count=100, options=options)
    return folder / "out"


def test_the_spoilt_layer_is_first_in_both_formats(exported: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["debug", str(exported), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["kind"] == "diagnosis"
    assert [each["format"] for each in found["formats"]] == ["tflite", "onnx"]
    for each in found["formats"]:
        worst = max(each["layers"], key=lambda layer: layer["share"])
        assert worst["layer"] == SPOILT
        assert worst["share"] > 0.5
        assert worst["cause"]["kind"] == "outlier channel"


def test_it_is_shown_with_the_command_that_repairs_it(
    exported: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    page = tmp_path / "layers.html"
    assert main(["debug", str(exported), "-o", str(page)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert any(line.strip().startswith(f"{SPOILT} (CONV_2D) is to blame for") for line in lines)
    assert lines[-3].startswith("Next: edgeport export ")
    assert "-cured --equalize --calibration" in lines[-3]
    assert f"--keep-float {SPOILT},{READER} --calibration" in lines[-2]
    assert "--max-loss 0.5" in lines[-1]
    assert (
        max(len(line) for line in lines if SPOILT in line and "blame" not in line and "edgeport export" not in line)
        <= 80
    )
    text = page.read_text()
    assert text.count("<svg") >= 2
    assert "channel 5 of 12" in text


def test_floats_for_the_spoilt_layer_bring_the_accuracy_back(exported: Path) -> None:
    ratios = {
        (each.format, each.precision): each.verified.sqnr_db
        for each in (*read_manifest(exported).artefacts, *read_manifest(exported).refused)
        if each.verified
    }
    for format_name in ("tflite", "onnx"):
        int8, mixed = ratios[format_name, "int8"], ratios[format_name, "mixed"]
        assert int8 is not None
        assert mixed is not None
        assert mixed > int8 + 12


def test_the_layers_that_must_stay_in_floats_are_searched(
    samples: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model = tmp_path / "model.keras"
    residual_network().save(model)
    options = ["--calibration", str(samples), "--calibration-count", "100", "--precisions", "float32,int8"]
    assert main(["export", str(model), "-o", str(tmp_path / "out"), *options, "--max-loss", "8", "--no-cures"]) == 0
    printed = capsys.readouterr()
    assert not printed.err
    manifest = read_manifest(tmp_path / "out")
    assert [each.enough for each in manifest.searches] == ["mixed", "mixed"]
    mixed = [each for each in manifest.artefacts if each.precision == "mixed"]
    for found, artefact in zip(manifest.searches, mixed, strict=True):
        assert {SPOILT, READER} <= set(found.in_floats)
        assert "stem" not in found.in_floats
        assert found.uppers["int8"] is not None
        assert found.uppers["mixed"] is not None
        assert found.uppers["mixed"] < 8 < found.uppers["int8"]
        assert 0.1 < (found.macs_in_floats or 0) < 1
        assert found.bytes["int8"] < found.bytes["mixed"]
        wide = {"int16x8"} if found.format == "tflite" else set()
        assert found.us.keys() == found.bytes.keys() == {"float32", "int8", "mixed"} | wide
        assert found.uppers.keys() == {"int8", "mixed"} | wide
        assert artefact.in_floats == found.in_floats
        inspected = inspect(tmp_path / "out" / artefact.file)
        assert inspected.metadata is not None
        assert inspected.metadata.in_floats == found.in_floats
        assert f" of {found.layers} layers in floats" in printed.out
    page = tmp_path / "page.html"
    assert main(["debug", str(tmp_path / "out"), "--precision", "mixed", "-o", str(page)]) == 0
    assert "What repairs it" in page.read_text()


def test_cheaper_cures_come_before_layers_in_floats(samples: Path, tmp_path: Path) -> None:
    options = Options(formats=("tflite",), precisions=("int8",), max_loss=8, keep_rejected=True)
    manifest = export_model(
        residual_network(), tmp_path / "out", calibration=np.load(samples), calibration_count=100, options=options
    )
    (found,), (artefact,) = manifest.searches, manifest.artefacts
    assert (found.enough, found.in_floats, artefact.precision) == ("int8", (), "int8")
    assert found.uppers["int8"] < 8 < found.uppers["plain int8"]  # type: ignore[operator]
    assert any(note.startswith("channels equalized (") for note in found.cures)
    inspected = inspect(tmp_path / "out" / artefact.file)
    assert inspected.metadata is not None
    assert inspected.metadata.calibration["channels"] == "equalized"
    assert not manifest.refused, "the file that lost too much is replaced"
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["manifest.json", artefact.file]
    assert any(note.startswith("channels equalized (") for note in artefact.notes)


def test_wider_integers_that_no_engine_opens_end_no_search(samples: Path, tmp_path: Path) -> None:
    options = Options(formats=("tflite",), precisions=("float32", "int8"), max_loss=8, try_cures=False)
    manifest = export_model(
        whispering_network(), tmp_path / "out", calibration=np.load(samples), calibration_count=100, options=options
    )
    (found,) = manifest.searches
    assert found.enough == "mixed"
    assert any(note.startswith("int16x8 cannot be made or run: ") for note in found.cures)
    assert found.uppers.keys() == found.bytes.keys() - {"float32"} == {"int8", "mixed"}


def test_wider_integers_are_delivered_where_no_layers_in_floats_are_enough(tmp_path: Path) -> None:
    row = keras.Input((16,), name="row")
    model = keras.Model(row, layers.Dense(4, name="only")(row))
    random = np.random.default_rng(0)
    model.set_weights([random.normal(size=(16, 4)), random.normal(size=4)])
    drawn = random.uniform(-1, 1, (400, 16)).astype(np.float32)
    # With its only layer in floats nothing would be left in integers.
    options = Options(formats=("tflite",), precisions=("float32", "int8"), max_loss=0.006, try_cures=False)
    manifest = export_model(model, tmp_path / "out", calibration=drawn, calibration_count=100, options=options)
    (found,) = manifest.searches
    assert (found.enough, found.in_floats) == ("int16x8", ())
    assert found.uppers["int16x8"] < 0.006 < found.uppers["int8"]  # type: ignore[operator]
    assert found.bytes.keys() == found.us.keys() == {"float32", "int8", "int16x8"}
    assert float(found.losses["int16x8"].removeprefix("at most ")) > 0


def test_the_first_and_the_last_layers_are_those_nearest_to_inputs_and_outputs() -> None:
    assert weighted_ends(load_source(residual_network()).graph) == ("stem", "scores")
    left, right = (keras.Input((4, 3), name=name) for name in ("left", "right"))
    ids = keras.Input((5,), dtype="int32", name="ids")
    inner = keras.Sequential([keras.Input((8,)), layers.Dense(6, name="inner")], name="nested")
    joined = layers.Concatenate()([layers.LSTM(5, name="lstm")(left * 2.0), layers.Flatten()(right)])
    joined = layers.Dense(8, name="middle")(layers.Dense(8, activation="relu", name="after")(joined))
    table = layers.GlobalAveragePooling1D()(layers.Embedding(9, 8, name="table")(ids))
    outputs = [layers.Dense(1, name="one")(layers.ReLU()(inner(joined + table))), layers.Softmax()(inner(joined))]
    found = weighted_ends(load_source(keras.Model([left, right, ids], outputs)).graph)
    assert found == ("lstm", "after", "table", "one", "inner")


def test_files_that_edgeport_does_not_know_are_compared_too(
    exported: Path, samples: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    int8 = next(exported.glob("*.int8*.tflite"))
    files = []
    for name, source in (("f.tflite", exported / "model.float32.tflite"), ("q.tflite", int8)):
        files.append(tmp_path / name)
        files[-1].write_bytes(source.read_bytes())
    assert main(["debug", *map(str, files), "--data", str(samples), "--json"]) == 0
    (found,) = json.loads(capsys.readouterr().out)["formats"]
    assert max(found["layers"], key=lambda layer: layer["share"])["layer"].startswith(SPOILT)


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["DIR", "--precision", "int16x8"], "got no float32 file with an int16x8 one"),
        (["DIR/model.float32.tflite"], "expected an export folder, or two files"),
        (["DIR/model.float32.tflite", "DIR/model.mixed.onnx", "--data", "x.npy"], "two files of one format"),
        (["DIR/model.float32.tflite", "DIR/model.mixed.tflite"], "--data: got none"),
        (["DIR", "--data", "missing.npy"], "missing.npy"),
        (["DIR", "--samples", "0"], "--samples: got 0"),
        (["DIR", "-o", "DIR/none/layers.html"], "there is no folder"),
        (["DIR/model.mixed.tflite", "DIR/model.float32.tflite", "--data", "SAMPLES"], "got a file with integers"),
        (["DIR/model.float32.tflite", "DIR/model.float32.tflite", "--data", "SAMPLES"], "got a file without integers"),
        (["DIR/model.float32.tflite", "DIR/model.mixed.tflite", "--data", "NAN"], "got NaN, infinity"),
        (["DIR/model.float32.onnx", "DIR/model.mixed.onnx", "--data", "SMALL"], "got float32 (20, 8, 8, 3) for image"),
        (["DIR", "--data", "SMALL"], "(20, 8, 8, 3) for image, expected float32 (n, 16, 16, 3): give other samples"),
    ],
)
def test_bad_input_is_one_line(
    arguments: list[str], line: str, exported: Path, samples: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    spoilt = np.load(samples)[:20]
    np.save(tmp_path / "small.npy", spoilt[:, :8, :8])
    spoilt[3, 0, 0, 0] = np.nan
    np.save(tmp_path / "nan.npy", spoilt)
    files = {"DIR": exported, "SAMPLES": samples, "NAN": tmp_path / "nan.npy", "SMALL": tmp_path / "small.npy"}
    given = [
        next((each.replace(word, str(file)) for word, file in files.items() if each.startswith(word)), each)
        for each in arguments
    ]
    assert main(["debug", *given]) == 2
    printed = capsys.readouterr().err.strip()
    assert line in printed
    assert "\n" not in printed


def test_a_layer_that_the_model_has_not_is_refused_before_any_work(samples: Path, tmp_path: Path) -> None:
    options = Options(precisions=("mixed",), keep_float=("spoild",))
    with pytest.raises(ValueError, match=r"unknown layer to keep in floats 'spoild': did you mean spoilt"):
        export_model(residual_network(), tmp_path / "out", calibration=np.load(samples), options=options)
    assert not (tmp_path / "out").exists()
