"""What a benchmark shows people: the summary, report.md and the pictures, computed from raw samples alone."""

import base64
import io
import json
import subprocess
import sys
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
from matplotlib.figure import Figure
from PIL import Image
from rich.console import Console

from edgeport.benchmarks.measure.machine.host import host_facts
from edgeport.benchmarks.report import findings as findings_module
from edgeport.benchmarks.report import percentiles as percentiles_module
from edgeport.benchmarks.report import results
from edgeport.benchmarks.report.charts.pictures import confusion_figure, flips_figure
from edgeport.benchmarks.report.document import Chart, Document, Table, charts_in
from edgeport.benchmarks.report.findings import findings_of
from edgeport.benchmarks.report.raw.record import (
    ENGINE_CALL,
    LABEL,
    PREDICT,
    Condition,
    Measured,
    Report,
    Series,
    Start,
)
from edgeport.benchmarks.report.raw.report_file import read_report, report_text
from edgeport.benchmarks.report.renderers.files import shown_files
from edgeport.benchmarks.report.renderers.markdown import markdown_report as markdown_of
from edgeport.benchmarks.report.renderers.markdown import summary_table
from edgeport.benchmarks.report.renderers.markdown_table import markdown_table
from edgeport.benchmarks.report.renderers.terminal import terminal_table
from edgeport.benchmarks.report.results import can_show
from edgeport.benchmarks.report.sections.answer import verdict_lines
from edgeport.benchmarks.report.sections.medians import medians_table
from edgeport.benchmarks.report.sections.notes import notes_of
from edgeport.benchmarks.report.sections.summary import legend_of, markdown_summary, terminal_summary
from edgeport.benchmarks.report.sections.whole import document_of
from edgeport.benchmarks.report.words import DASH
from edgeport.benchmarks.statistics.paired import wilson_interval

LABELS = ["zero", "one", "two", "three"]
TRUTH = np.arange(1000) % 4


def series(what: str, base_ns: float, *, launches: int = 8, batch: int = 1, threads: int = 1) -> Series:
    """Return calls that take exactly so long in the first launch, and a little more in each further one."""
    times = [[int(base_ns * (1 + launch / 100))] * 25 for launch in range(launches)]
    return Series(what, batch, threads, times)


def answers(lost: int = 0, won: int = 0) -> list[int]:
    """Return the answers of an artefact: the reference has the last 20 images wrong."""
    predictions = TRUTH.copy()
    predictions[-20:] = (TRUTH[-20:] + 1) % 4
    predictions[:lost] = (TRUTH[:lost] + 2) % 4
    predictions[len(TRUTH) - won :] = TRUTH[len(TRUTH) - won :]
    return [int(each) for each in predictions]


def measured(
    file: str, format: str, precision: str, ns: float, predictions: list[int], *, sure: float = 0.9
) -> Measured:
    return Measured(
        file,
        format,
        precision,
        123_456,
        "0" * 64,
        {"name": "engine", "version": "1"},
        predictions,
        [int(sure * 1e6)] * len(TRUTH),
        (series(ENGINE_CALL, ns), series(PREDICT, 2 * ns), series(LABEL, 3 * ns)),
        tuple(Start(80_000_000, 5_000_000 + step, 1_000_000, 50_000_000, 45_000_000, 1) for step in range(3)),
    )


def png(value: int) -> str:
    content = io.BytesIO()
    Image.fromarray(np.full((8, 8), value, np.uint8)).save(content, "PNG")
    return base64.b64encode(content.getvalue()).decode()


REPORT = Report(
    created_utc="2026-01-01T00:00:00+00:00",
    edgeport={"version": "0.3", "commit": "abcdef0123456789"},
    model="m",
    host=host_facts(),
    dataset={"name": "d", "split": "test", "count": 1000, "sha256": "5" * 64, "labels": LABELS},
    truth=[int(each) for each in TRUTH],
    protocol={"launches": 8, "turns": 5, "batches": [1], "threads": [1]},
    artefacts=(
        measured("m.keras", "keras", "float32", 100_000, answers()),
        measured("m.float32.tflite", "tflite", "float32", 20_000, answers()),
        measured("m.int8.tflite", "tflite", "int8", 10_000, answers(lost=12, won=1), sure=0.8),
    ),
    conditions=(Condition(1.0, 0.0, 0.0, 40_000), Condition(1.0, 0.05, 0.0, 41_000)),
    pictures={"3": png(30), "4": png(40)},
)


def markdown_report(report: Report) -> str:
    findings = findings_of(report)
    return markdown_of(findings, document_of([findings]))


def row(report: Report, name: str) -> dict[str, str | float | None]:
    """Return the cells of one candidate, by the names of their columns."""
    table = markdown_summary(findings_of(report))
    names = [column.name for column in table.columns]
    return next(
        dict(zip(names, (cell.value for cell in cells), strict=True)) for cells in table.rows if cells[0].text == name
    )


def printed(table: Table, width: int) -> list[str]:
    console = Console(width=width, file=io.StringIO(), highlight=False)
    console.print(terminal_table(table, width=width))
    return console.file.getvalue().splitlines()  # type: ignore[attr-defined]


def shown(report: Report, width: int) -> list[str]:
    return printed(terminal_summary(findings_of(report)), width)


def notes(report: Report) -> list[str]:
    return notes_of(report, findings_of(report).disturbances)


def untimed(candidate: Measured) -> Measured:
    return replace(candidate, series=(), starts=(), bytes=0)


def test_figures_are_computed_from_the_samples() -> None:
    reference, _, artefact = REPORT.artefacts
    assert (REPORT.accuracy(reference), REPORT.accuracy(artefact)) == (0.98, 0.969)
    assert len(REPORT.flips(artefact)) == 13
    assert reference.latency_us(50) == pytest.approx(103.5)
    assert reference.latency_us(50, PREDICT) == pytest.approx(207.0)
    assert np.isnan(untimed(reference).latency_us(50))


def test_a_report_comes_back_and_stores_no_figure(tmp_path: Path) -> None:
    (tmp_path / "report.json").write_text(report_text(REPORT))
    assert read_report(tmp_path / "report.json") == REPORT
    entry = json.loads(report_text(REPORT))["artefacts"][0]
    assert not [key for key in entry if "p50" in key or "median" in key or "accuracy" in key]


def test_the_table_says_what_was_measured() -> None:
    shown = row(REPORT, "TFLite int8")
    interval = str(shown.pop("95 %")).split(DASH)
    assert float(interval[0]) < 96.90 < float(interval[1])
    assert shown == {
        "artefact": "TFLite int8",
        "top-1": "96.90%",
        "flips": "-12 +1",
        "verdict": "loss 1.10",
        "kB": "123",
        "p50 us": "10.3",
        "p90 us": "10.7",
        "x float32": f"0.500 (0.500{DASH}0.500)",
        "pixels us": "20.7",
        "start ms": "86",
        "peak MB": "50",
    }


def test_the_reference_and_float32_are_what_others_are_compared_with() -> None:
    reference, base = row(REPORT, "Keras float32"), row(REPORT, "TFLite float32")
    assert (reference["flips"], reference["verdict"], reference["x float32"]) == (None, None, None)
    assert (base["flips"], base["verdict"], base["x float32"]) == ("0", "too few", "1"), "20 wrong images tell little"


@pytest.mark.parametrize(
    ("lost", "won", "verdict"), [(0, 15, "gain 1.50"), (30, 0, "loss 3.00"), (2, 1, "too few"), (0, 0, "too few")]
)
def test_a_verdict_is_short(lost: int, won: int, verdict: str) -> None:
    artefact = replace(REPORT.artefacts[2], predictions=answers(lost=lost, won=won))
    report = replace(REPORT, artefacts=(*REPORT.artefacts[:2], artefact))
    assert row(report, "TFLite int8")["verdict"] == verdict


def test_a_wrong_answer_that_became_another_is_told_apart() -> None:
    predictions = answers()
    predictions[-1] = int(TRUTH[-1] + 2) % 4
    report = replace(REPORT, artefacts=(REPORT.artefacts[0], replace(REPORT.artefacts[2], predictions=predictions)))
    assert row(report, "TFLite int8")["flips"] == "~1"


def test_a_percentile_that_the_calls_do_not_support_is_left_out() -> None:
    few = replace(REPORT.artefacts[2], series=(series(ENGINE_CALL, 10_000, launches=3),))
    shown = row(replace(REPORT, artefacts=(*REPORT.artefacts[:2], few)), "TFLite int8")
    assert shown["p50 us"] == "10.1"
    assert shown["p90 us"] is None, "seven calls lie beyond it"
    assert shown["x float32"] == "0.500", "three pairs give no interval"
    assert shown["pixels us"] is None


def test_what_was_not_timed_has_no_times() -> None:
    report = replace(REPORT, artefacts=(untimed(REPORT.reference), *REPORT.artefacts[1:]))
    shown = row(report, "Keras float32")
    assert {shown[key] for key in ("kB", "p50 us", "p90 us", "pixels us", "start ms", "peak MB")} == {None}
    assert shown["top-1"] == "98.00%"


def test_the_terminal_shows_as_many_columns_as_it_has_room_for() -> None:
    wide, usual, narrow = (shown(REPORT, width) for width in (120, 80, 50))
    assert all(max(map(len, lines)) <= width for lines, width in ((wide, 120), (usual, 80), (narrow, 50)))
    assert wide[1].split() == ["artefact", "top-1", "±", "flips", "verdict", "kB", "p50", "us", "p90", "us",
                               "x", "float32", "start", "ms", "peak", "MB"]  # fmt: skip
    assert "x float32" in usual[1]
    assert "peak" not in usual[1]
    assert narrow[1].split() == ["artefact", "top-1", "verdict", "p50", "us"]
    assert not [line for lines in (wide, usual, narrow) for line in lines if "…" in line], "nothing is cut"
    low, high = wilson_interval(969, 1000)
    assert wide[-1].split()[2:5] == ["96.90%", f"{50 * (high - low):.2f}", "-12"]
    assert "0.500 ±0.000" in wide[-1]


def test_long_names_leave_room_for_the_verdict() -> None:
    base = [replace(each, file=f"baseline/{each.file}") for each in REPORT.artefacts[1:]]
    lines = shown(replace(REPORT, artefacts=(*REPORT.artefacts, *base)), 80)
    assert max(map(len, lines)) <= 80
    assert "verdict" in lines[1]
    assert any(line.startswith("baseline TFLite float32 ") for line in lines)


def test_the_legend_is_of_the_columns_that_are_shown() -> None:
    def legend(width: int) -> str:
        table = terminal_table(terminal_summary(findings_of(REPORT)), width=width)
        return legend_of([str(column.header) for column in table.columns])

    assert "flips: images answered unlike" in legend(80)
    assert "peak MB" not in legend(80)
    assert "peak MB" in legend(200)
    assert "pixels us: p50 of predict()" in legend_of(["pixels us"])


def test_notes_say_what_to_know_before_the_figures() -> None:
    assert notes(REPORT) == []
    report = replace(
        REPORT,
        artefacts=(untimed(REPORT.reference), *REPORT.artefacts[1:]),
        skipped=({"file": "m.int8.onnx", "reason": "onnxruntime is not installed"},),
        partial="interrupted after 3 of 8 rounds",
        conditions=(Condition(1.0, 0.9, 0.0, 40_000),),
    )
    partial, reference, skipped, disturbed = notes(report)
    assert partial == "Partial: interrupted after 3 of 8 rounds"
    assert "The Keras model was not run here" in reference
    assert skipped == "Skipped: m.int8.onnx: onnxruntime is not installed"
    assert disturbed.startswith("Disturbed: Other processes used 0.90 cores on average")
    assert all(f"- {note}\n" in markdown_report(report) for note in notes(report))


def test_verdicts_are_told_in_sentences_and_alike_ones_once() -> None:
    twin = replace(REPORT.artefacts[1], precision="float16", file="m.float16.tflite")
    report = replace(REPORT, artefacts=(*REPORT.artefacts, twin))
    same, loss = verdict_lines(findings_of(report))
    assert same.startswith("TFLite float32 and TFLite float16: ")
    assert loss.startswith("TFLite int8: significant loss")
    assert "12 of 1,000 images lost, 1 won" in loss
    text = markdown_report(report)
    for note in (same, loss):
        names, _, sentence = note.partition(": ")
        assert f"- **{names}**: {sentence}.\n" in text


def sections(report: Report) -> dict[str, str]:
    """Return the sections of report.md by their headings."""
    first, *rest = markdown_report(report).split("\n## ")
    return {"": first, **dict(part.split("\n", 1) for part in rest)}


def test_the_report_in_markdown_holds_all_of_it() -> None:
    shown = sections(REPORT)
    assert list(shown) == [
        "",
        "Accuracy against latency",
        "Latency",
        "Accuracy and agreement",
        "Start-up and memory",
        "The machine",
        "How to reproduce",
        "How to read this",
    ]
    assert "Every artefact" not in shown[""]
    assert "The fastest is **" not in shown[""]
    assert summary_table(findings_of(REPORT)) in shown[""]
    assert "![Accuracy against latency](accuracy-latency.png)" in shown["Accuracy against latency"]
    answers = shown["Accuracy and agreement"]
    assert f"| TFLite int8 | 98.70 (97.79{DASH}99.24) | 13 | 12 | 1 | 0 | 1.10 (" in answers
    assert "| Keras float32 | - | - | 90.00 | 8.00 |" in answers
    assert "| TFLite int8 | 10.00 | 10.00 | 80.00 | 16.90 |" in answers
    assert "| TFLite int8 | 80.0 | 5.00 | 1.00 | 86.0 | 50.0 | 45.0 |" in shown["Start-up and memory"]
    again = shown["How to reproduce"]
    assert "$ edgeport benchmark EXPORT_FOLDER --data d --batches 1 --threads 1 --rounds 8\n" in again
    for fact in ("5" * 64, "edgeport: 0.3 abcdef012345", "engine 1", "| launches | 8 |"):
        assert fact in again
    for fact in (f"- processor: {REPORT.host['cpu_model']}", f"- system: {REPORT.host['os']}"):
        assert fact in shown["The machine"]
    assert "| other processes, cores | 0.00 | 0.05 | 0.05 |" in shown["The machine"]
    assert "| reference workload, \u00b5s | 40.0 | 41.0 | 41.0 | From 40.0 to 41.0" in shown["The machine"]


def test_latency_has_intervals_and_only_percentiles_with_calls_enough() -> None:
    (line,) = (line for line in sections(REPORT)["Latency"].splitlines() if line.startswith("| TFLite int8"))
    _, name, calls, p50, p90, p99, predict, label, _ = (cell.strip() for cell in line.split("|"))
    assert (name, calls, p99, predict, label) == ("TFLite int8", "200", "-", "20.7", "31.1")
    low, high = (float(end) for end in p50.partition("(")[2].rstrip(")").split(DASH))
    assert low <= 10.3 <= high
    assert "(" in p90


def test_a_class_that_lost_is_named() -> None:
    lost = np.flatnonzero(TRUTH == 2)[:15]
    predictions = np.array(answers())
    predictions[lost] = 3
    artefact = replace(REPORT.artefacts[2], predictions=predictions.tolist())
    shown = sections(replace(REPORT, artefacts=(REPORT.reference, artefact)))["Accuracy and agreement"]
    shown = shown.partition("### Classes that lost accuracy")[2]
    assert "| TFLite int8 | two | 250 | 15 | 0 | 6.00 |" in shown
    assert shown.count("| TFLite int8 |") == 1
    alike = replace(artefact, predictions=answers())
    shown = sections(replace(REPORT, artefacts=(REPORT.reference, alike)))["Accuracy and agreement"]
    assert "No class of 4 classes has lost accuracy beyond chance" in shown


def test_throughput_is_shown_when_several_ways_were_timed() -> None:
    assert "Throughput" not in sections(REPORT)
    ways = [(8, 1, 40_000), (1, 2, 15_000), (8, 2, 30_000)]
    further = tuple(series(PREDICT, ns, launches=1, batch=batch, threads=threads) for batch, threads, ns in ways)
    artefact = replace(REPORT.artefacts[2], series=(*REPORT.artefacts[2].series, *further))
    shown = sections(replace(REPORT, artefacts=(*REPORT.artefacts[:2], artefact)))["Throughput"]
    assert "| artefact | batch 1, 1 thread | batch 8, 1 thread | batch 1, 2 threads | batch 8, 2 threads |" in shown
    assert "| TFLite int8 | 48,309 | 200,000 | 66,667 | 266,667 |" in shown
    assert "| TFLite float32 | 24,155 | - | - | - |" in shown


def test_golden_samples_need_no_data_set_to_reproduce() -> None:
    golden = replace(REPORT, dataset={**REPORT.dataset, "name": "golden.npz", "split": "golden"})
    assert "--dataset" not in markdown_report(golden)


def test_a_host_of_long_ago_is_told_with_what_is_known() -> None:
    few = {key: REPORT.host[key] for key in ("cpu_model", "cores", "flags", "ram_bytes", "os", "python")}
    shown = sections(replace(REPORT, host=few, conditions=()))["The machine"]
    assert "None" not in shown
    assert "frequency" not in shown
    assert "The report does not say what went on meanwhile." in shown
    pi = {**few, "board": "Raspberry Pi 5", "max_frequency_mhz": 2400.0, "governor": "ondemand", "temperature_c": 61.2}
    shown = sections(replace(REPORT, host=pi))["The machine"]
    for line in ("- board: Raspberry Pi 5\n", "- highest frequency, MHz: 2400\n", "- governor: ondemand\n",
                 "- temperature, \u00b0C: 61.2\n"):  # fmt: skip
        assert line in shown


def test_cells_of_a_markdown_table_keep_to_their_columns_and_lines() -> None:
    table = markdown_table(("a", "b"), [("x|y", "1\n2")])
    assert table == "| a | b |\n| :-- | --: |\n| x\\|y | 1 2 |\n"
    assert markdown_table(("a", "b"), [], left=(0, 1)).splitlines()[1] == "| :-- | :-- |"
    aligned = markdown_table(("name", "figure"), [("x|", "1.25")], aligned=True).splitlines()
    assert aligned == ["| name | figure |", "| :--- | -----: |", "| x\\|  |   1.25 |"]


def test_figures_are_computed_once_for_all_that_is_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    counts = dict.fromkeys(("accuracy_verdict", "latency_ratio", "percentile_interval", "change_between"), 0)

    def counting(name: str, function):
        def counted(*arguments, **options):
            counts[name] += 1
            return function(*arguments, **options)

        return counted

    for name in counts:
        module = percentiles_module if name == "percentile_interval" else findings_module
        monkeypatch.setattr(module, name, counting(name, getattr(module, name)))
    findings = findings_of(REPORT)
    computed = dict(counts)
    names = [name for name, _ in shown_files(findings)]
    assert {"report.md", "report.html", "accuracy-latency.png", "latency-distributions.png"} <= set(names)
    terminal_summary(findings)
    assert counts == computed
    assert computed["accuracy_verdict"] == computed["change_between"] == 2
    assert computed["percentile_interval"] == 6, "p50 and p90 of three candidates"


def document(report: Report) -> Document:
    return document_of([findings_of(report)])


def charts(report: Report) -> dict[str, Chart]:
    return {name: each for name, each in charts_in(document(report).sections) if isinstance(each, Chart)}


def test_accuracy_against_latency_shows_every_candidate_and_the_front() -> None:
    chart = charts(REPORT)["scatter"]
    spots = {spot.name: spot for spot in chart.data.spots}
    assert list(spots) == ["Keras float32", "TFLite float32", "TFLite int8"]
    assert (spots["TFLite int8"].latency[0], spots["TFLite int8"].accuracy[0]) == pytest.approx((10.35, 96.9))
    assert [spot.name for spot in spots.values() if spot.front] == ["TFLite float32", "TFLite int8"], (
        "the Keras model is slower and no better"
    )
    assert chart.words.startswith("On the Pareto front: TFLite int8 and TFLite float32. ")
    assert chart.file == "accuracy-latency.png"


def test_distributions_are_those_of_what_was_timed() -> None:
    report = replace(REPORT, artefacts=(untimed(REPORT.reference), *REPORT.artefacts[1:]))
    chart = charts(report)["strips"]
    assert [strip.name for strip in chart.data.strips] == ["TFLite float32", "TFLite int8"]
    assert "Up to 200 timed calls of 8 processes" in chart.caption
    (strip,) = (strip for strip in chart.data.strips if strip.name == "TFLite int8")
    assert (strip.median, strip.p90) == pytest.approx((10.35, 10.7))
    assert strip.medians == pytest.approx([10 * (1 + launch / 100) for launch in range(8)])


def texts(figure: Figure) -> list[str]:
    suptitle = [figure.get_suptitle()]
    return suptitle + [text.get_text() for axes in figure.axes for text in (axes.title, *axes.texts)]


def test_flips_are_drawn_with_both_answers() -> None:
    drawn = flips_figure(findings_of(REPORT))
    assert len(drawn.axes) == 2
    assert "2 of 13 test images" in texts(drawn)[0]
    assert "image 3, true: three" in texts(drawn)
    assert "Keras float32: three (90%)" in texts(drawn)
    assert "TFLite int8: one (80%)" in texts(drawn)
    colours = {text.get_text(): text.get_color() for text in drawn.axes[0].texts}
    assert colours["Keras float32: three (90%)"] != colours["TFLite int8: one (80%)"]


def test_artefacts_that_flip_alike_share_a_line() -> None:
    twin = replace(REPORT.artefacts[2], precision="dynamic", file="m.dynamic.tflite")
    drawn = flips_figure(findings_of(replace(REPORT, artefacts=(*REPORT.artefacts, twin))))
    assert "TFLite int8 and 1 more: one (80%)" in texts(drawn)


def test_a_confusion_matrix_for_each_candidate_counts_its_answers() -> None:
    drawn = confusion_figure(findings_of(REPORT))
    titles = [axes.get_title() for axes in drawn.axes[:3]]
    assert titles == ["Keras float32: 20 wrong", "TFLite float32: 20 wrong", "TFLite int8: 31 wrong"]
    cells = {text.get_position(): text.get_text() for text in drawn.axes[2].texts}
    expected = np.zeros((4, 4), int)
    np.add.at(expected, (TRUTH, REPORT.artefacts[2].classes), 1)
    assert cells == {
        (column, line): str(expected[line, column]) for line, column in zip(*np.nonzero(expected), strict=True)
    }
    assert [label.get_text() for label in drawn.axes[0].get_yticklabels()] == LABELS


def test_a_large_matrix_has_no_counts() -> None:
    labels = [f"class {index}" for index in range(30)]
    drawn = confusion_figure(findings_of(replace(REPORT, dataset={**REPORT.dataset, "labels": labels})))
    assert not drawn.axes[0].texts


def test_a_report_with_little_to_show_is_shown_all_the_same() -> None:
    quick = replace(REPORT.artefacts[1], series=(Series(ENGINE_CALL, 1, 1, [[5000, 5000, 5000]]),))
    for report in (
        replace(REPORT, artefacts=(untimed(REPORT.reference),), pictures={}, conditions=()),
        replace(REPORT, artefacts=(untimed(REPORT.reference), quick), pictures={}),
    ):
        files = dict(shown_files(findings_of(report)))
        pictures = [name for name in files if name.endswith(".png")]
        assert "confusion-matrices.png" in pictures
        assert all(Image.open(io.BytesIO(files[name])).size[0] > 300 for name in pictures)


def test_names_are_drawn_as_they_are() -> None:
    labels = ["$\\frac{1$", "a_b^c", "two", "three"]
    report = replace(REPORT, model="$x_{", dataset={**REPORT.dataset, "labels": labels})
    files = dict(shown_files(findings_of(report)))
    assert all(len(content) > 1_000 for content in files.values())
    assert "$x_{" in files["report.html"].decode()


def test_the_medians_need_no_statistics_no_drawing_and_no_engine() -> None:
    code = (
        "import sys, edgeport.benchmarks.report.sections.medians, edgeport.benchmarks.report.renderers.terminal\n"
        "import edgeport.benchmarks.measure.machine.reference_workload\n"
        "names = ('matplotlib', 'scipy', 'jinja2', 'tensorflow', 'onnxruntime', 'onnx')\n"
        "print([name for name in names if name in sys.modules])"
    )
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert shown.stdout.strip() == "[]"


def test_the_medians_are_those_of_the_summary() -> None:
    table = medians_table(REPORT)
    assert [cell.value for cell in table.rows[2]] == ["TFLite int8", "96.90%", "13", "123", "10.3", "20.7", "86", "50"]
    few = [cell.value for cell in medians_table(replace(REPORT, artefacts=(untimed(REPORT.reference),))).rows[0]]
    assert few == ["Keras float32", "98.00%", "0", None, None, None, None, None]
    assert max(map(len, printed(table, 60))) <= 60


def test_a_report_is_shown_where_all_its_packages_are_installed_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    assert can_show()
    monkeypatch.setattr(results, "find_spec", lambda package: None if package == "scipy" else find_spec(package))
    assert not can_show()
