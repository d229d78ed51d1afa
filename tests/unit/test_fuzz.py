"""Each fuzz target for a moment, with a fixed seed: `make fuzz` runs them for longer."""

import sys
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

import pytest

PATH = Path(__file__).parents[1] / "robustness" / "fuzz.py"
SPEC = spec_from_file_location("fuzz_targets", PATH)
fuzzing = module_from_spec(SPEC)
sys.modules["fuzz_targets"] = fuzzing
SPEC.loader.exec_module(fuzzing)


@pytest.mark.parametrize("target", fuzzing.TARGETS)
def test_a_damaged_file_is_read_or_refused_in_one_line(target: str, tmp_path: Path) -> None:
    counts = fuzzing.fuzz(target, tmp_path, examples=30)
    assert counts["refused"] > 0
