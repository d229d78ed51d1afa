"""Answer numbers as they come: predict_lines.py ARTEFACT [FILE ...].

Without a file it reads CSV from the standard input, a line a sample, and prints the answer to each before it waits for
the next. The first line may have names. A line that is no sample gets a line of its own, and the program goes on. It
also answers the samples of .csv, .npy, .npz and .wav files, one after the other.
"""

import argparse
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

from edgeport.runtime import EdgeportError, InputError, Predictor, load
from edgeport.runtime.cli import exit_code_of
from edgeport.runtime.host.terminal import failed_output, visible
from edgeport.runtime.prediction.showing.show import show
from edgeport.runtime.prediction.showing.shown import Choices
from edgeport.runtime.samples.csv_table import has_names
from edgeport.runtime.samples.reading import Samples, read_rows, read_samples
from edgeport.runtime.tensors.batches import samples_at_a_time

# A line of a million numbers.
_LONGEST_LINE = 1 << 24


def answer(predictor: Predictor, samples: Samples, known: set[str]) -> None:
    """Print what the model answers to each of some samples, and what is to know about them and is not known yet."""
    spec = predictor.spec
    for note in samples.notes:
        if note not in known:
            print(visible(note), file=sys.stderr, flush=True)
    known.update(samples.notes)
    for part in samples.parts(samples_at_a_time(spec.inputs, spec.input.shape[0])):
        show(part, predictor.answer(part.values), spec, Choices())
    sys.stdout.flush()


def answer_lines(predictor: Predictor, lines: Iterable[bytes]) -> None:
    """Print what the model answers to each line, until they end or nobody reads what it prints."""
    names: bytes | None = None
    known: set[str] = set()
    for number, line in enumerate(lines, 1):
        if failed_output() is not None:
            return
        if len(line) > _LONGEST_LINE:
            raise InputError(f"the standard input, line {number}: got over {_LONGEST_LINE:,} bytes, expected a sample")
        if not line.strip():
            continue
        try:
            if names is None:
                names = b""
                if has_names(line, named="the standard input"):
                    names = line
                    continue
            header = bool(names)
            answer(predictor, read_rows(names + line, predictor.spec, header=header, line=number - header), known)
        except EdgeportError as error:
            print(visible(str(error)), file=sys.stderr, flush=True)


def answer_files(predictor: Predictor, paths: Sequence[Path]) -> None:
    """Print what the model answers to the samples of each file."""
    known: set[str] = set()
    for path in paths:
        answer(predictor, read_samples([path], predictor.spec), known)


def run() -> int:
    """Read the command line, load the artefact, and answer."""
    parser = argparse.ArgumentParser(description="Print the answer to each line of CSV, or to the samples in files.")
    parser.add_argument("artefact", type=Path, help="a .tflite or .onnx file")
    parser.add_argument("files", metavar="FILE", type=Path, nargs="*", help=".csv, .npy, .npz or .wav (default: stdin)")
    parser.add_argument("--engine", help="what runs it, or 'fastest' for what was measured to be so")
    arguments = parser.parse_args()
    predictor = load(arguments.artefact, engine=arguments.engine)
    if arguments.files:
        answer_files(predictor, arguments.files)
    else:
        answer_lines(predictor, iter(lambda: sys.stdin.buffer.readline(_LONGEST_LINE + 1), b""))
    return 0


if __name__ == "__main__":
    sys.exit(exit_code_of("predict_lines.py", run))
