"""Which engine is the fastest: chosen by what was measured, and taken from there on the same machine alone."""

import json
from collections.abc import Callable
from dataclasses import replace
from io import StringIO
from pathlib import Path
from typing import Any

import pytest

from edgeport.benchmarks import read_report
from edgeport.benchmarks.report.findings import findings_of
from edgeport.benchmarks.report.raw.engine_choice import engine_choices, engines_text, fastest_of
from edgeport.benchmarks.report.raw.record import Measured, Report
from edgeport.benchmarks.report.raw.report_file import report_text
from edgeport.benchmarks.report.renderers.files import shown_files
from edgeport.benchmarks.report.sections.notes import notes_of
from edgeport.runtime import ArtefactError, EdgeportError, InputError, load
from edgeport.runtime.cli import main
from edgeport.runtime.engines.installed import engines_listed
from edgeport.runtime.golden.answers import digest_of
from edgeport.runtime.host.machine import cpu_model

COMMITTED = Path(__file__).parents[2] / "docs" / "results" / "mnist-edge" / "report.json"
FILE = "edge.int8.onnx"


@pytest.fixture(scope="module")
def measured() -> Report:
    report = read_report(COMMITTED)
    return replace(report, protocol={**report.protocol, "engines": ["openvino"]})


def under_openvino(
    report: Report, *, times: float, change: Callable[[Measured], Measured] = lambda each: each
) -> Report:
    """The same report, with one file under OpenVINO, in so many times the time."""
    default = report.named(FILE)
    assert default is not None
    series = tuple(
        replace(each, launches=[[round(times * ns) for ns in launch] for launch in each.launches])
        for each in default.series
    )
    other = replace(
        default,
        file=f"{FILE} (openvino)",
        engine={"name": "openvino", "version": "2026.4.1"},
        same_as=FILE,
        series=series,
    )
    return replace(report, artefacts=(*report.artefacts, change(other)))


def chosen(report: Report) -> str:
    (choice,) = (each for each in engine_choices(report) if each.file == FILE)
    return str(choice.chosen.measured.engine["name"])


def test_what_is_faster_in_every_round_and_answers_alike_is_chosen(measured: Report) -> None:
    report = under_openvino(measured, times=0.8)
    assert chosen(report) == "openvino"
    assert any("faster in each of" in note and "openvino" in note for note in notes_of(report, ()))
    assert fastest_of(under_openvino(measured, times=0.001)).under == "openvino"


def flipped(count: int) -> Callable[[Measured], Measured]:
    def change(each: Measured) -> Measured:
        classes = [1 - label if place < count and label < 2 else label for place, label in enumerate(each.predictions)]
        assert count == 0 or classes != each.predictions
        return replace(each, predictions=classes)

    return change


def doubtful(each: Measured) -> Measured:
    return replace(each, confidence_ppm=[ppm - 30_000 for ppm in each.confidence_ppm])


def slow_once(each: Measured) -> Measured:
    first, *others = each.series
    return replace(
        each, series=(replace(first, launches=[[10 * ns for ns in first.launches[0]], *first.launches[1:]]), *others)
    )


@pytest.mark.parametrize(
    ("times", "change", "words"),
    [
        (1.2, flipped(0), "faster in 0 of"),
        (0.8, flipped(60), "decisions differ"),
        (0.8, doubtful, "every decision the same, values up to 0.03 of their range apart"),
        (0.8, slow_once, "faster in 19 of 20 rounds"),
    ],
)
def test_what_is_not_alike_or_not_always_faster_is_not(
    times: float, change: Callable[[Measured], Measured], words: str, measured: Report
) -> None:
    report = under_openvino(measured, times=times, change=change)
    assert chosen(report) == "onnxruntime"
    assert any(words in note for note in notes_of(report, ())), notes_of(report, ())


def test_few_rounds_choose_nothing(measured: Report) -> None:
    report = under_openvino(measured, times=0.8)
    short = tuple(
        replace(each, series=tuple(replace(one, launches=one.launches[:5]) for one in each.series))
        for each in report.artefacts
    )
    assert chosen(replace(report, artefacts=short)) == "onnxruntime"


def test_nobody_who_has_not_asked_sees_of_engines(measured: Report) -> None:
    assert engine_choices(read_report(COMMITTED)) == []
    assert "same_as" not in report_text(measured)


def test_a_report_with_engines_is_read_and_shown(measured: Report, tmp_path: Path) -> None:
    report = under_openvino(measured, times=0.8)
    (tmp_path / "report.json").write_text(report_text(report))
    assert read_report(tmp_path) == report
    findings = findings_of(report)
    names = [each.name for each in findings.candidates]
    assert "ONNX int8 (openvino)" in names
    shown = dict(shown_files(findings))
    assert "Each file under each engine" in shown["report.html"].decode()
    assert "## Engines" in shown["report.md"].decode()
    # The float32 file ran under the default engine alone, so there is none to hold it to.
    assert findings.candidates[-1].base is None
    content = json.loads(report_text(report))
    content["artefacts"][-1]["same_as"] = "other.onnx"
    (tmp_path / "report.json").write_text(json.dumps(content))
    with pytest.raises(ArtefactError, match="a file that is not there"):
        read_report(tmp_path)


@pytest.fixture
def recorded(data: Path, tmp_path: Path) -> Path:
    """A folder with an artefact, and with the choice of a benchmark of it on this machine."""
    (tmp_path / "export").mkdir()
    file = tmp_path / "export" / "tiny.int8.onnx"
    file.write_bytes((data / file.name).read_bytes())
    version = load(file, engine="openvino").spec.engine_version
    choice = {"file": file.name, "sha256": digest_of(file), "threads": 1, "engine": "openvino", "version": version}
    (tmp_path / "benchmark").mkdir()
    record(file, choices=[choice])
    return file


def record(file: Path, **facts: Any) -> None:
    path = file.parents[1] / "benchmark" / "engines.json"
    import platform

    here = {"kind": "engines", "schema": 1, "cpu": cpu_model(), "architecture": platform.machine()}
    known = json.loads(path.read_text()) if path.exists() else here
    path.write_text(json.dumps({**known, **facts}))


def test_the_fastest_is_loaded_where_it_was_measured(recorded: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert load(recorded, engine="fastest").spec.engine == "openvino"
    # Beside the artefact it counts first.
    (recorded.parent / "engines.json").write_text(
        (recorded.parents[1] / "benchmark" / "engines.json").read_text().replace('"openvino"', '"onnxruntime"')
    )
    with pytest.raises(InputError, match=r"onnxruntime .* was measured, and .* is installed: measure again"):
        load(recorded, engine="fastest")


def test_what_was_measured_here_goes_before_what_a_bundle_has_brought_along(recorded: Path) -> None:
    here = json.loads((recorded.parents[1] / "benchmark" / "engines.json").read_text())
    brought = recorded.parent / "engines.json"
    brought.write_text(json.dumps({**here, "cpu": "Cortex-A72", "architecture": "aarch64"}))
    assert load(recorded, engine="fastest").spec.engine == "openvino"
    record(recorded, cpu="Cortex-A76")
    with pytest.raises(InputError, match=r"export/engines\.json: measured on Cortex-A72 \(aarch64\), and this is "):
        load(recorded, engine="fastest")
    brought.write_text(brought.read_text()[:200])
    with pytest.raises(ArtefactError, match=r"export/engines\.json is damaged .*: measure it with edgeport benchmark"):
        load(recorded, engine="fastest")


@pytest.mark.parametrize(
    ("fields", "name"),
    [
        ("model name\t: Intel(R) Xeon(R)\nmodel name\t: other\n", "Intel(R) Xeon(R)"),
        ("CPU part\t: 0xd0b\n\nModel\t\t: Raspberry Pi 5 Model B Rev 1.0\n", "Raspberry Pi 5 Model B Rev 1.0"),
        ("CPU implementer\t: 0x41\nCPU part\t: 0xd08\n", "CPU implementer 0x41 CPU part 0xd08"),
    ],
)
def test_computers_with_other_cores_have_other_names(fields: str, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("builtins.open", lambda path, **how: StringIO(fields))
    found = cpu_model()
    monkeypatch.undo()
    assert found == name


@pytest.mark.parametrize(
    ("facts", "words"),
    [
        ({"cpu": "Cortex-A72"}, "measured on Cortex-A72"),
        ({"architecture": "aarch64"}, "where another engine may be the fastest"),
        ({"choices": []}, "does not speak of tiny.int8.onnx"),
        ({"choices": [{"sha256": 3}]}, "no record of engines of schema 1, or a damaged one"),
        ({"schema": 2}, "no record of engines of schema 1, or a damaged one"),
        ({"kind": "report"}, "no record of engines of schema 1, or a damaged one"),
    ],
)
def test_it_is_refused_elsewhere_and_of_other_files(
    facts: dict, words: str, recorded: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    record(recorded, **facts)
    with pytest.raises(EdgeportError, match=words) as printed:
        load(recorded, engine="fastest")
    assert "\n" not in str(printed.value)
    assert "edgeport benchmark" in str(printed.value)


def test_what_was_not_measured_is_one_line(recorded: Path, data: Path) -> None:
    with pytest.raises(InputError, match=r"threads: got 2, and .* was measured with 1: "):
        load(recorded, engine="fastest", threads=2)
    with pytest.raises(InputError, match="nobody has measured which engine is the fastest"):
        load(data / "tiny.int8.onnx", engine="fastest")
    with pytest.raises(InputError, match="expected a path"):
        load(recorded.read_bytes(), engine="fastest")


def test_the_text_of_a_benchmark_is_what_load_reads(measured: Report, data: Path, tmp_path: Path) -> None:
    report = under_openvino(measured, times=0.8)
    text = json.loads(engines_text(report, engine_choices(report)))
    assert {(each["file"], each["engine"]) for each in text["choices"]} >= {(FILE, "openvino")}
    assert text["choices"][0]["engines"][0]["name"] != "openvino"
    (tmp_path / "tiny.int8.onnx").write_bytes((data / "tiny.int8.onnx").read_bytes())
    (tmp_path / "engines.json").write_text(json.dumps({**text, "cpu": cpu_model()}))
    with pytest.raises(InputError, match="does not speak of"):
        load(tmp_path / "tiny.int8.onnx", engine="fastest")


def test_engines_are_listed_by_name_or_all(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert engines_listed("onnxruntime, ai-edge-litert") == ("onnxruntime", "ai_edge_litert")
    assert {"onnxruntime", "openvino", "ai_edge_litert"} <= set(engines_listed("all"))
    assert main(["benchmark", str(tmp_path), "--engines", "openvin"]) == 2
    assert "did you mean openvino" in capsys.readouterr().err
