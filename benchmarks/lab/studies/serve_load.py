"""Time `edgeport serve` beside the bare engine: many clients at once, one alone, start-up and memory.

Run it with: python -m edgeport.benchmarks.lab.studies.serve_load ARTEFACT... -o RESULT.json
"""

import argparse
import asyncio
import json
import re
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timezone
from importlib.metadata import version
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from edgeport.benchmarks.lab.result_file import ResultFile
from edgeport.benchmarks.lab.script import run_script
from edgeport.benchmarks.lab.studies.raw_engines import random_pixels
from edgeport.benchmarks.measure.machine.host import host_facts
from edgeport.benchmarks.report.renderers.markdown_table import markdown_table
from edgeport.runtime import load
from edgeport.runtime.engines.quiet import quiet_stderr
from edgeport.runtime.files.output import write_whole
from edgeport.runtime.tensors.arrays import FloatArray, Pixels

_IMAGES = 64
_PEAK = re.compile(r"VmHWM:\s*(\d+) kB")
_ALONE = """
import numpy, time
from edgeport.runtime import load
predictor = load({path!r})
predictor.predict(numpy.zeros((1, *predictor.spec.input.shape[1:]), numpy.uint8))
print(time.monotonic())
print(open("/proc/self/status").read())
"""


@dataclass(frozen=True)
class Load:
    """One artefact behind the server, and alone.

    Attributes:
        file: The artefact.
        engine_us: The median of ``predict`` on one image, in this process, without a server.
        alone_us: The median of a request with one client, over one connection.
        clients: How many clients there were at a time.
        seconds: For how long.
        requests: How many requests were answered.
        errors: How many were not answered with 200.
        wrong: How many answers differ from those of ``predict`` in any bit.
        p50_ms: The median of a request with all clients.
        p99_ms: The time that 99 of 100 requests stay below.
        start_ms: From the start of a process to the first answer, of the server.
        engine_start_ms: The same of a process that loads the artefact and predicts once.
        peak_mb: The peak memory of the server, of all its processes, after all that.
        engine_peak_mb: That of the other process.
        workers: How many processes the server had.
    """

    file: str
    engine_us: float
    alone_us: float
    clients: int
    seconds: float
    requests: int
    errors: int
    wrong: int
    p50_ms: float
    p99_ms: float
    start_ms: float
    engine_start_ms: float
    peak_mb: float
    engine_peak_mb: float
    workers: int = 1


@dataclass(frozen=True)
class ServeLoad:
    """What serving costs.

    Attributes:
        created_utc: When it was measured.
        versions: Of the packages.
        host: The machine.
        note: What a reader should know of the circumstances.
        loads: A row an artefact.
    """

    created_utc: str
    versions: Mapping[str, str]
    host: Mapping[str, Any]
    note: str
    loads: tuple[Load, ...]


RESULT = ResultFile(kind="edgeport serve load", facts=ServeLoad, what="a load test of edgeport serve")


class _Asked(NamedTuple):
    seconds: list[float]
    errors: int
    wrong: int


def markdown(result: ServeLoad) -> str:
    """Return the table for the documents."""
    head = (
        "artefact", "workers", "engine alone, us", "one client, us", "clients", "requests a second", "p50 ms", "p99 ms",
        "errors", "wrong", "start ms", "engine's start ms", "peak MB", "engine's peak MB",
    )  # fmt: skip
    rows = [
        (
            each.file, str(each.workers), f"{each.engine_us:.0f}", f"{each.alone_us:.0f}", str(each.clients),
            f"{each.requests / each.seconds:,.0f}", f"{each.p50_ms:.1f}", f"{each.p99_ms:.1f}", str(each.errors),
            str(each.wrong), f"{each.start_ms:.0f}", f"{each.engine_start_ms:.0f}", f"{each.peak_mb:.0f}",
            f"{each.engine_peak_mb:.0f}",
        )
        for each in result.loads
    ]  # fmt: skip
    return markdown_table(head, rows)


def _add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("files", metavar="ARTEFACT", type=Path, nargs="+", help="artefacts that take pixels")
    parser.add_argument("--clients", type=int, default=32, metavar="N", help="at a time (default 32)")
    parser.add_argument(
        "--workers", type=int, nargs="+", default=[1, 2], metavar="N", help="processes of the server (default 1 and 2)"
    )
    parser.add_argument("--seconds", type=float, default=60, metavar="N", help="for each artefact (default 60)")
    parser.add_argument("--note", default="", help="what a reader should know of the circumstances")


def _run(arguments: argparse.Namespace) -> None:
    loads = tuple(
        _measured(path, workers, arguments.clients, arguments.seconds)
        for path in arguments.files
        for workers in arguments.workers
    )
    packages = ("edgeport", "numpy", "starlette", "uvicorn", "h11")
    result = ServeLoad(
        created_utc=datetime.now(timezone.utc).isoformat(timespec="seconds"),
        versions={name: version(name) for name in packages},
        host=host_facts(),
        note=arguments.note,
        loads=loads,
    )
    write_whole(arguments.output, RESULT.text(result).encode())
    print(markdown(result))


def _measured(path: Path, workers: int, clients: int, seconds: float) -> Load:
    with quiet_stderr():
        predictor = load(path)
    images = random_pixels((_IMAGES, *(axis or 1 for axis in predictor.spec.input.shape[1:])), seed=0)
    expected = np.concatenate([predictor.predict(each[np.newaxis]) for each in images])
    engine = [_timed(lambda: predictor.predict(images[:1])) for _ in range(2000)]
    engine_start, engine_peak = _engine_process(path)
    start = time.monotonic()
    command = [sys.executable, "-m", "edgeport.runtime.cli", "serve", str(path), "--port", "0"]
    command += ["--workers", str(workers)]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, encoding="utf-8"
    ) as server:
        try:
            assert server.stdout
            found = next(found for line in server.stdout if (found := re.search(r":(\d+)/", line)))
            port, name = int(found[1]), predictor.spec.input.name
            asyncio.run(_asked(port, path.name, name, images, expected, clients=1, seconds=0))
            started = time.monotonic() - start
            alone = asyncio.run(_asked(port, path.name, name, images, expected, clients=1, seconds=seconds / 10))
            every = asyncio.run(_asked(port, path.name, name, images, expected, clients=clients, seconds=seconds))
            peak = sum(_peak(Path(f"/proc/{process}/status").read_text("utf-8")) for process in _processes(server.pid))
        finally:
            server.terminate()
    return Load(
        file=path.name,
        engine_us=1e6 * statistics.median(engine),
        alone_us=1e6 * statistics.median(alone.seconds),
        clients=clients,
        seconds=seconds,
        requests=len(every.seconds),
        errors=every.errors + alone.errors,
        wrong=every.wrong + alone.wrong,
        p50_ms=1e3 * statistics.median(every.seconds),
        p99_ms=1e3 * float(np.percentile(every.seconds, 99)),
        start_ms=1e3 * started,
        engine_start_ms=engine_start,
        peak_mb=peak,
        engine_peak_mb=engine_peak,
        workers=workers,
    )


async def _asked(
    port: int, model: str, name: str, images: Pixels, expected: FloatArray, *, clients: int, seconds: float
) -> _Asked:
    """Ask for images in turn by so many clients, each over one connection, with binary tensors; at least once each."""
    until = time.monotonic() + seconds
    asked = _Asked([], 0, 0)
    errors = wrong = 0
    requests = [_request(model, name, image) for image in images]

    async def client(place: int) -> None:
        nonlocal errors, wrong
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        while True:
            start = time.perf_counter()
            writer.write(requests[place])
            head = await reader.readuntil(b"\r\n\r\n")
            found = re.search(rb"\r\ncontent-length: (\d+)", head)
            assert found
            body = await reader.readexactly(int(found[1]))
            asked.seconds.append(time.perf_counter() - start)
            if not head.startswith(b"HTTP/1.1 200"):
                errors += 1
            elif not body.endswith(expected[place].tobytes()):
                wrong += 1
            place = (place + 1) % len(images)
            if time.monotonic() >= until:
                break
        writer.close()

    await asyncio.gather(*(client(place % len(images)) for place in range(clients)))
    return asked._replace(errors=errors, wrong=wrong)


def _request(model: str, name: str, image: Pixels) -> bytes:
    tensor = {
        "name": name, "shape": [1, *image.shape], "datatype": "UINT8", "parameters": {"binary_data_size": image.nbytes},
    }  # fmt: skip
    header = json.dumps({"inputs": [tensor], "parameters": {"binary_data_output": True}}).encode()
    lines = (
        f"POST /v2/models/{model}/infer HTTP/1.1", "Host: localhost", f"Content-Length: {len(header) + image.nbytes}",
        f"Inference-Header-Content-Length: {len(header)}", "", "",
    )  # fmt: skip
    return "\r\n".join(lines).encode() + header + image.tobytes()


def _engine_process(path: Path) -> tuple[float, float]:
    """Return the milliseconds and the peak megabytes of a process that predicts once."""
    start = time.monotonic()
    command = [sys.executable, "-c", _ALONE.format(path=str(path))]
    ended = subprocess.run(command, check=True, capture_output=True, text=True, encoding="utf-8")
    return 1e3 * (float(ended.stdout.splitlines()[0]) - start), _peak(ended.stdout)


def _processes(parent: int) -> list[int]:
    """Return a process and those that it has forked."""
    children = Path(f"/proc/{parent}/task/{parent}/children").read_text("utf-8")
    return [parent, *map(int, children.split())]


def _peak(status: str) -> float:
    found = _PEAK.search(status)
    assert found
    return int(found[1]) / 1000


def _timed(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


if __name__ == "__main__":
    sys.exit(
        run_script(
            "edgeport.benchmarks.lab.studies.serve_load",
            "Time edgeport serve beside the bare engine.",
            run=_run,
            extra="all",
            add_arguments=_add_arguments,
        )
    )
