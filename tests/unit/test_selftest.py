"""The selftest command: what it prints, what it returns, and what it cannot use."""

import hashlib
import json
import re
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest
from serving_for_tests import Running

from edgeport.runtime.cli import main
from edgeport.runtime.files.array_archive import archive_bytes, read_archive
from edgeport.runtime.golden.answers import golden_bytes

FILES = ("tiny.float32.onnx", "tiny.float32.tflite", "tiny.int8.onnx", "tiny.int8.tflite")
ENGINES = {"onnx": "onnxruntime", "tflite": "ai-edge-litert"}
RUNS = [(file, engine) for file in FILES for engine in (ENGINES[file.split(".")[-1]], "openvino")]
# It does not run what TFLite computes in integers.
LEFT_OUT = ("tiny.int8.tflite", "openvino")


@pytest.fixture
def bundle(data: Path, golden: dict[str, np.ndarray], tmp_path: Path) -> Path:
    """A folder as a bundle unpacks to: artefacts with golden answers, and SHA256SUMS above them."""
    folder = tmp_path / "bundle" / "artefacts"
    folder.mkdir(parents=True)
    for file in FILES:
        shutil.copy(data / file, folder)
    (folder / "golden.npz").write_bytes(golden_bytes(folder, FILES, {"image": golden["images"]}))
    write_sums(folder.parent)
    return folder.parent


def write_sums(bundle: Path) -> None:
    paths = sorted(path for path in bundle.rglob("*") if path.is_file() and path.name != "SHA256SUMS")
    lines = [f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.relative_to(bundle)}\n" for path in paths]
    (bundle / "SHA256SUMS").write_text("".join(lines))


def alter_answers(bundle: Path, number: int) -> None:
    """Change one golden answer of the artefact with this number by one step."""
    path = bundle / "artefacts" / "golden.npz"
    arrays = {name: array.copy() for name, array in read_archive(path).items()}
    raw = arrays[f"raw.{number}.0"]
    raw[7, raw[7].argmin()] += 1
    path.write_bytes(archive_bytes(arrays))
    write_sums(bundle)


def test_all_pass_on_the_machine_that_answered(
    bundle: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for folder in (bundle, bundle / "artefacts"):
        assert main(["selftest", str(folder)]) == 0
        printed = capsys.readouterr().out.splitlines()
        assert printed[0] == "5 files match SHA256SUMS"
        assert "20 samples" in printed[1]
        for (file, engine), line in zip(RUNS, printed[2:10], strict=True):
            assert line.startswith(f"  {file}  {engine} ")
            if (file, engine) == LEFT_OUT:
                assert "skipped: " in line
                continue
            assert "20 rows compared, 0 different" in line
            assert "0 labels changed  ok" in line
        assert printed[10] == "7 passed, 1 skipped"
    monkeypatch.chdir(bundle)
    assert main(["selftest"]) == 0


def test_altered_golden_answers_fail(bundle: Path, capsys: pytest.CaptureFixture[str]) -> None:
    alter_answers(bundle, RUNS.index(("tiny.int8.tflite", "ai-edge-litert")))
    assert main(["selftest", str(bundle)]) == 1
    printed = capsys.readouterr().out
    (line,) = [line for line in printed.splitlines() if "FAILED" in line]
    assert line.startswith("  tiny.int8.tflite  ai-edge-litert ")
    assert "20 rows compared, 1 different, largest difference 1 steps (limit 0), 0 labels changed  FAILED" in line
    assert printed.endswith("6 passed, 1 failed, 1 skipped\n")


def test_json_tells_all_of_it(bundle: Path, capsys: pytest.CaptureFixture[str]) -> None:
    alter_answers(bundle, RUNS.index(("tiny.int8.onnx", "onnxruntime")))
    assert main(["selftest", str(bundle), "--json"]) == 1
    printed = json.loads(capsys.readouterr().out)
    assert (printed["schema"], printed["passed"], printed["files_checked"]) == (1, False, 5)
    assert printed["golden"]["samples"] == 20
    unlike = {("tiny.int8.onnx", "onnxruntime"): "failed", LEFT_OUT: "skipped"}
    assert [(check["file"], check["engine"], check["status"]) for check in printed["checks"]] == [
        (*run, unlike.get(run, "passed")) for run in RUNS
    ]


def test_it_checks_the_artefacts_and_the_engine_that_are_asked_for(
    bundle: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["selftest", str(bundle), "--artefact", "tiny.int8.onnx", "--threads", "2"]) == 0
    assert capsys.readouterr().out.endswith("2 passed\n")
    assert main(["selftest", str(bundle), "--engine", "ai-edge-litert"]) == 0
    assert capsys.readouterr().out.endswith("2 passed, 2 skipped\n")
    assert main(["selftest", str(bundle), "--engine", "openvino"]) == 0
    assert capsys.readouterr().out.endswith("3 passed, 1 skipped\n")


def test_an_engine_that_is_missing_is_reported(
    bundle: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def without(*missing: str) -> None:
        for name in missing:
            monkeypatch.setitem(sys.modules, name, None)

    without("onnxruntime", "openvino")
    assert main(["selftest", str(bundle)]) == 0
    printed = capsys.readouterr().out
    assert printed.count("skipped: no engine for onnx files is installed") == 2
    assert printed.endswith("2 passed, 2 skipped\n")
    assert main(["selftest", str(bundle), "--engine", "onnxruntime"]) == 2
    assert "pip install 'edgeport[onnx]'" in capsys.readouterr().err
    without("ai_edge_litert", "tflite_runtime")
    assert main(["selftest", str(bundle)]) == 2
    assert "nothing could be checked" in capsys.readouterr().err


def one_line(bundle: Path, capsys: pytest.CaptureFixture[str], *options: str) -> str:
    assert main(["selftest", str(bundle), *options]) == 2
    printed = capsys.readouterr().err
    assert printed.count("\n") == 1
    return printed


def test_what_cannot_be_used_is_one_line(bundle: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert "--threads: got 0" in one_line(bundle, capsys, "--threads", "0")
    assert "did you mean onnxruntime" in one_line(bundle, capsys, "--engine", "onnxrumtime")
    assert "tiny.int4.onnx" in one_line(bundle, capsys, "--artefact", "tiny.int4.onnx")
    assert "holds no golden.npz" in one_line(bundle.parent, capsys)
    golden = bundle / "artefacts" / "golden.npz"
    golden.write_bytes(golden.read_bytes()[:-100])
    assert "golden.npz is not the file that" in one_line(bundle, capsys)
    write_sums(bundle)
    assert "golden.npz is no archive of arrays, or a damaged one" in one_line(bundle, capsys)
    write_sums(bundle)
    sums = bundle / "SHA256SUMS"
    right = sums.read_text()
    for line, message in (
        (f"{'0' * 64}  ../secret", "line 6"),
        (f"{'0' * 64}  missing", "No such file"),
        ("x", "line 6"),
    ):
        sums.write_text(f"{right}{line}\n")
        assert message in one_line(bundle, capsys)


def test_a_running_server_is_asked_too(bundle: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "token").write_text("a-token-of-some-length")
    with Running(bundle / "artefacts", "--token-file", tmp_path / "token", log=tmp_path / "log") as server:
        url = f"http://localhost:{server.port}"
        asked = ["selftest", str(bundle), "--server", url, "--token-file", str(tmp_path / "token")]
        assert main(asked) == 0
        printed = capsys.readouterr().out.splitlines()
        assert printed[-1] == "11 passed, 1 skipped"
        for file, line in zip(FILES, printed[10:14], strict=True):
            assert re.fullmatch(rf"  {re.escape(file)}  \S+ \S+ behind {url}  20 rows compared, 0 diff.* ok", line), (
                line
            )
        # The golden answers are others than those that the server gives.
        alter_answers(bundle, RUNS.index(("tiny.int8.tflite", "ai-edge-litert")))
        assert main([*asked, "--artefact", "tiny.int8.tflite", "--json"]) == 1
        checks = json.loads(capsys.readouterr().out)["checks"]
        assert [(check["server"], check["status"]) for check in checks] == [
            ("", "failed"),
            ("", "skipped"),
            (url, "failed"),
        ]
        assert "asks for a token" in one_line(bundle, capsys, "--server", url)


def test_an_artefact_that_a_server_lacks_fails(
    bundle: Path, data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = tmp_path / "other" / "tiny.int8.tflite"
    other.parent.mkdir()
    # Another model under the name of this one.
    shutil.copy(data / "tiny.float32.tflite", other)
    with Running(other, log=tmp_path / "log") as server:
        assert main(["selftest", str(bundle), "--server", f"http://localhost:{server.port}"]) == 1
        lines = [line for line in capsys.readouterr().out.splitlines() if "FAILED" in line]
    *absent, wrong = (line.rpartition("FAILED: ")[2] for line in lines)
    assert absent == ["the server does not have it"] * 3
    assert wrong.startswith(f"http://localhost:{server.port}: 400: image: got the datatype 'INT8', expected FP32")


@pytest.mark.parametrize(
    ("options", "line"),
    [
        (("--server", "localhost:8080"), "--server: got localhost:8080, expected http://HOST:PORT"),
        (("--server", "http://:80"), "expected http://HOST:PORT"),
        (("--server", "http://localhost:port"), "expected http://HOST:PORT"),
        (("--server", "http://127.0.0.1:9"), "does not answer (Connection refused): is the server running?"),
        (("--token-file", "x"), "--token-file: got it without --server"),
        (("--server", "http://127.0.0.1:9", "--token-file", "x"), "cannot read x"),
    ],
)
def test_a_server_that_cannot_be_asked_is_one_line(
    bundle: Path, capsys: pytest.CaptureFixture[str], options: tuple[str, ...], line: str
) -> None:
    assert line in one_line(bundle, capsys, *options)


def test_a_list_of_other_files_beside_it_is_left_alone(bundle: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (bundle / "SHA256SUMS").write_text(f"{'0' * 64}  some-image.iso\n")
    assert main(["selftest", str(bundle)]) == 0
    assert "SHA256SUMS" not in capsys.readouterr().out


def test_json_stays_json_where_an_answer_is_no_number(bundle: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = bundle / "artefacts" / "golden.npz"
    arrays = {name: array.copy() for name, array in read_archive(path).items()}
    arrays["raw.0.0"][0, 0] = np.nan
    path.write_bytes(archive_bytes(arrays))
    write_sums(bundle)
    assert main(["selftest", str(bundle), "--json"]) == 1
    printed = capsys.readouterr().out
    assert "Infinity" not in printed
    assert json.loads(printed)["checks"][0]["largest_difference"] is None
