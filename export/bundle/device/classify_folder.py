"""Watch a folder, and print what each new picture in it shows: classify_folder.py ARTEFACT FOLDER.

A picture that is still being written is left alone until its size stays the same. A file that is no picture gets a
line of its own, and the watch goes on.
"""

import argparse
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NoReturn

from edgeport.runtime import EdgeportError, Predictor, load
from edgeport.runtime.images import read_images

_SUFFIXES = {".png", ".jpg", ".jpeg", ".bmp", ".webp"}
# The time of the last change in ns, and the size in bytes: another picture under the same name differs in one.
_State = tuple[int, int]


def pictures(folder: Path) -> dict[Path, _State]:
    """Return the pictures that a folder holds now, by their names; none if it cannot be read."""
    found = {}
    try:
        for path in sorted(folder.iterdir()):
            if path.suffix.lower() in _SUFFIXES and not path.name.startswith("."):
                facts = path.stat()
                found[path] = (facts.st_mtime_ns, facts.st_size)
    except OSError as error:
        print(f"cannot read {folder}: {error.strerror}", file=sys.stderr, flush=True)
        return {}
    return found


def settled(now: Mapping[Path, _State], before: Mapping[Path, _State], done: Mapping[Path, _State]) -> Iterator[Path]:
    """Yield the pictures that have not changed between two looks, and have not been answered."""
    for path, state in now.items():
        if before.get(path) == state and done.get(path) != state:
            yield path


def sentence(predictor: Predictor, path: Path, *, invert: bool) -> str:
    """Return what a picture shows, and how sure the model is.

    Raises:
        EdgeportError: It is no picture that can be read.
    """
    height, width, channels = (axis or 1 for axis in predictor.spec.input.shape[1:])
    pixels = read_images([path], shape=(height, width, channels), invert=invert)
    best = predictor.classify(pixels, top=1)[0][0]
    return f"{path.name}: {best.label} ({best.probability:.1%})"


def watch(predictor: Predictor, folder: Path, *, seconds: float, invert: bool) -> NoReturn:
    """Look at the folder again and again, until the process is told to end."""
    before: dict[Path, _State] = {}
    done: dict[Path, _State] = {}
    while True:
        now = pictures(folder)
        # What is gone is forgotten: the memory does not grow over the years.
        done = {path: state for path, state in done.items() if path in now}
        for path in settled(now, before, done):
            done[path] = now[path]
            try:
                print(sentence(predictor, path, invert=invert), flush=True)
            except EdgeportError as error:
                print(error, file=sys.stderr, flush=True)
        before = now
        time.sleep(seconds)


def main() -> int:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description="Print what each new picture in a folder shows.")
    parser.add_argument("artefact", type=Path, help="a .tflite or .onnx file")
    parser.add_argument("folder", type=Path, help="the folder to watch; it may come into being later")
    parser.add_argument("--seconds", type=float, default=1.0, help="between two looks (default 1)")
    parser.add_argument("--invert", action="store_true", help="the pictures are dark on light (ink on paper)")
    arguments = parser.parse_args()
    try:
        predictor = load(arguments.artefact)
    except EdgeportError as error:
        print(error, file=sys.stderr)
        return 2
    print(f"Watching {arguments.folder} with {predictor}", flush=True)
    try:
        watch(predictor, arguments.folder, seconds=arguments.seconds, invert=arguments.invert)
    except KeyboardInterrupt:
        return 130


if __name__ == "__main__":
    sys.exit(main())
