"""What comes out of a model: each output keeps its name, its meaning, and what the command line shows of it."""

from pathlib import Path

import keras
import numpy as np
import onnx
import pytest
from ai_edge_litert.interpreter import Interpreter
from keras import layers

from edgeport.export import Manifest, Options, export_model
from edgeport.runtime import load

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
