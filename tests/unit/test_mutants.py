"""Of our own files no damaged copy is ever loaded; the full run is tests/robustness/mutants.py."""

import sys
from pathlib import Path

import pytest

from edgeport.runtime.artefact.embedded_metadata import read_metadata

sys.path.insert(0, str(Path(__file__).parents[1] / "robustness"))

from mutants import KINDS, mutant, outcome_of, structure_bytes, without_metadata

NAMES = ("tiny.float32.tflite", "tiny.int8.tflite", "tiny.float32.onnx", "tiny.int8.onnx")


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", NAMES)
def test_a_damaged_copy_of_our_own_is_refused(data: Path, tmp_path: Path, name: str, kind: str) -> None:
    content = (data / name).read_bytes()
    places = structure_bytes(content, name.rpartition(".")[2])
    engine = "onnxruntime" if name.endswith("onnx") else "ai_edge_litert"
    seen = set()
    for number in range(40):
        damaged = mutant(content, kind, number, 1, places)
        assert damaged != content
        seen.add(damaged)
        (tmp_path / name).write_bytes(damaged)
        assert outcome_of(tmp_path / name, engine) == "refused", (kind, number)
    assert len(seen) > 35
    (tmp_path / name).write_bytes(content)
    assert outcome_of(tmp_path / name, engine) == "answers"


@pytest.mark.parametrize("name", NAMES)
def test_a_foreign_copy_has_no_metadata_and_the_same_model(data: Path, name: str) -> None:
    content = (data / name).read_bytes()
    bare = without_metadata(content, name.rpartition(".")[2])
    assert read_metadata(bare, name=name, verify=False) is None
    assert b"edgeport_card" not in bare
    assert 0 < len(content) - len(bare) < 4000


def test_the_same_seed_gives_the_same_mutants() -> None:
    content, places = bytes(range(256)) * 4, list(range(100))
    for kind in KINDS:
        assert mutant(content, kind, 3, 7, places) == mutant(content, kind, 3, 7, places)
        assert mutant(content, kind, 3, 7, places) != mutant(content, kind, 4, 7, places)
