"""Make a small MobileNetV2 for a folder of class folders, and compose such a folder if there is none.

Run it with: python examples/photos.py -o runs/photos [--data YOUR_FOLDER]
"""

import argparse
from pathlib import Path

import keras
import numpy as np
from PIL import Image, ImageDraw

SIZE = 48
COLOURS = {"grass": (60, 160, 70), "sand": (220, 190, 120), "water": (40, 90, 190)}


def compose(folder: Path, *, count: int = 120) -> None:
    """Write photos of a ground with things on it, of different sizes, a folder for each class."""
    random = np.random.default_rng(0)
    for name, colour in COLOURS.items():
        (folder / name).mkdir(parents=True)
        for number in range(count):
            width, height = random.integers(60, 140, 2)
            picture = Image.fromarray(
                np.clip(random.normal(colour, 20, (height, width, 3)), 0, 255).astype(np.uint8), "RGB"
            )
            left, top = random.integers(0, 40, 2)
            ImageDraw.Draw(picture).ellipse((left, top, left + 15, top + 15), fill=tuple(random.integers(0, 255, 3)))
            picture.save(folder / name / f"{name}-{number:03}.jpg")


def mobilenet(classes: int) -> keras.Model:
    """Return the first blocks of a MobileNetV2, untrained, with a head; it takes pixels from -1 to 1.

    With a network, take weights="imagenet" and all of its blocks: without, a few photos teach the first ones alone.
    """
    whole = keras.applications.MobileNetV2((SIZE, SIZE, 3), alpha=0.35, include_top=False, weights=None)
    for layer in whole.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.momentum = 0.5  # few steps: the statistics must settle in them
    seen = keras.layers.GlobalAveragePooling2D()(whole.get_layer("block_2_add").output)
    return keras.Model(whole.input, keras.layers.Dense(classes, activation="softmax", name="ground")(seen))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("-o", "--output", type=Path, default=Path("runs/photos"))
    parser.add_argument("--data", type=Path, help="your folder of class folders (default: one is composed)")
    arguments = parser.parse_args()
    photos = arguments.data or arguments.output / "photos"
    if not photos.exists():
        compose(photos)
    keras.utils.set_random_seed(0)
    names = sorted(path.name for path in photos.iterdir() if path.is_dir())
    mobilenet(len(names)).save(arguments.output / "mobilenet.keras")
    print(f"{arguments.output}/mobilenet.keras chooses one of {', '.join(names)}")
