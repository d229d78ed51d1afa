"""``edgeport inspect``: what is inside a .tflite or .onnx file, whoever made it."""

import argparse
import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from rich.console import Console

from edgeport.export.inspection.document import document_text
from edgeport.export.inspection.inspecting import inspect
from edgeport.export.inspection.table import inspection_text
from edgeport.runtime.artefact.foreign.probing import Probe, probe
from edgeport.runtime.artefact.formats import format_called
from edgeport.runtime.engines.installed import installed_engines
from edgeport.runtime.engines.quiet import quiet_stderr
from edgeport.runtime.errors import InputError

# Wide enough for the tables; what a pipe or a file gets does not depend on the terminal.
_WIDTH = 100
_PROBE_SCHEMA = 1
_SECONDS, _MEBIBYTES = 10.0, 2048


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument("file", metavar="FILE", type=Path, help="a .tflite or .onnx file; it is not run")
    parser.add_argument(
        "--json", action="store_true", help="print one JSON object with everything (docs/guides/inspect.md)"
    )
    parser.add_argument(
        "--probe",
        action="store_true",
        help="open the file in each installed engine instead, run it on zeros, in a process with limits",
    )
    parser.add_argument("--engine", metavar="NAME", help="with --probe: this engine alone")
    parser.add_argument(
        "--shape",
        metavar="NAME=1,16000",
        action="append",
        help="with --probe: the shape of an input with free axes (without it, they have length 1); may come again",
    )
    parser.add_argument("--seconds", metavar="S", type=float, help=f"with --probe: the most time ({_SECONDS:g})")
    parser.add_argument("--memory", metavar="MIB", type=int, help=f"with --probe: the most memory ({_MEBIBYTES})")


def run(arguments: argparse.Namespace) -> int:
    """Inspect one file and print what it is, or probe it and print how that ended."""
    if arguments.probe:
        return _run_probes(arguments)
    for option in ("engine", "shape", "seconds", "memory"):
        if getattr(arguments, option) is not None:
            raise InputError(f"--{option} is for --probe: add that, or leave it out")
    with quiet_stderr():
        inspection = inspect(arguments.file)
    if arguments.json:
        print(document_text(inspection))
        return 0
    console = Console()
    print(inspection_text(inspection, width=min(console.width, _WIDTH) if console.is_terminal else _WIDTH))
    return 0


def _run_probes(arguments: argparse.Namespace) -> int:
    """Probe a file; nothing of it is read in this process."""
    engines = (arguments.engine,) if arguments.engine else installed_engines(format_called(arguments.file.name))
    seconds = _SECONDS if arguments.seconds is None else arguments.seconds
    memory_bytes = (_MEBIBYTES if arguments.memory is None else arguments.memory) << 20
    shapes = _shapes(arguments.shape or ())
    probes = [
        probe(arguments.file, engine=engine, shapes=shapes, seconds=seconds, memory_bytes=memory_bytes)
        for engine in engines
    ]
    if arguments.json:
        document = {"schema": _PROBE_SCHEMA, "file": str(arguments.file), "probes": [asdict(each) for each in probes]}
        print(json.dumps(document, indent=2))
    else:
        print("\n".join(map(_line, probes)))
    outcomes = {each.outcome for each in probes}
    return 0 if "runs" in outcomes <= {"runs", "left out"} else 1


def _shapes(texts: Sequence[str]) -> dict[str, tuple[int, ...]]:
    shapes: dict[str, tuple[int, ...]] = {}
    for text in texts:
        # A name may hold a "=" of its own.
        name, _, axes = text.rpartition("=")
        lengths = axes.split(",")
        # Digits of ASCII alone, and not so many that no memory has as much.
        if not name or not all(each.isascii() and each.isdigit() and len(each) < 10 for each in lengths):
            raise InputError(f"--shape: got {text!r}, expected an input's name and its axes, such as audio=1,16000")
        if name in shapes:
            raise InputError(f"--shape: got {name!r} twice, expected one shape for each input")
        shapes[name] = tuple(map(int, lengths))
    return shapes


def _line(probe: Probe) -> str:
    memory = "" if probe.peak_rss_bytes is None else f", {probe.peak_rss_bytes / 2**20:.0f} MiB"
    return f"{probe.engine}: {probe.outcome} ({probe.detail}), {probe.seconds:.1f} s{memory}"
