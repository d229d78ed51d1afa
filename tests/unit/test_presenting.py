"""What a benchmark shows people: the summary, report.md and the pictures, computed from raw samples alone."""

import base64
import io
import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from PIL import Image
from rich.console import Console

from edgeport.benchmarks.measure.host import host_facts
from edgeport.benchmarks.report import figures
from edgeport.benchmarks.report.record import ENGINE_CALL, LABEL, PREDICT, Condition, Measured, Report, Series, Start
from edgeport.benchmarks.report.report_file import read_report, report_text
from edgeport.benchmarks.report.table import (
    LEGEND,
    legend_of,
    markdown_report,
    markdown_table,
    report_notes,
    table_rows,
    terminal_table,
    verdict_notes,
)
from edgeport.benchmarks.report.words import DASH
from edgeport.benchmarks.statistics.shares import wilson_interval

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


def row(report: Report, name: str) -> dict[str, str]:
    """Return the cells of one candidate, by the names of their columns."""
    header = [cell.strip() for cell in markdown_table(report).splitlines()[0].strip("|").split("|")]
    return next(dict(zip(header, cells, strict=True)) for cells in table_rows(report) if cells[0] == name)


def shown(report: Report, width: int) -> list[str]:
    console = Console(width=width, file=io.StringIO(), highlight=False)
    console.print(terminal_table(report, width=width))
    return console.file.getvalue().splitlines()  # type: ignore[attr-defined]


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
    printed = row(REPORT, "TFLite int8")
    interval = printed.pop("95 %").split(DASH)
    assert float(interval[0]) < 96.90 < float(interval[1])
    assert printed == {
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
    assert (reference["flips"], reference["verdict"], reference["x float32"]) == ("-", "-", "-")
    assert (base["flips"], base["verdict"], base["x float32"]) == ("0", "too few", "1"), "20 wrong images tell little"


@pytest.mark.parametrize(
    ("lost", "won", "verdict"), [(0, 15, "gain 1.50"), (30, 0, "loss 3.00"), (2, 1, "too few"), (0, 0, "too few")]
)
def test_a_verdict_is_short(lost: int, won: int, verdict: str) -> None:
    artefact = replace(REPORT.artefacts[2], predictions=answers(lost=lost, won=won))
    report = replace(REPORT, artefacts=(*REPORT.artefacts[:2], artefact))
    assert row(report, "TFLite int8")["verdict"] == verdict


def test_a_wrong_answer_that_became_another_is_reported_apart() -> None:
    predictions = answers()
    predictions[-1] = int(TRUTH[-1] + 2) % 4
    report = replace(REPORT, artefacts=(REPORT.artefacts[0], replace(REPORT.artefacts[2], predictions=predictions)))
    assert row(report, "TFLite int8")["flips"] == "~1"


def test_a_percentile_that_the_calls_do_not_support_is_left_out() -> None:
    few = replace(REPORT.artefacts[2], series=(series(ENGINE_CALL, 10_000, launches=3),))
    printed = row(replace(REPORT, artefacts=(*REPORT.artefacts[:2], few)), "TFLite int8")
    assert printed["p50 us"] == "10.1"
    assert printed["p90 us"] == "-", "seven calls lie beyond it"
    assert printed["x float32"] == "0.500", "three pairs give no interval"
    assert printed["pixels us"] == "-"


def test_what_was_not_timed_has_no_times() -> None:
    report = replace(REPORT, artefacts=(untimed(REPORT.reference), *REPORT.artefacts[1:]))
    printed = row(report, "Keras float32")
    assert {printed[key] for key in ("kB", "p50 us", "p90 us", "pixels us", "start ms", "peak MB")} == {"-"}
    assert printed["top-1"] == "98.00%"


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
    printed = legend_of(terminal_table(REPORT, width=80))
    assert "flips: images answered unlike" in printed
    assert "peak MB" not in printed
    assert "peak MB" in legend_of(terminal_table(REPORT, width=200))
    assert "pixels us: p50 of predict()" in LEGEND


def test_notes_say_what_to_know_before_the_figures() -> None:
    assert report_notes(REPORT) == []
    report = replace(
        REPORT,
        artefacts=(untimed(REPORT.reference), *REPORT.artefacts[1:]),
        skipped=({"file": "m.int8.onnx", "reason": "onnxruntime is not installed"},),
        partial="interrupted after 3 of 8 rounds",
        conditions=(Condition(1.0, 0.9, 0.0, 40_000),),
    )
    partial, reference, skipped, disturbed = report_notes(report)
    assert partial == "Partial: interrupted after 3 of 8 rounds"
    assert "The Keras model was not run here" in reference
    assert skipped == "Skipped: m.int8.onnx: onnxruntime is not installed"
    assert disturbed.startswith("Disturbed: Other processes used 0.90 cores on average")
    assert all(f"- {note}\n" in markdown_report(report) for note in report_notes(report))


def test_verdicts_are_reported_in_sentences_and_alike_ones_once() -> None:
    twin = replace(REPORT.artefacts[1], precision="float16", file="m.float16.tflite")
    report = replace(REPORT, artefacts=(*REPORT.artefacts, twin))
    same, loss = verdict_notes(report)
    assert same.startswith("TFLite float32 and TFLite float16: ")
    assert loss.startswith("TFLite int8: significant loss")
    assert "12 of 1,000 images lost, 1 won" in loss
    assert all(f"- {note}\n" in markdown_report(report) for note in (same, loss))


def sections(report: Report) -> dict[str, str]:
    """Return the sections of report.md by their headings."""
    first, *rest = markdown_report(report).split("\n## ")
    return {"": first, **dict(part.split("\n", 1) for part in rest)}


def test_the_report_in_markdown_holds_all_of_it() -> None:
    printed = sections(REPORT)
    assert (
        list(printed)
        == [
            "",
            "Verdicts",
            "Answers beside those of Keras float32",
            "How sure the answers are",
            "Classes that lost accuracy",
            "Latency",
            "Start-up and memory",
            "The machine, and how to reproduce this",
        ]
        or "Classes that lost accuracy" not in printed
    )
    assert markdown_table(REPORT) in printed[""]
    assert (
        f"| TFLite int8 | 98.70 | 97.79{DASH}99.24 | 12 | 1 | 0 | 1.10 |"
        in printed["Answers beside those of Keras float32"]
    )
    assert "| Keras float32 | - | - | 90.00 | 8.00 |" in printed["How sure the answers are"]
    assert "| TFLite int8 | 10.00 | 10.00 | 80.00 | 16.90 |" in printed["How sure the answers are"]
    assert "| TFLite int8 | 80.0 | 5.0 | 1.0 | 86.0 | 50.0 | 45.0 |" in printed["Start-up and memory"]
    machine = printed["The machine, and how to reproduce this"]
    assert "$ edgeport benchmark EXPORT_FOLDER --dataset d --batches 1 --threads 1 --launches 8\n" in machine
    for fact in (REPORT.host["cpu_model"], REPORT.host["os"], "5" * 64, "edgeport 0.3 abcdef012345", "engine 1"):
        assert fact in machine
    assert "0.00 to 0.05 cores used by others" in machine
    assert "40.0 to 41.0 us for the reference workload" in machine


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
    printed = sections(replace(REPORT, artefacts=(REPORT.reference, artefact)))["Classes that lost accuracy"]
    assert "| TFLite int8 | two | 250 | 15 | 0 | 6.00 |" in printed
    assert printed.count("| TFLite int8 |") == 1
    alike = replace(artefact, predictions=answers())
    assert "Classes that lost accuracy" not in sections(replace(REPORT, artefacts=(REPORT.reference, alike)))


def test_throughput_is_shown_when_several_ways_were_timed() -> None:
    assert "Throughput" not in sections(REPORT)
    ways = [(8, 1, 40_000), (1, 2, 15_000), (8, 2, 30_000)]
    further = tuple(series(PREDICT, ns, launches=1, batch=batch, threads=threads) for batch, threads, ns in ways)
    artefact = replace(REPORT.artefacts[2], series=(*REPORT.artefacts[2].series, *further))
    printed = sections(replace(REPORT, artefacts=(*REPORT.artefacts[:2], artefact)))["Throughput"]
    assert "| artefact | 1 thread, batch 1 | 1 thread, batch 8 | 2 threads, batch 1 | 2 threads, batch 8 |" in printed
    assert "| TFLite int8 | 48,309 | 200,000 | 66,667 | 266,667 |" in printed
    assert "| TFLite float32 | 24,155 | - | - | - |" in printed


def test_golden_samples_need_no_data_set_to_reproduce() -> None:
    golden = replace(REPORT, dataset={**REPORT.dataset, "name": "golden.npz", "split": "golden"})
    assert "--dataset" not in markdown_report(golden)


def test_a_host_of_long_ago_is_reported_with_what_is_known() -> None:
    few = {key: REPORT.host[key] for key in ("cpu_model", "cores", "flags", "ram_bytes", "os", "python")}
    printed = sections(replace(REPORT, host=few, conditions=()))["The machine, and how to reproduce this"]
    assert "None" not in printed
    assert "Clock:" not in printed
    assert "Meanwhile" not in printed
    pi = {**few, "board": "Raspberry Pi 5", "max_frequency_mhz": 2400.0, "governor": "ondemand", "temperature_c": 61.2}
    printed = sections(replace(REPORT, host=pi))["The machine, and how to reproduce this"]
    assert "- Clock: 2,400 MHz at most; governor ondemand; 61 degrees Celsius at the end\n" in printed
    assert "- System: Raspberry Pi 5; " in printed


class Drawn:
    """What was drawn into a figure, kept when it is written."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.figure = Figure()
        save = Figure.savefig

        def kept(figure: Figure, *arguments: object, **options: object) -> None:
            self.figure = figure
            save(figure, *arguments, **options)

        monkeypatch.setattr(Figure, "savefig", kept)

    @property
    def axes(self) -> list[Axes]:
        return self.figure.axes

    @property
    def texts(self) -> list[str]:
        suptitle = [self.figure.get_suptitle()]
        return suptitle + [text.get_text() for axes in self.axes for text in (axes.title, *axes.texts)]


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch) -> Drawn:
    return Drawn(monkeypatch)


def test_accuracy_against_latency_shows_every_candidate_and_the_front(tmp_path: Path, drawn: Drawn) -> None:
    figures.draw_accuracy_against_latency(tmp_path / "a.png", REPORT)
    assert (tmp_path / "a.png").stat().st_size > 5_000
    (legend,) = drawn.figure.legends
    names = [text.get_text() for text in legend.get_texts()]
    assert "TFLite int8: 10.3 us, 96.90%, 123 kB" in names
    assert len(names) == 4
    (front,) = (line for line in drawn.axes[0].lines if line.get_label().startswith("Pareto"))
    assert list(np.round(front.get_xdata()[:2], 2)) == [10.35, 20.7], "the Keras model is slower and no better"
    assert list(np.round(front.get_ydata()[:2], 1)) == [96.9, 98.0]


def test_distributions_are_those_of_what_was_timed(tmp_path: Path, drawn: Drawn) -> None:
    report = replace(REPORT, artefacts=(untimed(REPORT.reference), *REPORT.artefacts[1:]))
    figures.draw_latency_distributions(tmp_path / "l.png", report)
    assert [label.get_text() for label in drawn.axes[0].get_yticklabels()] == ["TFLite int8", "TFLite float32"]
    assert "200 timed calls each; line p50, dots p90" in drawn.axes[0].get_title()


def test_flips_are_drawn_with_both_answers(tmp_path: Path, drawn: Drawn) -> None:
    figures.draw_flips(tmp_path / "f.png", REPORT)
    assert len(drawn.axes) == 2
    assert "2 of 13 test images" in drawn.texts[0]
    assert "image 3, true: three" in drawn.texts
    assert "Keras float32: three (90%)" in drawn.texts
    assert "TFLite int8: one (80%)" in drawn.texts
    colours = {text.get_text(): text.get_color() for text in drawn.axes[0].texts}
    assert colours["Keras float32: three (90%)"] != colours["TFLite int8: one (80%)"]


def test_artefacts_that_flip_alike_share_a_line(tmp_path: Path, drawn: Drawn) -> None:
    twin = replace(REPORT.artefacts[2], precision="dynamic", file="m.dynamic.tflite")
    figures.draw_flips(tmp_path / "f.png", replace(REPORT, artefacts=(*REPORT.artefacts, twin)))
    assert "TFLite int8 and 1 more: one (80%)" in drawn.texts


def test_a_confusion_matrix_for_each_candidate_counts_its_answers(tmp_path: Path, drawn: Drawn) -> None:
    figures.draw_confusion_matrices(tmp_path / "c.png", REPORT)
    titles = [axes.get_title() for axes in drawn.axes[:3]]
    assert titles == ["Keras float32: 20 wrong", "TFLite float32: 20 wrong", "TFLite int8: 31 wrong"]
    cells = {text.get_position(): text.get_text() for text in drawn.axes[2].texts}
    expected = np.zeros((4, 4), int)
    np.add.at(expected, (TRUTH, REPORT.artefacts[2].classes), 1)
    assert cells == {
        (column, line): str(expected[line, column]) for line, column in zip(*np.nonzero(expected), strict=True)
    }
    assert [label.get_text() for label in drawn.axes[0].get_yticklabels()] == LABELS


def test_a_large_matrix_has_no_counts(tmp_path: Path, drawn: Drawn) -> None:
    labels = [f"class {index}" for index in range(30)]
    figures.draw_confusion_matrices(tmp_path / "c.png", replace(REPORT, dataset={**REPORT.dataset, "labels": labels}))
    assert not drawn.axes[0].texts


DRAW = (
    figures.draw_accuracy_against_latency,
    figures.draw_latency_distributions,
    figures.draw_flips,
    figures.draw_confusion_matrices,
)


@pytest.mark.parametrize("draw", DRAW)
def test_a_picture_with_little_to_show_is_drawn_all_the_same(draw, tmp_path: Path) -> None:
    quick = replace(REPORT.artefacts[1], series=(Series(ENGINE_CALL, 1, 1, [[5000, 5000, 5000]]),))
    for report in (
        replace(REPORT, artefacts=(untimed(REPORT.reference),), pictures={}, conditions=()),
        replace(REPORT, artefacts=(untimed(REPORT.reference), quick), pictures={}),
    ):
        path = tmp_path / "picture.png"
        draw(path, report)
        assert Image.open(path).size[0] > 300


@pytest.mark.parametrize("draw", DRAW)
def test_names_are_drawn_as_they_are(draw, tmp_path: Path, drawn: Drawn) -> None:
    labels = ["$\\frac{1$", "a_b^c", "two", "three"]
    draw(tmp_path / "p.png", replace(REPORT, model="$x_{", dataset={**REPORT.dataset, "labels": labels}))
    assert (tmp_path / "p.png").stat().st_size > 1_000


def test_the_table_and_the_report_need_no_matplotlib_and_no_engine() -> None:
    code = (
        "import sys, edgeport.benchmarks.report.table, edgeport.benchmarks.measure.reference_workload\n"
        "print([name for name in ('matplotlib', 'scipy', 'tensorflow', 'onnxruntime', 'onnx') if name in sys.modules])"
    )
    printed = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert printed.stdout.strip() == "[]"
