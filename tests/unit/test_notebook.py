"""Objects that show themselves in a notebook: their figures as a table, and text of others as text."""

from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pytest

from edgeport.benchmarks import read_report
from edgeport.benchmarks.report.findings import findings_of
from edgeport.export import read_manifest
from edgeport.export.inspection import inspect
from edgeport.export.manifest import Refusal
from edgeport.runtime.host.notebook import html_table

RESULTS = Path(__file__).parents[2] / "docs" / "results"


class Cells(HTMLParser):
    """The text of all cells, captions and lines, and the tags."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.texts: list[str] = []
        self.open: list[str] = []
        self.tags: set[str] = set()
        self.feed(html)
        assert self.open == [], "every tag is closed"

    def handle_starttag(self, tag: str, attrs: object) -> None:
        self.tags.add(tag)
        self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.texts.append(data)


def test_a_manifest_shows_its_artefacts_and_what_failed(data: Path) -> None:
    manifest = read_manifest(data)
    refused = Refusal("tiny.int16x8.tflite", "tflite", "int16x8", "rejected", "SQNR <b>3</b> dB")
    shown = Cells(replace(manifest, refused=(refused,))._repr_html_())
    for artefact in manifest.artefacts:
        assert artefact.file in shown.texts
        assert f"{artefact.bytes:,}" in shown.texts
    assert "tiny.int16x8.tflite failed verification: SQNR <b>3</b> dB" in shown.texts
    assert "b" not in shown.tags


@pytest.mark.parametrize("name", ["tiny.int8.tflite", "tiny.float32.onnx"])
def test_an_inspection_shows_tensors_and_operators(name: str, data: Path) -> None:
    inspection = inspect(data / name)
    shown = Cells(inspection._repr_html_())
    for tensor in (*inspection.graph.inputs, *inspection.graph.outputs):
        assert tensor.name in shown.texts
    for type_, count in inspection.operator_counts.items():
        assert type_ in shown.texts
        assert str(count) in shown.texts


@pytest.mark.parametrize("name", ["mnist-edge", "spoken-digits"])
def test_findings_show_every_candidate_with_its_verdict(name: str) -> None:
    findings = findings_of(read_report(RESULTS / name / "report.json"))
    shown = Cells(findings._repr_html_())
    for candidate in findings.candidates:
        assert candidate.name in shown.texts
        assert candidate.verdict is None or candidate.verdict.kind in shown.texts
    words = "top-1 99.59%" if name == "mnist-edge" else "accuracy 100.00"
    assert words in shown.texts


def test_text_of_others_steers_nothing() -> None:
    shown = Cells(html_table("<script>", ("a & b",), [("\x1b[2J",)]))
    assert "script" not in shown.tags
    assert "<script>" in shown.texts
    assert "a & b" in shown.texts
    assert not any("\x1b" in text for text in shown.texts)
