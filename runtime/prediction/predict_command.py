"""``edgeport predict``: labels and probabilities for image files."""

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from edgeport.runtime.engines.quiet import quiet_stderr
from edgeport.runtime.errors import InputError
from edgeport.runtime.pictures.images import read_images
from edgeport.runtime.prediction.classification import Classification
from edgeport.runtime.prediction.loading import load
from edgeport.runtime.prediction.predictor import Predictor
from edgeport.runtime.terminal import visible


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
    """Predict and print one line an image."""
    if arguments.top < 1:
        raise InputError(f"--top: got {arguments.top}, expected 1 or more")
    with quiet_stderr():
        predictor = load(
            arguments.artefact, engine=arguments.engine, threads=arguments.threads, verify=not arguments.trust
        )
    shape = predictor.spec.input.shape[1:]
    if len(shape) != 3 or None in shape:
        raise InputError(f"{predictor.spec.name} takes {predictor.spec.input}, which is no image: use it from Python")
    height, width, channels = (axis or 0 for axis in shape)
    images = read_images(
        arguments.images,
        shape=(height, width, channels),
        resizing=predictor.spec.resizing,
        invert=arguments.invert,
    )
    _hint_at_inversion(images, predictor, arguments.invert)
    for path, classes in zip(arguments.images, predictor.classify(images, top=sys.maxsize), strict=True):
        if arguments.json:
            probabilities = {each.label: each.probability for each in classes}
            print(json.dumps({"image": str(path), "label": classes[0].label, "probabilities": probabilities}))
        else:
            print(visible(f"{path}  {_sentence(classes, arguments.top)}"))
    return 0


def _sentence(classes: Sequence[Classification], top: int) -> str:
    # A model that ends in logits gives scores of any size.
    style = ".1%" if classes[-1].probability >= 0 and classes[0].probability <= 1.000001 else ".4g"
    first, *others = (f"{each.label}  {each.probability:{style}}" for each in classes[:top])
    return f"{first}   ({', '.join(others)})" if others else first


def _hint_at_inversion(images: npt.NDArray[np.uint8], predictor: Predictor, inverted: bool) -> None:
    """Say so when digits look like ink on paper and the model learned the opposite: it would answer nonsense."""
    metadata = predictor.spec.metadata
    if inverted or metadata is None or not metadata.dataset.startswith("mnist"):
        return
    light = sum(bool(np.median(image) > 127) for image in images)
    if light:
        print(
            f"edgeport predict: {light} of {len(images)} images look dark on light; this model learned light digits "
            "on black: add --invert",
            file=sys.stderr,
        )
