"""The comparison of a Pi's answers with a PC's: what is read from apt, how rows are compared, what must hold."""

import json
import sys
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest

from edgeport.benchmarks.lab.documents.same_answers_table import same_answers_table

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "tests" / "pi"))

from cache import made_once  # noqa: E402
from comparison import Compared, Difference, Selftest, broken_promises, compare_rows  # noqa: E402
from debian import Source, debian_source, sources_of_lines, sources_of_stanzas  # noqa: E402
from processes import StoppedError, run  # noqa: E402
from report import Report, report_text, write_report  # noqa: E402
from systems import DEVICES, EMULATED, NATIVE  # noqa: E402

KEYS = "/usr/share/keyrings/debian-archive-keyring.gpg"
SAME = Compared(
    "arm64-bookworm", "3.11.2", "cortex-a72", "onnxruntime", "1.32.0", "1.32.0", "edge.int8.onnx", "int8", "float32",
    Difference(rows=500, rows_different=0, largest_difference=0.0, labels_changed=0),
)  # fmt: skip
PASSED = Selftest("arm64-bookworm", "cortex-a72", "onnxruntime", "edge.int8.onnx", "passed", 50, "")
EXPECTED = {("arm64-bookworm", "cortex-a72", "onnxruntime"): ["edge.int8.onnx"]}


def test_sources_in_one_line_are_read_with_their_options() -> None:
    text = (
        "# deb http://old.example/debian bookworm main\n"
        "deb-src http://mirror.example/debian bookworm main\n"
        f"deb [ arch=amd64,arm64 signed-by={KEYS} ] http://mirror.example/debian bookworm main contrib # ours\n"
        "deb http://other.example/apt tool-bookworm main\n"
    )
    assert sources_of_lines(text) == [
        Source("http://mirror.example/debian", ("bookworm",), ("main", "contrib"), KEYS),
        Source("http://other.example/apt", ("tool-bookworm",), ("main",)),
    ]


def test_sources_in_stanzas_are_read_with_continued_lines_and_comments() -> None:
    text = (
        "Types: deb deb-src\n# an old one\nURIs: http://mirror.example/debian\n http://second.example/debian\n"
        f"Suites: bookworm bookworm-updates\nComponents: main\nSigned-By: {KEYS}\n"
        "\n"
        "Types: deb\nURIs: http://off.example/debian\nSuites: bookworm\nComponents: main\nEnabled: no\n"
        "\n"
        "Types: deb-src\nURIs: http://sources.example/debian\nSuites: bookworm\nComponents: main\n"
        "\n"
        "Types: deb\nURIs: http://inline.example/debian\nSuites: bookworm\nComponents: main\n"
        "Signed-By:\n -----BEGIN PGP PUBLIC KEY BLOCK-----\n .\n mDME\n"
    )
    suites = ("bookworm", "bookworm-updates")
    assert sources_of_stanzas(text) == [
        Source("http://mirror.example/debian", suites, ("main",), KEYS),
        Source("http://second.example/debian", suites, ("main",), KEYS),
        Source("http://inline.example/debian", ("bookworm",), ("main",), ""),
    ]


def test_the_machines_own_release_is_taken_and_another_one_asked_of_its_mirror() -> None:
    sources = [
        Source("http://other.example/apt", ("tool-bookworm",), ("main",)),
        Source("http://mirror.example/security", ("bookworm-security",), ("main",), KEYS),
        Source("http://mirror.example/debian", ("bookworm", "bookworm-updates"), ("main",), KEYS),
    ]
    chosen = debian_source(sources, suite="bookworm")
    assert chosen == sources[2]
    line = chosen.line(suite="trixie", arch="arm64")
    assert line == f"deb [arch=arm64 signed-by={KEYS}] http://mirror.example/debian trixie main"
    assert replace(chosen, signed_by="").line(suite="trixie", arch="arm64").startswith("deb [arch=arm64] http:")
    with pytest.raises(StoppedError, match="no source of Debian trixie"):
        debian_source(sources, suite="trixie")


def test_rows_are_compared_bit_by_bit_and_distances_in_the_engines_own_units() -> None:
    ours = np.array([[1, 2, -128], [3, 1, 0], [5, 4, 0]], np.int8)
    theirs = np.array([[1, 2, 127], [3, 1, 0], [4, 5, 0]], np.int8)
    assert compare_rows(ours, theirs) == Difference(3, 2, 255.0, 2)
    assert compare_rows(ours, ours) == Difference(3, 0, 0.0, 0)
    real = np.array([[0.25, 0.75]], np.float32)
    nearest = np.nextafter(real, np.float32(1), dtype=np.float32)
    assert compare_rows(real, nearest).rows_different == 1
    assert 0 < compare_rows(real, nearest).largest_difference < 1e-7
    assert compare_rows(np.float32([[0.0, 1]]), np.float32([[-0.0, 1]])) == Difference(1, 1, 0.0, 0)


def test_no_number_on_one_side_alone_is_as_far_apart_as_can_be() -> None:
    missing, number = np.float32([[np.nan, 1]]), np.float32([[0, 1]])
    assert compare_rows(missing, number).largest_difference == np.inf
    assert compare_rows(missing, missing) == Difference(1, 0, 0.0, 0)


@pytest.mark.parametrize("other", [np.zeros((2, 3), np.uint8), np.zeros((3, 3), np.int8), np.zeros((2, 4), np.int8)])
def test_rows_of_another_kind_are_not_compared(other: np.ndarray) -> None:
    with pytest.raises(ValueError, match="expected rows of the same"):
        compare_rows(np.zeros((2, 3), np.int8), other)
    with pytest.raises(ValueError, match="expected rows of the same"):
        compare_rows(np.zeros((0, 3), np.int8), np.zeros((0, 3), np.int8))


def test_equal_integers_keep_the_promise_and_so_do_floats_that_differ_in_value_alone() -> None:
    assert broken_promises([SAME], [PASSED], expected=EXPECTED, rows=500) == []
    real = replace(SAME, precision="float32", difference=Difference(500, 500, 1e-6, 0))
    assert broken_promises([real], [PASSED], expected=EXPECTED, rows=500) == []


@pytest.mark.parametrize(
    ("change", "broken"),
    [
        ({"difference": Difference(500, 1, 0.25, 0)}, "1 of 500 rows differ, by up to 0.25"),
        ({"precision": "int16x8", "difference": Difference(500, 1, 1.0, 0)}, "1 of 500 rows differ, by up to 1"),
        (
            {"precision": "float32", "difference": Difference(500, 500, 1.0, 2)},
            "probabilities differ by up to 1, expected at most 0.0001",
        ),
        (
            {"precision": "float16", "difference": Difference(500, 1, float("inf"), 0)},
            "probabilities differ by up to inf, expected at most 0.02",
        ),
        ({"difference": Difference(499, 0, 0.0, 0)}, "got 499 rows, expected 500"),
        ({"version": "1.31.0"}, "got version 1.31.0, expected 1.32.0, that of the reference"),
    ],
)
def test_what_breaks_a_promise_is_reported(change: dict[str, object], broken: str) -> None:
    lines = broken_promises([replace(SAME, **change)], [PASSED], expected=EXPECTED, rows=500)
    assert lines == [f"arm64-bookworm cortex-a72 onnxruntime edge.int8.onnx: {broken}"]


def test_what_was_not_tried_is_not_taken_for_well() -> None:
    name = "arm64-bookworm cortex-a72 onnxruntime"
    assert broken_promises([], [PASSED], expected=EXPECTED, rows=500) == [f"{name} edge.int8.onnx: was not compared"]
    skipped = replace(PASSED, status="skipped")
    for checks in ([], [skipped]):
        lines = broken_promises([SAME], checks, expected=EXPECTED, rows=500)
        assert lines == [f"{name} edge.int8.onnx: the selftest did not run it"]
    nothing = dict.fromkeys(EXPECTED, ())
    assert broken_promises([], [], expected=nothing, rows=500) == [f"{name}: has no artefact"]


def test_a_failed_selftest_breaks_the_promise_with_its_reason() -> None:
    failed = replace(PASSED, status="failed", note="its SHA-256 differs")
    lines = broken_promises([SAME], [failed], expected=EXPECTED, rows=500)
    assert lines == ["arm64-bookworm cortex-a72 onnxruntime edge.int8.onnx: selftest: its SHA-256 differs"]


def test_the_systems_engines_and_cpus_of_the_pi_are_tried() -> None:
    tried = {(trial.device.userland.name, trial.engine, trial.cpu) for trial in EMULATED}
    for cpu in ("cortex-a53", "cortex-a72", "cortex-a76"):
        for engine in ("ai-edge-litert", "onnxruntime", "tflite-runtime"):
            assert ("arm64-bookworm", engine, cpu) in tried
    for cpu in ("cortex-a72", "cortex-a76"):
        assert {("arm64-trixie", "ai-edge-litert", cpu), ("arm64-trixie", "onnxruntime", cpu)} <= tried
        assert ("arm64-bookworm", "openvino", cpu) in tried
    assert ("armhf-bookworm", "tflite-runtime", "cortex-a7") in tried
    assert ("amd64-bookworm", "onnxruntime", "Haswell") in tried
    native = {(trial.device, trial.engine) for trial in NATIVE}
    for trial in EMULATED:
        assert trial.device in DEVICES
        assert (trial.reference, trial.engine) in native
        assert trial.reference.userland.python == trial.device.userland.python


def test_a_folder_is_made_once_whole_and_again_when_its_key_changes(tmp_path: Path) -> None:
    made = []

    def make(folder: Path) -> None:
        made.append(folder)
        (folder / "content").write_text(str(len(made)))

    folder = tmp_path / "root"
    assert made_once(folder, "a", make) == made_once(folder, "a", make) == folder
    assert len(made) == 1
    (folder / "left").touch()
    made_once(folder, "b", make)
    assert (folder / "content").read_text() == "2"
    assert not (folder / "left").exists()


def test_a_folder_whose_making_was_cut_short_is_made_again(tmp_path: Path) -> None:
    def cut(folder: Path) -> None:
        (folder / "half").touch()
        raise KeyboardInterrupt

    folder = tmp_path / "root"
    with pytest.raises(KeyboardInterrupt):
        made_once(folder, "a", cut)
    assert not folder.exists()
    made_once(folder, "a", lambda partial: (partial / "content").touch())
    assert sorted(path.name for path in folder.iterdir()) == ["content", "made-from"]


def test_a_program_that_fails_is_reported_with_what_it_said_last() -> None:
    with pytest.raises(StoppedError, match=r"^the step failed \(exit code 3\): two \| three$"):
        run([sys.executable, "-c", "import sys; sys.exit(print('two\\nthree', file=sys.stderr) or 3)"], what="the step")
    assert run([sys.executable, "-c", "raise SystemExit(1)"], what="the step", codes=(0, 1)) == ""


def test_a_report_is_json_with_a_row_a_line_and_a_table_of_it(tmp_path: Path) -> None:
    real = replace(SAME, file="edge.float32.onnx", precision="float32", difference=Difference(500, 499, 3e-7, 0))
    report = Report("10.0", {"count": 500}, {"name": "edge"}, (SAME, real), (), (PASSED,), ())
    path = tmp_path / "made" / "summary.json"
    write_report(report, path)
    content = json.loads(path.read_text())
    assert path.read_text() == report_text(report)
    assert content["passed"] is True
    assert content["compared"] == [asdict(SAME), asdict(real)]
    assert json.dumps(asdict(real)) in [line.strip().rstrip(",") for line in path.read_text().splitlines()]
    assert json.loads(report_text(replace(report, broken=("a",))))["passed"] is False
    assert same_answers_table(content).splitlines()[2:] == [
        "| arm64-bookworm, Python 3.11 | cortex-a72 | onnxruntime 1.32.0 | 500 | 0 | 500 | 3.0e-07 | 0 | 1 of 1 |"
    ]
