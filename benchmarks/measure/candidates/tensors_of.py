"""The tensors of a model file, as an engine reads them in a process of its own: nobody vouches for such a file."""

import json
import sys
from pathlib import Path

from edgeport.benchmarks.measure.candidates.openers import open_artefact
from edgeport.runtime.artefact.spec import TensorSpec
from edgeport.runtime.errors import EdgeportError
from edgeport.runtime.files.json_file import to_plain
from edgeport.runtime.host.json_process import JsonProcess, with_threads
from edgeport.runtime.host.replies import refusal, replies

_Tensors = tuple[TensorSpec, ...]
# A large file from a slow card.
_PATIENCE_SECONDS = 600.0


def tensors_of(path: Path, *, trust: bool) -> tuple[_Tensors, _Tensors]:
    """Return the inputs and the outputs of a file.

    Args:
        path: A ``.tflite`` or ``.onnx`` file.
        trust: Open a file without a digest.

    Raises:
        EdgeportError: It cannot be opened, or its engine died on it.
    """
    with JsonProcess(__name__, environment=with_threads(1)) as process:
        order = {"path": str(path.resolve()), "trust": trust}
        found = process.ask(order, name=path.name, within=_PATIENCE_SECONDS)
    inputs, outputs = (
        tuple(TensorSpec(**{**each, "shape": tuple(each["shape"])}) for each in found[side])
        for side in ("inputs", "outputs")
    )
    return inputs, outputs


def main() -> None:
    """Run in the child: one line of JSON says which file, and one is the answer."""
    reply = replies()
    order = json.loads(sys.stdin.readline())
    try:
        spec = open_artefact(threads=1, **order).spec
    except EdgeportError as error:
        reply(refusal(error))
    else:
        reply({"inputs": to_plain(spec.inputs), "outputs": to_plain(spec.outputs)})


if __name__ == "__main__":
    main()
