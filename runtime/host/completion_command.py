"""`edgeport completion SHELL`: a script that makes a shell complete commands, options and files.

It goes where the shell looks for such scripts; for bash: ``edgeport completion bash >
~/.local/share/bash-completion/completions/edgeport``.
"""

import argparse
from pathlib import Path

import shtab

from edgeport.runtime.cli import COMMANDS, empty_parsers, with_options


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of ``edgeport completion``."""
    parser.add_argument(
        "shell",
        choices=shtab.SUPPORTED_SHELLS,
        help="the shell; bash reads it from ~/.local/share/bash-completion/completions/edgeport",
    )


def run(arguments: argparse.Namespace) -> int:
    """Print the script."""
    print(script(arguments.shell))
    return 0


def script(shell: str) -> str:
    """Return the script for a shell; commands whose packages are not installed have no options in it."""
    parser, parsers = empty_parsers()
    for command in COMMANDS:
        try:
            with_options(command, parsers[command.name])
        except ModuleNotFoundError:
            continue
        for action in parsers[command.name]._actions:
            if action.choices is None and action.nargs != 0 and action.type in (None, Path):
                action.complete = shtab.FILE  # type: ignore[attr-defined]
    return str(shtab.complete(parser, shell))
