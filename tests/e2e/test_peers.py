"""The comparison with peers as a user runs it: every engine for real, on the same weights and images."""

import sys
from pathlib import Path

import pytest

from edgeport.benchmarks.lab.peers.line_up import BY_TF2ONNX, KERAS_FILE, KERAS_LAUNCHES, KERAS_WAYS, under
from edgeport.benchmarks.lab.peers.peers_report import EDGEPORT, RESULT, PeersReport, markdown
from edgeport.benchmarks.lab.peers.subjects import FILES, exported_subject, mobilenet_subject
from edgeport.benchmarks.report.raw.record import ENGINE_CALL, PREDICT
from edgeport.runtime import load

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "lab" / "peers" / "comparison.py"
# One more than Keras' slower ways take part in.
LAUNCHES, IMAGES = 3, 100
PEERS = {
    "float32.tflite": (EDGEPORT, "ai-edge-litert", under("tflite-runtime")),
    "float32.onnx": (EDGEPORT, "onnxruntime", under("openvino")),
    "int8.tflite": (EDGEPORT, "ai-edge-litert", under("tflite-runtime")),
    "int8.onnx": (EDGEPORT, "onnxruntime", under("openvino")),
    BY_TF2ONNX: ("onnxruntime",),
    KERAS_FILE: tuple(KERAS_WAYS.values()),
}


@pytest.fixture(scope="module")
def compared(edgeport, exported: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[PeersReport, str]:
    folder = tmp_path_factory.mktemp("peers")
    arguments = (exported, "-o", folder / "peers.json", "--no-mobilenet", "--processes", LAUNCHES, "--images", IMAGES)
    ended = edgeport(SCRIPT, *arguments, "--tflite-runtime", folder / "old engine")
    return RESULT.read(folder / "peers.json"), ended.stdout


def test_everyone_has_taken_part_or_is_listed_with_the_reason(compared: tuple[PeersReport, str]) -> None:
    report, printed = compared
    found = {(row.file, row.by) for row in report.rows}
    skipped = {(each["file"], each["by"]) for each in report.skipped}
    assert found | skipped == {(file, by) for file, peers in PEERS.items() for by in peers}
    assert not found & skipped
    # It has no wheels for newer ones.
    assert {by for _, by in skipped} == ({under("tflite-runtime")} if sys.version_info >= (3, 12) else set())
    assert markdown(report) in printed


def test_everyone_was_timed_in_every_launch(compared: tuple[PeersReport, str]) -> None:
    few = {KERAS_WAYS[way]: min(count, LAUNCHES) for way, count in KERAS_LAUNCHES.items()}
    for row in compared[0].rows:
        for what in (ENGINE_CALL, PREDICT):
            launches = row.timed(what).launches
            assert len(launches) == few.get(row.by, LAUNCHES)
            assert all(len(launch) >= 9 and min(launch) > 0 for launch in launches)
        assert row.engine["version"]
        assert compared[0].find(row.model, row.beside, EDGEPORT) is not None


def test_everyone_answers_like_the_keras_model(compared: tuple[PeersReport, str], exported: Path) -> None:
    report, _ = compared
    assert report.models[0].images["count"] == IMAGES
    for row in report.rows:
        least = IMAGES if row.file in (KERAS_FILE, "float32.tflite", "float32.onnx") else IMAGES - 3
        assert least <= row.agreeing <= IMAGES, (row.file, row.by)
    subject = exported_subject(exported, count=IMAGES)
    ours = {file: load(subject.path(file)).predict(subject.images).argmax(axis=1) for file in FILES}
    for file in FILES:
        row = report.find("classic", file, EDGEPORT)
        assert row is not None
        assert row.agreeing == (ours[file] == ours["float32.onnx"]).sum()


def test_a_bare_engine_and_edgeport_are_close(compared: tuple[PeersReport, str]) -> None:
    report, _ = compared
    for file, by in (("float32.tflite", "ai-edge-litert"), ("float32.onnx", "onnxruntime")):
        row = report.find("classic", file, by)
        assert row is not None
        ratio = report.ratio(row, ENGINE_CALL)
        assert ratio is not None
        # A tenth on a quiet machine; a wrong unit, thread count or batch would be far out of this.
        assert 0.4 < ratio.ratio < 2.5


def test_what_cannot_be_compared_is_reported_before_anything_runs(edgeport, exported: Path, tmp_path: Path) -> None:
    output = tmp_path / "peers.json"
    for arguments, expected in (
        ((tmp_path, "-o", output), "is no export folder"),
        ((exported, "-o", tmp_path), "--output"),
        ((exported, "-o", output, "--processes", 1), "--processes: got 1, expected 2 or more"),
        ((exported, "-o", output, "--no-mobilenet", "--tflite-runtime", exported), "it holds something else"),
    ):
        ended = edgeport(SCRIPT, *arguments, code=2)
        assert expected in ended.stderr
        assert len(ended.stderr.splitlines()) == 1, ended.stderr
    assert not output.exists()


def test_mobilenet_is_made_once_and_its_integers_answer_like_it(tmp_path: Path) -> None:
    printed: list[str] = []
    subject = mobilenet_subject(tmp_path / "mobilenet", on_step=printed.append)
    assert len(printed) == 2
    assert subject.images.shape == (200, 96, 96, 3)
    answers = {file: load(subject.path(file)).predict(subject.images).argmax(axis=1) for file in FILES}
    # Most of the ten kinds, so that agreement is no accident of one answer to everything. How many it learns in half a
    # minute differs from CPU to CPU.
    assert len(set(answers["float32.onnx"].tolist())) > 5
    for file in FILES:
        assert (answers[file] == answers["float32.onnx"]).mean() >= 0.95, file
    assert mobilenet_subject(tmp_path / "mobilenet", on_step=printed.append).artefacts == subject.artefacts
    assert len(printed) == 2
