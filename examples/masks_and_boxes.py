"""Train a segmentation and a detector on scenes that are composed from the installed digits.

Run it with: python examples/masks_and_boxes.py masks|boxes -o runs/masks [--epochs 10] [--scenes 4000]
"""

import argparse
from pathlib import Path

import keras
import numpy as np
from keras import layers, ops
from PIL import Image

from edgeport.train.datasets.named import load_data

CELLS = 6  # the detector answers once for each of 6 x 6 cells
# The middle of each cell, twice: what a box's top and left, bottom and right are counted from.
MIDDLES = np.tile((np.stack(np.mgrid[:CELLS, :CELLS], -1).reshape(-1, 2) + 0.5) / CELLS, 2).astype(np.float32)


def features(scene: keras.KerasTensor, *widths: int) -> list[keras.KerasTensor]:
    """Return what convolutions see at each scale, the finest first."""
    hidden, seen = layers.Rescaling(1 / 255)(scene), []
    for number, width in enumerate(widths):
        hidden = layers.Conv2D(width, 3, strides=2 if number else 1, padding="same", use_bias=False)(hidden)
        hidden = layers.ReLU()(layers.BatchNormalization(momentum=0.9)(hidden))
        seen.append(hidden)
    return seen


def segmentation() -> tuple[keras.Model, str]:
    """Return a small U-Net, a class for each pixel and 0 where there is no digit, and its loss."""
    scene = keras.Input((48, 48, 1), name="scene")
    fine, middle, coarse, deep = features(scene, 8, 16, 32, 64)
    hidden = layers.Concatenate()([coarse, layers.UpSampling2D()(deep)])
    hidden = layers.Conv2D(32, 3, padding="same", activation="relu")(hidden)
    hidden = layers.Concatenate()([middle, layers.UpSampling2D()(hidden)])
    hidden = layers.Conv2D(24, 3, padding="same", activation="relu")(hidden)
    hidden = layers.Concatenate()([fine, layers.UpSampling2D()(hidden)])
    return keras.Model(
        scene, layers.Conv2D(11, 1, activation="softmax", name="mask")(hidden)
    ), "sparse_categorical_crossentropy"


def detector() -> tuple[keras.Model, dict[str, object]]:
    """Return a detector, a box (top, left, bottom, right) and ten scores for each cell, and its losses."""
    scene = keras.Input((48, 48, 1), name="scene")
    seen = layers.Conv2D(96, 3, padding="same", activation="relu")(features(scene, 16, 32, 48, 64)[-1])
    boxes = layers.Reshape((CELLS**2, 4))(layers.Conv2D(4, 1)(seen)) + MIDDLES
    scores = layers.Reshape((CELLS**2, 10), name="scores")(layers.Conv2D(10, 1, activation="sigmoid")(seen))

    def distance(true: keras.KerasTensor, answered: keras.KerasTensor) -> keras.KerasTensor:
        """Count only those cells that a digit has its middle in."""
        there = ops.cast(true[..., :1] >= 0, "float32")
        return 10 * ops.sum(there * ops.abs(true - answered)) / (4 * ops.sum(there) + 1)

    return keras.Model(scene, {"boxes": boxes, "scores": scores}), {
        "boxes": distance,
        "scores": "binary_focal_crossentropy",
    }


def cells_of(boxes: np.ndarray) -> dict[str, np.ndarray]:
    """Return what each cell shall answer to rows of (class, top, left, bottom, right), shares of the scene."""
    answers = {
        "boxes": np.full((len(boxes), CELLS**2, 4), -1, np.float32),
        "scores": np.zeros((len(boxes), CELLS**2, 10), np.float32),
    }
    for number, (digit, *corners) in (
        (number, row) for number, rows in enumerate(boxes) for row in rows if row[0] >= 0
    ):
        row, column = (int(CELLS * (corners[at] + corners[at + 2]) / 2) for at in (0, 1))
        answers["boxes"][number, CELLS * row + column] = corners
        answers["scores"][number, CELLS * row + column, int(digit)] = 1
    return answers


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("task", choices=["masks", "boxes"])
    parser.add_argument("-o", "--output", type=Path, required=True)
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--scenes", type=int, default=4_000, help="how many to learn from")
    arguments = parser.parse_args()
    arguments.output.mkdir(parents=True, exist_ok=True)
    keras.utils.set_random_seed(0)
    parts = load_data(f"digits:{arguments.task}").parts
    train = parts["train"]
    (scenes,), (unseen,) = train.inputs.values(), parts["test"].inputs.values()
    scenes, targets = scenes[: arguments.scenes], train.targets[: arguments.scenes]
    Image.fromarray(unseen[0, :, :, 0]).save(arguments.output / "scene.png")
    model, loss = segmentation() if arguments.task == "masks" else detector()
    model.compile(keras.optimizers.Adam(0.003), loss)
    wanted = targets if arguments.task == "masks" else cells_of(targets)
    model.fit(scenes, wanted, epochs=arguments.epochs, batch_size=64, verbose=2)
    model.save(arguments.output / "model.keras")
