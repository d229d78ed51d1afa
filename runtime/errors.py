"""Every error that edgeport raises on purpose.

    EdgeportError
      ArtefactError(ValueError)             unreadable, truncated, altered, or not the format its name says
      InputError(ValueError)                a wrong argument: shape, dtype, range, NaN, name, path
        WrongEngineError                    an engine that does not run such a file
      MissingDependencyError(ImportError)   a package that this job needs is not installed
      ExportError(RuntimeError)             a conversion or its verification failed

A message says what is wrong, what was got, what was expected and what to do, in one line. The command line
prints it and exits with 2; any other exception is a bug and keeps its traceback.
"""

from collections.abc import Iterable


class EdgeportError(Exception):
    """The root of edgeport's errors: catch this to catch them all.

    Its text is one line that steers no terminal, whatever a file that it speaks of holds.
    """

    def __str__(self) -> str:
        # Only a message needs it, and an import of the runtime should cost nothing.
        from edgeport.runtime.host.terminal import visible

        return visible(super().__str__())


class ArtefactError(EdgeportError, ValueError):
    """A file cannot be used: unreadable, truncated, altered, or not the format that its name says."""


class InputError(EdgeportError, ValueError):
    """An argument or an input tensor is wrong: its shape, dtype, range, name or path."""


class WrongEngineError(InputError):
    """The engine that was chosen would run a file otherwise than the format means it, or not at all."""


class MissingDependencyError(EdgeportError, ImportError):
    """A package that this job needs is not installed; the message names the extra that brings it."""


class ExportError(EdgeportError, RuntimeError):
    """A model could not be converted, or the converted file does not answer like the model."""


def unknown_name(kind: str, got: str, known: Iterable[str]) -> InputError:
    """Return the error for a name that is not in a table, with the nearest one that is.

    Args:
        kind: What the name should have been, for example ``"data set"``.
        got: The name that was given.
        known: The names that exist.
    """
    # Only a message needs it, and an import of the runtime should cost nothing.
    from difflib import get_close_matches

    names = {name.lower(): name for name in sorted(known)}
    nearest = get_close_matches(got.lower(), names, n=1)
    hint = f": did you mean {names[nearest[0]]}?" if nearest else ""
    return InputError(f"unknown {kind} {got!r}{hint} (known: {', '.join(names.values())})")
