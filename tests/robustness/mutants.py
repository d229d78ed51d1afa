"""Damage artefacts in many ways and count what becomes of them: python tests/robustness/mutants.py FOLDER -o FILE.json

Of each .tflite and .onnx file in FOLDER, each with its checksum, two copies are damaged: the file itself, which
``load()`` must refuse each time, and the same model without its metadata, as another tool would have made it, which is
opened through ``probe()``, whose caller must survive. The same seed gives the same mutants.

tflite-runtime needs a Python up to 3.11 and numpy 1; where it is not installed it gets an environment of its own.
"""

import argparse
import hashlib
import json
import os
import random
import selectors
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path

from edgeport.runtime import ArtefactError, EdgeportError, load
from edgeport.runtime.artefact.embedded_metadata import read_metadata
from edgeport.runtime.artefact.foreign.flatbuffer import Walk
from edgeport.runtime.artefact.foreign.onnx import _CHILDREN
from edgeport.runtime.artefact.foreign.probing import probe
from edgeport.runtime.artefact.foreign.protobuf import BYTES, fields
from edgeport.runtime.artefact.foreign.tflite import check_structure
from edgeport.runtime.artefact.formats import ENGINES, format_of
from edgeport.runtime.files.output import write_whole

ROOT = Path(__file__).parents[2]
KIND = "mutants"
SCHEMA = 1
KINDS = ("truncate", "change", "zero", "structure", "random")
SECONDS = 10.0
WIDTHS = {"b": 1, "B": 1, "h": 2, "H": 2, "i": 4, "I": 4, "f": 4, "q": 8, "Q": 8}


class Noted(Walk):
    """A walk that remembers which bytes hold offsets, vtables, lengths and numbers."""

    def __init__(self, content: bytes) -> None:
        super().__init__(content, name="original")
        self.places: set[int] = set()
        self.root("Model", b"TFL3")

    def _number(self, code: str, position: int) -> int:
        self.places.update(range(position, position + WIDTHS[code]))
        return super()._number(code, position)


def structure_bytes(content: bytes, format_name: str) -> list[int]:
    """Return the places of the bytes that say how a file is built."""
    if format_name == "tflite":
        return sorted(Noted(content).places)
    return sorted(_tags(memoryview(content), "Model", 0))


def _tags(message: memoryview, kind: str, base: int) -> Iterator[int]:
    for number, wire, tag, start, end in fields(message):
        yield from range(base + tag, base + start)
        child = _CHILDREN.get(kind, {}).get(number)
        if child and wire == BYTES:
            yield from _tags(message[start:end], child, base + start)


def mutant(content: bytes, kind: str, number: int, seed: int, places: list[int]) -> bytes:
    """Return one damaged copy, never the original."""
    rng = random.Random(f"{seed}/{kind}/{number}")
    while (damaged := _damaged(content, kind, rng, places)) == content:
        pass
    return damaged


def _damaged(content: bytes, kind: str, rng: random.Random, places: list[int]) -> bytes:
    size, damaged = len(content), bytearray(content)
    if kind == "truncate":
        return content[: rng.randrange(size)]
    if kind == "change":
        for _ in range(rng.randint(1, 64)):
            damaged[rng.randrange(size)] = rng.randrange(256)
    elif kind == "zero":
        start = rng.randrange(size)
        length = min(size - start, rng.randint(1, max(1, size // 4)))
        damaged[start : start + length] = bytes(length)
    elif kind == "structure":
        for _ in range(rng.choice((1, 1, 2, 4, 8))):
            damaged[rng.choice(places)] = rng.choice((0, 1, 0x7F, 0x80, 0xFF, rng.randrange(256)))
    else:
        # Half of them begin as the format does, or all would be refused at the first byte.
        kept = 8 * rng.randrange(2)
        damaged[kept:] = rng.randbytes(size - kept)
    return bytes(damaged)


def without_metadata(content: bytes, format_name: str) -> bytes:
    """Return the same model as another tool would have written it."""
    if format_name == "onnx":
        import onnx

        model = onnx.load_model_from_string(content)
        del model.metadata_props[:]
        bare: bytes = model.SerializeToString()
    else:
        bare = _without_splices(content)
    if read_metadata(bare, name="bare", verify=False) is not None:
        raise SystemExit("a copy still has its metadata")
    return bare


def _without_splices(content: bytes) -> bytes:
    # The exporter puts a new root in front of the converter's file, which begins at a multiple of 16.
    for start in range(len(content) // 16 * 16, -1, -16):
        if content[start + 4 : start + 8] == b"TFL3":
            try:
                check_structure(content[start:], name="bare")
            except ArtefactError:
                continue
            return content[start:]
    raise SystemExit("a file holds no converter's file")


def outcome_of(path: Path, engine: str) -> str:
    """Return what ``load`` makes of a file: only ``refused`` is right."""
    try:
        load(path, engine=engine)
    except ArtefactError:
        return "refused"
    except EdgeportError as error:
        return type(error).__name__
    return "answers"


def worker(path: Path, engine: str, seed: int, count: int, first: int) -> None:
    """Load the file with its checksum's mutants from number ``first`` on; print a line for each."""
    content = path.read_bytes()
    places = structure_bytes(content, path.suffix[1:])
    with tempfile.TemporaryDirectory(prefix="mutants-") as folder:
        damaged = Path(folder, path.name)
        for kind, number in _plan(count)[first:]:
            damaged.write_bytes(mutant(content, kind, number, seed, places))
            print(outcome_of(damaged, engine), flush=True)


def _plan(count: int) -> list[tuple[str, int]]:
    return [(kind, number) for number in range(count // len(KINDS)) for kind in KINDS]


def outcomes_of_ours(path: Path, engine: str, seed: int, count: int) -> Iterator[str]:
    """Yield an outcome for each mutant of the file with its checksum; a process that dies or hangs costs one mutant."""
    done, total = 0, len(_plan(count))
    while done < total:
        command = [sys.executable, __file__, str(path), "--engine", engine, "--seed", str(seed)]
        command += ["--count", str(count), "--worker", str(done)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as child:
            ended = ""
            while done < total and not ended:
                line = _line(child)
                ended = "timed out" if line is None else "crashed" if not line else ""
                done += 1
                yield ended or (line or "")
            child.kill()


def _line(child: "subprocess.Popen[bytes]") -> str | None:
    """Return the child's next line: empty if it has ended, None if none came in time."""
    assert child.stdout is not None
    with selectors.DefaultSelector() as selector:
        selector.register(child.stdout, selectors.EVENT_READ)
        line = b""
        # Unbuffered, since what a buffer holds would not wake the selector.
        while not line.endswith(b"\n"):
            # The first line waits for imports.
            if not selector.select(3 * SECONDS):
                return None
            byte = os.read(child.stdout.fileno(), 1)
            if not byte:
                break
            line += byte
    return line.decode().strip()


def foreign_outcome(
    job: tuple[str, int], *, content: bytes, name: str, engine: str, seed: int, places: list[int]
) -> str:
    """Return what ``probe`` says about one mutant of the bare copy."""
    kind, number = job
    with tempfile.TemporaryDirectory(prefix="mutants-") as folder:
        damaged = Path(folder, name)
        damaged.write_bytes(mutant(content, kind, number, seed, places))
        return probe(damaged, engine=engine, seconds=SECONDS).outcome


def measure(path: Path, engine: str, *, seed: int, count: int, jobs: int) -> Iterator[dict[str, object]]:
    """Yield a row for the file with its checksum, and one for its bare copy, in one engine."""
    content = path.read_bytes()
    read_metadata(content, name=path.name)
    chosen = format_of(content, name=path.name)
    bare = without_metadata(content, chosen.name)
    foreign = partial(
        foreign_outcome,
        content=bare,
        name=path.name,
        engine=engine,
        seed=seed,
        places=structure_bytes(bare, chosen.name),
    )
    with ThreadPoolExecutor(jobs) as pool:
        for origin, judged, outcomes in (
            ("sealed", content, outcomes_of_ours(path, engine, seed, count)),
            ("foreign", bare, pool.map(foreign, _plan(count))),
        ):
            found: dict[str, Counter[str]] = {kind: Counter() for kind in KINDS}
            started = time.monotonic()
            for done, ((kind, _), outcome) in enumerate(zip(_plan(count), outcomes, strict=True), start=1):
                found[kind][outcome] += 1
                if done % 50 == 0:
                    print(f"\r{path.name} {engine} {origin} {done}/{count}", end="", file=sys.stderr, flush=True)
            print(f" in {time.monotonic() - started:.0f} s", file=sys.stderr)
            yield {
                "file": path.name,
                "sha256": hashlib.sha256(judged).hexdigest(),
                "bytes": len(judged),
                "origin": origin,
                "engine": engine,
                "engine_version": version(engine.replace("_", "-")),
                "outcomes": {kind: dict(sorted(counted.items())) for kind, counted in found.items()},
            }


def in_own_environment(paths: list[Path], seed: int, count: int, jobs: int) -> list[dict[str, object]]:
    """Return the rows of tflite-runtime, from an environment that is made for it."""
    with tempfile.TemporaryDirectory(prefix="mutants-") as folder:
        python, farm, printed = (
            Path(folder, "venv", "bin", "python"),
            Path(folder, "edgeport"),
            Path(folder, "rows.json"),
        )
        subprocess.run([sys.executable, "-m", "venv", str(python.parents[1])], check=True)
        install = [str(python), "-m", "pip", "install", "-q", "tflite-runtime==2.14.0", "numpy<2"]
        subprocess.run(install, check=True)
        farm.mkdir()
        Path(farm, "runtime").symlink_to(ROOT / "runtime")
        command = [str(python), __file__, *map(str, paths), "--engine", "tflite_runtime", "--seed", str(seed)]
        command += ["--count", str(count), "--jobs", str(jobs), "-o", str(printed)]
        subprocess.run(command, check=True, env={**os.environ, "PYTHONPATH": folder})
        rows: list[dict[str, object]] = json.loads(printed.read_text("utf-8"))["rows"]
        return rows


def of_others(file: Path, about: dict[str, object], engine: str) -> list[dict[str, object]]:
    """Return the rows of the other engines in a summary of as many mutants by the same seed, which stay there."""
    if not file.exists():
        return []
    known = json.loads(file.read_text("utf-8"))
    rows: list[dict[str, object]] = known.pop("rows")
    if known != about:
        raise SystemExit(f"{file} is of {known}, and this of {about}: choose another file")
    return [row for row in rows if row["engine"] != engine]


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("paths", metavar="FOLDER_OR_FILE", type=Path, nargs="+", help="artefacts that edgeport made")
    parser.add_argument("-o", "--output", metavar="FILE", type=Path, help="where the summary goes, as JSON")
    parser.add_argument(
        "--engine", choices=ENGINES, help="this engine alone, which must be installed; FILE keeps what it has of others"
    )
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--count", type=int, default=1500, help="mutants of each copy (1500)")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="probes at a time")
    parser.add_argument("--worker", type=int, help=argparse.SUPPRESS)
    return parser.parse_args()


def main() -> int:
    arguments = parse()
    if arguments.worker is not None:
        worker(arguments.paths[0], arguments.engine, arguments.seed, arguments.count, arguments.worker)
        return 0
    found = [sorted(path.iterdir()) if path.is_dir() else [path] for path in arguments.paths]
    paths = [path for each in found for path in each if path.suffix in (".tflite", ".onnx")]
    options = {"seed": arguments.seed, "count": arguments.count, "jobs": arguments.jobs}
    rows: list[dict[str, object]] = []
    for engine in (arguments.engine,) if arguments.engine else ENGINES:
        suitable = [path for path in paths if path.suffix[1:] in ENGINES[engine].formats]
        if engine == "openvino":
            # Integers of TFLite it does not run.
            suitable = [path for path in suitable if path.suffix == ".onnx" or ".float" in path.name]
        if suitable and find_spec(engine) is None and engine == "tflite_runtime":
            if sys.version_info >= (3, 12):
                raise SystemExit("tflite-runtime has wheels up to Python 3.11: run this with one of those")
            rows += in_own_environment(suitable, **options)
            continue
        for path in suitable:
            rows += measure(path, engine, **options)
    if arguments.output:
        about = {"kind": KIND, "schema": SCHEMA, "seed": arguments.seed, "mutants": len(_plan(arguments.count))}
        kept = of_others(arguments.output, about, arguments.engine) if arguments.engine else []
        order = list(ENGINES)
        document = {**about, "rows": sorted(kept + rows, key=lambda row: order.index(str(row["engine"])))}
        write_whole(arguments.output, (json.dumps(document, indent=1) + "\n").encode())
    for row in rows:
        total: Counter[str] = sum((Counter(each) for each in row["outcomes"].values()), Counter())  # type: ignore[attr-defined]
        print(f"{row['file']} {row['engine']} {row['origin']}: {dict(total)}")
    return 0 if all(set(each) == {"refused"} for row in rows if row["origin"] == "sealed"
                    for each in row["outcomes"].values()) else 1  # type: ignore[attr-defined]  # fmt: skip


if __name__ == "__main__":
    sys.exit(main())
