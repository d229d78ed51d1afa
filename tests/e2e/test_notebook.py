"""The notebook for beginners: every cell runs, and shows what it says."""

import os
import sys
from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbclient import NotebookClient

NOTEBOOK = Path(__file__).parents[2] / "examples" / "first_steps.ipynb"


@pytest.fixture(scope="module")
def cells(tmp_path_factory: pytest.TempPathFactory) -> list[Any]:
    """The cells that hold code, with their outputs."""
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    assert not any(cell.get("outputs") for cell in notebook.cells), "outputs are not committed"
    with pytest.MonkeyPatch.context() as patch:
        # Its commands are those of this environment.
        patch.setenv("PATH", f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
        folder = tmp_path_factory.mktemp("notebook")
        NotebookClient(notebook, timeout=300, resources={"metadata": {"path": str(folder)}}).execute()
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def shown(cell: Any, kind: str = "text/plain") -> str:
    return "".join(output.get("text", "") or output.get("data", {}).get(kind, "") for output in cell.outputs)


def test_every_cell_of_the_notebook_shows_what_it_says(cells: list[Any]) -> None:
    train, export, inspect, benchmark, findings, drawing, answer = cells
    assert "Test: " in shown(train)
    for file in ("edge-2k.float32.tflite", "edge-2k.int8.tflite", "edge-2k.float32.onnx", "edge-2k.int8.onnx"):
        assert f"<td>{file}</td>" in shown(export, "text/html")
    assert "checksum intact" in shown(inspect, "text/html")
    assert "on 500 test images of mnist-5k" in shown(benchmark)
    assert "<td>TFLite int8</td>" in shown(findings, "text/html")
    assert shown(drawing, "image/png")
    assert shown(answer).splitlines()[-1].startswith("7 ")
