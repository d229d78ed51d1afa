"""What the unit tests share: the small committed artefacts and their recorded answers."""

import sys
from pathlib import Path

import numpy as np
import pytest

# For hand_made.py, which several of them use.
sys.path.insert(0, str(Path(__file__).parent))

DATA = Path(__file__).parents[1] / "data"


@pytest.fixture(scope="session")
def golden() -> dict[str, np.ndarray]:
    with np.load(DATA / "golden.npz", allow_pickle=False) as arrays:
        return dict(arrays)


@pytest.fixture(scope="session")
def data() -> Path:
    return DATA
