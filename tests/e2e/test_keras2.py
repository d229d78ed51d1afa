"""What TensorFlow 2.15 has saved: files, and a SavedModel with an optimizer that TensorFlow cannot rebuild today."""

from pathlib import Path

import numpy as np
import pytest

from edgeport.export import Options, load_source, read_manifest
from edgeport.runtime import load
from edgeport.runtime.artefact.precisions import PRECISIONS

DATA = Path(__file__).parents[1] / "data"


@pytest.mark.parametrize("name", ["keras2_saved_model", "keras2.h5"])
def test_a_model_of_keras_2_is_exported_in_every_precision(edgeport, name: str, tmp_path: Path) -> None:
    golden = np.load(DATA / "keras2.npz")
    np.save(tmp_path / "digits.npy", np.tile(golden["images"], (10, 1, 1, 1)))
    edgeport("export", DATA / name, "-o", tmp_path / "out", "--calibration", tmp_path / "digits.npy")
    manifest = read_manifest(tmp_path / "out")
    assert len(manifest.artefacts) == len(Options().variants)
    limits = {precision.name: precision.limits.error for precision in PRECISIONS.values()}
    for artefact in manifest.artefacts:
        # The answers are those that TensorFlow 2.15 gave when it saved the model.
        answers = load(tmp_path / "out" / artefact.file).predict(golden["images"])
        assert np.abs(answers - golden["answers"]).max() <= min(limits[artefact.precision], 0.05), artefact.file
    assert manifest.artefacts[0].activations == ("none",)
    assert load(tmp_path / "out" / f"{manifest.name}.int8.tflite").spec.metadata.outputs[0].activation == "softmax"


def test_a_saved_model_has_one_digest_wherever_it_lies(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(DATA / "keras2_saved_model")
    assert load_source(tmp_path / "link").opened.sha256 == load_source(DATA / "keras2_saved_model").opened.sha256
