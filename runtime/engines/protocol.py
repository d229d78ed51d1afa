"""What every engine can do, and how one is opened again: in a forked child, or where a predictor was unpickled."""

import importlib
from collections.abc import Sequence
from typing import NamedTuple, Protocol

from edgeport.runtime.artefact.formats import format_named
from edgeport.runtime.artefact.spec import TensorSpec
from edgeport.runtime.tensors.arrays import Tensor


class Engine(Protocol):
    """An opened artefact. Any number of threads may call it at a time; the tensors have been checked before.

    Attributes:
        version: The version of the package that runs it.
        inputs: The input tensors.
        outputs: The output tensors.
    """

    version: str
    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]

    def call_one(self, tensor: Tensor) -> Tensor:
        """Return the first output for the only input."""
        ...

    def call(self, tensors: Sequence[Tensor]) -> Sequence[Tensor]:
        """Return the outputs for the inputs, both in the artefact's order."""
        ...


class Origin(NamedTuple):
    """All that it takes to open an artefact, here or in another process.

    Attributes:
        content: The whole file: the bytes that were verified are the bytes that are opened.
        name: What to call it in messages.
        format: The format's name.
        package: The import name of the engine.
        threads: How many threads the engine may use.
        cache: The folder where an engine that starts faster by it keeps what it has compiled; empty for none.
    """

    content: bytes
    name: str
    format: str
    package: str
    threads: int
    cache: str = ""

    def __repr__(self) -> str:
        # Without the content.
        return f"Origin(name={self.name!r}, format={self.format!r}, package={self.package!r}, threads={self.threads})"

    def open(self) -> Engine:
        """Open the artefact; raises ArtefactError if the engine refuses it."""
        module = importlib.import_module(format_named(self.format).engines[self.package])
        engine: Engine = module.open_engine(self)
        return engine


def distinct(tensors: Sequence[TensorSpec]) -> tuple[TensorSpec, ...]:
    """Return the tensors under names that differ: a name that comes again gets a number."""
    names: set[str] = set()
    renamed = []
    for tensor in tensors:
        name = tensor.name
        number = 1
        while name in names:
            number += 1
            name = f"{tensor.name}_{number}"
        names.add(name)
        renamed.append(tensor if name == tensor.name else tensor._replace(name=name))
    return tuple(renamed)
