"""Print what the camera sees, about once a second: classify_camera.py ARTEFACT [--invert].

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
from PIL import Image, ImageOps

from edgeport.runtime import load
from edgeport.runtime.cli import exit_code_of
from edgeport.runtime.terminal import failed_output, visible


def pixels_of(
    frame: npt.NDArray[np.uint8], *, shape: tuple[int, int, int], invert: bool = False
) -> npt.NDArray[np.uint8]:
    """Return the square in the centre of a camera's picture as the model takes it.

    Args:
        frame: uint8 of shape (rows, columns, 3), red first.
        shape: (height, width, channels) of the model's input; channels is 1 or 3.
        invert: Swap black and white, for dark ink on light paper when the model learned light on dark.

    Returns:
        uint8 of shape (1, height, width, channels).
    """
    height, width, channels = shape
    rows, columns = frame.shape[:2]
    side = min(rows, columns)
    top, left = (rows - side) // 2, (columns - side) // 2
    square = np.ascontiguousarray(frame[top : top + side, left : left + side])
    image = Image.fromarray(square).convert("L" if channels == 1 else "RGB")
    if invert:
        image = ImageOps.invert(image)
    return np.asarray(image.resize((width, height), Image.Resampling.LANCZOS), np.uint8).reshape(1, *shape)


def open_camera() -> Any:
    """Return the camera, running, with pictures of 640 x 480 in red, green and blue."""
    from picamera2 import Picamera2

    camera = Picamera2()
    # picamera2 names the bytes from the last to the first: BGR888 gives arrays with red first.
    camera.configure(camera.create_preview_configuration({"format": "BGR888", "size": (640, 480)}))
    camera.start()
    return camera


def run() -> int:
    """Read the command line, load the artefact, and print until the process has to end."""
    parser = argparse.ArgumentParser(description="Print what the camera sees.")
    parser.add_argument("artefact", type=Path, help="a .tflite or .onnx file")
    parser.add_argument("--invert", action="store_true", help="the scene is dark on light (ink on paper)")
    arguments = parser.parse_args()
    predictor = load(arguments.artefact)
    height, width, channels = (axis or 1 for axis in predictor.spec.input.shape[1:])
    camera = open_camera()
    try:
        while failed_output() is None:
            pixels = pixels_of(camera.capture_array(), shape=(height, width, channels), invert=arguments.invert)
            best = predictor.classify(pixels, top=1)[0][0]
            print(visible(f"{best.label} ({best.probability:.1%})"), flush=True)
            time.sleep(1)
    finally:
        camera.stop()
    return 0


if __name__ == "__main__":
    sys.exit(exit_code_of("classify_camera.py", run))
