"""How the measuring scripts of this folder run: one line for what a user can cause, no traceback."""

import argparse
import os
from collections.abc import Callable, Sequence
from pathlib import Path

from edgeport.runtime.cli import exit_code_of, needing
from edgeport.runtime.errors import InputError


def run_script(
    module: str,
    description: str,
    *,
    run: Callable[[argparse.Namespace], None],
    extra: str,
    add_arguments: Callable[[argparse.ArgumentParser], None] = lambda parser: None,
    argv: Sequence[str] | None = None,
) -> int:
    """Run a script and return its exit code: 0 done, 2 refused with one line, 130 interrupted.

    Args:
        module: Its name after ``python -m``.
        description: What it does.
        run: Does the work, and writes the result to ``output``, one of the arguments.
        extra: The extra of the edgeport distribution that installs what it needs.
        add_arguments: Declares its other arguments.
        argv: The arguments; by default those of the process.
    """
    # TensorFlow's C++ start-up chatter would bury our own lines; set before anything imports it.
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    parser = argparse.ArgumentParser(prog=f"python -m {module}", description=description)
    parser.add_argument("-o", "--output", type=Path, required=True, metavar="FILE", help="where the result goes (JSON)")
    add_arguments(parser)

    def action() -> int:
        arguments = parser.parse_args(argv)
        _check_output(arguments.output)
        with needing(extra, "it"):
            run(arguments)
        return 0

    return exit_code_of(module, action)


def _check_output(path: Path) -> None:
    # Better before the measuring than after it.
    if path.is_dir() or not os.access(path.parent, os.W_OK):
        raise InputError(f"--output {path}: expected the name of a file in a folder that exists and may be written to")
