"""The main job, as `make quickstart` runs it."""

import time
from pathlib import Path

from edgeport.benchmarks import read_report


def test_quickstart_ends_with_ten_accurate_candidates(edgeport, tmp_path: Path) -> None:
    started = time.monotonic()
    printed = edgeport("quickstart", "-o", tmp_path / "quickstart")
    # Minutes, and not the better part of an hour.
    assert time.monotonic() - started < 1200
    assert printed.stderr == ""
    report = read_report(tmp_path / "quickstart" / "benchmark" / "report.json")
    assert len(report.artefacts) == 10
    for each in report.artefacts:
        assert report.accuracy(each) >= 0.97, each.name
        assert abs(report.accuracy(each) - report.accuracy(report.reference)) <= 0.01, each.name
    assert "Then train on all of MNIST" in printed.stdout
    ended = edgeport("quickstart", "-o", tmp_path / "quickstart", code=2)
    assert "--overwrite" in ended.stderr
