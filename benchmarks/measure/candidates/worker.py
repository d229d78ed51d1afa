"""The inside of a measuring process: opens one candidate on cores of its own, and does what each line asks.

The parent writes JSON lines to its standard input and reads one for each from its standard output. Numbers of
nanoseconds are those of the monotonic clock, which is the same in all processes of a machine.
"""

import gc
import importlib
import json
import os
import sys
import time
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from edgeport.benchmarks.measure.candidates.candidate import Samples, count_of, mapped, picked
from edgeport.runtime.errors import EdgeportError, InputError
from edgeport.runtime.files.temporary import full_temporary_folder
from edgeport.runtime.host.replies import refusal, replies

Call = Callable[[], object]

# A block of warm-up calls takes at least so long; the call is warm when three blocks in a row are alike.
_BLOCK_SECONDS = 0.01
_ALIKE = 0.03


def main() -> None:
    """Serve until standard input ends."""
    # Whatever a library prints must not get between the lines.
    reply = replies()
    order = json.loads(sys.stdin.readline())
    try:
        worker = _Worker(order)
    except EdgeportError as error:
        reply(refusal(error))
        return
    except ModuleNotFoundError as error:
        reply({"error": f"{error.name} is not installed", "kind": "MissingDependencyError"})
        return
    reply(worker.started)
    for line in sys.stdin:
        command = json.loads(line)
        try:
            answer = getattr(worker, command.pop("do"))(**command)
        except EdgeportError as error:
            answer = refusal(error)
        except OSError as error:
            # The answers of the process go through the folder for temporary files.
            full = full_temporary_folder(error)
            if not full:
                raise
            answer = refusal(InputError(full))
        reply(answer)


class _Worker:
    """A candidate, opened; each public method is a command."""

    def __init__(self, order: dict[str, Any]) -> None:
        if hasattr(os, "sched_setaffinity"):
            os.sched_setaffinity(0, order["cores"])
        module_name, function = order["opener"].split(":")
        arguments = order["arguments"]
        module = importlib.import_module(module_name)
        if hasattr(module, "import_engine"):
            module.import_engine(**arguments)
        imported = time.monotonic_ns()
        self._opened = getattr(module, function)(threads=order["threads"], **arguments)
        loaded = time.monotonic_ns()
        self._samples = mapped(order["samples"])
        first = self._opened.call("predict", self._batch(1))
        before_first = time.monotonic_ns()
        first()
        self._calls: dict[tuple[str, int], Call] = {}
        self.started = {
            "engine": dict(self._opened.engine),
            "import_ns": imported - order["spawned_ns"],
            "load_ns": loaded - imported,
            "first_ns": time.monotonic_ns() - before_first,
        }

    def answers(self, to: str) -> dict[str, Any]:
        """Write the answers to all samples into a folder, a file of numpy's for each output; return their names."""
        answers = self._opened.answers(picked(self._samples, slice(None)))
        outputs = answers if isinstance(answers, Mapping) else {"": answers}
        for place, values in enumerate(outputs.values()):
            np.save(f"{to}/{place}.npy", values, allow_pickle=False)
        return {"outputs": list(outputs)}

    def warm(self, what: str, batch: int, seconds: float) -> dict[str, Any]:
        """Run a call untimed until its time is stable, or for so many seconds; return its median."""
        call = self._call(what, batch)
        deadline = time.perf_counter() + seconds
        blocks: list[float] = []
        while time.perf_counter() < deadline:
            block: list[int] = []
            ends = time.perf_counter() + _BLOCK_SECONDS
            while not block or time.perf_counter() < ends:
                block += _timed(call, 1)
            blocks.append(float(np.median(block)))
            last = blocks[-3:]
            if len(last) == 3 and max(last) <= (1 + _ALIKE) * min(last):
                return {"median_ns": blocks[-1], "stable": True}
        return {"median_ns": blocks[-1] if blocks else float(_timed(call, 1)[0]), "stable": False}

    def turn(self, what: str, batch: int, calls: int, warmup: int) -> dict[str, Any]:
        """Time some calls, after some untimed ones which bring code and weights back into the caches."""
        call = self._call(what, batch)
        for _ in range(warmup):
            call()
        return {"ns": _timed(call, calls)}

    def memory(self) -> dict[str, Any]:
        """Return the resident memory of this process: its peak, and what it is now, in bytes."""
        try:
            with open("/proc/self/status", encoding="ascii", errors="replace") as status:
                lines = dict(line.split(":", 1) for line in status)
            return {key: int(lines[name].split()[0]) * 1024 for key, name in (("peak", "VmHWM"), ("steady", "VmRSS"))}
        except (OSError, KeyError):
            return {"peak": 0, "steady": 0}

    def _call(self, what: str, batch: int) -> Call:
        if (what, batch) not in self._calls:
            self._calls[what, batch] = self._opened.call(what, self._batch(batch))
        return self._calls[what, batch]

    def _batch(self, count: int) -> Samples:
        """Return so many samples, from the first on and again if there are fewer."""
        return picked(self._samples, np.arange(count) % count_of(self._samples))


def _timed(call: Call, count: int) -> list[int]:
    clock = time.perf_counter_ns
    times = []
    # A collection would be that of the garbage of this loop, and no part of the call.
    gc.disable()
    try:
        for _ in range(count):
            started = clock()
            call()
            times.append(clock() - started)
    finally:
        gc.enable()
    return times


if __name__ == "__main__":
    main()
