"""Which engine is the fastest for a file on this machine, as it was measured here: engines.json."""

import platform
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from edgeport.runtime.errors import ArtefactError, InputError
from edgeport.runtime.files.checksum import sha256_hex
from edgeport.runtime.files.json_file import read_json
from edgeport.runtime.host.machine import cpu_model

FILE_NAME = "engines.json"
KIND, SCHEMA = "engines", 1
# Where a benchmark of an export folder, or of a bundle's artefacts, puts its results.
_RESULTS = "benchmark"
_MEASURE = "measure it with edgeport benchmark FOLDER --engines all"


class Choice(NamedTuple):
    """The engine that answered like a file's default one, and was the fastest.

    Attributes:
        engine: Its name.
        version: The version that was measured.
        record: The file that says so.
    """

    engine: str
    version: str
    record: Path

    def check_version(self, version: str) -> None:
        """Raise InputError if another version is installed than was measured."""
        if version != self.version:
            raise InputError(
                f"{self.record}: {self.engine} {self.version} was measured, and {version} is installed: measure again, "
                f"or say engine={self.engine!r}"
            )


def fastest_engine(path: str, content: bytes, *, threads: int) -> Choice:
    """Return the engine that a benchmark found to be the fastest for this file, with so many threads, on this CPU.

    Args:
        path: The file; beside it, or where the results of a benchmark of its folder are, lies engines.json.
        content: Its bytes.
        threads: How many threads the engine may use.

    Raises:
        InputError: Nobody has measured it, or on another CPU, or with other threads.
        ArtefactError: The record is damaged.
    """
    here = cpu_model(), platform.machine()
    records = _records_of(Path(path).resolve())
    # A bundle may bring one along, beside which lies what was measured on the device itself.
    record, facts = next((each for each in records if (each[1]["cpu"], each[1]["architecture"]) == here), records[0])
    if (facts["cpu"], facts["architecture"]) != here:
        raise InputError(
            f"{record}: measured on {facts['cpu']} ({facts['architecture']}), and this is {here[0]} ({here[1]}), where "
            f"another engine may be the fastest: {_MEASURE}, or name an engine"
        )
    digest = sha256_hex([content], size=len(content))
    of_file = choices_of(facts, digest)
    if not of_file:
        raise InputError(f"{record} does not speak of {Path(path).name}, or of another state of it: {_MEASURE}")
    for each in choices_of(facts, digest, threads=threads):
        return Choice(each["engine"], each["version"], record)
    measured = " and ".join(str(each["threads"]) for each in of_file)
    raise InputError(
        f"threads: got {threads}, and {record} says that {Path(path).name} was measured with {measured}: {_MEASURE} "
        f"--threads {threads}"
    )


def choices_of(facts: Mapping[str, Any], sha256: str, *, threads: int | None = None) -> list[dict[str, Any]]:
    """Return the choices of a record for a file, with any number of threads or with one."""
    choices: list[dict[str, Any]] = facts["choices"]
    return [each for each in choices if each["sha256"] == sha256 and threads in (None, each["threads"])]


def _records_of(path: Path) -> list[tuple[Path, dict[str, Any]]]:
    """Return the records near an artefact, the nearest first."""
    folder = path.parent
    places = [folder, folder / _RESULTS, folder.parent / _RESULTS]
    found = [place / FILE_NAME for place in places if (place / FILE_NAME).is_file()]
    if found:
        return [(each, read_record(each)) for each in found]
    raise InputError(
        f"{path.name}: nobody has measured which engine is the fastest (no {FILE_NAME} in "
        f"{', '.join(map(str, places))}): {_MEASURE}, or name an engine"
    )


def read_record(record: Path) -> dict[str, Any]:
    """Return what a record says; raises ArtefactError if it is missing or damaged."""
    facts = read_json(record, hint=_MEASURE)
    texts = ("cpu", "architecture")
    sound = (
        isinstance(facts, dict)
        and (facts.get("kind"), facts.get("schema")) == (KIND, SCHEMA)
        and all(isinstance(facts.get(name), str) for name in texts)
        and isinstance(facts.get("choices"), list)
        and all(map(_is_choice, facts["choices"]))
    )
    if not sound:
        raise ArtefactError(f"{record} is no record of engines of schema {SCHEMA}, or a damaged one: {_MEASURE}")
    found: dict[str, Any] = facts
    return found


def _is_choice(entry: Any) -> bool:
    kinds = {"sha256": str, "engine": str, "version": str, "threads": int}
    return isinstance(entry, dict) and all(type(entry.get(name)) is kind for name, kind in kinds.items())
