"""Compose a table of houses, and train a regression that says what they cost.

Run it with: python examples/houses.py -o runs/houses [--data YOUR.csv]
"""

import argparse
import csv
from pathlib import Path

import keras
import numpy as np


def compose(path: Path, *, count: int = 2_000) -> None:
    """Write a row for each house: its area in square metres, its age in years, its rooms, its price in kEUR."""
    random = np.random.default_rng(0)
    area, age, rooms = random.uniform(30, 200, count), random.uniform(0, 80, count), random.integers(1, 7, count)
    price = 2.5 * area - 1.2 * age + 12 * rooms + random.normal(0, 10, count) + 100
    with path.open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["area", "age", "rooms", "price"])
        rows.writerows(np.stack([area, age, rooms, price], axis=1).round(1).tolist())


def trained(columns: np.ndarray, prices: np.ndarray) -> keras.Model:
    """Return a small network whose first layer scales the columns."""
    scaling = keras.layers.Normalization()
    scaling.adapt(columns)
    model = keras.Sequential(
        [
            keras.Input((columns.shape[1],), name="house"),
            scaling,
            keras.layers.Dense(32, activation="relu"),
            keras.layers.Dense(16, activation="relu"),
            keras.layers.Dense(1, name="price"),
        ]
    )
    model.compile(keras.optimizers.Adam(0.01), "mse")
    model.fit(columns, prices, epochs=25, batch_size=64, verbose=0)
    return model


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("-o", "--output", type=Path, default=Path("runs/houses"))
    parser.add_argument("--data", type=Path, help="your table, the price last (default: one is composed)")
    arguments = parser.parse_args()
    arguments.output.mkdir(parents=True, exist_ok=True)
    table = arguments.data or arguments.output / "houses.csv"
    if not table.exists():
        compose(table)
    keras.utils.set_random_seed(0)
    rows = np.loadtxt(table, delimiter=",", skiprows=1, dtype=np.float32)
    trained(rows[:, :-1], rows[:, -1:]).save(arguments.output / "model.keras")
    print(f"{arguments.output}/model.keras learned from {len(rows):,} rows of {table}")
