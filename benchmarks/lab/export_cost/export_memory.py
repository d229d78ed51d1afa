"""Measure the peak memory and the CPU time of `edgeport export` beside the converters' own calls.

Each runs in a process of its own, in turns, on models of keras.applications with random weights and on random pixels.

Run it with: python -m edgeport.benchmarks.lab.export_cost.export_memory -o RESULT.json
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from importlib.metadata import version
from pathlib import Path
from statistics import median
from typing import Any

from edgeport.benchmarks.lab.export_cost.export_speed import PACKAGES
from edgeport.benchmarks.lab.result_file import ResultFile
from edgeport.benchmarks.lab.script import run_script
from edgeport.benchmarks.measure.machine.host import host_facts
from edgeport.benchmarks.report.renderers.markdown_table import markdown_table
from edgeport.runtime.errors import InputError
from edgeport.runtime.files.output import write_whole

EXPORT, RAW_ALL, RAW_INT8 = "edgeport export", "all nine converters' calls", "TFLiteConverter, int8"
_GB = 1e9
_MODELS = ("MobileNetV2", "ResNet50V2")
_SAMPLES = 100
_EVERY_SECONDS = 0.25
# An export that rejects an artefact ends with 1: random weights may leave the range that int16x8 can hold.
_DELIVERED = (0, 1)


@dataclass(frozen=True)
class Cost:
    """What one process cost, with all that it started.

    Attributes:
        model: The model.
        what: The export, or what was called.
        cpu_s: CPU seconds, user and system.
        peak_bytes: The most memory at a time.
    """

    model: str
    what: str
    cpu_s: float
    peak_bytes: int


@dataclass(frozen=True)
class ExportMemory:
    """One comparison; the sides took turns.

    Attributes:
        created_utc: When, in ISO 8601.
        versions: The version of each package that took part.
        host: See host_facts.
        samples: How many calibration samples there were.
        costs: One for each process.
    """

    created_utc: str
    versions: Mapping[str, str]
    host: Mapping[str, Any]
    samples: int
    costs: tuple[Cost, ...]

    @property
    def models(self) -> list[str]:
        """The models, in order."""
        return list(dict.fromkeys(cost.model for cost in self.costs))

    def peak_bytes(self, model: str, what: str) -> float:
        """Return the median of the peaks."""
        return median(cost.peak_bytes for cost in self.costs if (cost.model, cost.what) == (model, what))

    def cpu_s(self, model: str, what: str) -> float:
        """Return the median CPU seconds."""
        return median(cost.cpu_s for cost in self.costs if (cost.model, cost.what) == (model, what))


RESULT = ResultFile("export memory", ExportMemory, "measurement of exports' memory")


def markdown(report: ExportMemory) -> str:
    """Return peaks and CPU times as a Markdown table."""
    rows = [
        (model, what, f"{report.peak_bytes(model, what) / _GB:.2f}", f"{report.cpu_s(model, what):.0f}")
        for model in report.models
        for what in (RAW_INT8, RAW_ALL, EXPORT)
    ]
    return markdown_table(("model", "process", "peak memory, GB", "CPU, s"), rows, left=(0, 1))


def measure_exports(
    models: Sequence[str], *, rounds: int, on_step: Callable[[str], None] = lambda what: None
) -> ExportMemory:
    """Return what exports and bare converters cost, which take turns.

    Args:
        models: Names of functions of keras.applications.
        rounds: How often each has its turn.
        on_step: Called with a few words before each step.

    Raises:
        InputError: A process failed.
    """
    host = host_facts()
    costs = []
    with tempfile.TemporaryDirectory(prefix="edgeport-") as name:
        folder = Path(name)
        for model in models:
            on_step(f"{model}: building")
            cost_of([*_RAW, "build", model, str(_SAMPLES), str(folder)])
            for number in range(rounds):
                for what, command in _commands(folder, folder / f"{model}.keras"):
                    on_step(f"{model}: {what}, round {number + 1} of {rounds}")
                    cpu_s, peak_bytes = cost_of(command)
                    costs.append(Cost(model, what, cpu_s, peak_bytes))
    return ExportMemory(
        created_utc=datetime.now(timezone.utc).isoformat(timespec="seconds"),
        versions={name: version(name) for name in PACKAGES},
        host=host,
        samples=_SAMPLES,
        costs=tuple(costs),
    )


_RAW = (sys.executable, "-m", "edgeport.benchmarks.lab.export_cost.raw_process")


def _commands(folder: Path, model: Path) -> Iterator[tuple[str, list[str]]]:
    samples = str(folder / "samples.npz")
    yield RAW_INT8, [*_RAW, "int8", str(model), samples]
    with tempfile.TemporaryDirectory(dir=folder) as output:
        command = [sys.executable, "-m", "edgeport.runtime.cli", "export", str(model), "-o", f"{output}/export"]
        command += ["--calibration", samples, "--calibration-count", str(_SAMPLES)]
        # The converters alone take the samples as they are.
        yield EXPORT, [*command, "--input", "pixels:0:255"]
    yield RAW_ALL, [*_RAW, "all", str(model), samples]


def cost_of(command: Sequence[str]) -> tuple[float, int]:
    """Run a process, and return the CPU seconds and the most bytes that it and its children took.

    This process must stay small: a child is born with the size of its parent as its own peak.
    """
    with tempfile.TemporaryFile() as errors:
        child = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=errors)
        peak = 0
        while True:
            pid, status, usage = os.wait4(child.pid, os.WNOHANG)
            if pid:
                break
            peak = max(peak, sum(_bytes_of(each) for each in _family(child.pid)))
            time.sleep(_EVERY_SECONDS)
        child.returncode = os.waitstatus_to_exitcode(status)
        if child.returncode not in _DELIVERED:
            errors.seek(0)
            last = errors.read().decode(errors="replace").strip().splitlines()[-1:]
            raise InputError(f"{' '.join(command[1:4])}: ended with {child.returncode} ({' '.join(last)})")
    # What samples have missed the kernel has seen, but of the largest process alone.
    return usage.ru_utime + usage.ru_stime, max(peak, usage.ru_maxrss * 1024)


def _family(pid: int) -> list[int]:
    """Return a process and those that it has started."""
    family = [pid]
    for each in family:
        try:
            threads = list(Path(f"/proc/{each}/task").iterdir())
            family += [int(child) for thread in threads for child in (thread / "children").read_text("ascii").split()]
        except OSError:  # it has ended
            continue
    return family


def _bytes_of(pid: int) -> int:
    """Return the memory of a process, with its share of what it has in common with others."""
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text("utf-8", "replace").splitlines()
    except OSError:  # it has ended
        return 0
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith("Pss:")), 0)


def _add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--models", nargs="+", default=_MODELS, metavar="NAME", help="of keras.applications")
    parser.add_argument("--rounds", type=int, default=1, metavar="N", help="turns of each (default 1)")


def _run(arguments: argparse.Namespace) -> None:
    if arguments.rounds < 1:
        raise InputError(f"--rounds: got {arguments.rounds}, expected 1 or more")
    report = measure_exports(arguments.models, rounds=arguments.rounds, on_step=lambda what: print(what, flush=True))
    write_whole(arguments.output, RESULT.text(report).encode())
    print(markdown(report), end="")


if __name__ == "__main__":
    sys.exit(
        run_script(
            "edgeport.benchmarks.lab.export_cost.export_memory",
            "Measure the peak memory and the CPU time of an export beside the converters' own calls.",
            run=_run,
            extra="export",
            add_arguments=_add_arguments,
        )
    )
