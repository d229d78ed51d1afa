"""Metrics of a user's own: a function in a Python file, and what becomes of one that gives no number."""

import re
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from test_judged_report import CLOSE, COUNT, FAR, REFERENCE, TRUTH, VALUES, text_of

from edgeport.benchmarks.compare.comparison import compare_reports
from edgeport.benchmarks.compare.limits import Limits
from edgeport.benchmarks.measure.any_model import evaluation_of
from edgeport.benchmarks.report.findings import findings_of
from edgeport.benchmarks.report.judging import change_between
from edgeport.benchmarks.report.raw.record import Report
from edgeport.benchmarks.report.raw.report_file import report_text
from edgeport.benchmarks.report.sections.answer import verdict_lines
from edgeport.benchmarks.statistics.paired_change import drawn_figures
from edgeport.benchmarks.tasks.metric import Metric
from edgeport.benchmarks.tasks.users_metric import users_metric
from edgeport.runtime.artefact.contract import Input, Output
from edgeport.runtime.cli import main
from edgeport.runtime.errors import InputError
from edgeport.runtime.samples.array_names import ALL, ONLY
from edgeport.train.datasets.data import Data, Part

FILE = '''
import numpy as np

def median_error(truth, answers):
    """The first argument is sorted in place, which must harm nobody."""
    error = float(np.median(np.abs(truth - answers)))
    truth.sort(axis=0)
    return error

median_error.better, median_error.unit = "down", "degC"

def close(truth, answers):
    return np.float32(np.mean(np.abs(truth - answers) < 1))

close.unit = "points"

def raises(truth, answers):
    return 1 / 0

def on_few(truth, answers):
    if len(np.unique(truth)) < len(truth):
        raise ValueError("twins")
    return 1.0

nothing = lambda truth, answers: None
array = lambda truth, answers: np.abs(truth - answers)
text = lambda truth, answers: "good"
nan = lambda truth, answers: float("nan")
zero_axes = lambda truth, answers: np.array(0.5)
'''


@pytest.fixture
def file(tmp_path: Path) -> Path:
    (tmp_path / "mine.py").write_text(FILE, encoding="utf-8")
    return tmp_path / "mine.py"


def judged_by(*metrics: str) -> Report:
    return replace(VALUES, judged=(replace(VALUES.judged[0], metrics=metrics),))


def test_a_function_is_a_metric_with_its_direction_and_unit(file: Path) -> None:
    median = users_metric(f"{file}:median_error")
    assert (median.name, median.better, median.unit) == ("median_error", "down", "degC")
    assert median.value(TRUTH, CLOSE) == np.median(np.abs(TRUTH - CLOSE))
    share = users_metric(f"{file}:close:up")
    assert (share.better, share.unit) == ("up", "points")
    assert share.value(TRUTH, CLOSE) == pytest.approx((np.abs(TRUTH - CLOSE) < 1).mean())
    # What the name says is newer than what the file says.
    assert users_metric(f"{file}:median_error:zero").better == "zero"
    assert users_metric(f"{file}:zero_axes:up").value(TRUTH, CLOSE) == 0.5


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("mine.py:close", "got nothing for which way is better, expected up, down, zero: say it with --metric .*:up, "),
        ("mine.py:close:sideways", "got sideways for which way is better"),
        ("mine.py:far:up", "unknown function of .*mine.py 'far'"),
        ("yours.py:close:up", "yours.py is no Python file"),
    ],
)  # fmt: skip
def test_what_is_no_metric_is_asked_for_in_one_line(file: Path, name: str, expected: str) -> None:
    with pytest.raises(InputError, match=expected) as caught:
        users_metric(str(file.with_name(name)))
    assert "\n" not in str(caught.value)


def test_it_is_drawn_in_pairs_and_judged_like_any_other(file: Path) -> None:
    name = f"{file}:median_error"
    findings = findings_of(judged_by(name, "MAE"), metrics=(name, "MAE"))
    change = findings.candidates[3].judged[0].changes[0]
    assert change.other == np.median(np.abs(TRUTH - FAR))
    assert change.significant
    assert 0 < change.low < change.loss < change.high
    assert change.draws == 2000
    (line,) = [line for line in verdict_lines(findings) if line.startswith("TFLite dynamic")]
    assert line.startswith("TFLite dynamic: significant loss: median_error ")
    assert [each.metric.name for each in findings.candidates[3].judged[0].changes] == ["median_error", "MAE"]
    below = findings_of(judged_by(name), metrics=(name,), max_loss=2 * change.high)
    assert not below.above_margin


@pytest.mark.parametrize(
    ("function", "expected"),
    [
        ("raises", r"metric .*mine.py:raises fails with ZeroDivisionError: division by zero \(mine.py:18\)"),
        ("nothing", "metric .*mine.py:nothing: got nothing .None., expected a number"),
        ("array", r"metric .*mine.py:array: got a ndarray of shape \(400, 1\), expected a number"),
        ("text", "metric .*mine.py:text: got a str, expected a number"),
        ("nan", "metric nan: got nan for all 400 answers, expected a number"),
        ("on_few", r"metric .*mine.py:on_few fails with ValueError: twins \(mine.py:22\)"),
    ],
)
def test_one_that_gives_no_number_is_named_and_all_else_is_kept(
    file: Path, function: str, expected: str, capsys: pytest.CaptureFixture[str]
) -> None:
    name = f"{file}:{function}:up"
    findings = findings_of(judged_by(name), metrics=(name,))
    (problem,) = findings.problems
    assert re.fullmatch(expected, problem)
    assert verdict_lines(findings) == []
    assert all(each.main for each in findings.candidates)
    (file.parent / "report.json").write_text(report_text(judged_by(name)), encoding="utf-8")
    assert main(["report", str(file.parent), "--metric", name]) == 2
    assert capsys.readouterr().err.splitlines() == [f"edgeport: error: {problem}"]
    page = (file.parent / "report.html").read_text()
    assert "Not judged: metric " in page
    assert "how far the answers moved is known" in page
    # Another metric judges the same answers.
    assert main(["report", str(file.parent), "--metric", "MAE", "--overwrite"]) == 0


def test_a_comparison_by_one_that_gives_no_number_says_so(file: Path) -> None:
    with pytest.raises(InputError, match=r"mine.py:raises fails with ZeroDivisionError"):
        compare_reports(VALUES, VALUES, limits=Limits(any_host=True), metrics=(f"{file}:raises:up",))
    judged = compare_reports(VALUES, VALUES, limits=Limits(any_host=True), metrics=(f"{file}:median_error",))
    assert [each.answers.metric for each in judged.artefacts if each.answers] == ["median_error"] * 4


def test_code_that_only_a_report_names_does_not_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    harm = tmp_path / "harm.py"
    harm.write_text(f"open({str(tmp_path / 'ran')!r}, 'w')\ndef score(t, a): return 1.0\nscore.better = 'up'\n")
    (tmp_path / "report.json").write_text(report_text(judged_by(f"{harm}:score")), encoding="utf-8")
    for command in (["report", str(tmp_path)], ["compare", str(tmp_path), str(tmp_path), "--any-host"]):
        assert main(command) == 2
        (line,) = capsys.readouterr().err.splitlines()
        assert f"is Python code and runs only if you name it: --metric {harm}:score" in line
    assert not (tmp_path / "ran").exists()
    assert main(["report", str(tmp_path), "--metric", f"{harm}:score"]) == 0
    assert (tmp_path / "ran").exists()


def test_of_an_output_that_means_anything_it_takes_what_there_is(file: Path) -> None:
    """Targets and answers of any shape: nobody but the user knows what they are to each other."""
    targets = np.zeros((COUNT, 2, 3), np.int16)
    data = Data("d.npz", {ALL: Part({ONLY: REFERENCE}, targets)})
    port, output = Input("x", (None, 1), "float32", kind="real"), Output("out", (None, 7), "float32", kind="any")
    (judged,) = evaluation_of(data, [port], [output], metrics=[f"{file}:close:up"]).judged
    assert judged.task == "any"
    assert judged.targets is not None
    assert judged.targets.array.shape == (COUNT, 2, 3)
    same = Data("d.npz", {ALL: Part({ONLY: REFERENCE}, np.zeros((COUNT, 7), np.float32))})
    for said, task in (({}, "values"), ({"": "any"}, "any")):
        (judged,) = evaluation_of(same, [port], [output], tasks=said, metrics=[f"{file}:close:up"]).judged
        assert judged.task == task
        assert judged.targets is not None


def test_a_slow_metric_gets_fewer_draws_of_the_same_samples() -> None:
    def slow(seconds: float) -> Metric:
        def value(truth: np.ndarray, answers: np.ndarray) -> float:
            time.sleep(seconds)
            return float(np.abs(truth - answers).mean())

        return Metric("slow", "down", value)

    fast = drawn_figures(slow(0.0), TRUTH, CLOSE, draws=1000)
    slower = drawn_figures(slow(0.002), TRUTH, CLOSE, draws=1500, patience=1.5)
    assert len(slower) in (200, 500)
    np.testing.assert_array_equal(fast[: len(slower)], slower)


def test_the_page_says_how_often_a_slow_metric_was_drawn(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("edgeport.benchmarks.report.judging.PATIENCE_SECONDS", 1e-9)
    assert "A slow metric was drawn 200 times." in text_of(VALUES)
    between = change_between(VALUES, VALUES.artefacts[0], VALUES.artefacts[3])
    assert between is not None
    assert between.draws == 200
