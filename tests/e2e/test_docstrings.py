"""The examples in the docstrings of public functions that need TensorFlow do what they say."""

import doctest
import importlib
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

# The example of a bundle takes the folder that the example of an export has written.
MODULES = (
    "train.models.named", "train.quantization_aware.quantize", "train.loop.fitting", "train.training",
    "export.front_door", "export.bundle.bundling",
)  # fmt: skip


@pytest.mark.filterwarnings("ignore:.*scales the pixels")
def test_examples_of_docstrings_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for module in MODULES:
        results = doctest.testmod(importlib.import_module(f"edgeport.{module}"))
        assert results.attempted, module
        assert not results.failed, module


def test_the_examples_of_the_page_on_the_export_run(
    trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    place = tmp_path / "runs" / "quickstart" / "train"
    place.parent.mkdir(parents=True)
    place.symlink_to(trained)
    examples = re.findall(r"```python\n(.*?)```", (ROOT / "docs/guides/export.md").read_text(), re.DOTALL)
    own = [example for example in examples if "edgeport.export" in example]
    for example in own:
        exec(compile(example, "docs/guides/export.md", "exec"), {})
    assert len(own) == 2
    assert "int8 (1, 10)" in capsys.readouterr().out
