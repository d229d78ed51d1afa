"""The artefacts that a server has: loaded once, described to clients, asked."""

import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from edgeport.runtime.artefact.contract import Input, Output
from edgeport.runtime.artefact.formats import FORMATS
from edgeport.runtime.engines.quiet import quiet_stderr
from edgeport.runtime.errors import InputError
from edgeport.runtime.files.json_file import to_plain
from edgeport.runtime.prediction.loading import load
from edgeport.runtime.prediction.predictor import Predictor
from edgeport.runtime.prediction.showing.show import meanings_of
from edgeport.runtime.samples.shaping import ports_of
from edgeport.runtime.tensors.arrays import Tensor


class Answers(NamedTuple):
    """What an artefact answers.

    Attributes:
        values: For each output its array.
        seconds: How long the call took: scaling, engine, and the activation that the file leaves to the runtime.
    """

    values: Mapping[str, Tensor]
    seconds: float


class Served(NamedTuple):
    """One artefact behind a name.

    Attributes:
        name: What clients call it: its file's name.
        predictor: The loaded artefact, which threads share.
        ports: What its inputs take.
        outputs: What its outputs mean.
    """

    name: str
    predictor: Predictor
    ports: tuple[Input, ...]
    outputs: tuple[Output, ...]

    @property
    def precision(self) -> str:
        """What its metadata says, or its type of input; for people."""
        spec = self.predictor.spec
        return spec.metadata.precision if spec.metadata else spec.input.dtype

    def answer(self, values: Mapping[str, Tensor]) -> Answers:
        """Return what ``Predictor.answer`` does, timed."""
        start = time.perf_counter()
        answers: Mapping[str, Tensor] = self.predictor.answer(values)
        return Answers(answers, time.perf_counter() - start)

    def run(self, tensors: Mapping[str, Tensor]) -> Answers:
        """Return what ``Predictor.run`` does, timed."""
        start = time.perf_counter()
        answers = self.predictor.run(tensors)
        return Answers(answers, time.perf_counter() - start)


def load_served(
    paths: Sequence[Path],
    *,
    engine: str | None = None,
    threads: int = 1,
    verify: bool = True,
    cache: Path | None = None,
) -> dict[str, Served]:
    """Return the artefacts of files and folders by name, in their order.

    Args:
        paths: Files that ``load`` takes, and folders with such files.
        engine: See ``load``.
        threads: See ``load``.
        verify: See ``load``.
        cache: See ``load``.

    Raises:
        InputError: A folder has no artefact, two files have one name, or the inputs of one are no samples.
        ArtefactError: A file cannot be loaded.
    """
    files = [file for path in paths for file in (_within(path) if path.is_dir() else [path])]
    found: dict[str, Served] = {}
    for file in files:
        if file.name in found:
            raise InputError(f"{file}: two artefacts are called {file.name}: rename one, or give one of them")
        with quiet_stderr():
            predictor = load(file, engine=engine, threads=threads, verify=verify, cache=cache)
        found[file.name] = Served(file.name, predictor, ports_of(predictor.spec), meanings_of(predictor.spec))
    return found


def _within(folder: Path) -> list[Path]:
    suffixes = tuple(row.suffix for row in FORMATS)
    files = sorted(path for path in folder.iterdir() if path.name.lower().endswith(suffixes))
    if not files:
        raise InputError(f"{folder}: got no artefact in it, expected {' or '.join(suffixes)} files")
    return files


def contract_of(served: Served) -> dict[str, Any]:
    """Return what the page and other programs need to know of an artefact, as JSON has it."""
    spec = served.predictor.spec
    return {
        "name": served.name,
        "format": spec.format,
        "precision": served.precision,
        "engine": f"{spec.engine} {spec.engine_version}",
        "data": spec.metadata.dataset if spec.metadata else "",
        "inputs": [to_plain(port) for port in served.ports],
        "outputs": [to_plain(port) for port in served.outputs],
    }
