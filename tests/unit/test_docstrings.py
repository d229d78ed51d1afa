"""The examples in the docstrings of public functions do what they say; those that need TensorFlow are a slow test."""

import doctest
import importlib
import shutil
from pathlib import Path

import pytest

MODULES = (
    "runtime.prediction.loading",
    "runtime.prediction.predictor",
    "export.inspection.inspecting",
    "train.datasets.named",
)


@pytest.mark.parametrize("module", MODULES)
def test_examples_of_docstrings_run(module: str, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for path in data.glob("tiny.*"):
        shutil.copy(path, tmp_path)
    monkeypatch.chdir(tmp_path)
    results = doctest.testmod(importlib.import_module(f"edgeport.{module}"))
    assert results.attempted
    assert not results.failed
