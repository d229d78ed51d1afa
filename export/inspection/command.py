"""``edgeport inspect``: what is inside a .tflite or .onnx file, whoever made it."""

import argparse
from pathlib import Path

from rich.console import Console

from edgeport.export.inspection.document import document_text
from edgeport.export.inspection.inspecting import inspect
from edgeport.export.inspection.table import inspection_text
from edgeport.runtime.quiet import quiet_stderr

# Wide enough for the tables; what a pipe or a file gets does not depend on the terminal.
_WIDTH = 100


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument("file", metavar="FILE", type=Path, help="a .tflite or .onnx file; it is not run")
    parser.add_argument("--json", action="store_true", help="print one JSON object with everything (docs/inspect.md)")


def run(arguments: argparse.Namespace) -> int:
    """Inspect one file and print what it is."""
    with quiet_stderr():
        told = inspect(arguments.file)
    if arguments.json:
        print(document_text(told))
        return 0
    console = Console()
    print(inspection_text(told, width=min(console.width, _WIDTH) if console.is_terminal else _WIDTH))
    return 0
