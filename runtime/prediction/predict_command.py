"""``edgeport predict``: what an artefact answers for files; samples are read, answered and shown."""

import argparse
import sys
from pathlib import Path

from edgeport.runtime.artefact.formats import ENGINES
from edgeport.runtime.engines.quiet import quiet_stderr
from edgeport.runtime.errors import InputError
from edgeport.runtime.files.output import check_output_folder
from edgeport.runtime.host.terminal import visible
from edgeport.runtime.prediction.loading import load
from edgeport.runtime.prediction.showing.show import file_stems, show
from edgeport.runtime.prediction.showing.shown import Choices
from edgeport.runtime.samples.reading import FORMS, read_samples
from edgeport.runtime.tensors.batches import samples_at_a_time


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    engines = ", ".join(ENGINES)
    parser.add_argument("artefact", metavar="ARTEFACT", type=Path, help="a .tflite or .onnx file")
    forms = ", ".join(form.what for form in FORMS)
    parser.add_argument("files", metavar="FILE", type=Path, nargs="+", help=f"what to answer: {forms}")
    parser.add_argument("--invert", action="store_true", help="pictures are dark on light (ink on paper)")
    parser.add_argument("--top", type=int, default=3, metavar="N", help="how many classes to print (default 3)")
    parser.add_argument(
        "--threshold",
        type=float,
        default=0.5,
        metavar="P",
        help="the probability from which on a label, a yes, a place of a mask or a box counts (default 0.5)",
    )
    parser.add_argument(
        "-o", "--output", type=Path, metavar="DIR", help="where masks, boxes and large arrays go, as PNG and .npy"
    )
    parser.add_argument("--overwrite", action="store_true", help="replace what an earlier call has written to DIR")
    parser.add_argument("--engine", metavar="NAME", help=f"one of {engines}")
    parser.add_argument("--threads", type=int, default=1, metavar="N", help="threads of the engine (default 1)")
    parser.add_argument("--cache", type=Path, metavar="DIR", help="where OpenVINO keeps what it has compiled")
    parser.add_argument("--trust", action="store_true", help="load a file that edgeport did not make")
    parser.add_argument("--json", action="store_true", help="print one JSON object a sample, with everything")


def run(arguments: argparse.Namespace) -> int:
    """Predict and print one line a sample."""
    if arguments.top < 1:
        raise InputError(f"--top: got {arguments.top}, expected 1 or more")
    if not 0 <= arguments.threshold <= 1:
        raise InputError(f"--threshold: got {arguments.threshold:g}, expected a probability, 0 to 1")
    if arguments.output:
        check_output_folder(arguments.output, overwrite=arguments.overwrite)
    with quiet_stderr():
        predictor = load(
            arguments.artefact,
            engine=arguments.engine,
            threads=arguments.threads,
            verify=not arguments.trust,
            cache=arguments.cache,
        )
    samples = read_samples(arguments.files, predictor.spec, invert=arguments.invert)
    for note in samples.notes:
        print(f"edgeport predict: {visible(note)}", file=sys.stderr)
    spec, choices = predictor.spec, Choices(arguments.top, arguments.threshold)
    stems = file_stems(samples.names)
    if arguments.output:
        arguments.output.mkdir(parents=True, exist_ok=True)
    step = samples_at_a_time(spec.inputs, (spec.input.shape or (None,))[0])
    missed = False
    for number, part in enumerate(samples.parts(step)):
        missed = show(
            part,
            predictor.answer(part.values),
            spec,
            choices,
            as_json=arguments.json,
            folder=arguments.output,
            stems=stems[number * step :],
        )
    if missed and not arguments.json:
        print("edgeport predict: give --output DIR for the pictures of these answers", file=sys.stderr)
    return 0
