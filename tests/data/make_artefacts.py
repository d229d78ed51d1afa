"""Make the small artefacts in this folder: python tests/data/make_artefacts.py

A CNN of about 1,500 parameters, trained for a few epochs on mnist-5k and exported as any model is. Beside its
four artefacts and their manifest stands golden.npz: 20 test digits, and the answers that the files gave when they
were made.
"""

import shutil
import tempfile
from pathlib import Path

import keras
import numpy as np
from rich.console import Console

from edgeport.export import Options, export, load_calibration, load_source
from edgeport.runtime import load
from edgeport.train import Recipe, Run, fit, load_dataset

HERE = Path(__file__).parent


def build() -> keras.Model:
    """Return a CNN that is small enough to commit four times."""
    return keras.Sequential(
        [
            keras.Input((28, 28, 1), name="image"),
            keras.layers.Rescaling(1 / 255),
            keras.layers.Conv2D(8, 4, strides=4, activation="relu"),
            keras.layers.Conv2D(12, 3, padding="same", activation="relu"),
            keras.layers.MaxPooling2D(),
            keras.layers.Flatten(),
            keras.layers.Dense(10, activation="softmax", name="probabilities"),
        ],
        name="tiny",
    )


def main() -> None:
    """Train, export, and record the answers."""
    dataset = load_dataset("mnist-5k")
    recipe = Recipe(epochs=12, rotation=0, scaling=0, shear=0, shift=0)
    console = Console()
    with tempfile.TemporaryDirectory() as folder:
        run = Run("tiny", dataset, recipe, seed=0)
        model = fit(run, build, state=Path(folder, "state"), on_epoch=console.print).model
        model.save(Path(folder, "tiny.keras"))
        source = load_source(Path(folder, "tiny.keras"))
        calibration = load_calibration("mnist-5k", inputs=source.inputs)
        export(source, Path(folder, "export"), calibration, options=Options(precisions=("float32", "int8")))
        for path in Path(folder, "export").iterdir():
            shutil.copy(path, HERE / path.name)
        images = dataset.test.samples[:20, ..., 0]
        answers = {path.name: load(path).predict(images) for path in sorted(HERE.glob("tiny.*"))}
        keras_answers = model.predict(images[..., None].astype(np.float32), verbose=0)
        np.savez_compressed(HERE / "golden.npz", images=images, keras=keras_answers, **answers)


if __name__ == "__main__":
    main()
