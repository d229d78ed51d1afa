"""Damaged files in every engine, the foreign ones through the probe: nobody who opens them is taken down."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from edgeport.runtime.artefact.formats import ENGINES

ROOT = Path(__file__).parents[2]


@pytest.mark.skipif(sys.version_info >= (3, 12), reason="tflite-runtime has no wheel for this Python")
def test_every_mutant_with_a_checksum_is_refused_and_every_foreign_one_gets_an_outcome(tmp_path: Path) -> None:
    printed = tmp_path / "mutants.json"
    command = [
        sys.executable,
        ROOT / "tests/robustness/mutants.py",
        ROOT / "tests/data",
        "--count",
        "20",
        "-o",
        printed,
    ]
    subprocess.run(list(map(str, command)), check=True, capture_output=True)
    document = json.loads(printed.read_text())
    assert {row["engine"] for row in document["rows"]} == set(ENGINES)
    assert len(document["rows"]) == 2 * 9
    for row in document["rows"]:
        assert sum(count for each in row["outcomes"].values() for count in each.values()) == 20
        if row["origin"] == "sealed":
            assert all(set(each) == {"refused"} for each in row["outcomes"].values())
