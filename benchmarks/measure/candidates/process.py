"""A measuring process from the outside: started, asked, ended; whatever becomes of it is reported in one line."""

import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

from edgeport.benchmarks.measure.candidates.candidate import Candidate
from edgeport.runtime.host.json_process import JsonProcess, with_threads

# The answers of a large model to ten thousand images, on a small computer.
_PATIENCE_SECONDS = 3600.0


class MeasuringProcess:
    """A process that has opened one candidate; ends with its ``with`` block.

    Attributes:
        started: What it reports of its start: ``engine``, ``import_ns``, ``load_ns``, ``first_ns``.
        pid: Its process number.
    """

    def __init__(self, candidate: Candidate, *, samples: Path | Mapping[str, Path], cores: Sequence[int]) -> None:
        """Start the process, and wait until it has answered for the first time.

        Args:
            candidate: What it opens.
            samples: The ``.npy`` file of the samples, or one for each input by its name.
            cores: The cores that it runs on.

        Raises:
            EdgeportError: It cannot be opened, or its process died.
        """
        self._name = candidate.name
        environment = with_threads(candidate.threads)
        # An installed package has its bytecode beside it, which an environment for development may forbid.
        environment.pop("PYTHONDONTWRITEBYTECODE", None)
        spawned = time.monotonic_ns()
        self._process = JsonProcess(
            "edgeport.benchmarks.measure.candidates.worker", python=candidate.python, environment=environment
        )
        self.pid = self._process.pid
        paths = {name: str(path) for name, path in samples.items()} if isinstance(samples, Mapping) else str(samples)
        order = {
            "opener": candidate.opener,
            "arguments": dict(candidate.arguments),
            "threads": candidate.threads,
            "cores": list(cores),
            "samples": paths,
            "spawned_ns": spawned,
        }
        try:
            self.started = self._process.ask(order, name=self._name, within=_PATIENCE_SECONDS)
        except BaseException:
            self._process.end()
            raise

    def ask(self, do: str, **arguments: Any) -> dict[str, Any]:
        """Return what the process answers to a command.

        Raises:
            EdgeportError: It refuses, has died, or does not answer.
        """
        return self._process.ask({"do": do, **arguments}, name=self._name, within=_PATIENCE_SECONDS)

    def __enter__(self) -> "MeasuringProcess":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._process.end()
