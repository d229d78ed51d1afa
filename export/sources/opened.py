"""What every kind of model file is opened as."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy.typing as npt

from edgeport.export.graphs.graph import Graph

Shapes = Mapping[str, tuple[int | None, ...]]


@dataclass(frozen=True)
class ModelOrigin:
    """Where a model comes from.

    Attributes:
        what: What to call it in a message: its path, or ``the model NAME``.
        name: What to call its artefacts unless the user says otherwise.
        file: Where it was read from; None for a Keras model object.
        sha256: The digest of the file; of every file of a folder; of config and weights of an object.
    """

    what: str
    name: str
    file: Path | None
    sha256: str


@dataclass(frozen=True, eq=False)
class Opened(ModelOrigin):
    """A model that has been read and traced.

    Attributes:
        graph: The model with a free batch, or with the batch that it is fixed to.
        call: The original, not converted in any way: from arrays in the order of the inputs to those of the outputs.
        trace: Traces the model anew for other input shapes; None for one that is nothing but a graph.
        one_size: Whether it cannot be traced with free axes, batch aside. Then the graph holds for stand-in lengths,
            while its inputs have the free axes, and it is traced anew for the lengths that the samples have.
        vocabulary: One more than the largest token that it can take; None if unknown.
    """

    graph: Graph
    call: Callable[[Sequence[npt.NDArray[Any]]], Sequence[npt.NDArray[Any]]]
    trace: Callable[[Shapes], Graph] | None = None
    one_size: bool = False
    vocabulary: int | None = None
