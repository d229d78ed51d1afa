"""Compose the hum of machines, some of them worn, and train an autoencoder on the healthy ones.

Run it with: python examples/machine_sounds.py -o runs/hum [--data FOLDER with normal/*.wav and anomaly/*.wav]
"""

import argparse
from pathlib import Path

import keras
import numpy as np

from edgeport.runtime.samples.log_mel import LogMel, log_mel
from edgeport.runtime.samples.wav_file import read_wav

RATE, FRAMES, BANDS = 8_000, 16, 32
FEATURES = LogMel(RATE, 256, 128)


def hum(random: np.random.Generator, *, worn: bool) -> np.ndarray:
    """Return a second of a machine at 100 Hz with its overtones; a worn bearing squeals."""
    times = np.arange(FEATURES.length(FRAMES)) / RATE
    speed = random.uniform(95, 105)
    sound = sum(np.sin(2 * np.pi * speed * part * times + random.uniform(0, 6)) / part for part in range(1, 6))
    if worn:
        sound += 0.5 * np.sin(2 * np.pi * random.uniform(1_500, 3_000) * times)
    # Machines differ in how loud they are, or how near the microphone stands.
    return random.uniform(0.1, 1) * (0.2 * sound + random.normal(0, 0.02, len(times)))


def heard(sound: np.ndarray) -> np.ndarray:
    """Return the log-mel features of a sound as one row."""
    return log_mel(sound.astype(np.float32), FEATURES, frames=FRAMES, bands=BANDS).reshape(-1)


def recordings(folder: Path) -> np.ndarray:
    """Return a row for each WAV file of a folder."""
    files = sorted(folder.glob("*.wav"))
    return np.stack([heard(read_wav(path.read_bytes(), named=str(path))[0][:, 0]) for path in files])


def autoencoder(normal: np.ndarray) -> keras.Model:
    """Return a network that squeezes a sound through 8 numbers and learned to restore what is normal."""
    mean, spread = float(normal.mean()), float(normal.std())
    sound = keras.Input((normal.shape[1],), name="sound")
    hidden = keras.layers.Dense(64, activation="relu")(keras.layers.Rescaling(1 / spread, -mean / spread)(sound))
    hidden = keras.layers.Dense(8, activation="relu")(hidden)
    hidden = keras.layers.Dense(64, activation="relu")(hidden)
    restored = keras.layers.Dense(normal.shape[1])(hidden)
    model = keras.Model(sound, keras.layers.Rescaling(spread, mean, name="restored")(restored))
    model.compile("adam", "mse")
    model.fit(normal, normal, epochs=30, batch_size=32, verbose=0)
    return model


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("-o", "--output", type=Path, default=Path("runs/hum"))
    parser.add_argument("--data", type=Path, help="a folder with normal and anomaly (default: both are composed)")
    arguments = parser.parse_args()
    arguments.output.mkdir(parents=True, exist_ok=True)
    if arguments.data:
        normal, worn = (recordings(arguments.data / name) for name in ("normal", "anomaly"))
    else:
        random = np.random.default_rng(0)
        normal = np.stack([heard(hum(random, worn=False)) for _ in range(600)])
        worn = np.stack([heard(hum(random, worn=True)) for _ in range(100)])
    # Only normal sounds train and calibrate; of those a sixth is kept for the test, beside the worn ones.
    kept = max(1, len(normal) // 6)
    tested = np.concatenate([normal[:kept], worn])
    truth = np.repeat([0, 1], [kept, len(worn)])
    np.savez(arguments.output / "sounds.npz", x_train=normal[kept:], x_test=tested, y_test=truth)
    keras.utils.set_random_seed(0)
    autoencoder(normal[kept:]).save(arguments.output / "model.keras")
    print(f"{arguments.output}/model.keras restores normal sounds; {len(worn)} of {len(tested)} to judge are worn")
