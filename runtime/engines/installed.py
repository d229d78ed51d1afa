"""Which engines are installed here, and which of them runs a format."""

import sys
from importlib.util import find_spec

from edgeport.runtime.artefact.formats import ENGINES, Format
from edgeport.runtime.errors import MissingDependencyError, unknown_name


def installed_engines(chosen: Format) -> tuple[str, ...]:
    """Return the import names of the installed engines that run a format, the preferred one first."""
    return tuple(name for name in chosen.engines if find_spec(name) is not None)


def engine_for(chosen: Format, wanted: str | None = None) -> str:
    """Return the import name of the engine to use: the one that is asked for, or the preferred one.

    Args:
        chosen: The format.
        wanted: A package's name or that of its module, ``ai-edge-litert`` or ``ai_edge_litert``; None for any.

    Raises:
        InputError: That engine does not run the format.
        MissingDependencyError: It is not installed, or none is.
    """
    name = str(wanted).replace("-", "_") if wanted is not None else None
    if name is not None and name not in chosen.engines:
        raise unknown_name(f"engine for {chosen.name}", str(wanted), chosen.engines)
    installed = installed_engines(chosen)
    if name is None and installed:
        return installed[0]
    if name in installed:
        return str(name)
    sought = name or next(iter(chosen.engines))
    if getattr(sys, "frozen", False):
        raise MissingDependencyError(
            f"no engine for {chosen.name} files is part of this frozen program (looked for "
            f"{name or ', '.join(chosen.engines)}): freeze it anew with --collect-all {sought} and "
            f"--hidden-import {chosen.engines[sought]}"
        )
    raise MissingDependencyError(
        f"no engine for {chosen.name} files is installed (looked for {name or ', '.join(chosen.engines)}): "
        f"pip install 'edgeport[{ENGINES[sought].extra}]'"
    )


def engines_listed(text: str) -> tuple[str, ...]:
    """Return the import names of the engines that a user lists, ``NAME,NAME``, or of all that are installed (``all``).

    Raises:
        InputError: There is no engine of that name.
        MissingDependencyError: It is not installed.
    """
    if text == "all":
        return tuple(name for name in ENGINES if find_spec(name) is not None)
    names = tuple(dict.fromkeys(each.strip().replace("-", "_") for each in text.split(",")))
    for name in names:
        if name not in ENGINES:
            raise unknown_name("engine", name, ENGINES)
        if find_spec(name) is None:
            raise MissingDependencyError(
                f"the engine {name} is not installed: pip install 'edgeport[{ENGINES[name].extra}]'"
            )
    return names
