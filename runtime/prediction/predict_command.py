"""``edgeport predict``: what an artefact answers for files; samples are read, answered and shown."""

import argparse
from pathlib import Path

from edgeport.runtime.engines.quiet import quiet_stderr
from edgeport.runtime.errors import InputError
from edgeport.runtime.prediction.loading import load
from edgeport.runtime.prediction.samples import read_samples
from edgeport.runtime.prediction.showing import show
from edgeport.runtime.tensors.batches import samples_at_a_time


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument("artefact", metavar="ARTEFACT", type=Path, help="a .tflite or .onnx file")
    parser.add_argument("images", metavar="IMAGE", type=Path, nargs="+", help="PNG, JPEG, ...")
    parser.add_argument("--invert", action="store_true", help="the images are dark on light (ink on paper)")
    parser.add_argument("--top", type=int, default=3, metavar="N", help="how many classes to print (default 3)")
    parser.add_argument("--engine", metavar="NAME", help="ai_edge_litert, tflite_runtime or onnxruntime")
    parser.add_argument("--threads", type=int, default=1, metavar="N", help="threads of the engine (default 1)")
    parser.add_argument("--trust", action="store_true", help="load a file that edgeport did not make")
    parser.add_argument("--json", action="store_true", help="print one JSON object an image, with every class")


def run(arguments: argparse.Namespace) -> int:
    """Predict and print one line a sample."""
    if arguments.top < 1:
        raise InputError(f"--top: got {arguments.top}, expected 1 or more")
    with quiet_stderr():
        predictor = load(
            arguments.artefact, engine=arguments.engine, threads=arguments.threads, verify=not arguments.trust
        )
    samples = read_samples(arguments.images, predictor.spec, invert=arguments.invert)
    spec = predictor.spec
    for part in samples.parts(samples_at_a_time(spec.inputs, spec.input.shape[0])):
        show(part.names, predictor.answer(part.values), spec, top=arguments.top, as_json=arguments.json)
    return 0
