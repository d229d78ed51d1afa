"""``edgeport bundle``: Pack an export for a device, in one archive that installs and tests itself there."""

import argparse
import sys
from pathlib import Path

from rich.console import Console

from edgeport.export.bundle.archive import archive_bytes
from edgeport.export.bundle.bundling import Bundle, BundleOptions, make_bundle
from edgeport.export.bundle.included import FOLDER as INCLUDED
from edgeport.export.bundle.packages.targets import ENGINES, SYSTEMS
from edgeport.export.bundle.web.folder import RECORD as WEB_RECORD
from edgeport.export.bundle.web.folder import web_files
from edgeport.export.bundle.web.vendored import PACKAGE, VERSION
from edgeport.runtime.artefact.contract import JUDGED_KINDS
from edgeport.runtime.engines.quiet import quiet_stderr
from edgeport.runtime.errors import InputError
from edgeport.runtime.files.output import check_output_folder, staged_folder, write_whole
from edgeport.runtime.host.terminal import shell_word, visible

WEB = "web"
_SUFFIXES = (".tar.gz", ".tgz")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    targets, archs, pythons = (
        ", ".join(dict.fromkeys(getattr(row, name) for row in SYSTEMS)) for name in ("target", "arch", "python")
    )
    engines = ", ".join(engine.name for engine in ENGINES)
    parser.add_argument("folder", metavar="DIR", type=Path, help="what edgeport export has written")
    parser.add_argument(
        "-o", "--output", type=Path, required=True, metavar="FILE.tar.gz", help="the archive; for --target web a folder"
    )
    parser.add_argument("--overwrite", action="store_true", help="replace what is there")
    device = parser.add_argument_group("the device")
    device.add_argument("--target", default="raspberry-pi", help=f"{targets}, web (default raspberry-pi)")
    device.add_argument("--arch", default="", help=f"{archs} (default: that of the newest system that fits)")
    device.add_argument("--python", default="", metavar="X.Y", help=f"{pythons} (default: likewise)")
    device.add_argument(
        "--engine",
        action="extend",
        nargs="+",
        default=[],
        metavar="NAME",
        help=f"of {engines} (default: the preferred one of each format)",
    )
    device.add_argument(
        "--fastest",
        type=Path,
        metavar="FILE|DIR",
        help="engines.json of a benchmark with --engines on such a device, or the folder of its results: the programs "
        "take the engines that it chooses",
    )
    device.add_argument(
        "--with-wheels", action="store_true", help="take the wheels of all packages along: for a device without network"
    )
    _add_content(parser)


def _add_content(parser: argparse.ArgumentParser) -> None:
    """Declare what goes into the bundle."""
    content = parser.add_argument_group("what goes into it")
    content.add_argument(
        "--artefact",
        action="extend",
        nargs="+",
        default=[],
        metavar="NAME",
        help="a file name, or precision.format such as int8.tflite (default: all that the device can run)",
    )
    content.add_argument("--samples", type=int, default=100, metavar="N", help="golden samples, at most (default 100)")
    content.add_argument(
        "--samples-from",
        default="",
        metavar="SOURCE",
        help="a data set (its test split), FILE.npz, FILE.npy, a folder of images, or 'random' (default: the test "
        "split of the data set that the model was trained on, else samples that the export was verified on)",
    )
    content.add_argument(
        "--serve", action="store_true", help="take edgeport serve along: its packages, and a service that runs it"
    )
    content.add_argument(
        "--include",
        action="append",
        type=Path,
        default=[],
        metavar="FILE",
        help="a file of your own to take along, such as a vocabulary; may be given again",
    )
    content.add_argument(
        "--task",
        metavar="[OUTPUT=]TASK",
        action="append",
        default=[],
        help=f"what an output means to edgeport benchmark, where the export does not say: {', '.join(JUDGED_KINDS)}",
    )
    content.add_argument(
        "--metric",
        action="append",
        default=[],
        metavar="NAME",
        help="what judges on the device, as for edgeport benchmark, the one that decides first; may be given again",
    )
    content.add_argument(
        "--group-by",
        default="",
        metavar="COLUMN|ARRAY|FILE",
        help="which golden samples belong together, as for edgeport benchmark: whole groups come along",
    )
    content.add_argument("--data-dir", type=Path, metavar="DIR", help="where the files of mnist lie (or EDGEPORT_DATA)")


def run(arguments: argparse.Namespace) -> int:
    """Make the archive, and print what is in it and what to do next."""
    console = Console(highlight=False, soft_wrap=True, markup=False, emoji=False)
    output: Path = arguments.output
    if arguments.target == WEB:
        return _run_web(arguments, console)
    _check_output(output, overwrite=arguments.overwrite)
    options = BundleOptions(
        target=arguments.target,
        arch=arguments.arch,
        python=arguments.python,
        engines=tuple(arguments.engine),
        artefacts=tuple(arguments.artefact),
        samples=arguments.samples,
        samples_from=arguments.samples_from,
        data_dir=arguments.data_dir,
        with_wheels=arguments.with_wheels,
        serve=arguments.serve,
        include=tuple(arguments.include),
        tasks=tuple(arguments.task),
        metrics=tuple(arguments.metric),
        group_by=arguments.group_by,
        fastest=arguments.fastest,
    )
    # The lines of the progress are gone when the work is done; the engines' own chatter is never shown.
    with console.status("Reading the export", spinner="line") as status, quiet_stderr():
        bundle = make_bundle(arguments.folder, options, on_step=status.update)
        status.update("Packing")
        content = archive_bytes(bundle.files, top=bundle.name)
    write_whole(output, content)
    _tell(bundle, output, len(content), console)
    return 0


def _run_web(arguments: argparse.Namespace, console: Console) -> int:
    """Write the folder of a page that needs no server of ours."""
    for name in ("arch", "python", "engine", "fastest", "with_wheels", "serve", "include", "task"):
        if getattr(arguments, name):
            raise InputError(f"--{name.replace('_', '-')}: got it with --target web, expected it with a device")
    output: Path = arguments.output
    check_output_folder(output, overwrite=arguments.overwrite)
    with console.status("Reading the export", spinner="line") as status, quiet_stderr():
        files, samples = web_files(
            arguments.folder,
            artefacts=arguments.artefact,
            samples=arguments.samples,
            samples_from=arguments.samples_from,
            data_dir=arguments.data_dir,
            on_step=status.update,
        )
    with staged_folder(output, record=WEB_RECORD) as staging:
        for path, content in files.items():
            place = staging / path
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_bytes(content)
    for note in samples.notes:
        print(f"edgeport bundle: {visible(note)}", file=sys.stderr)
    for path in files:
        if path.startswith("models/"):
            console.print(visible(f"  {Path(path).name:<24} {len(files[path]):>11,} bytes"))
    console.print(visible(f"  {samples.count} samples: {samples.source}"))
    console.print(f"  runs with {PACKAGE} {VERSION}, in the browser alone")
    console.print(visible(f"Written to {output}: {sum(map(len, files.values())):,} bytes"))
    console.print(f"\nNext: python3 -m http.server --bind 127.0.0.1 --directory {shell_word(output)}")
    return 0


def _check_output(output: Path, *, overwrite: bool) -> None:
    if not output.name.endswith(_SUFFIXES):
        raise InputError(f"--output: got {output}, expected a name that ends with {' or '.join(_SUFFIXES)}")
    if output.is_dir():
        raise InputError(f"--output: got the folder {output}, expected a file")
    if not output.parent.is_dir():
        raise InputError(f"--output: the folder {output.parent} does not exist: make it first")
    if output.exists() and not overwrite:
        raise InputError(f"{output} exists: choose another name with -o, or replace it with --overwrite")


def _tell(bundle: Bundle, output: Path, size: int, console: Console) -> None:
    for note in bundle.notes:
        print(f"edgeport bundle: {visible(note)}", file=sys.stderr)
    console.print(f"{bundle.name} for {bundle.system.what} ({bundle.system})")
    for artefact in bundle.artefacts:
        console.print(f"  {artefact.file:<24} {artefact.bytes:>11,} bytes")
    wheels = sum(path.startswith("wheels/") for path in bundle.files)
    console.print(f"  golden answers to {bundle.samples.count} samples: {visible(bundle.samples.source)}")
    for path, content in bundle.files.items():
        if path.startswith(f"{INCLUDED}/"):
            console.print(visible(f"  {path:<24} {len(content):>11,} bytes"))
    console.print(f"  runs with {' and '.join(bundle.engines)}; {wheels} wheel{'s' * (wheels > 1)} inside")
    console.print(visible(f"Written to {output}: {size:,} bytes"))
    file, name = shell_word(output), shell_word(Path(output.name))
    host = "raspberrypi.local" if bundle.system.target == "raspberry-pi" else "DEVICE"
    console.print(f"\nNext: scp {file} {host}:")
    console.print(f"and on the device: tar xzf {name} && sh {bundle.name}/install.sh")
