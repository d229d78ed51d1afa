"""What comes out of a model: each output keeps its name, its meaning, and what the command line shows of it."""

import json
from pathlib import Path

import keras
import numpy as np
import onnx
import pytest
from ai_edge_litert.interpreter import Interpreter
from keras import layers
from PIL import Image

from edgeport.export import Manifest, Options, export_model, load_calibration, load_source
from edgeport.export.manifest import read_manifest
from edgeport.export.verification.reference import Reference
from edgeport.runtime import InputError, load

RANDOM = np.random.default_rng(0)


def names_in(path: Path) -> list[set[str]]:
    """Return what a file calls its outputs, in each place where it does."""
    if path.suffix == ".onnx":
        return [{each.name for each in onnx.load(path).graph.output}]
    interpreter = Interpreter(str(path))
    signatures = interpreter.get_signature_list().values()
    return [
        {each["name"] for each in interpreter.get_output_details()},
        *(set(signature["outputs"]) for signature in signatures),
    ]


def exported(model: keras.Model, folder: Path, samples: object, **arguments: object) -> Manifest:
    options = arguments.pop("options", Options())
    return export_model(model, folder, calibration=samples, name="model", options=options, **arguments)


def two_heads() -> keras.Model:
    x = keras.Input((6,), name="x")
    hidden = layers.Dense(8, activation="relu", name="hidden")(x)
    scores = layers.Dense(3, activation="softmax", name="scores")(hidden)
    return keras.Model(x, {"scores": scores, "alarm": layers.Dense(1, activation="sigmoid", name="alarm")(hidden)})


def softmax_that_is_used_again() -> keras.Model:
    """The logits take the name of their softmax, which another output still needs."""
    x = keras.Input((6,), name="x")
    shares = layers.Dense(3, activation="softmax", name="shares")(x)
    return keras.Model(x, {"shares": shares, "best": layers.Dense(2, name="best")(shares)})


def loop_in_front() -> keras.Model:
    x = keras.Input((5, 3), name="x")
    return keras.Model(x, layers.Dense(3, activation="softmax", name="scores")(layers.GRU(4)(x)))


def columns_of_other_sizes() -> keras.Model:
    x = keras.Input((4,), name="x")
    normal = layers.Normalization(mean=[0.5, 500, 5e4, 0], variance=[0.08, 8e4, 8e8, 1])(x)
    return keras.Model(x, layers.Dense(3, activation="softmax", name="scores")(normal))


@pytest.mark.parametrize(
    "build",
    [two_heads, softmax_that_is_used_again, loop_in_front, columns_of_other_sizes],
    ids=lambda each: each.__name__,
)
def test_outputs_keep_their_names_in_every_file(build: object, tmp_path: Path) -> None:
    keras.utils.set_random_seed(0)
    model = build()
    samples = np.random.default_rng(0).normal(size=(200, *model.input_shape[1:])).astype(np.float32)
    if build is columns_of_other_sizes:
        samples = np.random.default_rng(0).random((200, 4)).astype(np.float32) * np.float32([1, 1e3, 1e5, 1])
    manifest = exported(model, tmp_path / "out", samples, options=Options(keep_rejected=True))
    expected = set(model.output_names)
    assert len(manifest.artefacts) >= 8, manifest.refused
    reference = dict(zip(model.output_names, keras.tree.flatten(model.predict(samples[:4], verbose=0)), strict=True))
    for artefact in manifest.artefacts:
        path = tmp_path / "out" / artefact.file
        found = names_in(path)
        assert all(names == expected for names in found), (artefact.file, found)
        assert {each.name for each in artefact.outputs} == expected
        predictor = load(path)
        assert {each.name for each in predictor.spec.metadata.outputs} == expected
        answers = predictor.answer({"x": samples[:4]})
        for name, truth in reference.items():
            np.testing.assert_allclose(answers[name], truth, atol=1e-5 if "float32" in artefact.file else 0.1)


def ending_in(
    shape: tuple[int, ...], activation: str | None, *, name: str = "y", integers: bool = False
) -> keras.Model:
    """Return a model with one output of that shape, batch aside, whose values are nothing in particular."""
    x = keras.Input((4,), name="x")
    y = layers.Reshape(shape)(layers.Dense(int(np.prod(shape)))(x))
    y = layers.Activation(activation, name="y")(y) if activation else layers.Identity(name="y")(y)
    return keras.Model(x, keras.ops.cast(y, "int32") if integers else y)


@pytest.mark.parametrize(
    ("shape", "activation", "kind"),
    [
        ((3,), "softmax", "classes"),
        ((1,), "softmax", "any"),
        ((3,), "sigmoid", "labels"),
        ((1,), "sigmoid", "yes-no"),
        ((4, 4, 3), "softmax", "map"),
        ((4, 4, 1), "sigmoid", "map"),
        ((4, 3), "softmax", "any"),
        ((3,), None, "any"),
        ((1,), None, "any"),
        ((3,), "tanh", "any"),
    ],
)
def test_the_end_of_the_graph_says_what_an_output_is(shape: tuple[int, ...], activation: str, kind: str) -> None:
    (output,) = load_source(ending_in(shape, activation)).outputs
    assert (output.kind, output.columns, output.units) == (kind, (), ())


def test_a_softmax_in_a_nested_model_or_of_the_runtime_decides_too() -> None:
    x = keras.Input((4,))
    assert load_source(keras.Model(x, ending_in((3,), "softmax")(x))).outputs[0].kind == "classes"
    assert load_source(ending_in((3,), None), activation="sigmoid").outputs[0].kind == "labels"
    assert load_source(ending_in((1,), None), activation="sigmoid").outputs[0].kind == "yes-no"


def reshaped(head: layers.Layer, *after: layers.Layer) -> keras.Model:
    x = keras.Input((8, 8, 3), name="x")
    y = head(x)
    for layer in after:
        y = layer(y)
    return keras.Model(x, y)


@pytest.mark.parametrize(
    ("model", "expected"),
    [
        (lambda: reshaped(layers.Conv2D(1, 8, activation="sigmoid"), layers.Flatten()), ("sigmoid", "yes-no")),
        (lambda: reshaped(layers.Conv2D(1, 8, activation="sigmoid"), layers.Reshape(())), ("sigmoid", "yes-no")),
        (
            lambda: reshaped(layers.Conv2D(4, 1), layers.Reshape((64, 4)), layers.Softmax(), layers.Reshape((8, 8, 4))),
            ("softmax", "map"),
        ),
        # The sum of a row is no 1 any more.
        (lambda: reshaped(layers.Conv2D(4, 1), layers.Softmax(), layers.Flatten()), ("none", "any")),
        (lambda: reshaped(layers.Conv2D(4, 1), layers.Softmax(), layers.Permute((3, 1, 2))), ("none", "any")),
        (lambda: reshaped(layers.Conv2D(4, 1), layers.Softmax(axis=1)), ("none", "any")),
    ],
)
def test_a_changed_shape_hides_no_ending_and_invents_none(model: object, expected: tuple[str, str]) -> None:
    (output,) = load_source(model()).outputs
    assert (output.ending, output.kind) == expected


def test_what_is_no_probability_cannot_be_yes_or_labels(tmp_path: Path) -> None:
    x = keras.Input((4,), name="x")
    model = keras.Model(x, layers.Dense(1, kernel_initializer="ones", name="y")(x))
    samples = np.linspace(-2, 2, 400, dtype=np.float32).reshape(100, 4)
    with pytest.raises(
        InputError, match=r"y=yes-no: got answers from -.* expected probabilities from 0 to 1.*--activation sigmoid"
    ):
        exported(model, tmp_path / "out", samples, outputs=["yes-no"])
    assert not (tmp_path / "out").exists()
    manifest = exported(
        model, tmp_path / "out", samples, activation="sigmoid", options=Options(precisions=("float32",))
    )
    assert manifest.outputs[0].kind == "yes-no"


def test_an_output_that_could_be_the_scores_of_classes_is_asked_about(tmp_path: Path) -> None:
    model = keras.Sequential([keras.Input((28, 28, 1)), layers.Rescaling(1 / 255), layers.Flatten(), layers.Dense(10)])
    options = Options(precisions=("float32",), formats=("onnx",))
    with pytest.warns(UserWarning, match="has a column for each of the 10 classes of mnist-5k, but no softmax"):
        manifest = exported(model, tmp_path / "out", "mnist-5k", options=options)
    assert (manifest.outputs[0].kind, manifest.outputs[0].columns) == ("any", ())
    name = manifest.outputs[0].name
    manifest = exported(model, tmp_path / "b", "mnist-5k", options=options, outputs=[f"{name}=classes"])
    assert manifest.outputs[0].columns == tuple("0123456789")
    assert not any("softmax" in warning for warning in manifest.warnings)


@pytest.mark.parametrize(
    ("shape", "activation", "said", "labels", "expected"),
    [
        ((2,), None, ["values:degC"], (), ("values", (), ("degC", "degC"))),
        ((2,), None, ["y=values:lat=deg,long=m/s"], (), ("values", ("lat", "long"), ("deg", "m/s"))),
        ((2,), "sigmoid", ["values"], ("x", "y"), ("values", ("x", "y"), ())),
        ((2,), None, [], ("cat", "dog"), ("classes", ("cat", "dog"), ())),
        ((2,), "sigmoid", [], ("sun", "sea"), ("labels", ("sun", "sea"), ())),
        ((1,), "sigmoid", [], ("no", "yes"), ("yes-no", ("no", "yes"), ())),
        ((3,), "softmax", ["any"], (), ("any", (), ())),
        ((8, 8), None, ["map"], (), ("map", (), ())),
        ((8, 4), None, ["boxes"], (), ("boxes", ("ymin", "xmin", "ymax", "xmax"), ("share",) * 4)),
        ((8, 4), None, ["boxes:cx,cy,w,h:pixels"], (), ("boxes", ("cx", "cy", "w", "h"), ("pixels",) * 4)),
    ],
)
def test_what_somebody_says_of_an_output_counts(
    shape: tuple[int, ...], activation: str | None, said: list[str], labels: tuple[str, ...], expected: tuple
) -> None:
    (output,) = load_source(ending_in(shape, activation), outputs=said, labels=labels).outputs
    assert (output.kind, output.columns, output.units) == expected


def test_numbers_of_classes_may_have_any_number_of_names() -> None:
    (output,) = load_source(ending_in((1,), None, integers=True), labels=("a", "b", "c")).outputs
    assert (output.kind, output.columns) == ("classes", ("a", "b", "c"))
    assert load_source(ending_in((1,), None, integers=True)).outputs[0].kind == "any"


@pytest.mark.parametrize(
    ("shape", "activation", "said", "labels", "message"),
    [
        ((3,), "softmax", ["z=classes"], (), "--outputs: got the output 'z', expected one of y"),
        ((3,), "softmax", ["y=sounds"], (), "expected NAME=KIND with one of the kinds classes, labels"),
        ((3,), "softmax", ["y"], (), "expected NAME=KIND"),
        ((3,), "softmax", ["classes", "y=any"], (), "got the output y twice"),
        ((3,), "softmax", ["yes-no"], (), r"got yes-no for the output y float32 \(n, 3\), expected one probability"),
        ((1,), "sigmoid", ["classes"], (), "expected scores of 2 or more classes"),
        ((3,), "softmax", ["labels"], (), "got labels for the output y float32 .n, 3., which ends in a softmax"),
        ((3,), None, ["map"], (), "expected an answer for each place"),
        ((3,), None, ["boxes"], (), "expected four real numbers for each box"),
        ((8, 4), None, ["boxes:a,b,c,d"], (), "expected boxes, or boxes:ORDER:UNIT"),
        ((3,), None, ["values:m,s"], (), "got 2 units for the output y"),
        ((3,), None, ["values:a=m,s,b=m"], (), "got names for some of the columns"),
        ((3,), None, ["classes:m"], (), "got 'm' after classes"),
        ((3,), None, ["values:a=m,b=m,c=m"], ("a", "b", "d"), "where --outputs says a"),
        ((3,), "softmax", [], ("a", "b"), "got 2 for the output y"),
        ((1,), "sigmoid", [], ("a", "b", "c"), "expected two, for no and yes"),
        ((3,), None, [], ("a", "b", "a"), "got the same label for two"),
        ((3,), None, [], {"z": ("a", "b", "c")}, "--labels: got the output 'z', expected one of y"),
    ],
)
def test_what_cannot_be_is_one_line_before_any_work(
    shape: tuple[int, ...], activation: str | None, said: list[str], labels: object, message: str
) -> None:
    with pytest.raises(InputError, match=message):
        load_source(ending_in(shape, activation), outputs=said, labels=labels)


def first_two_decide(order: tuple[int, ...] = (0, 1)) -> keras.Model:
    """Return a model of fixed weights: column ``order[k]`` is the largest where x[k] is."""
    x = keras.Input((3,), name="x")
    dense = layers.Dense(2, activation="softmax", name="scores")
    model = keras.Model(x, dense(x))
    dense.set_weights([np.concatenate([20 * np.eye(2)[list(order)], np.zeros((1, 2))]), np.zeros(2)])
    return model


def data_of_two(folder: Path, first: str = "cat", second: str = "dog") -> Path:
    """Return samples of two classes, each with its own large number."""
    x = RANDOM.normal(size=(200, 3)).astype(np.float32)
    np.savez(folder / "data.npz", x=x, y=np.array([first, second])[x[:, :2].argmax(axis=1)])
    return folder / "data.npz"


def test_names_of_the_data_are_taken_and_said(edgeport, tmp_path: Path) -> None:
    first_two_decide().save(tmp_path / "a.keras")
    arguments = ("--precisions", "float32", "--formats", "tflite", "--calibration", data_of_two(tmp_path))
    ended = edgeport("export", tmp_path / "a.keras", *arguments, "-o", tmp_path / "out")
    assert (
        f"Columns of scores: cat, dog, as {tmp_path / 'data.npz'} has them in this order; --labels gives"
        in ended.stdout
    )
    assert load(tmp_path / "out" / "a.float32.tflite").spec.labels == ("cat", "dog")


def test_names_in_another_order_than_the_answers_stop_or_are_said(tmp_path: Path) -> None:
    arguments = {"options": Options(("tflite",), ("float32",)), "on_warning": (found := []).append}
    model, data = first_two_decide((1, 0)), data_of_two(tmp_path)
    with pytest.raises(InputError, match=r"held-out samples of the class cat .* are answered with column 1 of scores"):
        exported(model, tmp_path / "a", data, **arguments)
    assert not (tmp_path / "a").exists()
    # Who says it may have samples that the model has not learned.
    manifest = exported(model, tmp_path / "b", data, labels=("cat", "dog"), **arguments)
    assert "another order than --labels says" in " ".join(found)
    assert "another order than --labels says" in " ".join(manifest.warnings)
    found.clear()
    assert exported(model, tmp_path / "c", data, labels=("dog", "cat"), **arguments).labels == ("dog", "cat")
    assert not found


@pytest.mark.parametrize(
    ("data", "labels", "message"),
    [
        (("cat", "cow"), ("cat", "dog"), "got the classes cat, cow, expected those of the model, cat, dog .--labels"),
        (None, ("cat", "dog"), "got the class number 2, expected 0 to 1"),
        (("cat", "cow", "dog"), (), r"got 3 classes .cat, cow, dog., expected 2 at most"),
    ],
)
def test_classes_of_the_data_that_the_model_does_not_have_stop(
    data: tuple[str, ...] | None, labels: tuple[str, ...], message: str, tmp_path: Path
) -> None:
    targets = np.arange(60) % len(data or "abc")
    np.savez(tmp_path / "d.npz", x=np.ones((60, 3)) * targets[:, None], y=np.array(data)[targets] if data else targets)
    with pytest.raises(InputError, match=message):
        exported(first_two_decide(), tmp_path / "out", tmp_path / "d.npz", labels=labels)
    assert not (tmp_path / "out").exists()


def test_classes_that_the_data_lack_are_said(tmp_path: Path) -> None:
    x = keras.Input((3,), name="x")
    model = keras.Model(x, layers.Dense(3, activation="softmax", name="scores")(x))
    arguments = {"options": Options(("tflite",), ("float32",)), "on_warning": (found := []).append}
    assert exported(model, tmp_path / "a", data_of_two(tmp_path), **arguments).labels == ()
    assert "has the 2 classes cat, dog, and the output scores 3 of them: none is named" in " ".join(found)
    exported(model, tmp_path / "b", data_of_two(tmp_path), labels=("cat", "cow", "dog"), **arguments)
    assert "has no samples of the classes cow" in " ".join(found)


def test_a_training_record_says_that_classes_exclude_each_other(tmp_path: Path) -> None:
    first_two_decide().save(tmp_path / "model.keras")
    record = {
        "schema": 1,
        "model": "m",
        "dataset": {"name": "d", "sha256": "0", "labels": ["cat", "dog"]},
        "input": "real",
    }
    (tmp_path / "training.json").write_text(json.dumps(record))
    assert load_source(tmp_path / "model.keras").named_by == "training.json"
    with pytest.raises(InputError, match=r"got values for the output scores, expected classes, as the training.json"):
        load_source(tmp_path / "model.keras", outputs=["values"])
    with pytest.raises(InputError, match=r"got the classes ant, bee, expected those of the model, cat, dog .training"):
        export_model(tmp_path / "model.keras", tmp_path / "out", calibration=data_of_two(tmp_path, "ant", "bee"))
    record["dataset"]["labels"] = ["ant", "bee", "cat"]
    (tmp_path / "training.json").write_text(json.dumps(record))
    with pytest.raises(InputError, match="has the 3 classes ant, bee, cat, and the output scores"):
        load_source(tmp_path / "model.keras")


def test_manifest_and_files_say_what_the_outputs_are(tmp_path: Path) -> None:
    model = two_heads()
    samples = np.random.default_rng(0).normal(size=(100, 6)).astype(np.float32)
    manifest = exported(
        model,
        tmp_path / "out",
        samples,
        options=Options(precisions=("float32", "int8"), keep_rejected=True),
        outputs=["alarm=values:share"],
        labels={"scores": ("a", "b", "c")},
    )
    expected = {
        "scores": ("softmax", "classes", ("a", "b", "c"), ()),
        "alarm": ("sigmoid", "values", (), ("share",)),
    }
    described = [
        manifest.outputs,
        *(load(tmp_path / "out" / each.file).spec.metadata.outputs for each in manifest.artefacts),
    ]
    for outputs in described:
        assert {each.name: (each.ending, each.kind, each.columns, each.units) for each in outputs} == expected
    assert read_manifest(tmp_path / "out").outputs == manifest.outputs
    activations = {each.file: each.activations for each in manifest.artefacts}
    order = [each.name for each in manifest.outputs]
    assert activations["model.float32.tflite"] == ("none", "none")
    assert activations["model.int8.tflite"] == tuple(expected[name][0] for name in order)
    # Values are no decisions, so that the classes alone count.
    assert all(each.verified.agreement is not None for each in manifest.artefacts)


def disc(seed: int) -> np.ndarray:
    """Return a picture of 24x24 with a bright disc."""
    random = np.random.default_rng(seed)
    y, x = np.mgrid[:24, :24]
    picture = random.integers(0, 90, (24, 24, 3), np.uint8)
    picture[(y - random.integers(8, 16)) ** 2 + (x - random.integers(8, 16)) ** 2 < 30] = random.integers(150, 256, 3)
    return picture


def with_head(*heads: layers.Layer) -> keras.Model:
    image = keras.Input((24, 24, 3), name="image")
    hidden = layers.Conv2D(8, 3, strides=2, activation="relu")(layers.Rescaling(1 / 127.5, offset=-1)(image))
    hidden = layers.Flatten()(hidden)
    return keras.Model(image, [head(hidden) for head in heads] if len(heads) > 1 else heads[0](hidden))


def small_unet() -> keras.Model:
    image = keras.Input((24, 24, 3), name="image")
    wide = layers.Conv2D(6, 3, padding="same", activation="relu")(layers.Rescaling(1 / 255)(image))
    narrow = layers.Conv2D(8, 3, padding="same", activation="relu")(layers.MaxPooling2D()(wide))
    up = layers.Conv2DTranspose(6, 2, strides=2, activation="relu")(narrow)
    both = layers.Conv2D(6, 3, padding="same", activation="relu")(layers.Concatenate()([up, wide]))
    return keras.Model(image, layers.Conv2D(3, 1, activation="softmax", name="mask")(both))


TASKS = {
    "softmax": (lambda: with_head(layers.Dense(4, activation="softmax", name="animal")), {"labels": "cat,dog,cow,hen"}),
    "sigmoid": (lambda: with_head(layers.Dense(1, activation="sigmoid", name="alarm")), {}),
    "multi-label": (lambda: with_head(layers.Dense(5, activation="sigmoid", name="tags")), {}),
    "regression": (lambda: with_head(layers.Dense(2, name="pose")), {"outputs": "values:x=px,y=px"}),
    "mask": (small_unet, {"labels": "ground,disc,edge"}),
    "two": (
        lambda: with_head(
            layers.Dense(3, activation="softmax", name="animal"), layers.Dense(1, name="temperature")
        ),
        {"outputs": "temperature=values:degC"},
    ),
}  # fmt: skip


def numbers_of(answer: dict, names: list[str]) -> np.ndarray:
    """Return all numbers that predict says of an output, in the model's order."""
    if answer.get("file"):
        return np.load(answer["file"], allow_pickle=False)
    if "probability" in answer:
        return np.array([answer["probability"]])
    if "probabilities" in answer:
        return np.array([answer["probabilities"][name] for name in names])
    return np.array(answer["values"])


@pytest.mark.parametrize("task", TASKS)
def test_what_predict_says_of_files_is_what_keras_says(task: str, edgeport: object, tmp_path: Path) -> None:
    keras.utils.set_random_seed(3)
    build, said = TASKS[task]
    model = build()
    pictures = np.stack([disc(seed) for seed in range(4)])
    files = [tmp_path / f"p{place}.png" for place in range(len(pictures))]
    for path, picture in zip(files, pictures, strict=True):
        keras.utils.save_img(path, picture, scale=False)
    expected = dict(
        zip(model.output_names, keras.tree.flatten(model.predict(pictures.astype("float32"), verbose=0)), strict=True)
    )
    labels = {"labels": said["labels"].split(",")} if "labels" in said else {}
    options = Options(precisions=("float32",))
    outputs = {"outputs": [said["outputs"]]} if "outputs" in said else {}
    manifest = exported(
        model, tmp_path / "out", np.stack([disc(seed) for seed in range(50)]), options=options, **labels, **outputs
    )
    for artefact in manifest.artefacts:
        shown = tmp_path / artefact.format
        ended = edgeport("predict", tmp_path / "out" / artefact.file, *files, "--json", "-o", shown)
        lines = [json.loads(line) for line in ended.stdout.splitlines()]
        assert [line["sample"] for line in lines] == [str(path) for path in files]
        for port in manifest.outputs:
            names = list(port.columns) or [str(place) for place in range(expected[port.name].shape[-1])]
            found = np.stack([numbers_of(line["outputs"][port.name], names) for line in lines])
            np.testing.assert_allclose(found, expected[port.name], atol=2e-6, rtol=1e-5)
        if task == "mask":
            for path, truth in zip(files, expected["mask"].argmax(axis=-1), strict=True):
                with Image.open(shown / f"{path.stem}.mask.png") as picture:
                    # Where two classes are all but equally probable, either is right.
                    assert (np.array(picture) == truth).mean() > 0.999


def test_how_an_output_is_judged_follows_what_it_means(tmp_path: Path) -> None:
    x = keras.Input((8, 8, 3), name="x")
    flat = layers.Flatten()(x)
    model = keras.Model(
        x,
        {
            "animal": layers.Dense(3, activation="softmax", name="animal")(flat),
            "box": layers.Reshape((2, 4), name="box")(layers.Dense(8, activation="sigmoid")(flat)),
            "angle": layers.Dense(1, activation="sigmoid", name="angle")(flat),
            "tags": layers.Reshape((2,), name="tags")(layers.Dense(2, activation="sigmoid")(flat)),
            "raw": layers.Dense(2, name="raw")(flat),
            "scores": layers.Dense(2, name="scores")(flat),
        },
    )
    source = load_source(model, outputs=["angle=values", "scores=classes"])
    samples = load_calibration(RANDOM.normal(size=(40, 8, 8, 3)).astype(np.float32), inputs=source.inputs, count=20)
    assert Reference(source, samples).decisions == {
        "animal": "largest", "tags": "half", "scores": "largest",
    }  # fmt: skip
