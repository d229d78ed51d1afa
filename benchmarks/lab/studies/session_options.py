"""Time onnxruntime with other session options beside those that edgeport opens a file with.

    python -m edgeport.benchmarks.lab.studies.session_options FOLDER ... -o RESULT.json

In each round every session is opened anew, in shuffled order, so that no option has the better place in memory.
"""

import argparse
import hashlib
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime

from edgeport.benchmarks.lab.result_file import ResultFile
from edgeport.benchmarks.lab.script import run_script
from edgeport.benchmarks.measure.machine.host import host_facts
from edgeport.benchmarks.report.renderers.markdown_table import markdown_table
from edgeport.benchmarks.statistics.latency import latency_ratio
from edgeport.runtime import load
from edgeport.runtime.engines.onnx import session_options
from edgeport.runtime.errors import InputError
from edgeport.runtime.files.output import write_whole

_DEFAULT = "as edgeport opens it"
_WARM_UP, _CALLS = 50, 200
Change = Callable[[onnxruntime.SessionOptions], object]
_Level = onnxruntime.GraphOptimizationLevel


def _set(name: str, value: object) -> Change:
    return lambda options: setattr(options, name, value)


def _configure(name: str, value: str) -> Change:
    return lambda options: options.add_session_config_entry(name, value)


# By the number of threads; the first of each is what the others are compared with.
_CHANGES: Mapping[int, Mapping[str, Change]] = {
    1: {
        _DEFAULT: lambda options: None,
        "graph optimisations: extended": _set("graph_optimization_level", _Level.ORT_ENABLE_EXTENDED),
        "graph optimisations: basic": _set("graph_optimization_level", _Level.ORT_ENABLE_BASIC),
        "graph optimisations: none": _set("graph_optimization_level", _Level.ORT_DISABLE_ALL),
        "no memory arena": _set("enable_cpu_mem_arena", False),
        "no memory pattern": _set("enable_mem_pattern", False),
        "no prepacked weights": _configure("session.disable_prepacking", "1"),
    },
    2: {
        _DEFAULT: lambda options: None,
        "threads that do not spin": _configure("session.intra_op.allow_spinning", "0"),
    },
}


@dataclass(frozen=True)
class Timed:
    """One file under one choice of options.

    Attributes:
        file: The artefact.
        threads: What a call may use.
        options: What is unlike edgeport's own options.
        p50_ns: The median call of each round, in nanoseconds.
        cpu_ns: What the CPU took for a call, on average, in each round: a thread that spins takes it while it waits.
    """

    file: str
    threads: int
    options: str
    p50_ns: list[int]
    cpu_ns: list[int]


@dataclass(frozen=True)
class SessionOptions:
    """The result.

    Attributes:
        created_utc: When.
        versions: Of edgeport and onnxruntime.
        host: The machine.
        sha256: Of each artefact.
        timed: What was measured, a file's options after one another.
    """

    created_utc: str
    versions: Mapping[str, str]
    host: Mapping[str, Any]
    sha256: Mapping[str, str]
    timed: tuple[Timed, ...]


RESULT = ResultFile("session-options", SessionOptions, "measurement of session options")


def markdown(report: SessionOptions) -> str:
    """Return a table: the time of a call, and of the CPU, beside edgeport's own options."""
    rows = []
    own: dict[tuple[str, int], Timed] = {}
    for each in report.timed:
        base = own.setdefault((each.file, each.threads), each)
        ratio = latency_ratio([[p50] for p50 in base.p50_ns], [[p50] for p50 in each.p50_ns])
        beside = "-" if each is base else f"{ratio.ratio:.2f} ({ratio.low:.2f}-{ratio.high:.2f})"
        times = (f"{float(np.median(taken)) / 1e3:.1f}" for taken in (each.p50_ns, each.cpu_ns))
        rows.append((each.file, str(each.threads), each.options, *times, beside))
    heads = ("file", "threads", "session options", "call, us", "CPU, us", "call, of edgeport's")
    return markdown_table(heads, rows, left=(0, 2))


def measure(paths: Sequence[Path], *, rounds: int) -> list[Timed]:
    """Return what each file takes under each choice of options, in shuffled rounds."""
    keys = [(path, threads, name) for path in paths for threads, changes in _CHANGES.items() for name in changes]
    taken: dict[tuple[Path, int, str], list[tuple[int, int]]] = {key: [] for key in keys}
    random = np.random.default_rng(0)
    for number in range(rounds):
        print(f"round {number + 1} of {rounds}", flush=True)
        for place in random.permutation(len(keys)):
            path, threads, name = keys[place]
            taken[keys[place]].append(_timed(path, threads, _CHANGES[threads][name]))
    return [
        Timed(path.name, threads, name, [p50 for p50, _ in each], [cpu for _, cpu in each])
        for (path, threads, name), each in taken.items()
    ]


def _timed(path: Path, threads: int, change: Change) -> tuple[int, int]:
    """Return the median time of a call, and the CPU's mean time for one, in nanoseconds."""
    options = session_options(threads)
    change(options)
    session = onnxruntime.InferenceSession(path.read_bytes(), options, providers=["CPUExecutionProvider"])
    source = session.get_inputs()[0]
    fed = {source.name: np.random.default_rng(0).random([1, *source.shape[1:]], np.float32)}
    for _ in range(_WARM_UP):
        session.run(None, fed)
    calls, cpu = [], time.process_time_ns()
    for _ in range(_CALLS):
        began = time.perf_counter_ns()
        session.run(None, fed)
        calls.append(time.perf_counter_ns() - began)
    return round(float(np.median(calls))), (time.process_time_ns() - cpu) // _CALLS


def _add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("folders", type=Path, metavar="DIR", nargs="+", help="export folders")
    parser.add_argument("--rounds", type=int, default=10, metavar="N", help="sessions of each kind (default 10)")


def _run(arguments: argparse.Namespace) -> None:
    kinds = ("*.float32.onnx", "*.int8.onnx")
    paths = [path for folder in arguments.folders for kind in kinds for path in sorted(folder.glob(kind))]
    if not paths or arguments.rounds < 1:
        raise InputError("expected folders with .float32.onnx and .int8.onnx artefacts, and --rounds of 1 or more")
    for path in paths:
        taken = load(path).spec.input.dtype
        if taken != "float32":
            raise InputError(
                f"{path}: got a file that takes {taken}, expected float32: export it without --tensor-type"
            )
    report = SessionOptions(
        created_utc=datetime.now(timezone.utc).isoformat(timespec="seconds"),
        versions={name: version(name) for name in ("edgeport", "onnxruntime")},
        host=host_facts(),
        sha256={path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in paths},
        timed=tuple(measure(paths, rounds=arguments.rounds)),
    )
    write_whole(arguments.output, RESULT.text(report).encode())
    print(markdown(report), end="")


if __name__ == "__main__":
    sys.exit(
        run_script(
            "edgeport.benchmarks.lab.studies.session_options",
            "Time onnxruntime with other session options.",
            run=_run,
            extra="all",
            add_arguments=_add_arguments,
        )
    )
