"""A process that answers in JSON: its answers, its errors, its chatter, and each way in which it can end."""

import os
import time
from pathlib import Path

import pytest

from edgeport.runtime.errors import ArtefactError, InputError
from edgeport.runtime.host.json_process import JsonProcess, answer_of, with_threads

CHILD = """
import json, os, signal, subprocess, sys, time
from edgeport.runtime.errors import InputError
from edgeport.runtime.host.replies import refusal, replies

reply = replies()
for line in sys.stdin:
    order = json.loads(line)
    print("a library prints this")
    os.write(1, b"and this past Python's buffers\\n")
    match order["do"]:
        case "add": reply({"sum": sum(order["numbers"])})
        case "answer twice": reply({"first": 1}); reply({"second": 2})
        case "refuse": reply(refusal(InputError("--batch: got 0")))
        case "die": os.kill(os.getpid(), signal.SIGSEGV)
        case "fail": sys.exit("the last word")
        case "hang": time.sleep(60)
        case "start": reply({"pid": subprocess.Popen(["sleep", "60"]).pid})
        case "tell": reply({name: os.environ.get(name) for name in order["names"]})
"""


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    (tmp_path / "answering.py").write_text(CHILD)
    return {**os.environ, "PYTHONPATH": str(tmp_path)}


def test_answers_come_in_order_and_are_apart_from_what_libraries_print(environment: dict[str, str]) -> None:
    with JsonProcess("answering", environment=environment) as process:
        assert process.ask({"do": "add", "numbers": [1, 2]}, name="it", within=60) == {"sum": 3}
        process.send({"do": "answer twice"})
        assert [process.receive(within=60), process.receive(within=60)] == [{"first": 1}, {"second": 2}]
        process.send({"do": "add", "numbers": [5]})
        assert process.read() == [{"sum": 5}]
        assert "a library prints this" in process.said()
        assert "past Python's buffers" in process.said()


def test_an_error_of_ours_is_raised_here(environment: dict[str, str]) -> None:
    with JsonProcess("answering", environment=environment) as process:
        with pytest.raises(InputError, match=r"^--batch: got 0$"):
            process.ask({"do": "refuse"}, name="it", within=60)
        assert process.ask({"do": "add", "numbers": []}, name="it", within=60) == {"sum": 0}, "and it goes on"
    with pytest.raises(ArtefactError, match="no kind of ours"):
        answer_of({"error": "no kind of ours", "kind": "OSError"})


@pytest.mark.parametrize(("do", "cause"), [("die", "SIGSEGV"), ("fail", "exit code 1: the last word")])
def test_a_process_that_ends_is_told_with_the_cause(environment: dict[str, str], do: str, cause: str) -> None:
    with JsonProcess("answering", environment=environment) as process:
        with pytest.raises(ArtefactError, match=rf"^it: its process died \({cause}\)$"):
            process.ask({"do": do}, name="it", within=60)
        process.send({"do": "add", "numbers": []})
        assert process.receive(within=60) is None, "and it stays so"
        assert process.read() is None


def test_what_hangs_is_not_waited_for(environment: dict[str, str]) -> None:
    started = time.monotonic()
    with JsonProcess("answering", environment=environment) as process:
        with pytest.raises(ArtefactError, match=r"^it: no answer in 1 s$"):
            process.ask({"do": "hang"}, name="it", within=1)
        assert not process.ended(within=0)
    assert time.monotonic() - started < 30


def test_what_it_has_started_ends_with_it(environment: dict[str, str]) -> None:
    with JsonProcess("answering", environment=environment) as process:
        child = process.ask({"do": "start"}, name="it", within=60)["pid"]
    deadline = time.monotonic() + 30
    # Whoever adopts it may not have waited for it yet.
    while time.monotonic() < deadline and state_of(child) not in ("", "Z"):
        time.sleep(0.01)
    assert state_of(child) in ("", "Z")


def state_of(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2][0]
    except OSError:
        return ""


def test_what_it_prints_goes_to_a_log_where_there_is_one(environment: dict[str, str], tmp_path: Path) -> None:
    with (
        (tmp_path / "log.txt").open("ab") as log,
        JsonProcess("answering", environment=environment, log=log) as process,
    ):
        assert process.ask({"do": "add", "numbers": []}, name="it", within=60) == {"sum": 0}
        assert process.said() == ""
        with pytest.raises(ArtefactError, match=r"\(exit code 1\)$"):
            process.ask({"do": "fail"}, name="it", within=60)
    assert "the last word" in (tmp_path / "log.txt").read_text()


def test_verbose_shows_what_it_prints(
    environment: dict[str, str], monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("EDGEPORT_VERBOSE", "1")
    with JsonProcess("answering", environment=environment) as process:
        process.ask({"do": "add", "numbers": []}, name="it", within=60)
    assert "a library prints this" in capfd.readouterr().err


def test_threads_are_limited(environment: dict[str, str]) -> None:
    names = ["OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"]
    with JsonProcess("answering", environment={**with_threads(3), "PYTHONPATH": environment["PYTHONPATH"]}) as it:
        assert it.ask({"do": "tell", "names": names}, name="it", within=60) == dict.fromkeys(names, "3")
