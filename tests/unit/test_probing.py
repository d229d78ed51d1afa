"""The probe: whatever a file does to an engine, the caller gets an answer, and nothing is left behind."""

import argparse
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import fields
from pathlib import Path

import onnx
import pytest
from hand_made import save_decoder

from edgeport.export.inspection.inspect_command import add_arguments
from edgeport.runtime import ArtefactError, InputError
from edgeport.runtime.artefact.foreign.probing import OUTCOMES, Probe, _judged, _run, probe
from edgeport.runtime.artefact.formats import format_called
from edgeport.runtime.cli import main
from edgeport.runtime.engines.installed import engine_for


@pytest.mark.parametrize(
    ("name", "engine"), [("tiny.int8.tflite", "ai_edge_litert"), ("tiny.float32.onnx", "onnxruntime")]
)
def test_a_sound_file_runs(data: Path, name: str, engine: str) -> None:
    assert engine_for(format_called(name)) == engine
    ended = probe(data / name)
    assert (ended.outcome, ended.engine, ended.file) == ("runs", engine, str(data / name))
    assert "(1, 10)" in ended.detail
    assert ended.peak_rss_bytes is not None
    assert 1 << 24 < ended.peak_rss_bytes < 1 << 30


@pytest.mark.parametrize("name", ["tiny.int8.tflite", "tiny.float32.onnx"])
def test_a_damaged_file_is_refused_in_one_line(data: Path, tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes((data / name).read_bytes()[:4000])
    ended = probe(tmp_path / name, engine=engine_for(format_called(name)).replace("_", "-"))
    assert ended.outcome == "refused"
    assert ended.detail.isprintable()
    assert sorted(path.name for path in tmp_path.iterdir()) == [name]


def test_limits_are_kept(data: Path) -> None:
    assert probe(data / "tiny.int8.onnx", seconds=0.01).outcome == "timed out"
    assert probe(data / "tiny.int8.onnx", memory_bytes=60 << 20).outcome == "too much memory"
    assert probe(data / "tiny.int8.onnx", memory_bytes=1 << 20).outcome in ("too much memory", "crashed")


def test_an_input_that_fills_the_memory_is_reported(tmp_path: Path) -> None:
    x = onnx.helper.make_tensor_value_info("x", onnx.TensorProto.FLOAT, [1 << 17, 1 << 14])
    y = onnx.helper.make_tensor_value_info("y", onnx.TensorProto.FLOAT, None)
    graph = onnx.helper.make_graph([onnx.helper.make_node("Relu", ["x"], ["y"])], "g", [x], [y])
    onnx.save(onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 17)], ir_version=8),
              tmp_path / "m.onnx")  # fmt: skip
    assert probe(tmp_path / "m.onnx").outcome == "too much memory"


def test_names_in_a_file_do_not_steer_a_terminal(data: Path, tmp_path: Path) -> None:
    model = onnx.load(data / "tiny.float32.onnx")
    model.graph.node[-1].output[0] = model.graph.output[0].name = "\x1b[2J\u202e"
    onnx.save(model, tmp_path / "m.onnx")
    ended = probe(tmp_path / "m.onnx")
    assert ended.outcome == "runs"
    assert ended.detail.isprintable()


def test_a_folder_with_modules_of_its_own_is_not_imported_from(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(os.path.abspath(each) for each in sys.path if each))
    for name in ("numpy.py", "json.py", "edgeport.py", "onnxruntime.py"):
        (tmp_path / name).write_text("open('touched', 'w'); raise SystemExit(3)")
    shutil.copy(data / "tiny.int8.onnx", tmp_path / "m.onnx")
    monkeypatch.chdir(tmp_path)
    assert probe("m.onnx").outcome == "runs"
    assert not Path("touched").exists()


def test_the_child_can_write_no_file(tmp_path: Path) -> None:
    module = "edgeport.runtime.artefact.foreign.probe_child"
    script = f"from {module} import _limit; _limit(5, 2 << 30, 0); open('a', 'wb', 0).write(b'x')"
    code, _, chatter = _run([sys.executable, "-c", f"import os; os.chdir({str(tmp_path)!r}); {script}"], 30)
    assert code == 1
    assert b"File too large" in chatter
    assert not list(tmp_path.glob("core*"))


def test_a_dying_process_is_reported_by_its_signal() -> None:
    code, answer, chatter = _run([sys.executable, "-c", "import os; os.kill(os.getpid(), 11)"], 30)
    assert _judged(code, {}, chatter, 10, 1 << 30) == ("crashed", "signal 11 (SIGSEGV)")
    assert answer == b""
    code, _, chatter = _run([sys.executable, "-c", "raise SystemExit('gone')"], 30)
    assert _judged(code, {}, chatter, 10, 1 << 30) == ("crashed", "exit code 1: gone")
    # An engine that crashes behind its answer has crashed.
    assert _judged(-6, {"outcome": "runs", "detail": ""}, b"", 10, 1 << 30) == ("crashed", "signal 6 (SIGABRT)")
    assert _judged(-6, {}, b"what(): std::bad_alloc", 10, 1 << 30)[0] == "too much memory"
    assert _judged(-9, {}, b"", 10, 1 << 30)[0] == "too much memory"
    assert _judged(-signal.SIGXCPU, {}, b"", 10, 1 << 30) == ("timed out", "no answer after 10 s")


def test_what_a_process_started_ends_with_it() -> None:
    script = (
        "import subprocess, sys; child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)']); "
        "print(child.pid, flush=True); {}"
    )
    for rest, expected in (("", 0), ("child.wait()", None)):
        code, answer, _ = _run([sys.executable, "-c", script.format(rest)], 3)
        assert code == expected
        # Killed, it is either gone or waits for the system to take note.
        deadline = time.monotonic() + 10
        while (state := _state(int(answer))) not in ("", "Z") and time.monotonic() < deadline:
            time.sleep(0.01)
        assert state in ("", "Z")


def _state(process: int) -> str:
    printed = subprocess.run(["ps", "-o", "stat=", "-p", str(process)], capture_output=True, text=True, check=False)
    return printed.stdout.strip()[:1]


def test_of_endless_output_the_end_is_kept() -> None:
    script = "import os\nfor _ in range(3000): os.write(1, b'x' * 4096)\nos.write(1, b'end')"
    code, answer, _ = _run([sys.executable, "-c", script], 30)
    assert code == 0
    assert answer.endswith(b"xend")
    assert len(answer) <= 1 << 16


def test_what_cannot_be_probed_is_reported_beforehand(data: Path, tmp_path: Path) -> None:
    with pytest.raises(ArtefactError, match="cannot read"):
        probe(tmp_path / "m.onnx")
    os.mkfifo(tmp_path / "pipe.onnx")
    with pytest.raises(ArtefactError, match="no plain file"):
        probe(tmp_path / "pipe.onnx")
    with pytest.raises(ArtefactError, match="ends with"):
        probe(tmp_path / "m.txt")
    with pytest.raises(InputError, match="unknown engine for onnx"):
        probe(data / "tiny.int8.onnx", engine="tflite_runtime")
    for limits in ({"seconds": 0.0}, {"seconds": float("nan")}, {"memory_bytes": 0}):
        with pytest.raises(InputError, match="limits"):
            probe(data / "tiny.int8.onnx", **limits)  # type: ignore[arg-type]


def test_the_document_tells_every_outcome_and_option_and_shows_what_is_printed(
    data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text = (data.parents[1] / "docs/guides/inspect.md").read_text()
    for outcome in OUTCOMES:
        assert f"| `{outcome}` |" in text
    for field in fields(Probe):
        assert f"`{field.name}`" in text
    parser = argparse.ArgumentParser()
    add_arguments(parser)
    options = {option for action in parser._actions for option in action.option_strings if option.startswith("--")}
    assert {option for option in options if option in text} == options - {"--help"}
    shown = text.partition("tiny.int8.tflite --probe\n")[2].partition("\n```")[0].splitlines()
    main(["inspect", str(data / "tiny.int8.tflite"), "--probe", "--engine", "ai_edge_litert"])
    figures = re.compile(r"[0-9.]+ (s|MiB)")
    assert [figures.sub("", line) for line in shown] == [
        figures.sub("", line) for line in capsys.readouterr().out.splitlines()
    ]


def test_on_the_command_line_the_exit_code_tells(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["inspect", str(data / "tiny.int8.onnx"), "--probe"]) == 0
    assert capsys.readouterr().out.startswith("onnxruntime: runs (zeros gave logits")
    (tmp_path / "m.tflite").write_bytes(b"TFL3" * 9)
    assert main(["inspect", str(tmp_path / "m.tflite"), "--probe", "--engine", "ai-edge-litert"]) == 1
    ended = capsys.readouterr()
    assert ended.out.startswith("ai_edge_litert: refused (m.tflite")
    assert ended.out.count("\n") == 1
    assert ended.err == ""
    assert (
        main(
            ["inspect", str(data / "tiny.int8.onnx"), "--probe", "--json", "--memory", "60", "--engine", "onnxruntime"]
        )
        == 1
    )
    printed = json.loads(capsys.readouterr().out)
    assert printed["schema"] == 1
    assert [each["outcome"] for each in printed["probes"]] == ["too much memory"]
    assert main(["inspect", str(data / "tiny.int8.onnx"), "--seconds", "3"]) == 2
    assert "--seconds is for --probe" in capsys.readouterr().err
    assert main(["inspect", str(tmp_path / "none.onnx"), "--probe"]) == 2


@pytest.mark.parametrize("suffix", ["tflite", "onnx"])
def test_free_lengths_are_probed_at_the_shapes_that_are_given(
    suffix: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = str(save_decoder(tmp_path / f"m.{suffix}"))
    for shapes, length in (([], 2), (["cache=1,7,4"], 8), (["cache=1,0,4", "step=1,1,4"], 1)):
        options = [part for shape in shapes for part in ("--shape", shape)]
        assert main(["inspect", path, "--probe", *options]) == 0
        assert f"runs (zeros gave longer float32 (1, {length}, 4))" in capsys.readouterr().out


@pytest.mark.parametrize("suffix", ["tflite", "onnx"])
@pytest.mark.parametrize(
    ("shapes", "message"),
    [
        (["audio=1,7"], "shape of 'audio': there is no such input; expected one of cache float32 (1, n, 4); step"),
        (["cache=1,7"], "got (1, 7), which has 2 axes; expected 3: cache float32 (1, n, 4)"),
        (["cache=1,7,5"], "got (1, 7, 5), but the file fixes axis 2 to 4: cache float32 (1, n, 4)"),
        (["cache=1,7,0"], "got (1, 7, 0), but the file fixes axis 2 to 4: cache float32 (1, n, 4)"),
        (["cache=1,-7,4"], "--shape: got 'cache=1,-7,4', expected an input's name and its axes"),
        (["cache"], "--shape: got 'cache', expected"),
        (["=1,2"], "--shape: got '=1,2', expected"),
        (["cache=1,7,4", "cache=1,8,4"], "--shape: got 'cache' twice"),
    ],
)
def test_a_shape_that_no_input_has_is_one_line(
    suffix: str, shapes: list[str], message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = str(save_decoder(tmp_path / f"m.{suffix}"))
    assert main(["inspect", path, "--probe", *(part for shape in shapes for part in ("--shape", shape))]) == 2
    ended = capsys.readouterr()
    assert message in ended.err
    assert (ended.out, ended.err.count("\n")) == ("", 1)


def test_a_shape_that_no_memory_holds_is_too_much_memory(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = str(save_decoder(tmp_path / "m.onnx"))
    assert main(["inspect", path, "--probe", "--shape", "cache=1,900000000,4"]) == 1
    assert "too much memory" in capsys.readouterr().out
    assert main(["inspect", path, "--shape", "cache=1,9,4"]) == 2
    assert "--shape is for --probe" in capsys.readouterr().err
