"""Weigh what engines take to start, with and without a form of the model that they have optimised before.

    python -m edgeport.benchmarks.lab.studies.start_up FOLDER ... -o RESULT.json

Each start is a process of its own, from nothing to the first answer, in shuffled rounds. The time is that of the CPU,
which other programs change little: a start uses one core, so on a quiet machine it is the time that one waits.
"""

import argparse
import hashlib
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from importlib.metadata import files, version
from pathlib import Path
from typing import Any

import numpy as np

from edgeport.benchmarks.lab.result_file import ResultFile
from edgeport.benchmarks.lab.script import run_script
from edgeport.benchmarks.measure.machine.host import host_facts
from edgeport.benchmarks.report.renderers.markdown_table import markdown_table
from edgeport.runtime.errors import InputError
from edgeport.runtime.files.output import write_whole

_ENGINES = ("ai-edge-litert", "onnxruntime", "openvino")
_ANSWER = """
import sys, numpy
from edgeport.runtime import load
predictor = load({path!r}, engine={engine!r}, cache={cache!r})
predictor.run({{tensor.name: numpy.zeros([axis or 1 for axis in tensor.shape], tensor.dtype)
               for tensor in predictor.spec.inputs}})
"""
_ONNXRUNTIME = """
import numpy, onnxruntime
options = onnxruntime.SessionOptions()
options.intra_op_num_threads, options.inter_op_num_threads = 1, 1
options.{option} = {value}
session = onnxruntime.InferenceSession({path!r}, options, providers=["CPUExecutionProvider"])
source = session.get_inputs()[0]
session.run(None, {{source.name: numpy.zeros([1, *source.shape[1:]], numpy.float32)}})
"""
_ENDING = """
import time
print(time.process_time_ns())
print(open("/proc/self/status").read())
"""


@dataclass(frozen=True)
class Starts:
    """The starts of one file in one way.

    Attributes:
        file: The artefact.
        way: What starts, and with what.
        cpu_ns: The CPU's time of each, in nanoseconds.
        peak_rss_bytes: The most memory of each.
    """

    file: str
    way: str
    cpu_ns: list[int]
    peak_rss_bytes: list[int]


@dataclass(frozen=True)
class StartUp:
    """The result.

    Attributes:
        created_utc: When.
        versions: Of edgeport and the engines.
        installed_bytes: What each engine's own files take on the disk.
        host: The machine.
        sha256: Of each artefact.
        starts: What was measured, a file's ways after one another.
    """

    created_utc: str
    versions: Mapping[str, str]
    installed_bytes: Mapping[str, int]
    host: Mapping[str, Any]
    sha256: Mapping[str, str]
    starts: tuple[Starts, ...]


RESULT = ResultFile("start-up", StartUp, "measurement of starts")


def markdown(report: StartUp) -> str:
    """Return a table of the starts, and one of what is installed."""
    rows = []
    base: dict[str, float] = {}
    for each in report.starts:
        taken = float(np.median(each.cpu_ns)) / 1e6
        # What stands behind a way is what it has optimised before.
        plain = each.way.partition(",")[0]
        share = f"{taken / base[plain]:.2f}" if plain in base and plain != each.way else "-"
        if plain == each.way:
            base[plain] = taken
        rows.append((each.file, each.way, f"{taken:.0f}", share, f"{float(np.median(each.peak_rss_bytes)) / 1e6:.0f}"))
    heads = ("file", "from nothing to the first answer", "CPU ms", "of the start without", "peak MB")
    size = [(name, report.versions[name], f"{size / 1e6:.0f}") for name, size in report.installed_bytes.items()]
    return "\n".join(
        (
            markdown_table(heads, rows, left=(0, 1)),
            markdown_table(("engine", "version", "installed, MB"), size, left=(0, 1)),
        )
    )


def measure(paths: Sequence[Path], *, count: int, work: Path) -> list[Starts]:
    """Return ``count`` starts of each file in each way, and one more of each that nobody counts.

    Raises:
        InputError: One of them fails.
    """
    codes = {(path.name, way): code for path in paths for way, code in _ways(path, work).items()}
    samples: dict[tuple[str, str], list[tuple[int, int]]] = {key: [] for key in codes}
    random = np.random.default_rng(0)
    for number in range(count + 1):
        for place in random.permutation(len(codes)):
            key = list(codes)[place]
            taken = _start(codes[key])
            # The first round fills the caches of files, and the cache that is measured.
            if number:
                samples[key].append(taken)
    return [Starts(*key, [cpu for cpu, _ in each], [peak for _, peak in each]) for key, each in samples.items()]


def _ways(path: Path, work: Path) -> dict[str, str]:
    """Return the code of each way to start a file."""
    given = str(path)
    default = "onnxruntime" if path.suffix == ".onnx" else "ai_edge_litert"
    ways = {default.replace("_", "-"): _ANSWER.format(path=given, engine=default, cache=None)}
    if path.suffix == ".onnx" or ".float" in path.name:
        ways["openvino"] = _ANSWER.format(path=given, engine="openvino", cache=None)
        ways["openvino, with a cache"] = _ANSWER.format(path=given, engine="openvino", cache=str(work / "cache"))
    if path.suffix == ".onnx":
        optimised = str(work / f"{path.stem}.optimised.onnx")
        _start(_ONNXRUNTIME.format(path=given, option="optimized_model_filepath", value=repr(optimised)))
        plain = {"option": "log_severity_level", "value": "4"}
        ways["onnxruntime alone"] = _ONNXRUNTIME.format(path=given, **plain)
        level = "onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL"
        ways["onnxruntime alone, its optimised model"] = _ONNXRUNTIME.format(
            path=optimised, option="graph_optimization_level", value=level
        )
    return ways


def _start(code: str) -> tuple[int, int]:
    """Run Python code in a process of its own; return the CPU's ns at its end, and its peak memory in bytes."""
    environment = os.environ | {"ORT_DISABLE_TELEMETRY": "1"}
    environment.pop("PYTHONDONTWRITEBYTECODE", None)
    command = [sys.executable, "-c", f"{code}\n{_ENDING}"]
    ended = subprocess.run(command, env=environment, capture_output=True, encoding="utf-8", check=False)
    if ended.returncode:
        raise InputError(f"a process that should be timed has failed: {ended.stderr.strip().splitlines()[-1]}")
    lines = ended.stdout.splitlines()
    peak = next(line for line in lines if line.startswith("VmHWM:"))
    return int(next(line for line in lines if line.isdigit())), int(peak.split()[1]) * 1024


def _installed_bytes(name: str) -> int:
    """Return what the files of a package take."""
    paths = [Path(str(each.locate())) for each in files(name) or ()]
    return sum(path.stat().st_size for path in paths if path.is_file() and path.suffix != ".pyc")


def _add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("folders", type=Path, metavar="DIR", nargs="+", help="export folders")
    parser.add_argument("--processes", type=int, default=15, metavar="N", help="starts of each kind (default 15)")


def _run(arguments: argparse.Namespace) -> None:
    kinds = ("*.float32.tflite", "*.float32.onnx", "*.int8.onnx")
    paths = [path.resolve() for folder in arguments.folders for kind in kinds for path in sorted(folder.glob(kind))]
    if not paths or arguments.processes < 1:
        raise InputError("expected folders with .float32 and .int8 artefacts, and --processes of 1 or more")
    with tempfile.TemporaryDirectory(prefix="edgeport-start-up-") as work:
        starts = measure(paths, count=arguments.processes, work=Path(work))
    report = StartUp(
        created_utc=datetime.now(timezone.utc).isoformat(timespec="seconds"),
        versions={name: version(name) for name in ("edgeport", *_ENGINES)},
        installed_bytes={name: _installed_bytes(name) for name in _ENGINES},
        host=host_facts(),
        sha256={path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in paths},
        starts=tuple(starts),
    )
    write_whole(arguments.output, RESULT.text(report).encode())
    print(markdown(report), end="")


if __name__ == "__main__":
    sys.exit(
        run_script(
            "edgeport.benchmarks.lab.studies.start_up",
            "Weigh what engines take to start.",
            run=_run,
            extra="peers",
            add_arguments=_add_arguments,
        )
    )
