"""What is made of LoadGen's figures: the two p90, the harness' own time, the verdict; no LoadGen is needed."""

import json
from pathlib import Path

import numpy as np
import pytest

from edgeport.benchmarks.lab.studies.loadgen import RESULT, LoadgenReport
from edgeport.benchmarks.mlperf import loadgen
from edgeport.benchmarks.mlperf.loadgen import LoadgenResult, markdown, run_loadgen
from edgeport.runtime.errors import ArtefactError, InputError, MissingDependencyError


def result(file: str, theirs: list[int], ours: list[int], **changes: object) -> LoadgenResult:
    """A result whose p90 are given, and whose harness takes 1 us."""
    fields = {
        "file": file,
        "sha256": "0" * 64,
        "engine": {"name": "engine", "version": "1"},
        "threads": 1,
        "loadgen": "6",
        "queries": 1024,
        "valid": True,
        "single_stream": [[p90 // 2, p90] for p90 in theirs],
        "own": [[p90 // 2, p90] for p90 in ours],
        "idle": [[900, 950], [1000, 1100], [1200, 1300]],
        "offline_batch": 1,
        "offline": [100.0, 300.0, 200.0],
        "own_offline": [110.0, 310.0, 210.0],
    }
    return LoadgenResult(**{**fields, **changes})


def test_the_difference_is_the_median_over_pairs_and_not_that_of_the_medians() -> None:
    # The machine was twice as slow during the last pair, for both.
    found = result("a", [10_400, 10_400, 20_800], [10_000, 10_000, 20_000])
    assert found.difference == pytest.approx(0.04)
    assert found.agrees
    assert (found.p90_us, found.own_p90_us) == (10.4, 10.0)


def test_what_the_harness_takes_is_reported_apart() -> None:
    found = result("a", [11_000] * 3, [10_000] * 3)
    assert found.harness_us == 1.0
    assert found.difference == pytest.approx(0.10)
    assert not found.agrees
    assert found.difference_without_harness == pytest.approx(0.0)


def test_a_smaller_p90_may_disagree_too() -> None:
    assert not result("a", [9_000] * 3, [10_000] * 3).agrees


def test_the_words_name_what_disagrees_and_why() -> None:
    printed = markdown(
        [
            result("long", [100_500] * 3, [100_000] * 3),
            result("short", [11_000] * 3, [10_000] * 3),
            result("odd", [13_000] * 3, [10_000] * 3, valid=False),
        ]
    )
    assert "agree within 5 % for 1 of 3 artefacts" in printed
    assert "takes LoadGen 1.0 us" in printed
    assert "That is what sets short apart." in printed
    assert "It does not explain odd." in printed
    assert "calls a test of odd invalid" in printed
    assert "| long | 100.5 | 100.0 | +0.5 % | -0.5 % | 200 | 210 |" in printed


def test_a_report_is_read_as_it_was_written(tmp_path: Path) -> None:
    report = LoadgenReport("2026-01-01T00:00:00+00:00", {"cores": 2}, (result("a", [1] * 3, [1] * 3),))
    path = tmp_path / "loadgen.json"
    path.write_text(RESULT.text(report))
    assert RESULT.read(path) == report


@pytest.mark.parametrize("damage", [{"schema": 2}, {"kind": "peers"}, {"results": [{"file": "a"}]}])
def test_another_or_a_damaged_report_is_reported(tmp_path: Path, damage: dict[str, object]) -> None:
    path = tmp_path / "loadgen.json"
    content = json.loads(RESULT.text(LoadgenReport("", {}, ())))
    path.write_text(json.dumps({**content, **damage}))
    with pytest.raises(ArtefactError, match="LoadGen result"):
        RESULT.read(path)


def test_a_missing_loadgen_is_reported_with_its_extra(monkeypatch: pytest.MonkeyPatch, data: Path) -> None:
    monkeypatch.setattr(loadgen, "find_spec", lambda name: None)
    with pytest.raises(MissingDependencyError, match=r"pip install 'edgeport\[mlperf\]'"):
        run_loadgen(data / "tiny.int8.tflite", np.zeros((1, 8, 8, 1), np.uint8))


@pytest.mark.parametrize("threads", [0, 10_000])
def test_threads_that_the_machine_has_not_are_reported(
    monkeypatch: pytest.MonkeyPatch, data: Path, threads: int
) -> None:
    monkeypatch.setattr(loadgen, "find_spec", lambda name: object())
    with pytest.raises(InputError, match=f"--threads: got {threads}, expected 1 to"):
        run_loadgen(data / "tiny.int8.tflite", np.zeros((1, 8, 8, 1), np.uint8), threads=threads)
