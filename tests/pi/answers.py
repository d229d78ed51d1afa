"""Write down what every artefact of a folder answers in one engine: run by the Python of each userland.

    python answers.py ARTEFACTS DIGITS.npz ENGINE ANSWERS.npz

DIGITS.npz holds uint8 ``images`` of shape (n, height, width, channels). ANSWERS.npz gets, for each artefact that the
engine is for, the raw answers under the artefact's name, and the facts as JSON under ``facts``.
It needs numpy, edgeport's runtime and the engine, as everything on the device.
"""

import json
import platform
import sys
from pathlib import Path
from typing import Any

import numpy as np

from edgeport.runtime import load
from edgeport.runtime.artefact.formats import FORMATS
from edgeport.runtime.errors import WrongEngineError


def main(artefacts: str, digits: str, engine: str, answers: str) -> None:
    """Run every digit through every artefact, one at a time, as a device would."""
    images = np.load(digits, allow_pickle=False)["images"]
    suffixes = [row.suffix for row in FORMATS if engine in row.engines]
    facts = {"machine": platform.machine(), "python": platform.python_version()}
    raw: dict[str, Any] = {}
    for path in sorted(path for path in Path(artefacts).iterdir() if path.suffix in suffixes):
        try:
            predictor = load(path, engine=engine)
        except WrongEngineError:
            continue
        facts |= {"engine": predictor.spec.engine, "version": predictor.spec.engine_version}
        encoded = predictor.encode(images)
        raw[path.name] = np.concatenate([predictor.run(encoded[place : place + 1]) for place in range(len(encoded))])
    raw["facts"] = np.frombuffer(json.dumps(facts).encode(), np.uint8)
    np.savez(answers, **raw)


if __name__ == "__main__":
    main(*sys.argv[1:])
