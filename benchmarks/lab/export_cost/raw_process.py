"""What `export_memory` measures beside an export, each in a process of its own.

python -m edgeport.benchmarks.lab.export_cost.raw_process build NAME COUNT FOLDER
python -m edgeport.benchmarks.lab.export_cost.raw_process all|int8 MODEL.keras SAMPLES.npz
"""

import sys
from pathlib import Path

import keras
import numpy as np

from edgeport.benchmarks.lab.export_cost.raw_converters import convert_all, convert_to_int8


def build(name: str, count: int, folder: Path) -> None:
    """Write a model of keras.applications with random weights, and a .npz of random pixels, a quarter held out."""
    keras.utils.set_random_seed(0)
    model = getattr(keras.applications, name)(weights=None)
    model.save(folder / f"{name}.keras")
    random, shape = np.random.default_rng(0), model.inputs[0].shape[1:]
    train, held_out = (random.integers(0, 256, (size, *shape), np.uint8) for size in (count, count // 4))
    np.savez(folder / "samples.npz", x_train=train, x_val=held_out)


def main() -> None:
    """Do what the arguments say."""
    what, *arguments = sys.argv[1:]
    if what == "build":
        name, count, folder = arguments
        build(name, int(count), Path(folder))
    else:
        model, samples = map(Path, arguments)
        with np.load(samples, allow_pickle=False) as arrays:
            images = arrays["x_train"].astype(np.float32)
        (convert_all if what == "all" else convert_to_int8)(model, images)


if __name__ == "__main__":
    main()
