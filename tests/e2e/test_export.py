"""Export: four artefacts, each verified; any last layer; and every file that is no model."""

import hashlib
import json
import shutil
from pathlib import Path

import keras
import numpy as np
import onnx
import onnxruntime
import pytest
from ai_edge_litert.interpreter import Interpreter

from edgeport.export import Options, export, export_model, load_calibration, load_source, read_manifest
from edgeport.export.manifest import manifest_text
from edgeport.export.tflite import convert as to_tflite
from edgeport.runtime import load
from edgeport.train import load_dataset

NAMES = {
    f"classic.{variant}"
    for variant in (
        "float32.tflite", "float16.tflite", "dynamic.tflite", "int8.tflite", "int16x8.tflite",
        "float32.onnx", "float16.onnx", "dynamic.onnx", "int8.onnx",
    )
}  # fmt: skip
# The largest error of a probability that is no bug.
TOLERANCES = {"float32": 1e-5, "float16": 5e-3, "dynamic": 0.1, "int8": 0.1, "int16x8": 0.1}


def test_the_export_folder_is_complete_and_proven(exported: Path, trained: Path) -> None:
    assert {path.name for path in exported.iterdir()} == NAMES | {"manifest.json"}
    manifest = read_manifest(exported)
    model_file = exported / manifest.source["file"]
    assert model_file.resolve() == (trained / "model.keras").resolve()
    assert manifest.source["sha256"] == hashlib.sha256(model_file.read_bytes()).hexdigest()
    assert manifest.calibration["source"] == "mnist-5k"
    for artefact in manifest.artefacts:
        assert artefact.sha256 == hashlib.sha256((exported / artefact.file).read_bytes()).hexdigest()
        assert artefact.verified.samples == 500
        assert artefact.verified.agreement >= 0.98


def test_every_artefact_answers_like_keras(exported: Path, trained: Path) -> None:
    images = load_dataset("mnist-5k").test.samples
    expected = keras.models.load_model(trained / "model.keras").predict(images.astype("float32"), verbose=0)
    for name in NAMES:
        answers = load(exported / name).predict(images)
        assert np.abs(answers - expected).max() < TOLERANCES[name.split(".")[1]], name


def test_int8_tflite_is_full_integer_with_logits(exported: Path) -> None:
    interpreter = Interpreter(model_path=str(exported / "classic.int8.tflite"))
    interpreter.allocate_tensors()
    kinds = {operator["op_name"] for operator in interpreter._get_ops_details()} - {"DELEGATE"}
    assert not kinds & {"SOFTMAX", "QUANTIZE", "DEQUANTIZE"}
    assert {tensor["dtype"] for tensor in interpreter.get_tensor_details()} <= {np.int8, np.int32}


def test_int8_onnx_is_qdq_per_channel_with_reduced_range(exported: Path) -> None:
    model = onnx.load(exported / "classic.int8.onnx")
    kinds = [node.op_type for node in model.graph.node]
    assert kinds.count("QuantizeLinear") >= 5
    assert not {"Softmax", "Mul", "Shape", "Slice"} & set(kinds)
    weights = {each.name: onnx.numpy_helper.to_array(each) for each in model.graph.initializer}
    kernels = [array for name, array in weights.items() if array.dtype == np.int8 and array.ndim == 4]
    assert len(kernels) == 2
    assert all(np.abs(kernel.astype(int)).max() <= 64 for kernel in kernels)
    assert any(array.shape == (64,) for name, array in weights.items() if name.endswith("_scale"))


def test_int8_onnx_runs_with_channels_last_to_the_end(exported: Path, tmp_path: Path) -> None:
    options = onnxruntime.SessionOptions()
    options.optimized_model_filepath = str(tmp_path / "optimised.onnx")
    onnxruntime.InferenceSession(exported / "classic.int8.onnx", options, providers=["CPUExecutionProvider"])
    kinds = [node.op_type for node in onnx.load(tmp_path / "optimised.onnx").graph.node]
    assert kinds == [
        "QuantizeLinear", "Reshape", "Transpose",
        "QLinearConv", "NhwcMaxPool", "QLinearConv", "NhwcMaxPool", "Reshape", "QGemm", "QGemm",
        "DequantizeLinear",
    ]  # fmt: skip


@pytest.mark.parametrize(("offset", "first"), [(0.0, "QLinearConv"), (-1.0, "Cast")])
def test_int8_onnx_takes_pixels_as_bytes_on_request(offset: float, first: str, tmp_path: Path) -> None:
    keras.utils.set_random_seed(1)
    picture = keras.Input((8, 8, 3), name="picture")
    scaled = keras.layers.Rescaling(1 / 127.5, offset)(picture)
    convolved = keras.layers.Conv2D(8, 3, strides=2, activation="relu")(scaled)
    row = keras.Input((4,), name="row")
    merged = keras.layers.Concatenate()([keras.layers.Flatten()(convolved), row])
    model = keras.Model([picture, row], keras.layers.Dense(3)(merged))
    random = np.random.default_rng(0)
    samples = {
        "picture": random.integers(0, 200, (60, 8, 8, 3)).astype(np.uint8),
        "row": random.normal(size=(60, 4)).astype(np.float32),
    }
    made = {
        kind: export_model(
            model, tmp_path / kind, name="m", calibration=samples,
            options=Options(formats=("onnx",), precisions=("int8",), tensor_type=kind),
        )
        for kind in ("int8", "uint8")
    }  # fmt: skip
    (artefact,) = made["uint8"].artefacts
    assert artefact.notes == ("row as in float32: bytes are for inputs of pixels from 0 to 255",)
    floats, taking_bytes = (load(tmp_path / kind / "m.int8.onnx") for kind in made)
    assert [tensor.dtype for tensor in floats.spec.inputs] == ["float32", "float32"]
    assert [tensor.dtype for tensor in taking_bytes.spec.inputs] == ["uint8", "float32"]
    # Brighter than any sample that calibrated.
    brighter = {**samples, "picture": samples["picture"] + np.uint8(55)}
    real = {**brighter, "picture": brighter["picture"].astype(np.float32)}
    (of_bytes,), (of_floats,) = (taking_bytes.run(brighter).values(), floats.run(real).values())
    np.testing.assert_array_equal(of_bytes, of_floats)
    options = onnxruntime.SessionOptions()
    options.optimized_model_filepath = str(tmp_path / "optimised.onnx")
    onnxruntime.InferenceSession(tmp_path / "uint8" / "m.int8.onnx", options, providers=["CPUExecutionProvider"])
    graph = onnx.load(tmp_path / "optimised.onnx").graph
    assert first == next(node.op_type for node in graph.node if node.input[0] == "picture")


@pytest.mark.parametrize("precision", ["float32", "int8"])
def test_onnx_operators_bear_the_names_of_their_layers(exported: Path, precision: str) -> None:
    layers = read_manifest(exported).layers
    nodes = onnx.load(exported / f"classic.{precision}.onnx").graph.node
    kernels = [node.name.rpartition(".")[0] for node in nodes if node.op_type in ("Conv", "Gemm", "MatMul")]
    assert kernels == [layer for layer in layers if layer.startswith(("conv", "dense", "probabilities"))]


def test_onnx_has_names_a_free_batch_and_passes_the_checker(exported: Path) -> None:
    model = onnx.load(exported / "classic.float32.onnx")
    onnx.checker.check_model(model, full_check=True)
    assert [tensor.name for tensor in (*model.graph.input, *model.graph.output)] == ["image", "probabilities"]
    assert model.graph.input[0].type.tensor_type.shape.dim[0].dim_param == "n"
    metadata = json.loads({entry.key: entry.value for entry in model.metadata_props}["edgeport"])
    assert metadata["outputs"][0]["columns"] == list("0123456789")


def test_the_same_model_gives_the_same_bytes(edgeport, exported: Path, trained: Path, tmp_path: Path) -> None:
    assert edgeport("export", trained / "model.keras", "-o", tmp_path / "again").stderr == ""
    for name in NAMES:
        assert (tmp_path / "again" / name).read_bytes() == (exported / name).read_bytes(), name


def test_a_second_export_needs_permission_and_replaces(edgeport, trained: Path, tmp_path: Path) -> None:
    output = tmp_path / "out"
    edgeport("export", trained / "model.keras", "-o", output)
    (output / "mine.txt").write_text("mine")
    assert "--overwrite" in edgeport("export", trained / "model.keras", "-o", output, code=2).stderr
    edgeport("export", trained / "model.keras", "-o", output, "--overwrite", "--name", "digits")
    names = {path.name for path in output.iterdir()}
    assert names == {name.replace("classic", "digits") for name in NAMES} | {"manifest.json", "mine.txt"}


def test_the_manifest_names_the_model_by_a_path_that_leads_there_through_links(
    edgeport, trained: Path, tmp_path: Path
) -> None:
    (tmp_path / "far" / "away").mkdir(parents=True)
    (tmp_path / "results").symlink_to(tmp_path / "far" / "away")
    (tmp_path / "model").symlink_to(trained)
    output = tmp_path / "results" / "out"
    edgeport("export", tmp_path / "model" / "model.keras", "-o", output)
    named = output / read_manifest(output).source["file"]
    assert named.samefile(trained / "model.keras")
    assert (tmp_path / "far" / "away" / "out" / read_manifest(output).source["file"]).samefile(named)


HEADS = {
    "softmax layer": lambda x: keras.layers.Softmax()(keras.layers.Dense(10)(x)),
    "softmax activation layer": lambda x: keras.layers.Activation("softmax")(keras.layers.Dense(10)(x)),
    "softmax in dense": lambda x: keras.layers.Dense(10, activation="softmax")(x),
    "sigmoid in dense": lambda x: keras.layers.Dense(10, activation="sigmoid")(x),
    "logits": lambda x: keras.layers.Dense(10)(x),
    "relu": lambda x: keras.layers.Dense(10, activation="relu")(x),
}


def small_model(head: str, *, scale: float = 1 / 255) -> keras.Model:
    keras.utils.set_random_seed(3)
    image = keras.Input((28, 28, 1))
    x = keras.layers.Rescaling(scale)(image)
    x = keras.layers.Conv2D(6, 5, strides=3, activation="relu")(x)
    return keras.Model(image, HEADS[head](keras.layers.Flatten()(x)))


@pytest.mark.parametrize("head", HEADS)
def test_any_last_layer_is_exported_as_it_is(head: str, tmp_path: Path) -> None:
    model = small_model(head)
    expected_activation = head.split()[0] if head.split()[0] in ("softmax", "sigmoid") else "none"
    model.save(tmp_path / "small.keras")
    source = load_source(tmp_path / "small.keras")
    assert source.activations[source.outputs[0].name] == expected_activation
    export(source, tmp_path / "out", load_calibration("mnist-5k", inputs=source.inputs))
    images = load_dataset("mnist-5k").test.samples[:50]
    expected = model.predict(images.astype("float32"), verbose=0)
    for path in (tmp_path / "out").glob("small.*"):
        answers = load(path).predict(images)
        precision = path.name.split(".")[1]
        np.testing.assert_allclose(answers, expected, atol=TOLERANCES[precision] * np.abs(expected).max())
        integer = precision in ("int8", "int16x8")
        assert load(path).spec.metadata.outputs[0].activation == (expected_activation if integer else "none")


def test_a_model_without_normalisation_stops_the_export(edgeport, tmp_path: Path) -> None:
    image = keras.Input((28, 28, 1))
    x = keras.layers.Dense(10, activation="softmax")(keras.layers.Flatten()(image))
    keras.Model(image, x).save(tmp_path / "bare.keras")
    arguments = ("export", tmp_path / "bare.keras", "-o", tmp_path / "out", "--calibration", "mnist-5k")
    (line,) = edgeport(*arguments, code=2).stderr.splitlines()
    assert "bare.keras has nothing that scales the pixels of" in line
    assert "--input pixels:-1:1 or pixels:0:1" in line
    assert not (tmp_path / "out").exists()


def softmax_function(x: object) -> object:
    return keras.ops.softmax(keras.layers.Dense(10)(x))


def softmax_in_a_nested_model(x: object) -> object:
    inner = keras.Sequential([keras.layers.Dense(10), keras.layers.Softmax()])
    return inner(x)


def softmax_before_dropout(x: object) -> object:
    return keras.layers.Dropout(0.5)(keras.layers.Dense(10, activation="softmax")(x))


@pytest.mark.parametrize("head", [softmax_function, softmax_in_a_nested_model, softmax_before_dropout])
def test_a_softmax_is_left_to_the_runtime_wherever_it_stands(head, tmp_path: Path) -> None:
    keras.utils.set_random_seed(5)
    image = keras.Input((28, 28, 1))
    model = keras.Model(image, head(keras.layers.Flatten()(keras.layers.Rescaling(1 / 255)(image))))
    source = load_source(model)
    calibration = load_calibration("mnist-5k", inputs=source.inputs)
    manifest = export(source, tmp_path / "out", calibration, options=Options(precisions=("int8",)))
    assert "Softmax" not in {node.op_type for node in onnx.load(next(tmp_path.glob("out/*.onnx"))).graph.node}
    assert [artefact.activations for artefact in manifest.artefacts] == [("softmax",), ("softmax",)]


def test_a_model_that_answers_nan_is_reported(edgeport, tmp_path: Path) -> None:
    model = small_model("softmax in dense")
    model.layers[-1].set_weights([weights * np.nan for weights in model.layers[-1].get_weights()])
    model.save(tmp_path / "nan.keras")
    arguments = ("export", tmp_path / "nan.keras", "-o", tmp_path / "out", "--calibration", "mnist-5k")
    assert "answers with NaN" in edgeport(*arguments, code=2).stderr


def test_a_model_that_wants_other_values_is_reported_the_range(edgeport, tmp_path: Path) -> None:
    small_model("softmax in dense", scale=1.0).save(tmp_path / "unit.h5")
    arguments = ("export", tmp_path / "unit.h5", "-o", tmp_path / "out", "--calibration", "mnist-5k")
    both = edgeport(*arguments, "--input-range", 0, 1, "--input", "pixels:0:1", code=2)
    assert "--input-range: got it with --input pixels:0:1, expected one of them" in both.stderr
    assert "--input" not in edgeport(*arguments, "--input-range", 0, 1).stderr
    images = load_dataset("mnist-5k").test.samples[:50]
    model = keras.models.load_model(tmp_path / "unit.h5", compile=False)
    expected = model.predict(images.astype("float32") / 255, verbose=0)
    for path in (tmp_path / "out").glob("unit.*"):
        np.testing.assert_allclose(load(path).predict(images), expected, atol=TOLERANCES[path.name.split(".")[1]])


def test_a_model_that_ends_in_logits_can_leave_its_softmax_to_the_runtime(edgeport, tmp_path: Path) -> None:
    small_model("logits").save(tmp_path / "small.keras")
    small_model("softmax in dense").save(tmp_path / "soft.keras")
    arguments = ("-o", tmp_path / "out", "--calibration", "mnist-5k", "--activation", "softmax")
    edgeport("export", tmp_path / "small.keras", *arguments)
    images = load_dataset("mnist-5k").test.samples[:50]
    for path in (tmp_path / "out").glob("small.*"):
        np.testing.assert_allclose(load(path).predict(images).sum(axis=1), 1, atol=1e-5)
        assert load(path).spec.labels == tuple("0123456789")
    assert "leave it out" in edgeport("export", tmp_path / "soft.keras", *arguments, "--overwrite", code=2).stderr


def test_classes_are_called_what_the_labels_say(edgeport, trained: Path, tmp_path: Path) -> None:
    small_model("softmax in dense").save(tmp_path / "small.keras")
    names = ["zero", "uno", "zwei", "trois", "fyra", "viisi", "sześć", "siete", "otto", "nine"]
    (tmp_path / "labels.txt").write_text("\n".join(names) + "\n", encoding="utf-8")
    arguments = ("--calibration", "mnist-5k", "--precisions", "float32", "--formats", "onnx")
    edgeport("export", tmp_path / "small.keras", *arguments, "-o", tmp_path / "a", "--labels", tmp_path / "labels.txt")
    assert load(tmp_path / "a" / "small.float32.onnx").spec.labels == tuple(names)
    for model, labels, complaint in (
        (tmp_path / "small.keras", "a,b,c", "--labels: got 3 for the output"),
        (tmp_path / "small.keras", "cat", "expected a file with one label a line, or labels between commas"),
        (tmp_path / "small.keras", "a,b,c,d,e,f,g,h,i,a", "the same label for two classes"),
        (tmp_path / "small.keras", "a,b,c,d,e,f,g,h,i,\x1b[2J", "without control characters"),
        (
            trained / "model.keras",
            ",".join(names),
            "got zero, uno, zwei, trois, fyra, viisi, sześć, siete, otto, nine, expected 0, 1, 2, 3, 4",
        ),
    ):
        ended = edgeport("export", model, *arguments, "-o", tmp_path / "b", "--labels", labels, code=2)
        assert complaint in ended.stderr
        assert len(ended.stderr.strip().splitlines()) == 1
        assert not (tmp_path / "b").exists()


def test_an_artefact_of_other_weights_is_not_delivered(trained: Path, tmp_path: Path, monkeypatch) -> None:
    source = load_source(trained / "model.keras")
    model = keras.models.load_model(trained / "model.keras")
    model.layers[-1].set_weights([weights[..., ::-1] for weights in model.layers[-1].get_weights()])
    other = load_source(model)
    convert = to_tflite.convert
    monkeypatch.setattr(
        to_tflite,
        "convert",
        lambda model, *, precision, **more: convert(
            other if precision == "int8" else model, precision=precision, **more
        ),
    )
    calibration = load_calibration("mnist-5k", inputs=source.inputs)
    manifest = export(source, tmp_path / "out", calibration, options=Options(precisions=("float32", "int8")))
    assert [(refusal.file, refusal.status) for refusal in manifest.refused] == [("classic.int8.tflite", "rejected")]
    assert "agreement" in manifest.refused[0].reason
    assert not (tmp_path / "out" / "classic.int8.tflite").exists()
    assert manifest_text(read_manifest(tmp_path / "out")) == manifest_text(manifest)


def test_what_misses_a_limit_is_kept_aside_on_request_alone(edgeport, trained: Path, tmp_path: Path) -> None:
    output = tmp_path / "out"
    arguments = ("export", trained / "model.keras", "-o", output, "--overwrite", "--precisions", "float32,int8")
    ended = edgeport(*arguments, "--require-sqnr", 100, code=1)
    assert "classic.int8.onnx        failed verification: SQNR" in ended.stdout
    assert "2 of 4 artefacts" in ended.stdout
    kept = {"classic.float32.tflite", "classic.float32.onnx", "manifest.json"}
    assert {path.name for path in output.iterdir()} == kept
    edgeport(*arguments, "--require-sqnr", 100, "--keep-rejected", code=1)
    aside = {"classic.int8.rejected.tflite", "classic.int8.rejected.onnx"}
    assert {path.name for path in output.iterdir()} == kept | aside
    assert "nothing of" in edgeport(*arguments, "--require-sqnr", 1000, code=2).stderr
    edgeport(*arguments)
    assert {path.name for path in output.iterdir()} == kept | {"classic.int8.tflite", "classic.int8.onnx"}


@pytest.mark.parametrize(
    ("name", "cut", "message"),
    [
        ("model.keras", 5_000, "truncated or no Keras model"),
        ("model.keras", 0, "truncated or no Keras model"),
        ("model.h5", 5_000, "truncated or no Keras model"),
        ("model.pt", 5_000, "ends with .keras, .h5 or .hdf5"),
        ("model", 5_000, "ends with .keras, .h5 or .hdf5"),
    ],
)
def test_what_is_no_model_is_reported(
    edgeport, trained: Path, tmp_path: Path, name: str, cut: int, message: str
) -> None:
    (tmp_path / name).write_bytes((trained / "model.keras").read_bytes()[:cut])
    ended = edgeport("export", tmp_path / name, "-o", tmp_path / "out", "--calibration", "mnist-5k", code=2)
    assert message in ended.stderr
    assert len(ended.stderr.strip().splitlines()) == 1
    assert not (tmp_path / "out").exists()


def test_a_model_alone_needs_to_be_told_its_data(edgeport, trained: Path, tmp_path: Path) -> None:
    (tmp_path / "model.keras").write_bytes((trained / "model.keras").read_bytes())
    ended = edgeport("export", tmp_path / "model.keras", "-o", tmp_path / "out", code=2)
    assert "--calibration" not in ended.stdout
    assert "give --calibration" in ended.stderr or "no training.json" in ended.stderr


def test_another_model_beside_the_record_is_not_taken_for_the_recorded_one(trained: Path, tmp_path: Path) -> None:
    for name in ("model.keras", "training.json"):
        shutil.copy(trained / name, tmp_path / name)
    assert load_source(tmp_path / "model.keras").labels == tuple("0123456789")
    small_model("logits").save(tmp_path / "other.keras")
    assert (load_source(tmp_path / "other.keras").name, load_source(tmp_path / "other.keras").labels) == ("other", ())


def test_a_manifest_that_was_edited_removes_no_other_file(edgeport, exported: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(exported, tmp_path / "out")
    (folder / "notes.txt").write_text("mine")
    manifest = (folder / "manifest.json").read_text().replace("classic.int8.onnx", "notes.txt")
    (folder / "manifest.json").write_text(manifest)
    edgeport("export", exported.parent / "train" / "model.keras", "-o", folder, "--overwrite")
    assert (folder / "notes.txt").read_text() == "mine"


def test_paths_are_printed_as_they_are(edgeport, exported: Path, tmp_path: Path) -> None:
    folder = tmp_path / "a[bold]b[/x] :smile:"
    printed = edgeport("export", exported.parent / "train" / "model.keras", "-o", folder).stdout
    assert f"Next: edgeport benchmark '{folder}'" in printed
