"""What is measured: something that a process of its own can open by name, and then ask for answers and calls."""

import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from edgeport.runtime.tensors.arrays import Tensor

# An array for a model of one input, or one for each input by its name; the axis of the samples comes first.
Samples = Tensor | Mapping[str, Tensor]


class OpenedCandidate(Protocol):
    """A model that an engine has opened.

    Attributes:
        engine: ``name`` and ``version`` of what runs it.
    """

    engine: Mapping[str, str]

    def answers(self, samples: Samples) -> Samples:
        """Return an array for a model of one output, or one for each output by its name.

        Args:
            samples: Pixels are uint8 of shape (n, height, width, channels); all else is as the model takes it.
        """
        ...

    def call(self, what: str, samples: Samples) -> Callable[[], object]:
        """Return a call that can be timed again and again.

        Args:
            what: ``engine``, ``predict`` or ``label``: see ``report.TIMED``.
            samples: The batch.
        """
        ...


def count_of(samples: Samples) -> int:
    """Return how many samples there are."""
    return len(next(iter(samples.values())) if isinstance(samples, Mapping) else samples)


def picked(samples: Samples, places: npt.NDArray[np.int64] | slice) -> Samples:
    """Return some of the samples, in memory."""
    if isinstance(samples, Mapping):
        return {name: np.array(each[places]) for name, each in samples.items()}
    return np.array(samples[places])


def mapped(paths: str | Mapping[str, str]) -> Samples:
    """Return the samples of a file, or of one for each input by its name, mapped and not in memory."""
    if isinstance(paths, str):
        samples: Samples = np.load(paths, mmap_mode="r")
        return samples
    return {name: np.load(path, mmap_mode="r") for name, path in paths.items()}


@dataclass(frozen=True)
class Candidate:
    """One way to run a model, in values that another process can be sent.

    Attributes:
        name: What the results are called.
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


def artefact_candidate(name: str, path: Path, *, engine: str | None = None) -> Candidate:
    """Return an artefact in edgeport's own predictor as a candidate; without an engine under the preferred one."""
    arguments = {"path": str(path.resolve()), **({"engine": engine} if engine else {})}
    return Candidate(name, "edgeport.benchmarks.measure.candidates.openers:open_artefact", arguments)
