"""What an engine has compiled, kept in a folder of the user's: read again only by who would compile the very same."""

import json
import os
import platform
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from edgeport.runtime.errors import ArtefactError, InputError
from edgeport.runtime.files.checksum import sha256_hex
from edgeport.runtime.files.output import write_whole
from edgeport.runtime.files.plain_file import MOST_MODEL, read_plain
from edgeport.runtime.host.machine import cpu_facts, cpu_model

_MAGIC = b"edgeport compiled 1\n"
_SUFFIX = ".compiled"
_AGAIN = "delete it, and it is made anew"


def machine_facts() -> dict[str, str]:
    """Return what compiled code depends on of this machine: its CPU, and the instructions that it has."""
    fields = cpu_facts()
    instructions = " ".join(sorted((fields.get("flags") or fields.get("Features") or "").split()))
    return {"cpu": cpu_model(), "architecture": platform.machine(), "instructions": instructions}


class CompiledFolder:
    """A folder that holds them, one file for each set of facts.

    A file is a line that names its kind, a line of JSON with the facts and the SHA-256 of what follows, and that.
    """

    def __init__(self, folder: str) -> None:
        """Make the folder, for its owner alone, if it is not there.

        Raises:
            InputError: It cannot be made, or others may write to it: what it holds is run.
        """
        self._folder = Path(folder)
        try:
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            facts = self._folder.stat()
        except OSError as error:
            raise InputError(f"cache: cannot use the folder {folder}: {error.strerror}") from error
        if facts.st_uid != os.geteuid() or facts.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
            raise InputError(
                f"cache: got {folder}, which others own or may write to (mode {stat.S_IMODE(facts.st_mode):o}), "
                f"expected a folder of your own: chmod 700 it, or name another"
            )

    def path(self, facts: Mapping[str, Any]) -> Path:
        """Return where what these facts give lies, or would lie."""
        text = _text(facts)
        return self._folder / f"{sha256_hex([text], size=len(text))}{_SUFFIX}"

    def find(self, facts: Mapping[str, Any]) -> bytes | None:
        """Return what was compiled for these facts; None if nobody has.

        Raises:
            ArtefactError: The file is damaged, or of other facts, or cannot be read.
        """
        path = self.path(facts)
        if not os.path.lexists(path):
            return None
        content = read_plain(path, most=MOST_MODEL)
        head, _, rest = content.removeprefix(_MAGIC).partition(b"\n")
        if not content.startswith(_MAGIC) or head != _head(facts, rest):
            raise self.damaged(facts, "it is not what was written for this file, engine, CPU and options")
        return rest

    def keep(self, facts: Mapping[str, Any], compiled: bytes) -> None:
        """Write what was compiled; raises InputError if it cannot be written."""
        write_whole(self.path(facts), b"".join((_MAGIC, _head(facts, compiled), b"\n", compiled)))

    def damaged(self, facts: Mapping[str, Any], why: str) -> ArtefactError:
        """Return what to raise where a file cannot be used."""
        return ArtefactError(f"cache: {self.path(facts)} is damaged or foreign ({why}): {_AGAIN}")


def _head(facts: Mapping[str, Any], compiled: bytes) -> bytes:
    return _text({"facts": facts, "sha256": sha256_hex([compiled], size=len(compiled))})


def _text(value: Mapping[str, Any]) -> bytes:
    return json.dumps(value, sort_keys=True).encode()
