"""Print the answer to what the camera sees, about once a second: predict_camera.py ARTEFACT [--invert].

It needs picamera2, which comes from the system (sudo apt install python3-picamera2) and is built for its numpy. Where
the environment of the bundle has another numpy, make one that borrows both: README.md says how.
"""

import argparse
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from edgeport.runtime import Predictor, load
from edgeport.runtime.cli import exit_code_of
from edgeport.runtime.host.terminal import failed_output
from edgeport.runtime.prediction.showing.show import show
from edgeport.runtime.prediction.showing.shown import Choices
from edgeport.runtime.samples.pictures.images import read_frame
from edgeport.runtime.samples.reading import Samples


def open_camera() -> Any:
    """Return the camera, running, with pictures of 640 x 480 in red, green and blue."""
    from picamera2 import Picamera2

    camera = Picamera2()
    # picamera2 names the bytes from the last to the first: BGR888 gives arrays with red first.
    camera.configure(camera.create_preview_configuration({"format": "BGR888", "size": (640, 480)}))
    camera.start()
    return camera


def answer(predictor: Predictor, frame: npt.NDArray[np.uint8], *, invert: bool) -> None:
    """Print what the model answers to a camera's picture, uint8 of shape (rows, columns, 3), red first."""
    height, width, channels = (axis or 1 for axis in predictor.spec.input.shape[1:])
    pixels = read_frame(frame, shape=(height, width, channels), resizing=predictor.spec.resizing, invert=invert)
    seen = Samples((time.strftime("%H:%M:%S"),), {predictor.spec.input.name: pixels})
    show(seen, predictor.answer(seen.values), predictor.spec, Choices())
    sys.stdout.flush()


def run() -> int:
    """Read the command line, load the artefact, and print until the process has to end."""
    parser = argparse.ArgumentParser(description="Print the answer to what the camera sees.")
    parser.add_argument("artefact", type=Path, help="a .tflite or .onnx file")
    parser.add_argument("--invert", action="store_true", help="the scene is dark on light (ink on paper)")
    parser.add_argument("--engine", help="what runs it, or 'fastest' for what was measured to be so")
    arguments = parser.parse_args()
    predictor = load(arguments.artefact, engine=arguments.engine)
    camera = open_camera()
    try:
        while failed_output() is None:
            answer(predictor, camera.capture_array(), invert=arguments.invert)
            time.sleep(1)
    finally:
        camera.stop()
    return 0


if __name__ == "__main__":
    sys.exit(exit_code_of("predict_camera.py", run))
