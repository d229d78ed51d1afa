"""Count anew what the published models have right on MNIST's test images: no edgeport, the engines alone.

    edgeport export zoo:edge-10k -o build/zoo/edge-10k           (for each model; make zoo does all of it)
    python benchmarks/lab/family/check_published.py MNIST build/zoo

MNIST is a folder with t10k-images-idx3-ubyte.gz and t10k-labels-idx1-ubyte.gz. It needs numpy, ai-edge-litert and
onnxruntime. The exit code is 1 if a count differs from the published one, or a file is missing.
"""

import argparse
import gzip
import hashlib
import json
import struct
import sys
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import onnxruntime
from ai_edge_litert.interpreter import Interpreter

ZOO = Path(__file__).parents[3] / "train" / "zoo"


def read_idx(path: Path) -> np.ndarray:
    """Return the array of an IDX file of bytes: two zero bytes, type 8, the number of axes, the axes, the values."""
    content = gzip.decompress(path.read_bytes())
    zero, kind, rank = struct.unpack(">HBB", content[:4])
    assert (zero, kind) == (0, 8), f"{path} is no IDX file of bytes"
    axes = struct.unpack(f">{rank}I", content[4 : 4 + 4 * rank])
    return np.frombuffer(content, np.uint8, offset=4 + 4 * rank).reshape(axes)


def answers_of_tflite(path: Path, images: np.ndarray) -> np.ndarray:
    """Return the class with the largest output for each image, one image a call."""
    interpreter = Interpreter(model_path=str(path), num_threads=1)
    interpreter.allocate_tensors()
    taken, given = interpreter.get_input_details()[0], interpreter.get_output_details()[0]
    answers = []
    for image in images.astype(np.float32)[..., np.newaxis]:
        if taken["dtype"] != np.float32:
            scale, zero_point = taken["quantization"]
            image = np.rint(image / scale + zero_point)
        interpreter.set_tensor(taken["index"], image[np.newaxis].astype(taken["dtype"]))
        interpreter.invoke()
        answers.append(interpreter.get_tensor(given["index"])[0].argmax())
    return np.array(answers)


def answers_of_onnx(path: Path, images: np.ndarray) -> np.ndarray:
    """Return the class with the largest output for each image, one image a call."""
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    name = session.get_inputs()[0].name
    pixels = images.astype(np.float32)[:, np.newaxis, :, :, np.newaxis]
    return np.array([session.run(None, {name: image})[0][0].argmax() for image in pixels])


def check(path: Path, artefact: Mapping[str, str], images: np.ndarray, labels: np.ndarray, published: int) -> bool:
    """Count what one artefact has right, print it beside the published count, and return whether they are equal."""
    if not path.is_file():
        print(f"{path.name:<28} missing: export it to {path.parent}")
        return False
    answers = {"tflite": answers_of_tflite, "onnx": answers_of_onnx}[artefact["format"]](path, images)
    correct = int((answers == labels).sum())
    same = hashlib.sha256(path.read_bytes()).hexdigest() == artefact["sha256"]
    print(
        f"{path.name:<28} {correct:>6} of {len(labels)}, published {published:>6}: "
        f"{'equal' if correct == published else 'DIFFERS'}{'' if same else ' (a file of other bytes)'}",
        flush=True,
    )
    return correct == published


def main() -> int:
    """Check every model of the zoo and return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("mnist", type=Path, help="the folder with the test images and labels")
    parser.add_argument("exports", type=Path, help="the folder with one export folder a model")
    parser.add_argument("--zoo", type=Path, default=ZOO, help="the published models (default: train/zoo)")
    arguments = parser.parse_args()
    files = [arguments.mnist / f"t10k-{name}-ubyte.gz" for name in ("images-idx3", "labels-idx1")]
    for path in files:
        if not path.is_file():
            parser.error(f"there is no {path}: name the folder with MNIST's test images and labels")
    images, labels = (read_idx(path) for path in files)
    equal = []
    for folder in sorted(path.parent for path in arguments.zoo.glob("*/model.keras")):
        artefacts = json.loads((folder / "manifest.json").read_text("utf-8"))["artefacts"]
        published = json.loads((folder / "scores.json").read_text("utf-8"))["published"]["correct"]
        for artefact in artefacts:
            count = published[f"{artefact['precision']}.{artefact['format']}"]
            equal.append(check(arguments.exports / folder.name / artefact["file"], artefact, images, labels, count))
    print(f"{sum(equal)} of {len(equal)} figures are as published")
    return 0 if equal and all(equal) else 1


if __name__ == "__main__":
    sys.exit(main())
