"""Fuzz targets: each reader gets damaged versions of a file that it reads, and reads them or raises an EdgeportError.

    python tests/robustness/fuzz.py --seconds 300 [TARGET ...]      or: make fuzz

Hypothesis draws the damage and makes it small. A unit test runs each target for a moment, with a fixed seed.
"""

import argparse
import contextlib
import io
import json
import multiprocessing
import shutil
import signal
import sys
import tempfile
import time
import wave
from collections.abc import Callable
from multiprocessing.connection import Connection
from pathlib import Path

import numpy as np
from hypothesis import HealthCheck, given, seed, settings
from hypothesis import strategies as st
from PIL import Image

from edgeport.benchmarks import read_report
from edgeport.benchmarks.sweep.sweep_file import read_sweep_file
from edgeport.export.manifest import read_manifest
from edgeport.export.sources.untrusted_operators import check_saved_model
from edgeport.runtime import EdgeportError
from edgeport.runtime.artefact.foreign.onnx import sound_content as sound_onnx
from edgeport.runtime.artefact.foreign.tflite import sound_content as sound_tflite
from edgeport.runtime.golden.answers import read_golden
from edgeport.runtime.samples.csv_table import read_table
from edgeport.runtime.samples.pictures.images import read_images
from edgeport.runtime.samples.pictures.resizing import DIGITS, KERAS_LOADER
from edgeport.runtime.samples.wav_file import read_wav
from edgeport.train.datasets.named import load_dataset
from edgeport.train.models.keras_writer import read_keras_file
from edgeport.train.record import record_beside

ROOT = Path(__file__).parents[2]
DATA = ROOT / "tests" / "data"
# A reader that takes longer hangs.
LONGEST_SECONDS = 20

Read = Callable[[Path], object]


class HangError(BaseException):
    """A reader took too long."""


def _picture(kind: str) -> bytes:
    content = io.BytesIO()
    noise = np.random.default_rng(0).integers(0, 256, (24, 32, 3), np.uint8)
    Image.fromarray(noise).save(content, format=kind)
    return content.getvalue()


def _npz() -> bytes:
    content, random = io.BytesIO(), np.random.default_rng(0)
    arrays = {f"x_{name}": random.integers(0, 256, (40, 6, 6), np.uint8) for name in ("train", "test")}
    np.savez(content, allow_pickle=False, **arrays, **{f"y_{n}": np.arange(40) % 4 for n in ("train", "test")})
    return content.getvalue()


def _wav() -> bytes:
    content = io.BytesIO()
    with wave.open(content, mode="wb") as file:
        file.setnchannels(2)
        file.setsampwidth(2)
        file.setframerate(16_000)
        file.writeframes(np.random.default_rng(0).bytes(400))
    return content.getvalue()


def _golden() -> bytes:
    from edgeport.runtime.golden.answers import golden_bytes

    images = np.random.default_rng(0).integers(0, 256, (3, 28, 28, 1), np.uint8)
    return golden_bytes(DATA, ["tiny.int8.tflite"], {"image": images})


def _report() -> bytes:
    return (ROOT / "docs/results/mnist-edge/report.json").read_bytes()


def _read_picture(path: Path) -> object:
    return [read_images([path], shape=(16, 16, 3), resizing=each) for each in (DIGITS, KERAS_LOADER)]


def _small_report() -> bytes:
    content = json.loads(_report())
    for key in ("pictures", "profiles", "mlperf"):
        content.pop(key, None)
    for entry in content["artefacts"]:
        entry["series"] = entry["series"][:1]
        entry["series"][0]["launches"] = [each[:3] for each in entry["series"][0]["launches"][:2]]
        entry["predictions"], entry["confidence_ppm"] = entry["predictions"][:5], entry["confidence_ppm"][:5]
    content["truth"], content["dataset"]["count"] = content["truth"][:5], 5
    return json.dumps(content).encode()


def _trained() -> str:
    return str(json.loads((ROOT / "train/zoo/edge-2k/training.json").read_bytes())["model_sha256"])


_TABLE = b"""width,"length, cm",kind
1.5,-2e-3,7
3,4,8
"""
_SWEEP = b"""dataset = 'mnist-5k'
models = ['edge-2k', 'classic']
seeds = [0, 1]
[recipes.a]
epochs = 2
label_smoothing = 0.1
"""

# For each target the file's name, its sound content, and its reader.
TARGETS: dict[str, tuple[str, Callable[[], bytes], Read]] = {
    **{
        f"picture-{kind.lower()}": (f"a.{kind.lower()}", lambda kind=kind: _picture(kind), _read_picture)  # type: ignore[misc]
        for kind in ("PNG", "JPEG", "WEBP", "BMP", "GIF", "TIFF")
    },
    "npz": ("a.npz", _npz, lambda path: load_dataset(str(path))),
    "csv": ("a.csv", lambda: _TABLE, lambda path: read_table(path.read_bytes(), named="a.csv")),
    "csv-target": ("a.csv", lambda: _TABLE, lambda path: read_table(path.read_bytes(), named="a.csv", target="kind")),
    "wav": ("a.wav", _wav, lambda path: read_wav(path.read_bytes(), named="a.wav")),
    "manifest": ("manifest.json", (DATA / "manifest.json").read_bytes, lambda path: read_manifest(path.parent)),
    "training": (
        "training.json",
        (ROOT / "train/zoo/edge-2k/training.json").read_bytes,
        lambda path: record_beside(path.parent / "model.keras", sha256=_trained()),
    ),
    "report": ("report.json", _small_report, read_report),
    "sweep": ("sweep.toml", lambda: _SWEEP, read_sweep_file),
    "golden": ("golden.npz", _golden, read_golden),
    "keras": (
        "model.keras",
        (ROOT / "train/zoo/edge-2k/model.keras").read_bytes,
        read_keras_file,
    ),
    "h5": (
        "keras2.h5",
        (DATA / "keras2.h5").read_bytes,
        read_keras_file,
    ),
    "saved-model": (
        "saved_model.pb",
        (DATA / "keras2_saved_model/saved_model.pb").read_bytes,
        lambda path: check_saved_model(path.read_bytes(), name="saved_model.pb"),
    ),
    "tflite": (
        "tiny.int8.tflite",
        (DATA / "tiny.int8.tflite").read_bytes,
        lambda path: sound_tflite(path.read_bytes(), name="a.tflite", folder=None),
    ),
    "onnx": (
        "tiny.int8.onnx",
        (DATA / "tiny.int8.onnx").read_bytes,
        lambda path: sound_onnx(path.read_bytes(), name="a.onnx", folder=None),
    ),
}  # fmt: skip

_WORDS = (
    b"null",
    b"-1",
    b"1e999",
    b"9" * 30,
    b"[" * 70,
    b'"\\u001b"',
    b"{}",
    b"true",
    b"\0\0\0\0",
    b"\xff\xff\xff\x7f",
)


@st.composite
def damages(draw: st.DrawFn, content: bytes) -> bytes:
    """Return the content cut, or with bytes changed, or with words that readers trip over put in; most of it sound."""
    damaged = bytearray(content)
    # What is at the start or the end says how the rest is built.
    place = st.one_of(st.integers(0, min(len(content), 300)), st.integers(0, len(content)))
    for _ in range(draw(st.integers(1, 6))):
        at = draw(place)
        match draw(st.sampled_from(["byte", "byte", "word", "span", "cut", "twice"])):
            case "byte":
                damaged[at : at + 1] = bytes([draw(st.integers(0, 255))])
            case "word":
                damaged[at : at + draw(st.integers(0, 8))] = draw(st.sampled_from(_WORDS))
            case "span":
                damaged[at : at + draw(st.integers(0, 64))] = draw(st.binary(max_size=64))
            case "twice":
                damaged[at:at] = damaged[at : at + draw(st.integers(0, 200))]
            case _:
                damaged = damaged[:at]
    return bytes(damaged)


def fuzz(target: str, folder: Path, *, examples: int, number: int = 0) -> dict[str, int]:
    """Run a target, and return how many files were read and how many refused.

    Args:
        target: One of ``TARGETS``.
        folder: Where the damaged files go, one at a time.
        examples: How many.
        number: The seed.

    Raises:
        Exception: What a reader raised that is no EdgeportError, for the smallest file that leads to it.
    """
    name, sound, read = TARGETS[target]
    counts = {"read": 0, "refused": 0}
    path = folder / name

    def hang(signal_number: int, frame: object) -> None:
        raise HangError(f"{target}: over {LONGEST_SECONDS} s")

    @seed(number)
    @settings(max_examples=examples, deadline=None, database=None, suppress_health_check=list(HealthCheck))
    @given(damages(sound()))
    def check(content: bytes) -> None:
        path.write_bytes(content)
        printed = ""
        signal.alarm(LONGEST_SECONDS)
        try:
            read(path)
        except EdgeportError as error:
            printed = str(error)
        finally:
            signal.alarm(0)
        counts["refused" if printed else "read"] += 1
        assert "\n" not in printed, printed

    before = signal.signal(signal.SIGALRM, hang)
    try:
        path.write_bytes(sound())
        read(path)
        check()
    finally:
        signal.signal(signal.SIGALRM, before)
    return counts


def run_batches(target: str, folder: str, seconds: float, number: int, results: Connection) -> None:
    """Fuzz a target batch by batch, and send what each came to: the seed, and the counts."""
    ended = time.monotonic() + seconds
    while time.monotonic() < ended:
        try:
            counts = fuzz(target, Path(folder), examples=300, number=number)
        except HangError:
            counts = {"hangs": 1}
        except Exception as error:
            counts = {"tracebacks": 1}
            print(f"{target}, seed {number}: {type(error).__name__}: {error}", file=sys.stderr)
        results.send((number, counts))
        number += 1


def fuzz_for(target: str, seconds: float) -> dict[str, int]:
    """Fuzz a target in a process of its own, and begin another where a file ends that process.

    Returns:
        How many files were read and refused, and how many ended in a traceback, hung or ended the process.
    """
    counts = {"read": 0, "refused": 0, "tracebacks": 0, "hangs": 0, "crashes": 0}
    ended, number = time.monotonic() + seconds, 0
    context = multiprocessing.get_context("spawn")
    while (left := ended - time.monotonic()) > 0:
        with tempfile.TemporaryDirectory(prefix="edgeport-fuzz-") as folder:
            results, sender = context.Pipe(duplex=False)
            process = context.Process(target=run_batches, args=(target, folder, left, number, sender))
            process.start()
            sender.close()
            with contextlib.suppress(EOFError):
                while True:
                    number, batch = results.recv()
                    for kind, count in batch.items():
                        counts[kind] += count
            process.join()
            if process.exitcode:
                counts["crashes"] += 1
                kept = shutil.move(Path(folder) / TARGETS[target][0], f"crash-{target}-{number + 1}")
                print(f"{target}: exit code {process.exitcode} on the file {kept}", file=sys.stderr)
        number += 1
    return counts


def main() -> int:
    """Run the targets for a while each; 1 if one of them failed."""
    parser = argparse.ArgumentParser(description="Feed damaged files to every reader.")
    parser.add_argument("targets", nargs="*", default=list(TARGETS), help=f"of {', '.join(TARGETS)} (default: all)")
    parser.add_argument("--seconds", type=float, default=300, help="for each target (default 300)")
    parser.add_argument("-o", "--output", type=Path, help="a JSON file with the counts, written after each target")
    arguments = parser.parse_args()
    counts: dict[str, dict[str, int]] = {}
    if arguments.output and arguments.output.exists():
        # Some targets alone renew theirs among the others'.
        earlier = json.loads(arguments.output.read_bytes())
        counts = earlier["counts"] if earlier["seconds"] == arguments.seconds else {}
    for target in arguments.targets:
        counts[target] = fuzz_for(target, arguments.seconds)
        print(f"{target}: {counts[target]}", flush=True)
        if arguments.output:
            document = {"schema": 1, "kind": "fuzzing", "seconds": arguments.seconds, "counts": counts}
            arguments.output.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")
    return int(any(each[kind] for each in counts.values() for kind in ("tracebacks", "hangs", "crashes")))


if __name__ == "__main__":
    sys.exit(main())
