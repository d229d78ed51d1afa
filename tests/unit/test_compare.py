"""edgeport compare: what it calls a regression, what it refuses to compare, and that its exit code can be trusted."""

import argparse
import json
import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgeport.benchmarks.compare.compare_command import add_arguments, run
from edgeport.benchmarks.compare.comparison import Comparison, Limits, compare_reports, compare_within
from edgeport.benchmarks.compare.comparison_table import comparison_markdown, next_step, verdict_lines
from edgeport.benchmarks.report.raw.record import Condition, Measured, Report, Series, Start
from edgeport.benchmarks.report.raw.report_file import report_text
from edgeport.runtime.cli import exit_code_of
from edgeport.runtime.errors import ArtefactError, InputError

COUNT = 2000
TRUTH = np.arange(COUNT) % 10
LAUNCHES = 20
TFLITE, ONNX = "m.int8.tflite", "m.int8.onnx"
LIMITS = Limits()


def launches(random: np.random.Generator, us: float, machine: np.ndarray) -> list[list[int]]:
    """Timed calls as they are: each process is off by some percent as long as it lives, and some calls are hit."""
    process = np.exp(random.normal(0, 0.025, LAUNCHES))
    calls = np.exp(random.normal(0, 0.04, (LAUNCHES, 40)))
    hit = np.where(random.random(calls.shape) < 0.02, random.uniform(1.5, 6, calls.shape), 1.0)
    times = 1e3 * us * (machine * process)[:, np.newaxis] * calls * hit
    return [[int(ns) for ns in launch] for launch in times]


def answers(wrong: int, *, first: int = 0) -> list[int]:
    given = TRUTH.copy()
    given[first : first + wrong] = (given[first : first + wrong] + 1) % 10
    return [int(each) for each in given]


def measured(file: str, wrong: int = 20, *, first: int = 0, series: tuple[Series, ...] = ()) -> Measured:
    starts = (Start(90_000_000, 2_000_000, 1_000_000, 40_000_000, 38_000_000, 1),) * LAUNCHES if series else ()
    return Measured(
        file=file,
        format=file.rpartition(".")[2],
        precision="float32" if file.endswith("keras") else "int8",
        bytes=40_000,
        sha256="a" * 64,
        engine={"name": "engine", "version": "1"},
        predictions=answers(wrong, first=first),
        confidence_ppm=[990_000] * COUNT,
        series=series,
        starts=starts,
    )


def machine_of(random: np.random.Generator, speed: float = 1.0) -> np.ndarray:
    """How much longer everything takes in each round: a machine drifts, and comes back."""
    drift = [random.normal(0, 0.02)]
    for _ in range(LAUNCHES - 1):
        drift.append(0.9 * drift[-1] + random.normal(0, 0.01))
    return speed * np.exp(drift)


def report(seed: int = 0, *, us: float = 50.0, wrong: int = 20, speed: float = 1.0, drifts: bool = True) -> Report:
    """A run with a Keras model and two artefacts, the first of which takes ``us``."""
    random = np.random.default_rng(seed)
    machine = machine_of(random, speed) if drifts else np.ones(LAUNCHES)
    workload = 2e5 * machine * np.exp(random.normal(0, 0.005, LAUNCHES))
    series = {
        file: tuple(Series(what, 1, 1, launches(random, time * factor, machine)) for what, factor in ways)
        for file, time in ((TFLITE, us), (ONNX, 70.0))
        for ways in ((("engine", 1.0), ("predict", 1.2)),)
    }
    return Report(
        created_utc="2026-01-01T00:00:00+00:00",
        edgeport={"version": "1"},
        model="m",
        host={"cpu_model": "A CPU", "architecture": "x86_64", "flags": ["avx2"], "cores": 2, "python": "3.11.0"},
        dataset={"name": "d", "split": "test", "count": COUNT, "sha256": "d" * 64, "labels": [*"0123456789"]},
        truth=[int(each) for each in TRUTH],
        protocol={"launches": LAUNCHES, "turns": 4, "calls": 10, "seed": 0, "threads": [1], "batches": [1]},
        artefacts=(
            measured("m.keras"),
            measured(TFLITE, wrong, series=series[TFLITE]),
            measured(ONNX, series=series[ONNX]),
        ),
        conditions=tuple(Condition(2.0, 0.0, 0.0, int(ns)) for ns in workload),
    )


def changed(report: Report, name: str, **values: Any) -> Report:
    """A report with other values of one artefact."""
    return replace(
        report, artefacts=tuple(replace(each, **values) if each.file == name else each for each in report.artefacts)
    )


def side_by_side(seed: int, slowdown: float) -> Report:
    """A run that measured an artefact and its baseline in the same rounds."""
    random = np.random.default_rng(seed)
    machine = machine_of(random)
    base = Series("engine", 1, 1, launches(random, 50.0, machine))
    new = Series("engine", 1, 1, launches(random, 50.0 * slowdown, machine))
    artefacts = (measured("m.keras"), measured(TFLITE, series=(new,)), measured(f"baseline/{TFLITE}", series=(base,)))
    return replace(report(), artefacts=artefacts)


Compare = Callable[..., tuple[int, str]]


@pytest.fixture
def compare(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Compare:
    """Write two reports, or texts, compare them as the command does, and return the exit code and what was printed."""

    monkeypatch.setenv("COLUMNS", "200")

    def compared(base: Report | str, new: Report | str, *options: str) -> tuple[int, str]:
        for name, content in (("base.json", base), ("new.json", new)):
            (tmp_path / name).write_text(content if isinstance(content, str) else report_text(content))
        parser = argparse.ArgumentParser()
        add_arguments(parser)
        paths = [str(tmp_path / name) for name in ("base.json", "new.json")]
        code = run(parser.parse_args([*paths, *options]))
        return code, capsys.readouterr().out

    return compared


def test_two_runs_of_the_same_files_are_fine(compare: Compare) -> None:
    code, printed = compare(report(1), report(2))
    assert code == 0
    assert "OK: no loss of accuracy found, no slowdown of more than 5 %" in printed
    assert "All files are the same (by SHA-256)" in printed
    assert re.search(
        r"TFLite int8 +99.00 -> 99.00 +\d+\.\d -> \d+\.\d +\d\.\d+ \(\d\.\d+-\d\.\d+\) +no difference", printed
    )
    assert "Next:" in printed.splitlines()[-1]


def test_a_slowdown_is_a_regression_and_can_be_accepted(compare: Compare) -> None:
    code, printed = compare(report(1), report(2, us=60.0))
    assert code == 1
    assert re.search(
        r"^Regressed: TFLite int8 is slower: (1[5-9]|2[0-5]) % \(engine, 1 thread\)", printed, re.MULTILINE
    )
    assert "ONNX int8 is" not in printed
    assert compare(report(1), report(2, us=60.0), "--max-slowdown", "1.4")[0] == 0
    assert compare(report(2, us=60.0), report(1))[0] == 0


def test_a_slowdown_of_one_way_alone_is_found(compare: Compare) -> None:
    """Slower only from raw pixels: the engine's own time would not show it."""
    new = report(2)
    engine, predict = new.artefacts[1].series
    slow = replace(predict, launches=[[2 * ns for ns in launch] for launch in predict.launches])
    code, printed = compare(report(1), changed(new, TFLITE, series=(engine, slow)))
    assert code == 1
    assert re.search(r"Regressed: TFLite int8 is slower: \d+ % \(predict, 1 thread\)\n", printed)
    assert re.search(r"\) +slower \(predict, 1 thread\)", printed), "it has a line in the table"


def test_a_loss_of_accuracy_is_a_regression_beyond_the_limit(compare: Compare) -> None:
    worse = report(2, wrong=40)
    code, printed = compare(report(1), worse)
    assert code == 1
    assert "Regressed: TFLite int8 lost 1.00 points (p = " in printed
    assert compare(report(1), worse, "--max-accuracy-loss", "0.99")[0] == 1
    code, printed = compare(report(1), worse, "--max-accuracy-loss", "1.01")
    assert code == 0
    assert "lost 1.00 points, accepted" in printed
    code, printed = compare(worse, report(1))
    assert code == 0
    assert "gained 1.00 points" in printed


def test_a_loss_that_chance_explains_is_none(compare: Compare) -> None:
    code, printed = compare(report(1), report(2, wrong=23))
    assert code == 0
    assert "99.00 -> 98.85" in printed
    assert "points of accuracy would have been seen" in printed


def test_many_artefacts_make_no_false_alarm() -> None:
    """Seven flips to the wrong side are significant alone (p = 0.016), and not as one of four tests."""
    base = report(1)
    extra = tuple(measured(f"m.{index}.tflite") for index in range(2))
    new = changed(base, TFLITE, predictions=answers(27))
    alone = replace(new, artefacts=new.artefacts[1:2]), replace(base, artefacts=base.artefacts[1:2])
    assert compare_reports(alone[1], alone[0], limits=LIMITS).exit_code == 1
    many = compare_reports(
        replace(base, artefacts=base.artefacts + extra), replace(new, artefacts=new.artefacts + extra), limits=LIMITS
    )
    assert many.exit_code == 0
    assert many.artefacts[1].answers.p_value == pytest.approx(5 * 2 / 2**7)


def test_the_loss_that_would_have_been_seen_is_the_smallest_one(compare: Compare) -> None:
    """With three artefacts, which Holm's correction allows for."""
    printed = compare(report(1), report(2))[1]
    seen = re.search(r"A loss of (\S+) points of accuracy would have been seen", printed)
    assert seen is not None
    images = round(float(seen[1]) * COUNT / 100)
    assert compare(report(1), report(2, wrong=20 + images))[0] == 1
    assert compare(report(1), report(2, wrong=20 + images - 1))[0] == 0


@pytest.mark.parametrize(("most", "wrong", "code"), [(0.5, 20, 0), (0.1, 20, 1), (0.5, 30, 1), (2.0, 30, 0)])
def test_a_margin_asks_for_the_upper_end_of_the_interval(most: float, wrong: int, code: int) -> None:
    """Of 2,000 images that are answered alike, up to 0.19 points may be hidden; ten of them lost are 0.5 points."""
    limits = Limits(max_loss=most, max_accuracy_loss=10)
    judged = compare_reports(report(1), report(2, wrong=wrong), limits=limits)
    assert judged.exit_code == code
    assert ("--max-loss" in next_step(judged)) == bool(code)


def test_a_metric_is_none_of_the_class_of_each_image() -> None:
    with pytest.raises(InputError, match="--metric: got mAP, and the report of m keeps only the class of each image"):
        compare_reports(report(1), report(2), limits=LIMITS, metrics=("mAP",))


def test_few_images_are_reported(compare: Compare) -> None:
    def first(report: Report, count: int) -> Report:
        artefacts = tuple(
            replace(each, predictions=each.predictions[-count:], confidence_ppm=each.confidence_ppm[-count:])
            for each in report.artefacts
        )
        dataset = {**report.dataset, "count": count}
        return replace(report, artefacts=artefacts, truth=report.truth[-count:], dataset=dataset)

    code, printed = compare(first(report(1), 100), first(report(2), 100))
    assert code == 0
    assert "OK: no loss of accuracy found (too few samples to tell, for 3 of 3)" in printed


def test_a_missing_artefact_does_not_pass_silently(compare: Compare) -> None:
    new = report(2)
    without = replace(new, artefacts=new.artefacts[:2], skipped=({"file": ONNX, "reason": "no engine for onnx"},))
    code, printed = compare(report(1), without)
    assert code == 1
    assert f"Regressed: {ONNX} (no engine for onnx) is missing" in printed
    assert "--allow-missing" in printed
    code, printed = compare(report(1), without, "--allow-missing")
    assert code == 0
    assert f"Missing in NEW: {ONNX} (no engine for onnx)" in printed
    code, printed = compare(without, report(1))
    assert code == 0
    assert f"Only in NEW: {ONNX}" in printed
    nothing = replace(new, artefacts=new.artefacts[:1])
    assert compare(report(1), nothing, "--allow-missing")[0] == 2


NOT_COMPARABLE = {
    "digest of the data": lambda new: replace(new, dataset={**new.dataset, "sha256": "e" * 64}),
    "split of the data": lambda new: replace(new, dataset={**new.dataset, "split": "train"}),
    "true classes": lambda new: replace(new, truth=new.truth[::-1]),
    "model": lambda new: replace(new, model="other"),
    "CPU model": lambda new: replace(new, host={**new.host, "cpu_model": "B CPU"}),
    "architecture": lambda new: replace(new, host={**new.host, "architecture": "aarch64"}),
    "CPU flags": lambda new: replace(new, host={**new.host, "flags": ["avx2", "amx_int8"]}),
    "protocol (turns)": lambda new: replace(new, protocol={**new.protocol, "turns": 5}),
    "threads": lambda new: changed(
        new, TFLITE, series=tuple(replace(each, threads=2) for each in new.artefacts[1].series)
    ),
    f"{ONNX} was timed in BASE, and not in NEW": lambda new: changed(new, ONNX, series=()),
    "NEW is a partial report": lambda new: replace(new, partial="interrupted in round 3 of 20"),
    "speed of the machine": lambda new: replace(new, conditions=report(2, speed=1.5).conditions),
}  # fmt: skip
OF_THE_DATA = {"digest of the data", "split of the data", "true classes", "model"}


@pytest.mark.parametrize("what", NOT_COMPARABLE)
def test_what_cannot_be_compared_is_named(what: str, compare: Compare) -> None:
    new = NOT_COMPARABLE[what](report(2))
    code, printed = compare(report(1), new)
    assert code == 2
    named = [line for line in printed.splitlines() if line.startswith("Not comparable: ")]
    assert len(named) == 1
    assert named[0].startswith(f"Not comparable: {what}")
    assert ("99.00 -> 99.00" in printed) == (what not in OF_THE_DATA), "answers are shown where they can be paired"
    code, printed = compare(report(1), new, "--any-host")
    assert code == (2 if what in OF_THE_DATA else 0)
    assert ("latency not judged" in printed) == (code == 0)


def test_each_difference_has_a_line_of_its_own(compare: Compare) -> None:
    new = report(2)
    other = replace(new, model="other", dataset={**new.dataset, "name": "e", "sha256": "e" * 64})
    code, printed = compare(report(1), other)
    assert code == 2
    assert [line.split(":")[1] for line in printed.splitlines() if line.startswith("Not comparable")] == [
        " model", " data set", " digest of the data",
    ]  # fmt: skip


def test_on_another_machine_answers_alone_are_judged(compare: Compare) -> None:
    base, new = report(1), report(2, us=500.0)
    new = replace(new, host={**new.host, "cpu_model": "Cortex-A72", "architecture": "aarch64"})
    assert compare(base, new)[0] == 2
    code, printed = compare(base, new, "--any-host")
    assert code == 0
    assert "Latency is not judged: CPU model: BASE has A CPU, NEW has Cortex-A72" in printed
    assert compare(base, changed(new, TFLITE, predictions=answers(60)), "--any-host")[0] == 1


def test_the_keras_model_may_be_slow_or_called_otherwise_but_not_wrong(compare: Compare) -> None:
    base, new = report(1), report(2)
    renamed = changed(new, "m.keras", file="n.keras", series=(Series("engine", 1, 1, [[10**9]] * LAUNCHES),))
    base = changed(base, "m.keras", series=(Series("engine", 1, 1, [[1000]] * LAUNCHES),))
    assert compare(base, renamed)[0] == 0
    code, printed = compare(base, changed(new, "m.keras", predictions=answers(60)))
    assert code == 1
    assert "Regressed: Keras float32 lost 2.00 points" in printed


def test_more_ways_to_time_in_one_of_them_are_reported(compare: Compare) -> None:
    base, new = report(1), report(2)
    fewer = changed(new, TFLITE, series=new.artefacts[1].series[:1])
    code, printed = compare(base, fewer)
    assert code == 0
    assert "Timed in BASE alone, and not judged: predict, 1 thread" in printed


def test_what_explains_a_change_is_reported(compare: Compare) -> None:
    new = report(2, speed=1.1)
    new = replace(new, host={**new.host, "python": "3.12.1"}, edgeport={"version": "2"})
    new = changed(new, TFLITE, engine={"name": "engine", "version": "2"})
    code, printed = compare(report(1, drifts=False), new)
    assert code == 0
    assert "Also different: python: BASE has 3.11.0, NEW has 3.12.1" in printed
    assert "Also different: engine of tflite: BASE has engine 1, NEW has engine 2" in printed
    assert re.search(r"The machine itself was \d+% slower in NEW", printed)
    assert "the same run" in compare(report(1), report(1))[1]


def test_a_disturbed_run_is_reported(compare: Compare) -> None:
    new = report(2)
    busy = replace(new, conditions=tuple(replace(each, others_busy=1.9, stolen=0.5) for each in new.conditions))
    assert "Disturbed machine in NEW: " in compare(report(1), busy)[1]
    assert "Disturbed machine" not in compare(report(1, drifts=False), report(2, drifts=False))[1]


def test_noise_that_hides_the_answer_is_reported(compare: Compare) -> None:
    new = report(2, us=60.0)
    noise = np.exp(np.random.default_rng(0).normal(0, 0.5, LAUNCHES))
    engine = new.artefacts[1].series[0].launches
    wild = [[int(ns * factor) for ns in launch] for launch, factor in zip(engine, noise / noise.mean(), strict=True)]
    code, printed = compare(report(1), changed(new, TFLITE, series=(Series("engine", 1, 1, wild),)))
    assert code == 0
    assert re.search(r"^TFLite int8 .* 1\.\d+ \(0\.\d+-1\.\d+\) +too noisy to tell", printed, re.MULTILINE)
    assert printed.splitlines()[-3].endswith("but 1 of 3 latencies too noisy to tell: measure longer")


DAMAGED = {
    "truncated": lambda text: text[: len(text) // 2],
    "empty": lambda text: "",
    "no report": lambda text: "[1, 2]",
    "schema 1": lambda text: text.replace('"schema": 2', '"schema": 1'),
    "a NaN among the times": lambda text: re.sub(r'"launches": \[\[\d+', '"launches": [[NaN', text, count=1),
    "a NaN for the reference workload": lambda text: re.sub(
        r'"yardstick_ns": \d+', '"yardstick_ns": NaN', text, count=1
    ),
    "an infinite duration": lambda text: re.sub(r'"seconds": [\d.]+', '"seconds": Infinity', text, count=1),
    "a time of 0": lambda text: re.sub(r'"launches": \[\[\d+', '"launches": [[0', text, count=1),
    "an answer too few": lambda text: re.sub(r'"predictions": \[\d+, ', '"predictions": [', text, count=1),
    "no count": lambda text: re.sub(r'"count": \d+', '"number": 3', text),
    "no truth": lambda text: re.sub(r'"truth": \[[^]]*\]', '"truth": []', text),
}


@pytest.mark.parametrize("damage", DAMAGED)
@pytest.mark.parametrize("which", ["base", "new"])
def test_a_damaged_file_is_no_regression(damage: str, which: str, compare: Compare) -> None:
    whole = report_text(report())
    damaged = DAMAGED[damage](whole)
    assert damaged != whole
    with pytest.raises(ArtefactError, match=rf"{which}\.json") as printed:
        compare(*((damaged, whole) if which == "base" else (whole, damaged)))
    assert "\n" not in str(printed.value)


def test_a_missing_file_and_limits_that_are_none_are_reported(compare: Compare, tmp_path: Path) -> None:
    parser = argparse.ArgumentParser()
    add_arguments(parser)
    with pytest.raises(ArtefactError, match="cannot read"):
        run(parser.parse_args([str(tmp_path / "a.json"), str(tmp_path / "b.json")]))
    for option, value in (("slowdown", "0.9"), ("slowdown", "nan"), ("slowdown", "inf"), ("accuracy-loss", "-1")):
        with pytest.raises(InputError, match=f"--max-{option}: got"):
            compare("", "", f"--max-{option}", value)


def leaves(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    yield path
    entries = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, each in entries:
        yield from leaves(each, (*path, key))


def test_no_value_of_a_file_ends_in_a_traceback(compare: Compare) -> None:
    """A traceback has the exit code of a regression, so whatever stands in a file must be reported as an error."""
    small = report()
    series = (Series("engine", 1, 1, [[1000, 1001], [1000, 1002]]),)
    small = replace(
        small,
        artefacts=tuple(
            replace(each, predictions=[0, 1], confidence_ppm=[1, 2], series=series, starts=each.starts[:1])
            for each in small.artefacts[:2]
        ),
        truth=[0, 1],
        dataset={**small.dataset, "count": 2, "labels": ["0", "1"]},
        conditions=small.conditions[:2],
        skipped=({"file": "a", "reason": "b"},),
    )
    text = report_text(small)
    codes = set()
    for path in leaves(json.loads(text)):
        for value in (None, float("nan"), -1, "x", [], {}, 10**400):
            content = {"": json.loads(text)}
            holder: Any = content
            for key in ("", *path)[:-1]:
                holder = holder[key]
            holder[("", *path)[-1]] = value
            try:
                codes.add(compare(text, json.dumps(content[""]))[0])
            except ArtefactError:
                codes.add("refused")
    assert codes == {0, 1, 2, "refused"}


@pytest.mark.parametrize("form", ["--json", "--markdown"])
def test_programs_and_summaries_get_the_same_verdict(form: str, compare: Compare) -> None:
    code, printed = compare(report(1), report(2, us=60.0), form)
    assert code == 1
    if form == "--json":
        content = json.loads(printed)
        assert content["exit_code"] == 1
        assert content["artefacts"][1]["latencies"][0]["regressed"] is True
        assert content["regressions"]
    else:
        assert printed.startswith("**Regressed: TFLite int8 is ")
        assert "| TFLite int8 | 99.00 -> 99.00 |" in printed
    other = replace(report(2), model="other")
    code, printed = compare(report(1), other, form)
    assert code == 2
    assert "model: BASE has m, NEW has other" in printed


def test_the_exit_codes_reach_the_shell(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def compared(base: str, new: str, *options: str) -> int:
        (tmp_path / "base.json").write_text(base)
        (tmp_path / "report.json").write_text(new)
        parser = argparse.ArgumentParser()
        add_arguments(parser)
        arguments = parser.parse_args([str(tmp_path / "base.json"), str(tmp_path), *options])
        return exit_code_of("edgeport", lambda: run(arguments))

    good = report_text(report(1))
    assert compared(good, report_text(report(2))) == 0
    assert compared(good, report_text(report(2, us=60.0))) == 1
    assert compared(good, report_text(replace(report(2), model="other"))) == 2
    assert capsys.readouterr().err == ""
    assert compared(good, good[:1000]) == 2
    assert compared("", good) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert [line.startswith("edgeport: ") for line in printed.err.splitlines()] == [True, True]
    assert compared(good, good, "--markdown") == 0
    assert capsys.readouterr().err.startswith("OK: ")


def test_side_by_side_the_machine_may_do_what_it_likes() -> None:
    found = [compare_within(side_by_side(seed, 1.10), limits=LIMITS).exit_code for seed in range(10)]
    assert found.count(1) >= 9
    assert not any(compare_within(side_by_side(seed, 1.0), limits=LIMITS).exit_code for seed in range(50))


def test_two_runs_on_a_machine_that_drifts_are_reported_apart_from_a_slowdown() -> None:
    """The machine is 8 % slower in one run, and 8 % faster in the next; the reference workload knows."""
    speeds = [1.08 if seed % 2 else 1 / 1.08 for seed in range(50)]
    found = [
        compare_reports(report(seed), report(1000 + seed, us=55.0, speed=speeds[seed]), limits=LIMITS).exit_code
        for seed in range(10)
    ]
    assert found.count(1) >= 9
    same = [
        compare_reports(report(seed), report(1000 + seed, speed=speeds[seed]), limits=LIMITS).exit_code
        for seed in range(50)
    ]
    assert same == [0] * 50


def test_without_the_reference_workload_drift_would_be_taken_for_a_slowdown() -> None:
    base, new = report(1, drifts=False), report(2, speed=1.12)
    assert compare_reports(base, new, limits=LIMITS).exit_code == 0
    blind = compare_reports(replace(base, conditions=()), replace(new, conditions=()), limits=LIMITS)
    assert blind.exit_code == 1
    assert any("No reference workload" in note for note in blind.notes)


def test_drift_within_a_run_does_not_widen_the_interval() -> None:
    """A machine that becomes a third slower while it measures."""
    warming = np.linspace(1.0, 1.33, LAUNCHES)

    def warmed(report: Report) -> Report:
        slow = [
            [round(ns * factor) for ns in launch]
            for launch, factor in zip(report.artefacts[1].series[0].launches, warming, strict=True)
        ]
        conditions = tuple(
            replace(each, yardstick_ns=round(each.yardstick_ns * factor))
            for each, factor in zip(report.conditions, warming, strict=True)
        )
        return replace(changed(report, TFLITE, series=(Series("engine", 1, 1, slow),)), conditions=conditions)

    judged = compare_reports(warmed(report(1, drifts=False)), warmed(report(2, drifts=False)), limits=LIMITS)
    latency = judged.artefacts[1].latencies[0]
    assert latency.high - latency.low < 0.06
    assert latency.verdict == "no difference"


def test_a_run_with_a_baseline_is_judged_within_itself() -> None:
    slower = side_by_side(1, 1.2)
    judged = compare_within(slower, limits=LIMITS)
    assert [each.file for each in judged.artefacts] == [TFLITE]
    assert (judged.missing, judged.added, judged.obstacles) == ((), (), ())
    assert judged.exit_code == 1
    assert compare_within(replace(slower, partial="interrupted"), limits=LIMITS).exit_code == 2
    assert compare_within(report(), limits=LIMITS).exit_code == 2, "there is no baseline in it"
    alone = replace(slower, artefacts=(*slower.artefacts, measured(f"baseline/{ONNX}")))
    assert compare_within(alone, limits=LIMITS).missing == (ONNX,)
    assert compare_reports(side_by_side(3, 1.0), slower, limits=LIMITS).exit_code == 1, "baselines have no part in it"
    assert compare_reports(side_by_side(3, 1.0), side_by_side(4, 1.0), limits=LIMITS).exit_code == 0
    worse = changed(side_by_side(2, 1.0), TFLITE, predictions=answers(60))
    assert "lost 2.00 points" in verdict_lines(compare_within(worse, limits=LIMITS))[-1]


def test_every_option_is_explained_and_none_is_invented() -> None:
    parser = argparse.ArgumentParser()
    add_arguments(parser)
    existing = {option for action in parser._actions for option in action.option_strings if option.startswith("--")}
    text = (Path(__file__).parents[2] / "docs/guides/compare.md").read_text()
    named = set(re.findall(r"(?<![\w-])--[a-z][a-z-]*", text))
    assert existing - named == {"--help"}
    assert named - existing <= {"--baseline", "--rounds", "--profile", "--dataset"}, "options of other commands"


def test_every_verdict_says_what_to_do() -> None:
    for judged in (Comparison(LIMITS), Comparison(LIMITS, obstacles=("x",)), Comparison(LIMITS, missing=("x",))):
        assert next_step(judged)
        assert comparison_markdown(judged).startswith(f"**{verdict_lines(judged)[-1]}**")
