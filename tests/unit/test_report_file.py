"""report.json: what is written is read again, and what no benchmark has written is reported in one line."""

import json
import os
from pathlib import Path

import pytest

from edgeport.benchmarks import read_report
from edgeport.benchmarks.report.raw.report_file import report_text
from edgeport.runtime import ArtefactError
from edgeport.runtime.cli import main

COMMITTED = Path(__file__).parents[2] / "docs" / "results" / "mnist-edge" / "report.json"


@pytest.fixture(scope="module")
def content() -> dict:
    return json.loads(COMMITTED.read_text())


def written(content: dict, folder: Path) -> Path:
    (folder / "report.json").write_text(json.dumps(content))
    return folder / "report.json"


def test_a_report_is_read_as_it_was_written(tmp_path: Path) -> None:
    report = read_report(COMMITTED)
    (tmp_path / "report.json").write_text(report_text(report))
    assert read_report(tmp_path) == report, "a folder stands for the report in it"
    assert (tmp_path / "report.json").read_text() == COMMITTED.read_text()


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"schema": 1}, "got schema 1, expected a benchmark report of schema 3"),
        ({"model": "\x1b[2J"}, "text without control characters"),
        ({"model": "\ud800"}, "text without control characters"),
        ({"host": {"ram_bytes": 10**400}}, "a finite number of 64 bits"),
        ({"host": {"cpu_model": ["\x1b"]}}, "text without control characters"),
        ({"host": {"load": float("inf")}}, "a finite number of 64 bits"),
        ({"truth": 3}, "truth: got 3, expected a list"),
        ({"artefacts": []}, "it measured nothing"),
    ],
)
def test_what_no_benchmark_writes_is_reported(change: dict, words: str, content: dict, tmp_path: Path) -> None:
    path = written({**content, **change}, tmp_path)
    with pytest.raises(ArtefactError, match=r"report\.json") as printed:
        read_report(path)
    assert words in str(printed.value)
    assert "\n" not in str(printed.value)
    assert str(printed.value).isprintable()


@pytest.mark.parametrize("text", ["", "[]", "null", "{}", '{"schema": 2}', "[" * 100_000])
def test_what_is_no_report_is_reported(text: str, tmp_path: Path) -> None:
    (tmp_path / "report.json").write_text(text)
    with pytest.raises(ArtefactError, match=r"report\.json"):
        read_report(tmp_path / "report.json")


def test_a_page_takes_the_place_of_a_plain_file_alone(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "loop").symlink_to("loop")
    for name in ("pipe", "loop"):
        assert main(["report", str(COMMITTED), "-o", str(tmp_path / name), "--overwrite"]) == 2
        assert "which is no plain file" in capsys.readouterr().err
    assert main(["report", str(tmp_path / "loop"), "-o", str(tmp_path / "page.html")]) == 2
    assert capsys.readouterr().err.count("\n") == 1
    assert {path.name for path in tmp_path.iterdir()} == {"pipe", "loop"}
