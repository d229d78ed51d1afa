"""The main job, as `make quickstart` runs it."""

from pathlib import Path

from edgeport.benchmarks import read_report


def test_quickstart_ends_with_ten_accurate_candidates(edgeport, quickstart: Path) -> None:
    assert (quickstart.parent / "console-errors.txt").read_text() == ""
    report = read_report(quickstart / "benchmark" / "report.json")
    assert len(report.artefacts) == 10
    for each in report.artefacts:
        assert report.accuracy(each) >= 0.97, each.name
        assert abs(report.accuracy(each) - report.accuracy(report.reference)) <= 0.01, each.name
    assert "Then train on all of MNIST" in (quickstart.parent / "console.txt").read_text()
    ended = edgeport("quickstart", "-o", quickstart, code=2)
    assert "--overwrite" in ended.stderr
