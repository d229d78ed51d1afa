"""The HTML report: it says what was measured, and whatever a report holds, the page stays whole and harmless."""

import argparse
import base64
import itertools
import re
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgeport.benchmarks.report import report_command
from edgeport.benchmarks.report.charts.axes import COLOURS, log_ticks, logarithmic, new_axes
from edgeport.benchmarks.report.charts.data import Bar, Bars, Piece, Spot
from edgeport.benchmarks.report.charts.drawing import WIDTHS, png_of, svg_of
from edgeport.benchmarks.report.charts.inline_svg import inline_svg
from edgeport.benchmarks.report.charts.labels import Box, fitted, place_labels, text_width
from edgeport.benchmarks.report.findings import findings_of
from edgeport.benchmarks.report.looks import CHART_PALETTE
from edgeport.benchmarks.report.raw.record import TIMED, Condition, Measured, Report, Series, Start
from edgeport.benchmarks.report.raw.report_file import report_text
from edgeport.benchmarks.report.renderers.html import html_report
from edgeport.benchmarks.report.sections.latency import with_front
from edgeport.benchmarks.report.sections.pictures.flips import MOST_PICTURES
from edgeport.benchmarks.report.words import amount, amounts, enumerated, figures, percent_span, span
from edgeport.benchmarks.statistics.latency import latency_ratio
from edgeport.benchmarks.statistics.paired import wilson_interval
from edgeport.runtime.errors import ArtefactError, InputError

COUNT, LAUNCHES = 2000, 8
TRUTH = [index % 10 for index in range(COUNT)]
PICTURE = base64.b64encode(b"\x89PNG\r\n\x1a\n").decode()
HOSTILE = '</title><script>alert(1)</script>" onload="x" \x00\ud800'


class Page(HTMLParser):
    """What a page holds: its tags with their attributes, and its text without tags."""

    def __init__(self, source: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.words = ""
        self._open: list[str] = []
        self.feed(source)
        self.close()
        assert not self._open, f"not closed: {self._open}"

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attributes)))
        self._part(tag)
        if tag not in ("meta", "link", "img"):
            self._open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag
        self._part(tag)

    def handle_data(self, data: str) -> None:
        if "style" not in self._open:
            self.words += data

    def _part(self, tag: str) -> None:
        if tag not in ("a", "b", "code", "i", "span", "strong"):
            self.words += " "

    @property
    def text(self) -> str:
        return re.sub(r"\s+", " ", self.words.replace("\u202f", " "))

    def attributes(self, name: str) -> list[str]:
        return [attributes[name] or "" for _, attributes in self.tags if name in attributes]


_PAGES: list[tuple[tuple[Report, ...], Page]] = []


def page(*reports: Report) -> Page:
    """Return the page of some reports; that of the same ones is drawn once."""
    found = next((made for known, made in _PAGES if known == reports), None)
    if found is None:
        found = Page(html_report(reports))
        _PAGES.append((reports, found))
    return found


def answers(lost: Sequence[int] = (), other: Sequence[int] = ()) -> list[int]:
    """Return answers that are right, but for some images that the reference has right, and some that it has wrong."""
    given = [*TRUTH]
    for index in (COUNT - 1, COUNT - 2):
        given[index] = (given[index] + 1) % 10
    for index in lost:
        given[index] = (TRUTH[index] + 3) % 10
    for index in other:
        given[index] = (TRUTH[index] + 5) % 10
    return given


def calls(us: float, *, seed: int, each: int = 150, launches: int = LAUNCHES) -> list[list[int]]:
    times = np.random.default_rng(seed).lognormal(0, 0.02, (launches, each)) * us * 1e3
    return [[int(ns) for ns in launch] for launch in times]


def measured(file: str, precision: str, us: float, given: list[int], **more: Any) -> Measured:
    seed = round(us)
    series = tuple(
        Series(what, 1, 1, calls(us * factor, seed=seed))
        for what, factor in (("engine", 1.0), ("predict", 1.2), ("label", 1.3))
    )
    starts = (Start(90_000_000, 2_000_000, 1_000_000, 45_000_000, 38_000_000, 1),) * LAUNCHES
    return replace(
        Measured(
            file=file,
            format=file.rpartition(".")[2],
            precision=precision,
            bytes=400_000 if precision == "float32" else 100_000,
            sha256="a" * 64,
            engine={"name": "engine", "version": "1.0"},
            predictions=given,
            confidence_ppm=[900_000] * COUNT,
            series=series,
            starts=starts,
        ),
        **more,
    )


def made_report(**more: Any) -> Report:
    """A Keras model, a lossless int8 of 20 us, and a dynamic one of 10 us that has lost 60 images."""
    artefacts = (
        measured("m.keras", "float32", 300, answers()),
        measured("m.float32.tflite", "float32", 60, answers()),
        measured("m.int8.tflite", "int8", 20, answers(lost=[3])),
        measured("m.dynamic.tflite", "dynamic", 10, answers(lost=range(7, 607, 10))),
    )
    report = Report(
        created_utc="2026-01-02T03:04:05+00:00",
        edgeport={"version": "0.1.0"},
        model="m",
        host={"cpu_model": "A CPU", "architecture": "x86_64", "flags": ["avx2"], "cores": 2},
        dataset={"name": "digits", "split": "test", "count": COUNT, "sha256": "d" * 64, "labels": [*"0123456789"]},
        truth=TRUTH,
        protocol={"launches": LAUNCHES, "turns": 5, "batches": [1], "threads": [1]},
        artefacts=artefacts,
        conditions=(Condition(2.0, 0.0, 0.0, 200_000),) * LAUNCHES,
    )
    return replace(report, **more)


def test_the_answer_is_the_fastest_artefact_without_a_detectable_loss() -> None:
    text = page(made_report()).text
    assert "TFLite int8 is the fastest artefact without a detectable loss of accuracy" in text
    assert "in a file of 100 kB instead of 400 kB" in text
    assert "TFLite dynamic has lost accuracy." in text
    report = made_report()
    ratio = latency_ratio(report.artefacts[1].series[0].launches, report.artefacts[2].series[0].launches)
    assert f"{figures(1 / ratio.ratio)} times as fast as TFLite float32" in text
    assert span(1 / ratio.high, 1 / ratio.low) in text


def test_without_a_lossless_artefact_the_page_says_so() -> None:
    report = made_report()
    lossy = replace(report, artefacts=(report.artefacts[0], report.artefacts[3]))
    assert "Every artefact has lost accuracy. The fastest is TFLite dynamic" in page(lossy).text
    few = [replace(each, predictions=each.predictions[:50], confidence_ppm=[1] * 50) for each in report.artefacts[:3]]
    small = replace(report, truth=TRUTH[:50], dataset={**report.dataset, "count": 50}, artefacts=tuple(few))
    assert "50 images are too few to tell whether accuracy was lost." in page(small).text
    alone = replace(report, artefacts=report.artefacts[:1])
    assert "this report holds Keras float32 alone" in page(alone).text


def test_a_candidate_that_cannot_be_told_from_the_best_is_named() -> None:
    report = made_report()
    twin = replace(report.artefacts[2], file="again.int8.tflite")
    text = page(replace(report, artefacts=(*report.artefacts, twin))).text
    assert "This run cannot tell its speed from that of TFLite int8 (again.int8.tflite)." in text


def test_the_summary_holds_the_figures_of_the_statistics() -> None:
    report = made_report()
    text = page(report).text
    for each in report.artefacts:
        correct = report.correct(each)
        assert f"{100 * correct / COUNT:.2f}{percent_span(wilson_interval(correct, COUNT))}" in text.replace(" ", "")
        assert amount(each.latency_us(50)) in text
    assert "loss of 3.00 points" in text
    assert text.count("no detectable loss") >= 2


def test_a_percentile_that_too_few_calls_support_is_left_out() -> None:
    report = made_report()
    short = [
        replace(each, series=(Series("engine", 1, 1, calls(20 + place, seed=place, each=40, launches=5)),))
        for place, each in enumerate(report.artefacts)
    ]
    many, few = findings_of(report), findings_of(replace(report, artefacts=tuple(short)))
    assert [*many.candidates[2].percentiles] == [50, 90, 99]
    assert [*few.candidates[2].percentiles] == [50, 90]
    assert few.candidates[2].percentiles[50].interval is None
    interval = many.candidates[2].percentiles[50].interval
    assert interval is not None
    assert interval[0] <= many.candidates[2].percentiles[50].value <= interval[1]


def test_latencies_of_milliseconds_are_reported_in_milliseconds() -> None:
    report = made_report()
    slow = [measured(each.file, each.precision, 5000, each.predictions) for each in report.artefacts]
    assert findings_of(report).unit == ("\u00b5s", 1e3)
    assert findings_of(replace(report, artefacts=tuple(slow))).unit == ("ms", 1e6)


def test_what_disturbed_cut_short_or_left_out_a_run_is_reported_at_once() -> None:
    report = made_report(
        conditions=(Condition(2.0, 1.5, 0.0, 200_000),) * LAUNCHES,
        partial="interrupted after 8 of 20 rounds",
        skipped=({"file": "m.int8.onnx", "reason": "onnxruntime is not installed"},),
    )
    untimed = replace(report.artefacts[0], series=(), starts=())
    text = page(replace(report, artefacts=(untimed, *report.artefacts[1:]))).text
    before_the_summary = text.partition("All candidates on the same")[0]
    assert "The machine was disturbed. Other processes used 1.50 cores" in before_the_summary
    assert "The run is partial: interrupted after 8 of 20 rounds." in before_the_summary
    assert "m.int8.onnx was left out: onnxruntime is not installed" in before_the_summary
    assert "Keras float32 was not run on this machine" in before_the_summary
    calm = page(made_report()).text
    assert "The machine was disturbed" not in calm
    assert "Nothing disturbed the machine during the run" in calm


def test_flips_are_drawn_with_both_answers_and_counted_where_there_are_more() -> None:
    report = made_report()
    flipped = [int(index) for index in report.flips(report.artefacts[3])]
    drawn = page(replace(report, pictures={str(index): PICTURE for index in [3, *flipped]}))
    sources = [source for source in drawn.attributes("src") if source == f"data:image/png;base64,{PICTURE}"]
    assert len(flipped) == 60
    assert len(sources) == MOST_PICTURES + 1
    assert "36 more are not shown here" in drawn.text
    assert "TFLite dynamic: 60 flips (60 right to wrong, 0 wrong to right, 0 wrong to other)" in drawn.text
    assert "Test image 7, of class 7" in drawn.attributes("alt")


def test_classes_that_lost_are_named_and_confusions_shown() -> None:
    text = page(made_report()).text
    assert "TFLite dynamic 7 200 60 0 30.00 < 0.0001" in text
    assert "Keras float32 and TFLite float32: 2 images wrong" in text
    assert "Confusion matrix of TFLite dynamic" in text


def test_many_classes_give_a_list_of_confusions() -> None:
    report = made_report(dataset={**made_report().dataset, "labels": [f"class {place}" for place in range(100)]})
    text = page(report).text
    assert "Confusion matrix" not in text
    assert "most frequent of 1 confusions of TFLite dynamic" not in text
    assert re.search(r"most frequent of \d+ confusions of TFLite dynamic", text)
    assert "class 7 class 0 60" in text


def test_batches_and_threads_get_a_section_of_their_own() -> None:
    report = made_report()
    swept = [
        replace(
            each,
            series=(
                *each.series,
                *(Series("predict", 8, threads, calls(100, seed=threads)) for threads in (1, 2)),
            ),
        )
        for each in report.artefacts
    ]
    assert "Images per second at the median call" not in page(report).text
    text = page(replace(report, artefacts=tuple(swept))).text
    assert "Images per second at the median call" in text
    assert "batch 82 threads" in text, "the unit stands below the name"
    assert "Throughput with 1 thread." in text


def test_profiles_and_loadgen_are_shown_and_damaged_ones_do_no_harm() -> None:
    profile = {
        "engine": "engine", "version": "1", "whole_us": 21.5, "method": "Each operator alone.",
        "operators": [{"name": "c1", "type": "CONV_2D", "us": 12.0, "share": 0.6, "where": "XNNPACK", "macs": 1234}],
        "sentences": ["The first convolution is slow."], "roofline": {"macs": 1234, "share_of_peak": 0.25},
    }  # fmt: skip
    loadgen = {
        "single_stream": [[1, 22_000]],
        "own": [[1, 20_000]],
        "idle": [[1_000, 1_500]],
        "offline": [100.0],
        "own_offline": 90.0,
        "valid": True,
    }
    report = made_report(profiles={"m.int8.tflite": profile}, mlperf={"m.int8.tflite": loadgen})
    text = page(report).text
    assert "TFLite int8 (engine 1): 21.5 \u00b5s a call, 1 operator" in text
    assert "The first convolution is slow." in text
    assert "share of peak 25.0 %" in text
    assert "TFLite int8 22.0 20.0 +10.0 +5.0 100 90 yes" in text
    junk = {"a": 1, "b": {}, "c": {"operators": [{"us": "x"}, 3], "sentences": "no", "roofline": []}}
    assert "Time by operator" in page(made_report(profiles=junk, mlperf=junk)).text


def test_nothing_outside_the_page_is_named_and_nothing_runs() -> None:
    made = page(made_report(pictures={"7": PICTURE, "17": '" onerror="alert(1)'}))
    assert {"script", "iframe", "object", "embed", "form"}.isdisjoint(tag for tag, _ in made.tags)
    for address in (*made.attributes("src"), *made.attributes("href")):
        assert address.startswith(("data:", "#")), address
    assert not [name for _, attributes in made.tags for name in attributes if name.startswith("on")]
    icons = [attributes["href"] for tag, attributes in made.tags if tag == "link" and attributes["rel"] == "icon"]
    assert len(icons) == 1, "without one a browser asks the server for /favicon.ico"
    source = html_report([made_report()])
    assert "url(" not in source
    assert "@import" not in source
    assert re.findall(r"https?://", source) == []
    assert "default-src 'none'" in source


def test_hostile_text_is_text() -> None:
    report = made_report(
        model=HOSTILE,
        host={"cpu_model": HOSTILE, HOSTILE: HOSTILE},
        dataset={**made_report().dataset, "name": HOSTILE, "labels": [HOSTILE] * 10},
        partial=HOSTILE,
        edgeport={},
        skipped=({"file": HOSTILE, "reason": HOSTILE},),
        profiles={HOSTILE: {"engine": HOSTILE, "operators": [{"name": HOSTILE, "us": 1}], "sentences": [HOSTILE]}},
    )
    source = html_report([report, report])
    source.encode("ascii")
    assert "\x00" not in source
    made = Page(source)
    assert "script" not in {tag for tag, _ in made.tags}
    assert not [name for _, attributes in made.tags for name in attributes if name.startswith("on")]
    assert "<script>alert(1)</script>" in made.text


@pytest.mark.parametrize("machines", [1, 2])
def test_identifiers_are_unique_and_charts_described(machines: int) -> None:
    made = page(*[made_report()] * machines)
    identifiers = made.attributes("id")
    assert len(set(identifiers)) == len(identifiers)
    for reference in made.attributes("aria-labelledby"):
        assert set(reference.split()) <= set(identifiers)
    drawings = [attributes for tag, attributes in made.tags if tag == "svg" and "aria-hidden" not in attributes]
    assert drawings
    assert all(each["role"] == "img" and each["aria-labelledby"] for each in drawings)
    levels = [int(tag[1]) for tag, _ in made.tags if re.fullmatch("h[1-6]", tag)]
    assert levels.count(1) == 1
    assert all(after <= before + 1 for before, after in itertools.pairwise(levels))
    tables = sum(tag == "table" for tag, _ in made.tags)
    assert sum(tag == "caption" for tag, _ in made.tags) == tables


def test_the_same_report_gives_the_same_page() -> None:
    assert html_report([made_report()]) == html_report([made_report()])


def test_the_page_says_how_to_do_it_again_and_what_is_timed() -> None:
    text = page(made_report()).text
    assert "edgeport benchmark EXPORT_FOLDER --data digits --batches 1 --threads 1 --rounds 8" in text
    assert "d" * 64 in text
    for what in TIMED.values():
        assert what in text


def test_several_machines_are_compared_and_shared_answers_shown_once() -> None:
    first = made_report()
    board = replace(first, host={**first.host, "board": "A board"})
    text = page(first, board).text
    assert "TFLite int8 is the fastest artefact without a detectable loss of accuracy on every machine" in text
    assert "Every image gets the answers that it gets on A CPU, where they are shown." in text
    assert text.count("Flipped images") == 2, "once in the navigation, once as a heading"
    assert "the same answers" in text
    recorded = replace(first.artefacts[0], file="recorded.keras", series=(), starts=(), bytes=0)
    golden = replace(board, artefacts=(recorded, *first.artefacts[1:]))
    assert "Every image gets the answers that it gets on A CPU" in page(first, golden).text
    changed = replace(first.artefacts[2], predictions=answers(lost=[4]))
    other = replace(board, artefacts=(*first.artefacts[:2], changed, first.artefacts[3]))
    text = page(first, other).text
    assert "2 images answered otherwise" in text
    assert "Every image gets the answers" not in text


def test_reports_of_other_data_models_or_files_are_reported() -> None:
    first = made_report()
    data = replace(first, dataset={**first.dataset, "name": "letters", "sha256": "e" * 64})
    assert "Other test images: A CPU" in page(first, data).text
    text = page(first, replace(first, model="n")).text
    assert "Another model than m: A CPU (n)." in text
    assert "n: TFLite int8" in text
    built = tuple(replace(each, sha256="b" * 64) for each in first.artefacts)
    assert "Other files of the same name" in page(first, replace(first, artefacts=built)).text
    fewer = replace(first, artefacts=first.artefacts[:3])
    for words in ("Other test images", "Another model than", "Other files"):
        assert words not in page(first, fewer).text


def test_a_page_needs_no_engine_and_no_tensorflow() -> None:
    script = (
        "import sys, edgeport.benchmarks.report.report_command\n"
        "print(sorted({'tensorflow', 'keras', 'onnxruntime', 'onnx', 'ai_edge_litert'} & set(sys.modules)))"
    )
    printed = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert printed.stdout.strip() == "[]"


def command(*arguments: object) -> int:
    parser = argparse.ArgumentParser()
    report_command.add_arguments(parser)
    return report_command.run(parser.parse_args([str(each) for each in arguments]))


def test_the_command_writes_a_page_of_files_and_folders(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "report.json").write_text(report_text(made_report()))
    other = made_report(model="n", host={"cpu_model": "Another CPU"})
    (tmp_path / "b.json").write_text(report_text(other))
    assert command(tmp_path / "run", tmp_path / "b.json", "-o", tmp_path / "all.html") == 0
    source = (tmp_path / "all.html").read_text()
    assert source == html_report([made_report(), other])
    printed = capsys.readouterr().out
    assert "Note: Another model than m: Another CPU (n)." in printed
    assert f"Next: open {tmp_path / 'all.html'}" in printed


def test_the_command_replaces_nothing_without_being_asked_to(tmp_path: Path) -> None:
    report, output = tmp_path / "a.json", tmp_path / "a.html"
    report.write_text(report_text(made_report()))
    output.write_text("mine")
    with pytest.raises(InputError, match="--overwrite"):
        command(report, "-o", output)
    assert output.read_text() == "mine"
    assert command(report, "-o", output, "--overwrite") == 0
    assert output.read_text().startswith("<!DOCTYPE html>")
    with pytest.raises(InputError, match="one of the reports"):
        command(report, "-o", report, "--overwrite")
    with pytest.raises(InputError, match="the folder"):
        command(report, "-o", tmp_path, "--overwrite")
    with pytest.raises(InputError, match="no folder"):
        command(report, "-o", tmp_path / "no" / "a.html")


def test_the_command_names_a_damaged_report_and_writes_nothing(tmp_path: Path) -> None:
    whole = report_text(made_report())
    for name, content in (("cut", whole[: len(whole) // 2]), ("old", whole.replace('"schema": 2', '"schema": 1'))):
        (tmp_path / f"{name}.json").write_text(content)
        with pytest.raises(ArtefactError, match=f"{name}.json"):
            command(tmp_path / f"{name}.json", "-o", tmp_path / "page.html")
    with pytest.raises(ArtefactError, match="cannot read"):
        command(tmp_path / "missing.json", "-o", tmp_path / "page.html")
    assert not (tmp_path / "page.html").exists()


def test_the_pareto_front_holds_what_no_other_candidate_beats() -> None:
    def front(*spots: tuple[str, float, float]) -> list[str]:
        made = [Spot(name, "onnx", "s", (latency,) * 3, (accuracy,) * 3) for name, latency, accuracy in spots]
        return [spot.name for spot in with_front(made) if spot.front]

    assert front(("a", 10, 90), ("b", 20, 95), ("c", 30, 94), ("d", 40, 99), ("e", 10, 80)) == ["a", "b", "d"]
    assert front(("x", 1, 5), ("y", 2, 5)) == ["x"]


def test_labels_of_a_crowd_do_not_cover_each_other() -> None:
    random = np.random.default_rng(0)
    points = [(float(x), float(y)) for x, y in random.normal((200, 150), (25, 8), (10, 2))]
    boxes = place_labels(points, [(90.0, 15.0)] * 10, [], Box(0, 0, 500, 300))
    for one, other in itertools.combinations(boxes, 2):
        assert one.overlap(other) == 0
    assert all(Box(0, 0, 500, 300).holds(box) for box in boxes)


def ticks(low: float, high: float, *, most: int) -> list[float]:
    axes = new_axes(300, 100, left=10, right=10, top=10, bottom=30)
    logarithmic(axes, [low, high], most=most)
    log_ticks(axes, low, high, most=most)
    return [float(tick) for tick in axes.get_xticks()]


def test_ticks_of_a_logarithmic_scale_are_round_and_few() -> None:
    assert ticks(1, 100, most=7) == pytest.approx([1, 2, 5, 10, 20, 50, 100])
    assert ticks(1, 1e6, most=4) == pytest.approx([1, 100, 1e4, 1e6])
    narrow = ticks(26.1, 27.9, most=5)
    assert 3 <= len(narrow) <= 5
    assert narrow[0] == 26.4


def test_a_name_is_cut_where_there_is_no_room() -> None:
    assert text_width(fitted("a name that is far too long", 12, 80), 12) <= 80
    assert fitted("short", 12, 80) == "short"


def test_a_chart_is_text_in_the_colours_of_the_page_and_the_same_each_time() -> None:
    chart = Bars([Bar("$x_a \x00<b>", [Piece(3.0, "tflite"), Piece(1.0, "step-3", pale=True)], "4 \u00b5s")], "ms")
    drawn = svg_of(chart, WIDTHS["narrow"])
    assert drawn == svg_of(chart, WIDTHS["narrow"])
    inlined = inline_svg(drawn, identifier="a", title="T", words="W")
    text = Page(inlined).text
    assert "$x_a \ufffd<b>" in text
    assert "4 \u00b5s" in text
    assert "var(--tflite)" in inlined
    assert "var(--step-3)" in inlined
    assert re.findall(r"#[0-9a-f]{6}", inlined) == [], "a colour that does not follow light and dark"
    assert all(name in COLOURS for name in re.findall(r"var\(--([a-z0-9-]+)\)", inlined))
    assert png_of(chart, title="$T").startswith(b"\x89PNG")


def test_every_colour_of_a_chart_has_one_name() -> None:
    light = [light for light, _ in CHART_PALETTE.values()]
    assert len(set(light)) == len(light)


def test_numbers_read_well() -> None:
    assert [amount(each) for each in (4.1, 12.68, 123.4, 1520.0, 9.999, float("nan"))] == [
        "4.10", "12.7", "123", "1,520", "10.0", "\u2013",
    ]  # fmt: skip
    assert amounts(14.31, 14.7) == "14.3\u201314.7"
    assert (figures(0.18349), figures(34.81), figures(1.0)) == ("0.183", "34.8", "1.00")
    assert span(0.3571, 0.3669) == "0.357\u20130.367"
    assert enumerated(["a", "b", "c"]) == "a, b and c"
