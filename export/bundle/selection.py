"""Which artefacts of an export folder go into a bundle, with which engines; each is checked before it is packed."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from edgeport.export.bundle.packages.targets import BundledEngine, System, default_engines, engine_named, other_systems
from edgeport.export.manifest import Artefact, Manifest
from edgeport.runtime.artefact.embedded_metadata import read_metadata
from edgeport.runtime.errors import ArtefactError, InputError, unknown_name
from edgeport.runtime.files.plain_file import MOST_MODEL, read_plain


@dataclass(frozen=True)
class Selection:
    """What of an export goes to a device.

    Attributes:
        manifest: The manifest of the chosen artefacts alone.
        system: What they are for.
        engines: The engines that run them.
        left_out: One line for each artefact that the device cannot run.
    """

    manifest: Manifest
    system: System
    engines: tuple[BundledEngine, ...]
    left_out: tuple[str, ...]

    def runners(self, artefact: Artefact) -> tuple[BundledEngine, ...]:
        """Return the engines that run an artefact there."""
        return tuple(engine for engine in self.engines if _runs(engine, artefact, self.system))


def select(manifest: Manifest, *, system: System, engines: Sequence[BundledEngine], wanted: Sequence[str]) -> Selection:
    """Return the artefacts that are wanted, or all that the device can run.

    Args:
        manifest: What the export folder holds.
        system: What the bundle is for.
        engines: The engines that were asked for; empty for the system's preferred ones.
        wanted: Names of files, or ``precision.format``; empty for all.

    Raises:
        InputError: A name is unknown, or a named artefact has no engine on the device.
    """
    allowed = tuple(engines) or default_engines(system)
    named = [_named(manifest, name) for name in wanted]
    obstacles = {artefact.file: _obstacle(artefact, system, allowed) for artefact in manifest.artefacts}
    for artefact in named:
        if obstacles[artefact.file]:
            raise InputError(f"{artefact.file}: {obstacles[artefact.file]}")
    chosen = [artefact for artefact in manifest.artefacts if (not named or artefact in named)]
    left_out = [f"{each.file} is left out: {obstacles[each.file]}" for each in chosen if obstacles[each.file]]
    chosen = [artefact for artefact in chosen if not obstacles[artefact.file]]
    if not chosen:
        reason = "; ".join(left_out) or "the export has delivered none"
        raise InputError(f"no artefact of {manifest.name} can be bundled for {system}: {reason}")
    # The model and its data stay behind, so nothing says where they lie.
    source, calibration = ({**facts, "file": ""} for facts in (manifest.source, manifest.calibration))
    restricted = replace(manifest, source=source, calibration=calibration, artefacts=tuple(chosen), refused=())
    used = tuple(each for each in allowed if any(_runs(each, one, system) for one in chosen))
    return Selection(restricted, system, used, tuple(left_out))


def read_artefacts(folder: Path, manifest: Manifest) -> Mapping[str, bytes]:
    """Return the content of each artefact, after a look at both of its digests.

    Raises:
        ArtefactError: A file is missing, or is not the one that was exported.
    """
    contents = {}
    for artefact in manifest.artefacts:
        path = folder / artefact.file
        content = read_plain(path, most=MOST_MODEL)
        if hashlib.sha256(content).hexdigest() != artefact.sha256:
            raise ArtefactError(
                f"{path} is not the file that manifest.json names: its SHA-256 differs. Export it again."
            )
        read_metadata(content, name=str(path))
        contents[artefact.file] = content
    return contents


def _named(manifest: Manifest, name: str) -> Artefact:
    for artefact in manifest.artefacts:
        if name in (artefact.file, f"{artefact.precision}.{artefact.format}"):
            return artefact
    known = [artefact.file for artefact in manifest.artefacts]
    known += [f"{artefact.precision}.{artefact.format}" for artefact in manifest.artefacts]
    raise unknown_name("artefact", name, known)


def _runs(engine: BundledEngine, artefact: Artefact, system: System) -> bool:
    return engine.runs(artefact.precision, artefact.format, arch=system.arch)


def _obstacle(artefact: Artefact, system: System, allowed: Sequence[BundledEngine]) -> str:
    """Return why an artefact does not run on the device and what to do; empty if it runs in every engine there."""
    runners = [engine for engine in allowed if artefact.format in engine.formats]
    found = [(engine, engine.obstacle(artefact.precision, artefact.format, arch=system.arch)) for engine in runners]
    unfit = [(engine, obstacle) for engine, obstacle in found if obstacle is not None]
    failing = next(((engine, obstacle) for engine, obstacle in unfit if obstacle.fails), None)
    if failing is None and len(unfit) < len(runners):
        return ""
    others = [engine.name for engine in map(engine_named, system.engines) if _runs(engine, artefact, system)]
    if failing is not None:
        # The selftest tries every engine that is installed, so one that cannot load the file is one too many.
        engine, obstacle = failing
        ways = f"take --engine {others[0]} in its place" if others else "take another precision, or --arch aarch64"
        return f"{engine.name} {engine.version} does not load it ({obstacle.why}): {ways}"
    if others and unfit:
        engine, obstacle = unfit[0]
        return f"it is not for {engine.name} ({obstacle.why}): add --engine {others[0]}"
    if others:
        return f"none of the chosen engines runs {artefact.format} files: add --engine {others[0]}"
    ways = f"take another format, or {other_systems(system, artefact.format)}"
    return f"no engine that has a wheel for {system} runs {artefact.format} files: {ways}"
