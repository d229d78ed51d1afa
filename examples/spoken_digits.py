"""Make the network of docs/tutorials/spoken-digits.md, and compose recordings if there are none.

Run it with: python examples/spoken_digits.py [--data free-spoken-digit-dataset]
"""

import argparse
import wave
from pathlib import Path

import keras
import numpy as np
from keras import layers

RATE = 8_000


def compose(folder: Path) -> None:
    """Write recordings under the names of the Free Spoken Digit Dataset, with two tones of its own for each digit."""
    random = np.random.default_rng(0)
    folder.mkdir(parents=True)
    for digit in range(10):
        for number in range(15):
            times = np.arange(random.integers(2_000, 6_000)) / RATE
            sound = np.sin(2 * np.pi * (300 + 300 * digit) * times) + np.sin(2 * np.pi * (200 + 90 * digit) * times)
            sound = 0.2 * sound + random.normal(0, 0.01, len(times))
            with wave.open(str(folder / f"{digit}_jackson_{number}.wav"), mode="wb") as file:
                file.setparams((1, 2, RATE, len(times), "NONE", ""))
                file.writeframes((sound * 2**15).astype("<i2").tobytes())


def network() -> keras.Model:
    """Return a CNN that takes 60 frames of 32 log-mel bands."""
    sound = keras.Input((60, 32, 1), name="sound")
    hidden = layers.BatchNormalization()(sound)
    hidden = layers.GaussianNoise(0.3)(hidden)
    for width in (16, 32, 48):
        hidden = layers.Conv2D(width, 3, padding="same", use_bias=False)(hidden)
        hidden = layers.ReLU()(layers.BatchNormalization()(hidden))
        hidden = layers.SpatialDropout2D(0.1)(layers.MaxPooling2D(2)(hidden))
    hidden = layers.Conv2D(64, 3, padding="same", use_bias=False)(hidden)
    hidden = layers.ReLU()(layers.BatchNormalization()(hidden))
    hidden = layers.Dropout(0.3)(layers.GlobalAveragePooling2D()(hidden))
    return keras.Model(sound, layers.Dense(10, activation="softmax", name="digit")(hidden))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=Path("free-spoken-digit-dataset"))
    arguments = parser.parse_args()
    if not arguments.data.exists():
        compose(arguments.data / "recordings")
        print(f"Composed tones in {arguments.data}: clone the data set there to hear real digits")
    keras.utils.set_random_seed(0)
    network().save("spoken.keras")
    print("Written: spoken.keras")
