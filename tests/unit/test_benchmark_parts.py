"""The parts of a benchmark: order of measurement, percentiles, intervals, report and table."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from edgeport.benchmarks import Measured, Protocol, Report, measure_latency, read_report
from edgeport.benchmarks.figures import draw_accuracy_against_latency, draw_latency_distributions
from edgeport.benchmarks.host import host_facts
from edgeport.benchmarks.report import report_text
from edgeport.benchmarks.statistics import wilson_interval
from edgeport.benchmarks.table import markdown_report, markdown_table
from edgeport.runtime import ArtefactError


def measured(file: str, format: str, predictions: list[int], latency: list[int]) -> Measured:
    correct = sum(predicted == true for predicted, true in zip(predictions, [0, 1, 2, 3], strict=True))
    engine = {"name": "engine", "version": "1", "threads": 1}
    times = {
        "latency_ns": latency,
        "predict_ns": [2 * ns for ns in latency],
        "load_ns": [3_000_000, 1_000_000, 2_000_000],
    }
    return Measured(file, format, "int8", 1500, "0" * 64, engine, predictions, correct, **times)


REPORT = Report(
    created_utc="2026-01-01T00:00:00+00:00",
    edgeport={"version": "0"},
    model="m",
    host=host_facts(),
    dataset={"name": "d", "split": "test", "count": 4, "sha256": "0" * 64},
    protocol={"rounds": 1, "calls_per_round": 5, "warmup_calls": 0},
    artefacts=(
        measured("m.keras", "keras", [0, 1, 2, 0], [5000, 1000, 3000, 2000, 4000]),
        measured("m.int8.tflite", "tflite", [0, 2, 2, 3], [1000] * 5),
    ),
)


def test_every_contender_gets_every_turn_in_a_shuffled_order() -> None:
    called: list[str] = []
    calls = {name: (lambda name=name: called.append(name)) for name in "abc"}
    rounds: list[int] = []
    protocol = Protocol(rounds=30, calls_per_round=4, warmup_calls=2, warmup_seconds=0.0)
    samples = measure_latency(calls, protocol, on_round=rounds.append)
    assert {name: len(times) for name, times in samples.items()} == {"a": 120, "b": 120, "c": 120}
    assert rounds == list(range(1, 31))
    turns = ["".join(called[start : start + 18 : 6]) for start in range(0, len(called), 18)]
    assert len(turns) == 30
    assert all(sorted(turn) == list("abc") for turn in turns)
    assert len(set(turns)) == 6
    assert all(len(set(called[start : start + 6])) == 1 for start in range(0, len(called), 6))


def test_latency_is_the_time_of_the_call() -> None:
    import time

    samples = measure_latency(
        {"sleep": lambda: time.sleep(0.002)}, Protocol(rounds=1, calls_per_round=5, warmup_calls=0)
    )
    assert min(samples["sleep"]) >= 2_000_000


def test_figures_are_computed_from_the_samples() -> None:
    reference, artefact = REPORT.artefacts
    assert (reference.accuracy, artefact.accuracy) == (0.75, 0.75)
    assert artefact.flips_from(reference) == 2
    assert artefact.agreement_with(reference) == 0.5
    assert reference.latency_us(50) == 3.0
    assert reference.latency_us(90) == pytest.approx(4.6)
    assert reference.predict_us(50) == 6.0
    assert reference.load_ms == 2.0


def test_a_report_comes_back_and_stores_no_figure(tmp_path: Path) -> None:
    (tmp_path / "report.json").write_text(report_text(REPORT))
    assert read_report(tmp_path / "report.json") == REPORT
    entry = json.loads(report_text(REPORT))["artefacts"][0]
    assert not [key for key in entry if "p50" in key or "median" in key or "accuracy" in key]


@pytest.mark.parametrize("text", [None, "", "{}", "[]", '{"schema": 7}', '{"schema": 1, "artefacts": [3]}'])
def test_a_report_that_is_wrong_is_told(text: str | None, tmp_path: Path) -> None:
    if text is not None:
        (tmp_path / "report.json").write_text(text)
    with pytest.raises(ArtefactError, match=r"report\.json"):
        read_report(tmp_path / "report.json")


def test_the_table_says_what_was_measured() -> None:
    rows = markdown_table(REPORT).splitlines()
    assert rows[2] == "| Keras int8 | 75.00% | 0 | 100.00% | 2 | 3.0 | 4.6 | 6.0 | 2.0 |"
    assert rows[3] == "| TFLite int8 | 75.00% | 2 | 50.00% | 2 | 1.0 | 1.0 | 2.0 | 2.0 |"
    assert markdown_table(REPORT) in markdown_report(REPORT)


def test_a_reference_without_times_and_what_was_skipped_come_back(tmp_path: Path) -> None:
    reference = replace(REPORT.reference, latency_ns=[], predict_ns=[], load_ns=[], bytes=0)
    skipped = ({"file": "m.int8.onnx", "reason": "no engine"},)
    report = replace(REPORT, artefacts=(reference, REPORT.artefacts[1]), skipped=skipped)
    (tmp_path / "report.json").write_text(report_text(report))
    assert read_report(tmp_path / "report.json") == report
    assert "skipped" not in report_text(REPORT)
    assert markdown_table(report).splitlines()[2] == "| Keras int8 | 75.00% | 0 | 100.00% | - | - | - | - | - |"
    assert "- Skipped: m.int8.onnx: no engine\n" in markdown_report(report)
    assert "The Keras model was not run here" in markdown_report(report)
    assert "The Keras model was not run here" not in markdown_report(REPORT)
    draw_accuracy_against_latency(tmp_path / "a.png", report)
    draw_latency_distributions(tmp_path / "b.png", report)


def test_the_pictures_are_drawn(tmp_path: Path) -> None:
    draw_accuracy_against_latency(tmp_path / "a.png", REPORT)
    draw_latency_distributions(tmp_path / "b.png", REPORT)
    assert (tmp_path / "a.png").stat().st_size > 5_000
    assert (tmp_path / "b.png").stat().st_size > 5_000


@pytest.mark.parametrize(
    ("successes", "count", "low", "high"),
    # Newcombe, "Two-sided confidence intervals for the single proportion", 1998, table I, method 3.
    [(81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (0, 20, 0.0, 0.1611), (1, 29, 0.0061, 0.1718)],
)
def test_wilson_interval_is_the_published_one(successes: int, count: int, low: float, high: float) -> None:
    assert wilson_interval(successes, count) == pytest.approx((low, high), abs=5e-5)
    assert low <= successes / count <= high
    mirrored = wilson_interval(count - successes, count)
    assert mirrored == pytest.approx((1 - high, 1 - low), abs=5e-5)


def test_wilson_interval_holds_the_share_itself_at_both_ends() -> None:
    for count in range(1, 2000):
        assert wilson_interval(0, count)[0] == 0.0
        assert wilson_interval(count, count)[1] == 1.0


def test_host_facts_are_of_this_machine() -> None:
    facts = host_facts()
    assert facts["cpu_model"]
    assert facts["cores"] >= 1
    assert facts["ram_bytes"] > 1 << 28
    assert np.isfinite(facts["load_1min"])
