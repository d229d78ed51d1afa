"""Thirty architectures in every format and precision: made or refused as the committed results say."""

import importlib.util
import json
from pathlib import Path

import pytest

_SPEC = importlib.util.spec_from_file_location("architectures", Path(__file__).with_name("architectures.py"))
architectures = importlib.util.module_from_spec(_SPEC)
_SPEC.loader.exec_module(architectures)

RECORDED = json.loads(architectures.RESULT.read_text())["rows"]


def test_the_record_is_of_these_architectures() -> None:
    assert list(RECORDED) == list(architectures.ARCHITECTURES)


@pytest.mark.parametrize("name", architectures.ARCHITECTURES)
def test_every_variant_is_delivered_or_refused_with_a_reason_as_recorded(name: str, tmp_path: Path) -> None:
    manifest = architectures.export_all_variants(name, tmp_path)
    errors = {each.format: each.verified.relative_error for each in manifest.artefacts if each.precision == "float32"}
    assert errors.keys() == {"tflite", "onnx"}
    assert all(error <= 1e-4 for error in errors.values()), errors
    for refusal in manifest.refused:
        assert refusal.status in ("failed", "rejected")
        assert refusal.reason
        assert "\n" not in refusal.reason
        if refusal.status == "failed":
            assert "operator " in refusal.reason
    recorded = {variant for variant, outcome in RECORDED[name].items() if outcome.startswith("failed")}
    # What is rejected may differ by a hair between CPUs: these models are untrained.
    assert {f"{each.format} {each.precision}" for each in manifest.refused if each.status == "failed"} == recorded
