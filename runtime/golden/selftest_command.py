"""``edgeport selftest``: do the engines of this machine give the golden answers that came with the artefacts."""

import argparse
import json
import math
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from edgeport.runtime.artefact.formats import ENGINES
from edgeport.runtime.engines.quiet import quiet_stderr
from edgeport.runtime.errors import ArtefactError, InputError, MissingDependencyError
from edgeport.runtime.files.plain_file import MOST_JSON, read_plain
from edgeport.runtime.golden.answers import FILE_NAME, Golden, digest_of, read_golden
from edgeport.runtime.golden.check import GoldenCheck, check_golden, check_served
from edgeport.runtime.host.terminal import visible
from edgeport.runtime.host.token_file import read_token

if TYPE_CHECKING:
    from edgeport.runtime.golden.server import Server

_SUMS = "SHA256SUMS"
_SUB_FOLDER = "artefacts"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument(
        "folder",
        metavar="DIR",
        type=Path,
        nargs="?",
        default=Path(),
        help=f"a folder with artefacts and {FILE_NAME} (default: this one, or {_SUB_FOLDER} in it)",
    )
    parser.add_argument(
        "--artefact", metavar="FILE", action="append", default=[], help="check this one alone; may be given again"
    )
    parser.add_argument(
        "--server", metavar="URL", help="ask a running edgeport serve too, such as http://localhost:8080"
    )
    parser.add_argument("--token-file", type=Path, metavar="FILE", help="what its clients must know")
    parser.add_argument("--engine", metavar="NAME", help=f"one of {', '.join(ENGINES)} alone")
    parser.add_argument("--threads", type=int, default=1, metavar="N", help="threads of the engine (default 1)")
    parser.add_argument("--json", action="store_true", help="print one JSON object")


def run(arguments: argparse.Namespace) -> int:
    """Check and print one line for each artefact and engine: 0 all passed, 1 something differs."""
    if not 1 <= arguments.threads <= 64:
        raise InputError(f"--threads: got {arguments.threads}, expected 1 to 64")
    server = _server(arguments)
    folder = _folder_with_golden(arguments.folder)
    files_checked = check_sums(folder)
    golden = read_golden(folder / FILE_NAME)
    if not arguments.json:
        if files_checked:
            print(f"{files_checked} files match {_SUMS}")
        print(visible(_heading(folder, golden)))

    def on_check(check: GoldenCheck) -> None:
        if not arguments.json:
            print(visible(_line(check)), flush=True)

    with quiet_stderr():
        checks = check_golden(
            golden,
            folder,
            files=arguments.artefact,
            engine=arguments.engine,
            threads=arguments.threads,
            on_check=on_check,
        )
        if server is not None:
            checks += check_served(golden, folder, server, files=arguments.artefact, on_check=on_check)
    if all(check.status == "skipped" for check in checks):
        raise MissingDependencyError(f"nothing could be checked: {checks[0].file}: {checks[0].note}")
    failed = sum(check.status == "failed" for check in checks)
    if arguments.json:
        print(json.dumps(_as_json(golden, checks, files_checked), indent=1))
    else:
        print(_summary(checks))
    return 1 if failed else 0


def _server(arguments: argparse.Namespace) -> "Server | None":
    """Connect to the server that is to be asked, before anything else takes its time."""
    if arguments.server is None:
        if arguments.token_file is not None:
            raise InputError("--token-file: got it without --server, expected both: it is what the server asks for")
        return None
    # HTTP and all that it brings, which a test of the engines alone can do without.
    from edgeport.runtime.golden.server import Server

    return Server(arguments.server, token=None if arguments.token_file is None else read_token(arguments.token_file))


def check_sums(folder: Path) -> int:
    """Compare the files of an unpacked bundle with the SHA256SUMS beside its artefacts, and return how many there are.

    Args:
        folder: The artefacts. None is compared if the folder above has no SHA256SUMS, or one that is not about them.

    Raises:
        ArtefactError: A file is missing or altered, or the list is damaged.
    """
    folder = folder.resolve()
    path = folder.parent / _SUMS
    if not path.exists():
        return 0
    lines = read_plain(path, most=MOST_JSON).decode(errors="surrogateescape").splitlines()
    if not any(line.endswith(f"{folder.name}/{FILE_NAME}") for line in lines):
        return 0
    for number, line in enumerate(lines, 1):
        # As sha256sum writes it: the digest, a space, a space or an asterisk, the name.
        digest, name = line[:64], line[66:]
        if len(digest) != 64 or line[64:66] not in ("  ", " *") or not _is_inside(name):
            raise ArtefactError(f"{path}: line {number} is no digest and name of a file: unpack the archive again")
        if digest_of(path.parent / name) != digest:
            raise ArtefactError(f"{path.parent / name} is not the file that {path} lists: unpack the archive again")
    return len(lines)


def _is_inside(name: str) -> bool:
    parts = Path(name).parts
    return bool(parts) and "\0" not in name and not Path(name).is_absolute() and ".." not in parts


def _folder_with_golden(folder: Path) -> Path:
    for candidate in (folder, folder / _SUB_FOLDER):
        if (candidate / FILE_NAME).exists():
            return candidate
    raise InputError(
        f"{folder} holds no {FILE_NAME}, and neither does {folder / _SUB_FOLDER}: name the folder that does"
    )


def _heading(folder: Path, golden: Golden) -> str:
    return f"{folder / FILE_NAME}: {golden.count} samples, answered on {golden.machine} ({golden.cpu})"


def _line(check: GoldenCheck) -> str:
    behind = f" behind {check.server}" if check.server else ""
    who = f"{check.file}  {f'{check.engine} {check.engine_version}'.strip()}{behind}".rstrip()
    if check.status == "skipped":
        return f"  {who}  skipped: {check.note}"
    result = "ok" if check.passed else "FAILED"
    if not check.rows:
        return f"  {who}  {result}: {check.note}"
    unit = " steps" if check.unit == "steps" else ""
    difference = f"largest difference {check.largest_difference:.3g}{unit} (limit {check.limit:.3g})"
    ties = f" ({check.near_ties} near ties)" if check.near_ties else ""
    note = f"  {check.note}" if check.note else ""
    return (
        f"  {who}  {check.rows} rows compared, {check.rows_different} different, {difference}, "
        f"{check.labels_changed} labels changed{ties}  {result}{note}"
    )


def _summary(checks: Sequence[GoldenCheck]) -> str:
    counts = {status: sum(check.status == status for check in checks) for status in ("passed", "failed", "skipped")}
    return ", ".join(f"{count} {status}" for status, count in counts.items() if count)


def _as_json(golden: Golden, checks: Sequence[GoldenCheck], files_checked: int) -> dict[str, object]:
    return {
        "schema": 1,
        "passed": not any(check.status == "failed" for check in checks),
        "files_checked": files_checked,
        "golden": {"samples": golden.count, "machine": golden.machine, "cpu": golden.cpu},
        # JSON has no infinity, which the difference to an answer that is no number is.
        "checks": [
            {key: value if value != math.inf else None for key, value in asdict(check).items()} for check in checks
        ],
    }
