"""Watch a folder, and print the answer to each new picture in it: predict_folder.py ARTEFACT FOLDER.

A picture that is still being written is left alone until its size stays the same. A file that is no picture gets a
line of its own, and the watch goes on.
"""

import argparse
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

from edgeport.runtime import EdgeportError, Predictor, load
from edgeport.runtime.cli import exit_code_of
from edgeport.runtime.host.terminal import failed_output, visible
from edgeport.runtime.prediction.showing.show import show
from edgeport.runtime.prediction.showing.shown import Choices
from edgeport.runtime.samples.pictures.images import SUFFIXES
from edgeport.runtime.samples.reading import read_samples

# The time of the last change in ns, and the size in bytes: another picture under the same name differs in one.
_State = tuple[int, int]


def state_of(path: Path) -> _State | None:
    """Return the state of a file; None if there is none, as at the end of a dangling link."""
    try:
        facts = path.stat()
    except OSError:
        return None
    return facts.st_mtime_ns, facts.st_size


def pictures(folder: Path) -> dict[Path, _State | None]:
    """Return the pictures that a folder holds now, by their names; raises OSError if it cannot be read.

    One that cannot be looked at has no state: a link that leads nowhere, or a folder that has just been moved away.
    """
    names = (path for path in sorted(folder.iterdir()) if path.suffix.lower() in SUFFIXES)
    return {path: state_of(path) for path in names if not path.name.startswith(".")}


def settled(
    now: Mapping[Path, _State | None], before: Mapping[Path, _State | None], done: Mapping[Path, _State]
) -> Iterator[tuple[Path, _State]]:
    """Yield the pictures that have not changed between two looks, and have not been answered, with their state."""
    for path, state in now.items():
        if state is not None and before.get(path) == state and done.get(path) != state:
            yield path, state


def answer(predictor: Predictor, path: Path, *, invert: bool) -> None:
    """Print what the model answers to a picture.

    Raises:
        EdgeportError: It is no picture that can be read.
    """
    samples = read_samples([path], predictor.spec, invert=invert)
    show(samples._replace(names=(path.name,)), predictor.answer(samples.values), predictor.spec, Choices())
    sys.stdout.flush()


def watch(predictor: Predictor, folder: Path, *, seconds: float, invert: bool) -> int:
    """Look at the folder again and again, until the process has to end, or nobody reads what it prints."""
    before: dict[Path, _State | None] = {}
    done: dict[Path, _State] = {}
    trouble = ""
    while failed_output() is None:
        try:
            now = pictures(folder)
        except OSError as error:
            # What has been answered stays so: the folder may be there again in a moment, with the same pictures.
            if trouble != (trouble := f"cannot read {folder}: {error.strerror}"):
                print(visible(trouble), file=sys.stderr, flush=True)
            time.sleep(seconds)
            continue
        trouble = ""
        # What the folder does not name any more is forgotten: the memory does not grow over the years.
        done = {path: state for path, state in done.items() if path in now}
        for path, state in settled(now, before, done):
            # One that has changed since has to settle again.
            if state_of(path) != state:
                continue
            done[path] = state
            try:
                answer(predictor, path, invert=invert)
            except EdgeportError as error:
                print(visible(str(error)), file=sys.stderr, flush=True)
            except MemoryError:
                print(visible(f"cannot read {path}: not enough memory"), file=sys.stderr, flush=True)
        before = now
        time.sleep(seconds)
    return 0


def run() -> int:
    """Read the command line, load the artefact, and watch."""
    parser = argparse.ArgumentParser(description="Print the answer to each new picture in a folder.")
    parser.add_argument("artefact", type=Path, help="a .tflite or .onnx file")
    parser.add_argument("folder", type=Path, help="the folder to watch; it may come into being later")
    parser.add_argument("--seconds", type=float, default=1.0, help="between two looks (default 1)")
    parser.add_argument("--invert", action="store_true", help="the pictures are dark on light (ink on paper)")
    parser.add_argument("--engine", help="what runs it, or 'fastest' for what was measured to be so")
    arguments = parser.parse_args()
    predictor = load(arguments.artefact, engine=arguments.engine)
    print(visible(f"Watching {arguments.folder} with {predictor}"), flush=True)
    return watch(predictor, arguments.folder, seconds=arguments.seconds, invert=arguments.invert)


if __name__ == "__main__":
    sys.exit(exit_code_of("predict_folder.py", run))
