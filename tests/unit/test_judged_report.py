"""Reports on models that choose no class: metrics, losses and changed outputs, in every way they are shown."""

import io
import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from rich.console import Console
from sklearn.metrics import auc, average_precision_score, roc_auc_score

from edgeport.benchmarks.compare.comparison import compare_reports
from edgeport.benchmarks.compare.comparison_table import comparison_markdown
from edgeport.benchmarks.compare.limits import Limits
from edgeport.benchmarks.measure.assembly import pictures_of
from edgeport.benchmarks.report.charts.data import Plot
from edgeport.benchmarks.report.document import Chart
from edgeport.benchmarks.report.findings import findings_of
from edgeport.benchmarks.report.raw.packed import Packed, packed
from edgeport.benchmarks.report.raw.record import JudgedOutput, Measured, Report, Series, Start
from edgeport.benchmarks.report.raw.report_file import read_report, report_text
from edgeport.benchmarks.report.renderers.files import shown_files
from edgeport.benchmarks.report.renderers.html import html_page
from edgeport.benchmarks.report.renderers.markdown import document_text, markdown_report
from edgeport.benchmarks.report.renderers.terminal import terminal_table
from edgeport.benchmarks.report.sections.answer import margin_sentence, verdict_lines
from edgeport.benchmarks.report.sections.medians import medians_table
from edgeport.benchmarks.report.sections.pictures.shown_answers import _curves, _mean_curve, shown_answers
from edgeport.benchmarks.report.sections.summary import terminal_summary
from edgeport.benchmarks.report.sections.whole import document_of
from edgeport.benchmarks.tasks.values import value_metrics
from edgeport.runtime.cli import main
from edgeport.runtime.errors import ArtefactError, InputError

COUNT = 400
RANDOM = np.random.default_rng(0)
TRUTH = RANDOM.normal(20, 5, (COUNT, 1))
REFERENCE = (TRUTH + RANDOM.normal(0, 0.5, (COUNT, 1))).astype(np.float32)
CLOSE = REFERENCE + RANDOM.normal(0, 0.01, (COUNT, 1)).astype(np.float32)
FAR = REFERENCE + RANDOM.normal(0, 1.0, (COUNT, 1)).astype(np.float32)


def measured(file: str, precision: str, us: int, *answers: np.ndarray) -> Measured:
    series = tuple(Series(what, 1, 1, [[us * 1000 + step] * 20 for step in range(8)]) for what in ("engine", "predict"))
    starts = (Start(80_000_000, 5_000_000, 1_000_000, 50_000_000, 45_000_000, 1),) * 8
    kind = file.rpartition(".")[2]
    return Measured(
        file, kind, precision, 50_000, "0" * 64, {"name": "engine", "version": "1"}, [], [], series, starts,
        tuple(map(packed, answers)),
    )  # fmt: skip


def made(judged: tuple[JudgedOutput, ...], artefacts: tuple[Measured, ...], **more: Any) -> Report:
    return Report(
        created_utc="2026-01-01T00:00:00+00:00",
        edgeport={"version": "0.1.0"},
        model="boiler",
        host={"cpu_model": "A CPU", "architecture": "x86_64", "flags": ["avx2"], "cores": 2},
        dataset={"name": "boiler.npz", "split": "all", "count": COUNT, "sha256": "5" * 64, "labels": []},
        truth=[],
        protocol={"launches": 8, "turns": 5, "batches": [1], "threads": [1]},
        artefacts=artefacts,
        judged=judged,
        **more,
    )


VALUES = made(
    (JudgedOutput("temperature", "values", columns=("temperature",), units=("degC",), targets=packed(TRUTH)),),
    (
        measured("m.keras", "float32", 300, REFERENCE),
        measured("m.float32.tflite", "float32", 60, REFERENCE),
        measured("m.int8.tflite", "int8", 20, CLOSE),
        measured("m.dynamic.tflite", "dynamic", 10, FAR),
    ),
)
MASK = np.zeros((COUNT, 4, 4), np.uint8)
OTHER = MASK.copy()
OTHER[:40, 0] = 1
UNJUDGED = made(
    (JudgedOutput("mask", "map"), JudgedOutput("depth", "any")),
    (measured("m.keras", "float32", 300, MASK, REFERENCE), measured("m.int8.onnx", "int8", 20, OTHER, CLOSE)),
)


def text_of(report: Report, most: float | None = None) -> str:
    findings = findings_of(report, max_loss=most)
    return markdown_report(findings, document_of([findings]))


def terminal(report: Report, width: int = 150) -> str:
    console = Console(width=width, file=io.StringIO(), highlight=False)
    console.print(terminal_table(terminal_summary(findings_of(report)), width=width))
    return console.file.getvalue()  # type: ignore[attr-defined]


def test_figures_are_those_of_the_metrics_in_their_units() -> None:
    table, text = terminal(VALUES), text_of(VALUES)
    for metric in value_metrics(unit="degC"):
        assert metric.name in table
        for answers in (REFERENCE, CLOSE, FAR):
            assert metric.shown(metric.value(TRUTH, answers)) in table
    assert "top-1" not in table
    assert "TFLite int8 is the fastest artefact without a detectable loss" in text.replace("*", "")
    mae = value_metrics(unit="degC")[0]
    lost = mae.shown(mae.value(TRUTH, FAR) - mae.value(TRUTH, REFERENCE))
    (sentence,) = [line for line in verdict_lines(findings_of(VALUES)) if line.startswith("TFLite dynamic")]
    assert sentence.startswith(
        f"TFLite dynamic: significant loss: MAE {mae.shown(mae.value(TRUTH, REFERENCE))} \u2192 "
    )
    assert f"({lost}, 95 % interval " in sentence
    assert "TFLite float32: no detectable loss: MAE" in "\n".join(verdict_lines(findings_of(VALUES)))
    assert "all 400 answers are the same" in text


def test_without_targets_it_says_how_far_the_answers_moved_and_judges_nothing() -> None:
    table, text = terminal(UNJUDGED), text_of(UNJUDGED)
    change = np.abs(CLOSE.astype(float) - REFERENCE).max()
    assert f"{change:.4g}" in text
    agreement = f"{(MASK == OTHER).mean():.2%}"
    assert agreement in table
    assert "verdict" not in table
    assert "no targets" in text.lower()
    assert "loss" not in table
    assert verdict_lines(findings_of(UNJUDGED)) == []


@pytest.mark.parametrize("report", [VALUES, UNJUDGED], ids=["values", "unjudged"])
def test_it_is_read_back_and_shown_in_all_files(report: Report, tmp_path: Path) -> None:
    (tmp_path / "report.json").write_text(report_text(report), encoding="utf-8")
    again = read_report(tmp_path)
    for one, other in zip(report.artefacts, again.artefacts, strict=True):
        for kept, read in zip(one.answers, other.answers, strict=True):
            np.testing.assert_array_equal(kept.array, read.array)
    files = dict(shown_files(findings_of(again)))
    assert {"report.md", "report.html", "latency-distributions.png"} <= files.keys()
    assert not {"confusion-matrices.png", "flips.png"} & files.keys()
    page = files["report.html"].decode()
    assert "nan" not in page.lower().replace("nano", "")
    assert all(word in page for word in (report.judged[0].name, "400 test samples"))
    assert "images" not in files["report.md"].decode()
    assert "boiler on 400 test samples" in medians_table(again).caption


def test_groups_widen_the_interval_and_are_counted() -> None:
    grouped = replace(VALUES, groups=[place // 10 for place in range(COUNT)])
    assert "400 samples of 40 groups" in text_of(grouped)
    change = findings_of(grouped).candidates[3].judged[0].changes[0]
    assert change.count == 40


@pytest.mark.parametrize(
    ("break_it", "expected"),
    [
        (lambda content: content["artefacts"][1]["answers"].pop(), "has other outputs than are judged"),
        (lambda content: content["artefacts"][1]["answers"][0].update(shape=[7, 1]), "answers of m.float32.tflite"),
        (lambda content: content["artefacts"][1]["answers"][0].update(dtype="object"), "an array of object"),
        (lambda content: content["artefacts"][1]["answers"][0].update(data="!"), "answers of m.float32.tflite"),
        (lambda content: content["judged"][0]["targets"].update(shape=[10**6, 10**6]), "an array of 8,000,000,000,000"),
        (lambda content: content["judged"][0].update(task="magic"), "magic"),
        (lambda content: content.update(groups=[1, 2]), "groups"),
    ],
)
def test_a_damaged_record_is_said_to_be_one(break_it: Any, expected: str, tmp_path: Path) -> None:
    content = json.loads(report_text(VALUES))
    break_it(content)
    (tmp_path / "report.json").write_text(json.dumps(content), encoding="utf-8")
    with pytest.raises(ArtefactError, match=expected):
        read_report(tmp_path)


def test_packed_arrays_are_those_that_were_packed() -> None:
    for array in (np.arange(6, dtype=np.int64).reshape(2, 3), np.array([[True, False]]), REFERENCE, MASK):
        again = Packed(**json.loads(json.dumps(vars(packed(array)))))
        assert again.array.dtype == array.dtype
        np.testing.assert_array_equal(again.array, array)


@pytest.mark.parametrize(("most", "below"), [(0.05, 2), (1.0, 3), (1e-9, 1)])
def test_the_upper_end_of_the_interval_answers_whether_a_loss_is_below_a_margin(most: float, below: int) -> None:
    findings = findings_of(VALUES, max_loss=most)
    assert [each.margin is not None and each.margin.below for each in findings.candidates[1:]] == [
        place < below for place in range(3)
    ]
    for each in findings.others:
        assert each.change is not None
        assert each.margin is not None
        assert each.margin.below == (each.change.high < most)
    assert len(findings.above_margin) == 3 - below
    markdown, page = text_of(VALUES, most), html_page(document_of([findings]))
    for text in (markdown.replace("*", ""), page):
        assert f"elow {most:g} degC of MAE (--max-loss): " in text
    assert "TFLite float32 (all answers are the same)" in markdown
    if below == 2:
        assert re.search(r"Not below 0.05 degC of MAE \(--max-loss\): TFLite dynamic \(up to 0\.\d+ degC\)\.", markdown)


def test_a_margin_needs_what_is_true_and_samples_enough() -> None:
    with pytest.raises(InputError, match=r"--max-loss: got 0.5, and nobody says what is true of the samples of boiler"):
        findings_of(UNJUDGED, max_loss=0.5)
    for wrong in (0.0, -1.0, float("nan"), float("inf")):
        with pytest.raises(InputError, match=r"--max-loss: got .*, expected a number above 0, such as 0\.5"):
            Limits(max_loss=wrong)
    few = made(
        (replace(VALUES.judged[0], targets=packed(TRUTH[:10])),),
        tuple(replace(each, answers=(packed(each.answers[0].array[:10]),)) for each in VALUES.artefacts),
    )
    few = replace(few, dataset={**few.dataset, "count": 10})
    (float32, *_) = findings_of(few, max_loss=1e9).above_margin
    assert float32.margin is not None
    assert float32.margin.words == "10 samples are too few for an interval, at least 20 are needed"


def test_a_baseline_is_not_asked_for_its_margin() -> None:
    base = replace(VALUES.artefacts[3], file="baseline/m.dynamic.tflite")
    findings = findings_of(replace(VALUES, artefacts=(*VALUES.artefacts[:3], base)), max_loss=0.05)
    assert [each.margin is None for each in findings.candidates] == [True, False, False, True]
    assert not findings.above_margin


def test_edgeport_report_answers_whether_a_loss_is_below_a_margin(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "report.json").write_text(report_text(VALUES), encoding="utf-8")
    for most, code in (("1", 0), ("0.05", 1)):
        assert main(["report", str(tmp_path), "--max-loss", most, "--overwrite"]) == code
        said = [line for line in capsys.readouterr().out.splitlines() if "(--max-loss)" in line]
        assert said == [margin_sentence(findings_of(VALUES, max_loss=float(most)))]


WORSE = (REFERENCE + np.random.default_rng(5).normal(0, 0.3, (COUNT, 1))).astype(np.float32)


def test_two_reports_are_compared_on_the_same_samples() -> None:
    same = compare_reports(VALUES, VALUES, limits=Limits(any_host=True))
    assert (same.exit_code, same.regressions) == (0, ())
    artefacts = (*VALUES.artefacts[:2], replace(VALUES.artefacts[2], answers=(packed(WORSE),)), VALUES.artefacts[3])
    worse = compare_reports(VALUES, replace(VALUES, artefacts=artefacts), limits=Limits(any_host=True))
    assert worse.exit_code == 1
    (regression,) = worse.regressions
    mae = value_metrics(unit="degC")[0]
    lost = mae.value(TRUTH, WORSE) - mae.value(TRUTH, CLOSE)
    assert regression.startswith(f"TFLite int8 lost {mae.shown(lost)} (p = ")
    text = comparison_markdown(worse)
    assert "| artefact | MAE, degC |" in text
    assert f"{mae.shown(mae.value(TRUTH, CLOSE))} -> {mae.shown(mae.value(TRUTH, WORSE))}" in text
    accepted = compare_reports(
        VALUES, replace(VALUES, artefacts=artefacts), limits=Limits(any_host=True, max_accuracy_loss=2 * lost)
    )
    assert accepted.exit_code == 0
    assert "lost 0." in comparison_markdown(accepted)
    assert worse.artefacts[2].answers is not None
    for most, code in ((0.9 * worse.artefacts[2].answers.high, 1), (1.0, 0)):
        limits = Limits(any_host=True, max_accuracy_loss=2 * lost, max_loss=most)
        asked = compare_reports(VALUES, replace(VALUES, artefacts=artefacts), limits=limits)
        assert asked.exit_code == code
        said = "each loss of MAE is below 1 degC" if code == 0 else f"not below {most:g} degC of MAE (up to 0."
        assert said in comparison_markdown(asked)


def test_without_what_is_true_a_comparison_judges_no_answers() -> None:
    judged = compare_reports(UNJUDGED, UNJUDGED, limits=Limits(any_host=True))
    assert judged.exit_code == 0
    assert "OK: answers not judged (nobody says what is true)" in comparison_markdown(judged)
    judged = compare_reports(UNJUDGED, UNJUDGED, limits=Limits(any_host=True, max_loss=1.0))
    assert judged.exit_code == 2
    assert judged.obstacles == ("--max-loss: nobody says what is true of the samples",)


@pytest.mark.parametrize(
    ("other", "obstacle"),
    [
        (replace(VALUES, judged=(replace(VALUES.judged[0], task="any"),)), "BASE has temperature as values, NEW has"),
        (replace(VALUES, groups=list(range(COUNT))), "groups: BASE and NEW have other ones"),
        (replace(VALUES, judged=(replace(VALUES.judged[0], targets=packed(TRUTH + 1)),)), "targets: BASE and NEW"),
        (
            replace(VALUES, artefacts=tuple(
                replace(each, answers=(packed(np.repeat(each.answers[0].array, 2, 1)),)) for each in VALUES.artefacts
            )),
            "shape of the answers of m.int8.tflite: BASE has (400, 1), NEW has (400, 2)",
        ),
    ],
)  # fmt: skip
def test_reports_of_other_answers_cannot_be_compared(other: Report, obstacle: str) -> None:
    judged = compare_reports(VALUES, other, limits=Limits(any_host=True))
    assert judged.exit_code == 2
    assert obstacle in "\n".join(judged.obstacles)


def test_a_narrow_terminal_keeps_names_the_deciding_metric_and_verdicts() -> None:
    lines = terminal(VALUES, 46).splitlines()
    (head,) = [line for line in lines if line.startswith("artefact")]
    assert head.split()[1] == "MAE"
    assert "verdict" in head
    assert "R2" not in head
    assert any(line.startswith("TFLite float32") for line in lines)


def merged(*reports: Report) -> str:
    findings = [findings_of(report) for report in reports]
    return document_text(document_of(findings))


def test_several_machines_share_what_is_the_same_and_show_what_is_not() -> None:
    board = replace(VALUES, host={**VALUES.host, "board": "A board"})
    text = merged(VALUES, board)
    assert "Every sample gets the answers that it gets on A CPU" in text
    assert text.count("Answers and metrics") == 1
    assert "the same answers" in text
    mae = value_metrics(unit="degC")[0]
    assert f"MAE {mae.shown(mae.value(TRUTH, CLOSE))} (the same answers)" in text
    moved = measured("m.int8.tflite", "int8", 20, CLOSE + np.float32(0.5))
    other = replace(board, artefacts=(*VALUES.artefacts[:2], moved, VALUES.artefacts[3]))
    text = merged(VALUES, other)
    assert "Every sample gets the answers" not in text
    assert text.count("Answers and metrics") == 2
    assert "largest change 0.5)" in text
    elsewhere = replace(board, dataset={**VALUES.dataset, "name": "golden.npz", "sha256": "6" * 64})
    text = merged(VALUES, elsewhere)
    assert "Other test samples: A board has golden.npz (400 samples), A CPU has boiler.npz (400 samples)" in text
    assert "Every sample gets the answers" not in text


def of_task(task: str, truth: np.ndarray, *answers: np.ndarray, **more: Any) -> Report:
    """Return a report on one output: the reference, the same as an artefact, and others."""
    names = ("m.float32.tflite", "m.int8.tflite", "m.int8.onnx")
    artefacts = [measured(name, name.split(".")[1], 20, each) for name, each in zip(names, answers, strict=False)]
    made_of = made(
        (JudgedOutput("found", task, targets=packed(truth)),),
        (measured("m.keras", "float32", 300, answers[0]), *artefacts),
        **more,
    )
    return replace(made_of, dataset={**made_of.dataset, "count": len(truth)})


YES = (np.arange(COUNT) % 3 == 0).astype(np.int64)
SCORES = np.clip(0.4 * YES[:, None] + RANDOM.uniform(0, 0.6, (COUNT, 1)), 0, 1).astype(np.float32)
ROUGH = np.round(SCORES * 8) / 8
LABELS = (RANDOM.uniform(size=(COUNT, 3)) < 0.4).astype(np.int64)
LABEL_SCORES = np.clip(0.4 * LABELS + RANDOM.uniform(0, 0.6, (COUNT, 3)), 0, 1).astype(np.float32)


@pytest.mark.parametrize(
    ("report", "pictures"),
    [
        (VALUES, {"predicted-true.png", "errors.png"}),
        (of_task("yes-no", YES, SCORES, ROUGH), {"roc.png", "precision-recall.png"}),
        (of_task("labels", LABELS, LABEL_SCORES, np.round(LABEL_SCORES * 8) / 8), {"roc.png", "precision-recall.png"}),
        (of_task("anomaly", YES, 9 * SCORES, 9 * ROUGH), {"scores.png", "roc.png", "precision-recall.png"}),
        (UNJUDGED, set()),
    ],
    ids=["values", "yes-no", "labels", "anomaly", "no targets"],
)
def test_answers_are_shown_in_the_pictures_of_their_task(report: Report, pictures: set[str]) -> None:
    files = dict(shown_files(findings_of(report)))
    every = {"predicted-true.png", "errors.png", "roc.png", "precision-recall.png", "scores.png", "changed-samples.png"}
    assert files.keys() & every == pictures
    page, text = files["report.html"].decode(), files["report.md"].decode()
    assert ("Answers in pictures" in page) == bool(pictures)
    for name in pictures:
        assert files[name].startswith(b"\x89PNG")
        assert f"]({name})" in text


def test_curves_are_those_of_the_answers_and_of_few_candidates() -> None:
    others = [SCORES + np.float32(0.01 * place) for place in range(6)]
    base = of_task("yes-no", YES, SCORES)
    more = tuple(measured(f"m{place}.int8.onnx", "int8", 20, each) for place, each in enumerate(others))
    section = shown_answers(findings_of(replace(base, artefacts=(*base.artefacts, *more))))
    assert section is not None
    roc = next(block for block in section.blocks if isinstance(block, Chart) and block.name == "roc")
    assert isinstance(roc.data, Plot)
    traces = roc.data.traces
    assert traces[0].name == "Keras float32"
    assert len(traces) == 4
    assert "m5.int8.onnx" in " ".join(trace.name for trace in traces)
    assert auc(traces[0].x, traces[0].y) == pytest.approx(roc_auc_score(YES, SCORES[:, 0]), abs=0.01)


MASKS = (RANDOM.uniform(size=(30, 8, 8)) < 0.5).astype(np.int64)
MOVED = MASKS.astype(np.uint8)
MOVED[7, :4] ^= 1
MOVED[3, 0, 0] ^= 1
IMAGES = RANDOM.integers(0, 256, (30, 8, 8, 3)).astype(np.uint8)
BOXES = np.tile(np.array([[[1.0, 0.1, 0.2, 0.5, 0.6]]]), (30, 1, 1))
FOUND = np.concatenate([BOXES[..., :1], np.full((30, 1, 1), 0.9), BOXES[..., 1:]], -1).astype(np.float32)
LOST = FOUND.copy()
LOST[4, 0, 1] = 0.1


@pytest.mark.parametrize(
    ("report", "changed"),
    [
        (of_task("map", MASKS, MASKS.astype(np.uint8), MOVED), ["7", "3"]),
        (of_task("boxes", BOXES, FOUND, LOST), ["4"]),
    ],
    ids=["map", "boxes"],
)
def test_masks_and_boxes_stand_side_by_side_on_the_samples_that_changed_most(
    report: Report, changed: list[str], tmp_path: Path
) -> None:
    pytest.importorskip("pycocotools")
    pictures = pictures_of(report, IMAGES)
    assert list(pictures) == changed
    assert pictures_of(report, {"photo": IMAGES.astype(np.float32)}).keys() == pictures.keys()
    assert pictures_of(report, IMAGES[:, 0]) == {}
    report = replace(report, pictures=pictures)
    (tmp_path / "report.json").write_text(report_text(report), encoding="utf-8")
    files = dict(shown_files(findings_of(read_report(tmp_path))))
    page = files["report.html"].decode()
    assert files["changed-samples.png"].startswith(b"\x89PNG")
    assert "](changed-samples.png)" in files["report.md"].decode()
    assert page.count('<figure class="panels">') == len(changed)
    assert f"sample {changed[0]}" in page
    if report.judged[0].task == "boxes":
        # True, twice as it was, and lost in one.
        assert page.count("<rect x=") == 3
        assert 'x="20.00" y="10.00" width="40.00" height="40.00"' in page


def test_pictures_of_others_are_shown_only_if_they_are_some() -> None:
    report = replace(
        of_task("map", MASKS, MASKS.astype(np.uint8), MOVED),
        pictures={"7": '"><script>', "x": "AAAA", "99": "AAAA", "\u0663": "AAAA"},
    )
    files = dict(shown_files(findings_of(report)))
    assert "<script>" not in files["report.html"].decode()
    assert "changed-samples.png" not in files


def test_the_curves_of_labels_are_the_mean_of_theirs_as_their_metric_is() -> None:
    random = np.random.default_rng(0)
    truth = random.random((400, 5)) < [0.1, 0.3, 0.5, 0.7, 0.02]
    scores = truth * [0.2, 0.5, 1, 2, 3] + random.normal(0, 1, truth.shape)
    curves = [_curves(truth[:, label].astype(np.int64), scores[:, label]) for label in range(5)]
    recall, precision = _mean_curve([falling for _, falling in curves], side="left")
    assert auc(recall, precision) == pytest.approx(average_precision_score(truth, scores, average="macro"), abs=0.01)
    false, right = _mean_curve([rising for rising, _ in curves], side="right")
    assert auc(false, right) == pytest.approx(roc_auc_score(truth, scores, average="macro"), abs=0.01)
    # Together they would be another curve, as labels differ in how often they are true.
    assert abs(average_precision_score(truth, scores, average="micro") - auc(recall, precision)) > 0.05
    alone = _mean_curve([curves[0][1]], side="left")
    np.testing.assert_array_equal(alone[1], curves[0][1][1])
