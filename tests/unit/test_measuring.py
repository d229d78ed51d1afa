"""Candidates are measured in processes of their own: answers, times, starts, and what becomes of those that fail."""

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from edgeport.benchmarks.measure import rounds
from edgeport.benchmarks.measure.assembly import Entry, Timing, assembled_report, check_samples
from edgeport.benchmarks.measure.candidates.candidate import Candidate, artefact_candidate
from edgeport.benchmarks.measure.candidates.process import MeasuringProcess
from edgeport.benchmarks.measure.machine.host import usable_cores
from edgeport.benchmarks.measure.protocol import Protocol
from edgeport.benchmarks.measure.rounds import Answers, answers_of, time_candidates
from edgeport.benchmarks.report.raw.record import Report
from edgeport.runtime import ArtefactError, InputError, MissingDependencyError, load

SHORT = Protocol(launches=2, turns=3, calls=4, warmup_seconds=0.02)
HERE = "openers_for_tests"


@pytest.fixture(autouse=True)
def openers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parent))


@pytest.fixture(scope="module")
def images() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (12, 28, 28, 1)).astype(np.uint8)


def tiny(data: Path, kind: str = "int8.tflite") -> Candidate:
    return artefact_candidate(f"tiny.{kind}", data / f"tiny.{kind}")


def test_answers_are_those_of_the_predictor(data: Path, images: np.ndarray) -> None:
    candidates = [tiny(data), tiny(data, "float32.onnx")]
    for candidate, printed in answers_of(candidates, images):
        assert isinstance(printed, Answers)
        predictor = load(data / candidate.name)
        np.testing.assert_array_equal(printed.values, predictor.predict(images))
        assert printed.engine == {"name": predictor.spec.engine, "version": predictor.spec.engine_version}


def test_each_generation_is_a_fresh_process_that_is_timed_in_turns(data: Path, images: np.ndarray) -> None:
    steps: list[str] = []
    found = time_candidates(
        [tiny(data), Candidate("counting", f"{HERE}:open_counting", launches=1)],
        images,
        protocol=SHORT,
        ways=(("engine", 1), ("predict", 3)),
        on_step=steps.append,
    )
    assert len(steps) == len(found.conditions) == 2
    assert found.partial == ""
    artefact, counting = found.series["tiny.int8.tflite"], found.series["counting"]
    assert [(each.what, each.batch, each.threads) for each in artefact] == [("engine", 1, 1), ("predict", 3, 1)]
    assert [[len(launch) for launch in each.launches] for each in artefact] == [[12, 12], [12, 12]]
    assert [len(each.launches) for each in counting] == [1, 1], "it takes part in one round"
    # A sleep takes longer than it says on a busy machine, and never less.
    assert counting[0].percentile_us(0) >= 1000
    assert counting[1].percentile_us(0) >= 6000
    starts = found.starts["tiny.int8.tflite"]
    assert len(starts) == 2
    for start in starts:
        assert min(start.import_ns, start.load_ns, start.first_ns) > 0
        assert start.peak_rss_bytes >= start.steady_rss_bytes > 10_000_000
    assert all(each.yardstick_ns > 0 for each in found.conditions)


def test_slow_calls_shorten_a_turn() -> None:
    assert Protocol(calls=50, turn_seconds=0.05).calls_within(10_000) == 50
    assert Protocol(calls=50, turn_seconds=0.05).calls_within(5_000_000) == 10
    assert Protocol(calls=50, turn_seconds=0.05).calls_within(1e9) == 3


def test_what_an_engine_prints_does_not_disturb(data: Path, images: np.ndarray) -> None:
    candidate = Candidate("talkative", f"{HERE}:open_talkative", {"path": str(data / "tiny.int8.tflite")})
    ((_, printed),) = answers_of([candidate], images)
    assert isinstance(printed, Answers)


def test_a_candidate_that_cannot_run_is_reported_and_the_others_go_on(
    data: Path, images: np.ndarray, tmp_path: Path
) -> None:
    damaged = tmp_path / "tiny.int8.tflite"
    damaged.write_bytes((data / "tiny.int8.tflite").read_bytes()[:-100])
    candidates = [
        artefact_candidate("damaged", damaged),
        Candidate("absent", "edgeport.no_such_module:open_it"),
        Candidate("dying", f"{HERE}:open_dying"),
        tiny(data),
    ]
    printed = {candidate.name: answers for candidate, answers in answers_of(candidates, images)}
    assert isinstance(printed["damaged"], ArtefactError)
    assert "has been altered" in str(printed["damaged"])
    assert isinstance(printed["absent"], MissingDependencyError)
    assert isinstance(printed["dying"], ArtefactError)
    assert "dying: its process died (SIGSEGV)" in str(printed["dying"])
    assert isinstance(printed["tiny.int8.tflite"], Answers)


def test_no_process_is_left_behind(data: Path, images: np.ndarray, tmp_path: Path) -> None:
    np.save(tmp_path / "images.npy", images)
    with MeasuringProcess(tiny(data), samples=tmp_path / "images.npy", cores=usable_cores()[-1:]) as process:
        pid = process.pid
        assert os.path.exists(f"/proc/{pid}")
        if hasattr(os, "sched_getaffinity"):
            assert os.sched_getaffinity(pid) == {usable_cores()[-1]}
    assert not os.path.exists(f"/proc/{pid}")


def test_ctrl_c_keeps_the_rounds_that_have_ended(
    data: Path, images: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    ended = []
    one_round = rounds._round

    def interrupted(*arguments):
        if len(ended) == 1:
            raise KeyboardInterrupt
        ended.append(1)
        return one_round(*arguments)

    monkeypatch.setattr(rounds, "_round", interrupted)
    found = time_candidates([tiny(data)], images, protocol=SHORT)
    assert found.partial == "interrupted after 1 of 2 rounds"
    assert [len(series.launches) for series in found.series["tiny.int8.tflite"]] == [1, 1]
    with pytest.raises(KeyboardInterrupt):
        time_candidates([tiny(data)], images, protocol=SHORT)


def test_ctrl_c_keeps_the_answers_of_those_that_have_given_all(
    data: Path, images: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    def until(count: int) -> Callable[[str], None]:
        steps = []

        def step(what: str) -> None:
            steps.append(what)
            if len(steps) > count:
                raise KeyboardInterrupt

        return step

    files = ("int8.tflite", "float32.onnx", "int8.onnx")
    entries = [Entry(f"tiny.{each}", each.split(".")[1], each, 1, "0" * 64, tiny(data, each)) for each in files]
    dataset = {"name": "d", "split": "test", "count": 12, "sha256": "0" * 64, "labels": [*"0123456789"]}

    def measured(count: int) -> Report:
        timing = Timing(protocol=SHORT)
        truth = np.arange(12) % 10
        return assembled_report(entries, images, truth, model="m", dataset=dataset, timing=timing, on_step=until(count))

    with pytest.raises(KeyboardInterrupt):
        measured(1)
    two, three = measured(2), measured(3)
    assert [each.file for each in two.artefacts] == ["tiny.int8.tflite", "tiny.float32.onnx"]
    assert two.partial == "interrupted after the answers of 2 of 3"
    assert len(three.artefacts) == 3
    assert three.partial == "interrupted in the first of 2 rounds"
    assert not any(each.timed for each in three.artefacts)


def test_more_threads_than_cores_are_refused(data: Path, images: np.ndarray) -> None:
    many = Candidate(
        "many", "edgeport.benchmarks.measure.candidates.openers:open_artefact", threads=len(usable_cores()) + 1
    )
    with pytest.raises(InputError, match="take that or fewer"):
        time_candidates([many], images, protocol=SHORT)


def test_samples_that_teach_nothing_are_refused_before_any_timing() -> None:
    labels = ("a", "b", "c")
    for classes, words in (
        ([], "got 0 test images, expected at least 2"),
        ([1], "got 1 test images"),
        ([1, 1, 1], "are of class b"),
        ([0, 3], "got classes from 0 to 3, expected 0 to 2"),
        ([-1, 2], "got classes from -1 to 2"),
    ):
        with pytest.raises(InputError, match=words):
            check_samples(np.array(classes, np.int64), labels, source="digits")
    check_samples(np.array([0, 2]), labels, source="digits")


def test_a_report_holds_answers_times_and_the_pictures_of_flips(data: Path, images: np.ndarray) -> None:
    truth = np.arange(12) % 10
    reference = np.eye(10, dtype=np.float32)[truth]
    entries = [
        Entry("tiny.keras", "keras", "float32", 0, "0" * 64, recorded={"": reference}),
        Entry("tiny.int8.tflite", "tflite", "int8", 1, "0" * 64, candidate=tiny(data)),
        Entry("gone.onnx", "onnx", "int8", 1, "0" * 64, candidate=artefact_candidate("gone.onnx", data / "gone.onnx")),
    ]
    dataset = {"name": "d", "split": "test", "count": 12, "sha256": "0" * 64, "labels": list("0123456789")}
    timing = Timing(batches=(1, 4), protocol=SHORT)
    report = assembled_report(entries, images, truth, model="tiny", dataset=dataset, timing=timing, skip_refused=True)
    assert [each.file for each in report.artefacts] == ["tiny.keras", "tiny.int8.tflite"]
    assert report.skipped[0]["file"] == "gone.onnx"
    assert report.correct(report.reference) == 12
    assert not report.reference.timed
    measured = report.artefacts[1]
    assert [(each.what, each.batch) for each in measured.series] == [
        ("engine", 1), ("predict", 1), ("label", 1), ("predict", 4),
    ]  # fmt: skip
    answers = load(data / "tiny.int8.tflite").predict(images)
    assert measured.predictions == answers.argmax(axis=1).tolist()
    np.testing.assert_allclose(measured.confidence, answers.max(axis=1), atol=1e-6)
    assert sorted(report.pictures, key=int) == [str(index) for index in report.flips(measured)]
    with pytest.raises(ArtefactError, match=r"gone\.onnx"):
        assembled_report(entries, images, truth, model="tiny", dataset=dataset, timing=timing)


def test_a_candidate_that_dies_later_does_not_take_the_others_with_it(
    data: Path, images: np.ndarray, tmp_path: Path
) -> None:
    mortal = Candidate("mortal", f"{HERE}:open_mortal", {"starts": str(tmp_path / "starts")})
    found = time_candidates([tiny(data), mortal], images, protocol=SHORT)
    assert found.partial == "ended (mortal: its process died (SIGKILL)) after 1 of 2 rounds"
    assert [len(series.launches) for series in found.series["tiny.int8.tflite"]] == [1, 1]
