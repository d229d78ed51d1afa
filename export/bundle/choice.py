"""A choice of engines that was measured on such a device, taken along: ``engines.json`` of a benchmark there."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edgeport.export.bundle.packages.targets import BundledEngine, System, engine_named
from edgeport.export.bundle.selection import Selection
from edgeport.export.manifest import Artefact
from edgeport.runtime.engines.fastest import FILE_NAME, choices_of, read_record
from edgeport.runtime.errors import InputError

# The programs of a bundle use one.
_THREADS = 1
_MEASURE = "on the device: venv/bin/edgeport benchmark artefacts -o benchmark --engines all"


@dataclass(frozen=True, eq=False)
class MeasuredChoice:
    """What a benchmark found.

    Attributes:
        path: The record.
        facts: What it says.
    """

    path: Path
    facts: dict[str, Any]

    @property
    def content(self) -> bytes:
        """The record as it travels along."""
        return (json.dumps(self.facts, indent=1) + "\n").encode()

    @property
    def engines(self) -> tuple[BundledEngine, ...]:
        """The engines that were the fastest for some file."""
        return tuple(dict.fromkeys(engine_named(each["engine"]) for each in self.facts["choices"]))

    def check(self, system: System, selection: Selection) -> None:
        """Raise InputError where a device that has this bundle could not follow the choice."""
        if self.facts["architecture"] != system.arch:
            raise InputError(
                f"--fastest: got {self.path}, measured on {self.facts['cpu']} ({self.facts['architecture']}), expected "
                f"one of {system.arch}: measure it {_MEASURE}"
            )
        for artefact in selection.manifest.artefacts:
            chosen = choices_of(self.facts, artefact.sha256, threads=_THREADS)
            if not chosen:
                raise InputError(
                    f"--fastest: {self.path} has no choice for {artefact.file} with {_THREADS} thread: measure it "
                    f"{_MEASURE}, or choose other artefacts with --artefact"
                )
            self._check_engine(artefact, chosen[0], selection)

    def _check_engine(self, artefact: Artefact, chosen: dict[str, Any], selection: Selection) -> None:
        engine, file = engine_named(chosen["engine"]), artefact.file
        if engine not in selection.engines:
            raise InputError(
                f"--fastest: {self.path} chooses {engine.name} for {file}, which is not among the engines of the "
                f"bundle: add --engine {engine.name}"
            )
        if engine not in selection.runners(artefact):
            raise InputError(
                f"--fastest: {self.path} chooses {engine.name} for {file}, which it does not run on "
                f"{selection.system.arch}: measure it {_MEASURE}"
            )
        if chosen["version"] != engine.version:
            raise InputError(
                f"--fastest: {self.path} has {engine.name} {chosen['version']} for {file}, and the bundle installs "
                f"{engine.version}: measure it {_MEASURE}"
            )


def read_choice(path: Path) -> MeasuredChoice:
    """Return the choice of a file, or of the results of a benchmark in a folder.

    Raises:
        ArtefactError: It is missing or damaged.
        InputError: It names an engine that no bundle installs.
    """
    path = path / FILE_NAME if path.is_dir() else path
    choice = MeasuredChoice(path, read_record(path))
    _ = choice.engines
    return choice
