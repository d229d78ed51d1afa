"""The documents are true: every measured figure stands in a committed result, every link and command exists."""

import json
import re
import shlex
import sys
from pathlib import Path

import pytest

from edgeport.benchmarks import read_report
from edgeport.export import read_manifest
from edgeport.runtime.cli import COMMANDS

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "docs"))

from refresh_tables import DOCUMENTS, refreshed  # noqa: E402

RESULTS = sorted((ROOT / "docs" / "results").glob("*/report.json"))
IDS = [path.name for path in DOCUMENTS]


@pytest.mark.parametrize("document", DOCUMENTS, ids=IDS)
def test_tables_are_those_of_the_committed_reports(document: Path) -> None:
    assert document.read_text() == refreshed(document.read_text()), "run: python docs/refresh_tables.py"


def test_the_readme_has_a_table_of_each_result() -> None:
    text = (ROOT / "README.md").read_text()
    for path in RESULTS:
        assert f"<!-- table: {path.relative_to(ROOT)} -->" in text


@pytest.mark.parametrize("document", DOCUMENTS, ids=IDS)
def test_transcripts_are_those_of_the_committed_consoles(document: Path) -> None:
    for source, transcript in re.findall(
        r"<!-- console: (\S+) -->\n```console\n(.*?)```", document.read_text(), re.DOTALL
    ):
        console = (ROOT / source).read_text().splitlines()
        for line in transcript.splitlines():
            if not line.startswith("$ ") and line not in ("...", ""):
                assert line in console, f"{line!r} is not in {source}"


@pytest.mark.parametrize("path", RESULTS, ids=lambda path: path.parent.name)
def test_the_files_of_a_result_belong_together(path: Path) -> None:
    report, manifest = read_report(path), read_manifest(path.parent)
    training = json.loads((path.parent / "training.json").read_text())
    assert report.reference.sha256 == manifest.source["sha256"]
    assert [(each.file, each.sha256) for each in report.artefacts[1:]] == [
        (artefact.file, artefact.sha256) for artefact in manifest.artefacts
    ]
    assert report.dataset["sha256"] == training["dataset"]["sha256"]
    assert report.reference.correct == training["test"]["correct"]
    console = (path.parent / "console.txt").read_text()
    assert f"Test: {training['test']['correct']:,} of 10,000 images right" in console
    for artefact in manifest.artefacts:
        assert re.search(rf"{re.escape(artefact.file)} +{artefact.bytes:,} bytes", console)
    assert (path.parent / "report.md").read_text().startswith(f"# {report.model} on 10,000 test images of mnist")


def test_the_goals_on_full_mnist_are_met() -> None:
    edge, classic = (
        read_report(ROOT / "docs/results" / name / "report.json") for name in ("mnist-edge", "mnist-classic")
    )
    keras, tflite_float, tflite_int8, onnx_float, onnx_int8 = edge.artefacts
    assert min(each.accuracy for each in (keras, tflite_float, onnx_float)) >= 0.995
    assert min(tflite_int8.accuracy, onnx_int8.accuracy) >= 0.994
    assert "avx512_vnni" in edge.host["flags"] or "avx_vnni" in edge.host["flags"]
    assert tflite_int8.latency_us(50) <= 0.5 * tflite_float.latency_us(50)
    assert onnx_int8.latency_us(50) <= 0.8 * onnx_float.latency_us(50)
    assert min(each.accuracy for each in classic.artefacts) >= 0.99


@pytest.mark.parametrize("document", [*DOCUMENTS, ROOT / "CONTRIBUTING.md"], ids=lambda path: path.name)
def test_links_lead_somewhere(document: Path) -> None:
    for target in re.findall(r"\]\(([^)#]+)", document.read_text()):
        assert "://" not in target
        assert (document.parent / target).exists(), target


@pytest.mark.parametrize("document", DOCUMENTS, ids=IDS)
def test_commands_in_the_documents_exist(document: Path) -> None:
    names = {command.name for command in COMMANDS}
    for line in re.findall(r"^\$ (?:\S*/)?edgeport (.*)$", document.read_text(), re.MULTILINE):
        assert shlex.split(line)[0] in names, line


def test_make_targets_in_the_documents_exist() -> None:
    makefile = (ROOT / "Makefile").read_text()
    for document in (*DOCUMENTS, ROOT / "CONTRIBUTING.md"):
        for target in re.findall(r"[`$] ?make ([a-z-]+)", document.read_text()):
            assert re.search(rf"^{target}:", makefile, re.MULTILINE), f"{document.name}: make {target}"


def test_the_parameters_in_the_tutorial_are_those_of_the_models() -> None:
    tutorial = (ROOT / "docs" / "tutorial.md").read_text()
    for name in ("mnist-edge", "mnist-classic"):
        training = json.loads((ROOT / "docs/results" / name / "training.json").read_text())
        assert f"{training['parameters']:,} parameters" in tutorial
