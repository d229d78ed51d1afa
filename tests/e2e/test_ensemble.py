"""Several models as one teacher."""

from pathlib import Path

import keras
import numpy as np

from edgeport.train import build_model

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "lab" / "family" / "ensemble.py"


def test_it_gives_the_mean_of_their_answers_and_refuses_what_does_not_fit(edgeport, tmp_path: Path) -> None:
    models = [build_model("edge-10k", image_shape=(28, 28, 1), class_count=10) for _ in range(2)]
    paths = [tmp_path / f"{number}.keras" for number in range(2)]
    for model, path in zip(models, paths, strict=True):
        model.save(path)
    output = tmp_path / "new" / "teacher.keras"
    ended = edgeport(SCRIPT, *paths, "-o", output)
    assert "--teacher" in ended.stdout
    pixels = np.random.default_rng(0).integers(0, 256, (5, 28, 28, 1)).astype("float32")
    mean = sum(model.predict(pixels, verbose=0) for model in models) / 2
    together = keras.models.load_model(output, compile=False)
    assert np.abs(models[0].predict(pixels, verbose=0) - mean).max() > 1e-3
    np.testing.assert_allclose(together.predict(pixels, verbose=0), mean, atol=1e-6)

    build_model("edge-10k", image_shape=(28, 28, 1), class_count=7).save(tmp_path / "other.keras")
    image = keras.Input((28, 28, 1))
    keras.Model([image, keras.Input((3,))], models[0](image)).save(tmp_path / "two.keras")
    for arguments, words in (
        ((paths[0], tmp_path / "two.keras", "-o", tmp_path / "x.keras"), "expected one input and one output"),
        ((paths[0], tmp_path / "other.keras", "-o", tmp_path / "x.keras"), "gives (7,), expected"),
        ((paths[0], "-o", tmp_path / "x.keras"), "expected two or more"),
        ((*paths, "-o", output), "expected the name of a new .keras file"),
        ((paths[0], tmp_path / "none.keras", "-o", tmp_path / "x.keras"), "none.keras: No such file"),
    ):
        ended = edgeport(SCRIPT, *arguments, code=2)
        assert words in ended.stderr
        assert len(ended.stderr.strip().splitlines()) == 1, ended.stderr
    assert not (tmp_path / "x.keras").exists()
