"""Time and weigh the runtime against the engines themselves, side by side: calls, batches, start-up and memory.

Run it with: python -m edgeport.benchmarks.lab.studies.runtime_cost EXPORT_FOLDER -o RESULT.json
"""

import argparse
import hashlib
import os
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from datetime import datetime, timezone
from functools import partial
from importlib.metadata import version
from pathlib import Path

import numpy as np

from edgeport.benchmarks.lab.one_process import Rounds, time_in_rounds
from edgeport.benchmarks.lab.script import run_script
from edgeport.benchmarks.lab.studies.raw_engines import random_pixels, raw_call, resized_call
from edgeport.benchmarks.lab.studies.runtime_cost_report import (
    RESULT,
    BatchCost,
    CallCost,
    ProcessCost,
    RuntimeCost,
    markdown,
)
from edgeport.benchmarks.measure.machine.host import host_facts
from edgeport.runtime import load
from edgeport.runtime.engines.quiet import quiet_stderr
from edgeport.runtime.errors import InputError
from edgeport.runtime.files.output import write_whole

_PACKAGES = {"ai_edge_litert": "ai-edge-litert", "tflite_runtime": "tflite-runtime", "onnxruntime": "onnxruntime"}
_BATCHES = (8, 32, 128)
_CALLS = Rounds(rounds=8, calls_per_round=50, warmup_seconds=0.1)
_FEW_CALLS = Rounds(rounds=6, calls_per_round=5, warmup_calls=1, warmup_seconds=0.1)

# Each runs in a process of its own; {path} is an artefact.
_RAW_TFLITE = """
import numpy
from ai_edge_litert.interpreter import Interpreter
interpreter = Interpreter(model_path={path!r}, num_threads=1)
interpreter.allocate_tensors()
details = interpreter.get_input_details()[0]
interpreter.set_tensor(details["index"], numpy.zeros(details["shape"], details["dtype"]))
interpreter.invoke()
interpreter.get_tensor(interpreter.get_output_details()[0]["index"])
"""
_RAW_ONNX = """
import numpy, onnxruntime
options = onnxruntime.SessionOptions()
options.intra_op_num_threads = 1
session = onnxruntime.InferenceSession({path!r}, options, providers=["CPUExecutionProvider"])
source = session.get_inputs()[0]
session.run(None, {{source.name: numpy.zeros((1, *source.shape[1:]), numpy.float32)}})
"""
_EDGEPORT = """
import numpy
from edgeport.runtime import load
predictor = load({path!r})
predictor.predict(numpy.zeros((1, *predictor.spec.input.shape[1:]), numpy.uint8))
"""


# The clock is the same in all processes.
_ENDING = """
import time
print(time.monotonic_ns())
print(open("/proc/self/status").read())
"""


def measure_runtime(
    files: Sequence[Path], *, openings: int, processes: int, on_step: Callable[[str], None] = lambda what: None
) -> RuntimeCost:
    """Return what the runtime costs beside the bare engines.

    Args:
        files: Image artefacts of edgeport; each runs in the first of its engines that is installed.
        openings: How often each is opened anew: two sessions of the same graph can differ in speed.
        processes: How often each process is started.
        on_step: Called with a few words before each step.

    Raises:
        ArtefactError: An artefact cannot be read.
    """
    calls, batches = [], []
    for path in files:
        on_step(f"calls of {path.name}")
        calls.append(_time_calls(path, openings))
        on_step(f"batches of {path.name}")
        batches.append(_time_batches(path))
    on_step(f"{processes} starts of each process")
    started = _time_processes(files, processes)
    return RuntimeCost(
        created_utc=datetime.now(timezone.utc).isoformat(timespec="seconds"),
        versions={
            name: version(name) for name in ("edgeport", "numpy", *(_PACKAGES[each] for each in _engines(calls)))
        },
        host=host_facts(),
        sha256={path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in files},
        calls=tuple(calls),
        batches=tuple(batches),
        processes=tuple(started),
    )


def _engines(calls: Sequence[CallCost]) -> list[str]:
    return list(dict.fromkeys(cost.engine for cost in calls))


def _time_calls(path: Path, openings: int) -> CallCost:
    """Time the engine's own calls, ``run`` and ``predict`` in turns, in sessions that are opened anew each time."""
    content = path.read_bytes()
    samples: dict[str, list[list[int]]] = {"raw": [], "run": [], "predict": []}
    for number in range(openings):
        with quiet_stderr():
            predictor = load(path)
        images = random_pixels((1, *(axis or 1 for axis in predictor.spec.input.shape[1:])), seed=number)
        tensor = predictor.encode(images)
        engine = predictor.spec.engine.replace("-", "_")
        with quiet_stderr():
            raw = raw_call(content, engine, tensor)
        calls: dict[str, Callable[[], object]] = {
            "raw": raw,
            "run": partial(predictor.run, tensor),
            "predict": partial(predictor.predict, images),
        }
        timed = time_in_rounds(calls, _CALLS)
        for name, nanoseconds in timed.items():
            samples[name].append(nanoseconds)
    return CallCost(file=path.name, engine=engine, dtype=predictor.spec.input.dtype, latency_ns=samples)


def _time_batches(path: Path) -> BatchCost:
    """Time a batch in one call, if the artefact can be resized for it, and image by image."""
    with quiet_stderr():
        predictor = load(path)
    content, engine = path.read_bytes(), predictor.spec.engine.replace("-", "_")
    latency: dict[str, dict[str, list[int]]] = {}
    for count in _BATCHES:
        images = random_pixels((count, *(axis or 1 for axis in predictor.spec.input.shape[1:])))
        tensor = predictor.encode(images)
        calls: dict[str, Callable[[], object]] = {"edgeport": partial(predictor.predict, images)}
        with quiet_stderr():
            calls["one by one"] = partial(_repeat, raw_call(content, engine, tensor[:1]), count)
            try:
                one = raw_call if engine == "onnxruntime" else resized_call
                calls["in one call"] = one(content, engine, tensor)
            except (RuntimeError, ValueError):
                pass
        latency[str(count)] = time_in_rounds(calls, _FEW_CALLS)
    return BatchCost(file=path.name, engine=engine, latency_ns=latency)


def _repeat(call: Callable[[], object], count: int) -> None:
    for _ in range(count):
        call()


def _time_processes(files: Sequence[Path], count: int) -> list[ProcessCost]:
    """Start each kind of process again and again, in shuffled rounds; wall time and peak memory of each."""
    codes = {"import numpy": "import numpy", "import edgeport.runtime": "import numpy, edgeport.runtime"}
    for path in files:
        raw = _RAW_ONNX if path.suffix == ".onnx" else _RAW_TFLITE
        codes[f"{path.name}, engine alone"] = raw.format(path=str(path))
        codes[f"{path.name}, edgeport"] = _EDGEPORT.format(path=str(path))
    samples: dict[str, list[tuple[int, int]]] = {name: [] for name in codes}
    random = np.random.default_rng(0)
    # The first round fills the file cache.
    for number in range(count + 1):
        for index in random.permutation(len(codes)):
            name = list(codes)[index]
            sample = _start(codes[name])
            if number:
                samples[name].append(sample)
    return [
        ProcessCost(name=name, wall_ns=[wall for wall, _ in each], peak_rss_bytes=[peak for _, peak in each])
        for name, each in samples.items()
    ]


def _start(code: str) -> tuple[int, int]:
    """Run Python code in a process of its own; return ns from start to the end of the code, and peak memory in bytes.

    How long the process takes to end after that is nobody's waiting time.
    """
    # Both sides without onnxruntime's telemetry, which edgeport turns off: it takes time and memory of its own.
    environment = os.environ | {"ORT_DISABLE_TELEMETRY": "1"}
    # An installed package has its bytecode beside it, which an environment for development may forbid.
    environment.pop("PYTHONDONTWRITEBYTECODE", None)
    command = [sys.executable, "-c", f"{code}\n{_ENDING}"]
    started = time.monotonic_ns()
    ended = subprocess.run(command, env=environment, capture_output=True, encoding="utf-8", check=False)
    if ended.returncode:
        raise InputError(f"a process that should be timed has failed: {ended.stderr.strip().splitlines()[-1]}")
    reached, *status = ended.stdout.splitlines()
    # The kernel's own account of the process (proc(5)); that of wait4() begins with the memory of its parent.
    peak = next(line for line in status if line.startswith("VmHWM:"))
    return int(reached) - started, int(peak.split()[1]) * 1024


def _add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("folder", type=Path, metavar="DIR", help="an export folder with an image model")
    parser.add_argument("--openings", type=int, default=9, metavar="N", help="sessions of each artefact (default 9)")
    parser.add_argument("--processes", type=int, default=21, metavar="N", help="starts of each process (default 21)")


def _run(arguments: argparse.Namespace) -> None:
    if arguments.openings < 1 or arguments.processes < 1:
        raise InputError("--openings and --processes: expected 1 or more")
    files = [
        path
        for precision in ("float32", "int8")
        for suffix in ("tflite", "onnx")
        for path in sorted(arguments.folder.glob(f"*.{precision}.{suffix}"))
    ]
    if not files:
        raise InputError(f"{arguments.folder} holds no float32 or int8 artefacts: name an export folder")
    report = measure_runtime(
        files,
        openings=arguments.openings,
        processes=arguments.processes,
        on_step=lambda what: print(what, flush=True),
    )
    write_whole(arguments.output, RESULT.text(report).encode())
    print(markdown(report), end="")


if __name__ == "__main__":
    sys.exit(
        run_script(
            "edgeport.benchmarks.lab.studies.runtime_cost",
            "Time and weigh the runtime against the engines themselves.",
            run=_run,
            extra="all",
            add_arguments=_add_arguments,
        )
    )
