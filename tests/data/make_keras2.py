"""Make keras2_saved_model/, keras2.h5 and keras2.npz: what TensorFlow 2.15, the last with Keras 2, writes.

Needs Python 3.9 to 3.11, and an environment of its own:

    python3.11 -m venv /tmp/tf215
    /tmp/tf215/bin/pip install 'tensorflow-cpu==2.15.*'
    /tmp/tf215/bin/python tests/data/make_keras2.py

A CNN on 8x8x1 images, compiled with Adam and fitted for one step, saved in the default format of the time, a
SavedModel, and as .h5. The optimizer is the legacy Adam, the default until TensorFlow 2.10: it saves its state as
slots, and on those ``tf.saved_model.load`` of a TensorFlow with Keras 3 fails ("'_UserObject' object has no
attribute 'add_slot'"), while ``tf.compat.v1.saved_model.load`` reads the graph. With the Adam of TensorFlow 2.11 and
later the same folder has no slots and loads either way. keras2.npz holds 16 images and the answers that TensorFlow
2.15 gave to them.
"""

import shutil
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

HERE = Path(__file__).parent


def main() -> None:
    """Fit for one step, save in both formats of the time, and record the answers."""
    if not keras.__version__.startswith("2."):
        raise SystemExit(f"got Keras {keras.__version__}, expected Keras 2: see the top of {__file__}")
    keras.utils.set_random_seed(2)
    model = keras.Sequential(
        [
            keras.Input((8, 8, 1), name="image"),
            keras.layers.Rescaling(1 / 255),
            keras.layers.Conv2D(4, 3, activation="relu"),
            keras.layers.MaxPooling2D(),
            keras.layers.Flatten(),
            keras.layers.Dense(3, activation="softmax", name="probabilities"),
        ],
        name="keras2",
    )
    model.compile(optimizer=keras.optimizers.legacy.Adam(), loss="sparse_categorical_crossentropy")
    random = np.random.default_rng(2)
    images = random.integers(0, 256, (16, 8, 8, 1), np.uint8)
    model.fit(images.astype(np.float32), random.integers(0, 3, 16), batch_size=16, verbose=0)
    shutil.rmtree(HERE / "keras2_saved_model", ignore_errors=True)
    model.save(HERE / "keras2_saved_model", save_format="tf")
    model.save(HERE / "keras2.h5")
    answers = model.predict(images.astype(np.float32), verbose=0)
    np.savez_compressed(HERE / "keras2.npz", images=images, answers=answers, tensorflow=tf.__version__)


if __name__ == "__main__":
    main()
