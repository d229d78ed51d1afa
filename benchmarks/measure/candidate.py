"""What is measured: something that a process of its own can open by name, and then ask for answers and calls."""

import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from edgeport.runtime.tensors.arrays import FloatArray, Pixels


class OpenedCandidate(Protocol):
    """A model that an engine has opened.

    Attributes:
        engine: ``name`` and ``version`` of what runs it.
    """

    engine: Mapping[str, str]

    def answers(self, images: Pixels) -> FloatArray:
        """Return float32 of shape (n, classes) for uint8 images of shape (n, height, width, channels)."""
        ...

    def call(self, what: str, images: Pixels) -> Callable[[], object]:
        """Return a call that can be timed again and again.

        Args:
            what: ``engine``, ``predict`` or ``label``: see ``report.TIMED``.
            images: The batch, uint8 of shape (n, height, width, channels).
        """
        ...


@dataclass(frozen=True)
class Candidate:
    """One way to run a model, told in values that another process can be sent.

    Attributes:
        name: How the results are told apart.
        opener: ``package.module:function``; the function takes ``threads`` and the arguments, all by keyword, and
            returns an OpenedCandidate. If the module has a function ``import_engine``, that is called with the same
            arguments first, so that imports are timed as such.
        arguments: Further keyword arguments of the opener, as JSON has them.
        threads: How many threads the engine may use, and on how many cores its process runs.
        python: The interpreter of its process, which may be that of another environment.
        launches: In how many rounds it takes part; None for all. For what takes seconds to start.
    """

    name: str
    opener: str
    arguments: Mapping[str, Any] = field(default_factory=dict)
    threads: int = 1
    python: str = sys.executable
    launches: int | None = None


def artefact_candidate(name: str, path: Path) -> Candidate:
    """Return an artefact in edgeport's own predictor as a candidate."""
    return Candidate(name, "edgeport.benchmarks.measure.openers:open_artefact", {"path": str(path.resolve())})
