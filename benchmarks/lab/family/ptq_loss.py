"""Count what the family loses from float32 to int8, image by image, for every seed of a sweep.

Run it with: python -m edgeport.benchmarks.lab.family.ptq_loss runs/frontier -o docs/results/frontier/ptq-loss.json
"""

import argparse
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from edgeport.benchmarks.statistics.paired import paired_answers
from edgeport.benchmarks.sweep.results import read_results
from edgeport.runtime import load
from edgeport.runtime.files.output import write_whole
from edgeport.train import Split, load_dataset

KIND = "ptq-loss"
_CHUNK = 500


def answers_of(path: Path, images: np.ndarray) -> np.ndarray:
    """Return the class that an artefact gives to each image."""
    with load(path) as predictor:
        parts = [predictor.predict(images[start : start + _CHUNK]) for start in range(0, len(images), _CHUNK)]
    classes: np.ndarray = np.concatenate(parts).argmax(axis=1)
    return classes


def losses(model: str, seed: int, export: Path, reference: np.ndarray, test: Split) -> list[dict[str, Any]]:
    """Return, for the int8 file of each format in an export, how its answers differ from those of a float32 file."""
    rows = []
    for format_ in ("tflite", "onnx"):
        (path,) = export.glob(f"*.int8.{format_}")
        found = paired_answers(test.classes, reference, answers_of(path, test.images))
        rows.append(
            {"model": model, "seed": seed, "format": format_, "count": found.count,
             "right_to_wrong": found.right_to_wrong, "wrong_to_right": found.wrong_to_right}
        )  # fmt: skip
        print(rows[-1], flush=True)
    return rows


def write_rows(path: Path, rows: Sequence[dict[str, Any]]) -> None:
    """Write the counts, a line for each."""
    lines = ",\n".join("  " + json.dumps(row) for row in rows)
    write_whole(path, f'{{\n "kind": "{KIND}",\n "rows": [\n{lines}\n ]\n}}\n'.encode())


def main() -> None:
    """Compare the int8 files of each cell with its float32 file, and write the counts."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("sweep", type=Path)
    parser.add_argument("-o", "--output", type=Path, required=True)
    arguments = parser.parse_args()
    results = read_results(arguments.sweep)
    test = load_dataset(results.dataset["name"]).test
    rows = []
    for cell in results.cells:
        model, recipe, seed = cell["model"], cell["recipe"], cell["seed"]
        folder = arguments.sweep / model / recipe / f"seed-{seed}" / "export"
        reference = answers_of(folder / f"{model}.float32.tflite", test.images)
        rows += losses(model, seed, folder, reference, test)
    write_rows(arguments.output, rows)


if __name__ == "__main__":
    main()
