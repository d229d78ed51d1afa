"""Run artefacts in a process of their own, as a small computer would: numpy and one engine, no TensorFlow.

An engine that meets a file it cannot stand may take its whole process down. Here that is an answer like any other.
"""

import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from edgeport.runtime.artefact.spec import TensorSpec
from edgeport.runtime.errors import EdgeportError
from edgeport.runtime.files.json_file import to_plain
from edgeport.runtime.files.temporary import temporary_folder
from edgeport.runtime.host.json_process import JsonProcess
from edgeport.runtime.host.replies import replies
from edgeport.runtime.prediction.loading import load
from edgeport.runtime.prediction.predictor import Predictor
from edgeport.runtime.tensors.arrays import Tensor
from edgeport.runtime.tensors.encoding import real_pixels

_SAMPLES = ".samples.npy"
_Arrays = Mapping[str, npt.NDArray[Any]]


@dataclass(frozen=True, eq=False)
class EngineAnswer:
    """What an engine made of one artefact.

    Attributes:
        file: The artefact.
        error: Why there are no answers; empty if there are.
        inputs: Its input tensors.
        outputs: Its output tensors.
        answers: For each output values of shape (n, ...): float32, or integers and booleans where the model gives such.
    """

    file: str
    error: str = ""
    inputs: tuple[TensorSpec, ...] = ()
    outputs: tuple[TensorSpec, ...] = ()
    answers: Mapping[str, Tensor] | None = None


def run_in_engines(folder: Path, files: Sequence[str], samples: _Arrays, *, at_once: int) -> Iterator[EngineAnswer]:
    """Yield what the engines answer for each of the files, in their order.

    Args:
        folder: Where the artefacts are.
        files: Their names.
        samples: For each input uint8 pixels, or the values that the model takes, of shape (n, ...).
        at_once: How many samples an artefact with a free batch answers at a time.
    """
    waiting = list(files)
    with temporary_folder() as exchange:
        for name, array in samples.items():
            np.save(exchange / f"{name}{_SAMPLES}", array, allow_pickle=False)
        while waiting:
            with JsonProcess(__name__, str(folder), str(exchange), str(at_once), *waiting) as process:
                while waiting and (answer := process.receive()) is not None:
                    yield _received(answer, Path(exchange))
                    waiting.pop(0)
                if waiting:
                    # It has died on the file that is next; another process goes on with those after it.
                    yield EngineAnswer(waiting.pop(0), error=f"its engine died on it ({process.cause()})")


def _received(line: dict[str, Any], exchange: Path) -> EngineAnswer:
    if line["error"]:
        return EngineAnswer(line["file"], error=line["error"])
    inputs, outputs = (
        tuple(TensorSpec(**{**each, "shape": tuple(each["shape"])}) for each in line[side])
        for side in ("inputs", "outputs")
    )
    path = exchange / f"{line['file']}.npz"
    with np.load(path, allow_pickle=False) as arrays:
        answers = dict(arrays)
    path.unlink()
    return EngineAnswer(line["file"], inputs=inputs, outputs=outputs, answers=answers)


def _answers(predictor: Predictor, samples: _Arrays, at_once: int) -> dict[str, Tensor]:
    """Answer a few samples at a time: the activations of all of a large model's would fill the memory."""
    batch = predictor.spec.input.shape[0] if predictor.spec.input.shape else None
    step = batch or at_once
    count = len(next(iter(samples.values())))
    parts = [
        _answer(predictor, {name: array[start : start + step] for name, array in samples.items()})
        for start in range(0, count, step)
    ]
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def _answer(predictor: Predictor, samples: _Arrays) -> dict[str, Tensor]:
    metadata = predictor.spec.metadata
    ports = {facts.name: facts for facts in metadata.inputs} if metadata else {}
    real = {}
    for tensor in predictor.spec.inputs:
        array, port = samples[tensor.name], ports.get(tensor.name)
        if array.dtype == np.uint8 and port is not None and port.range is not None:
            if len(predictor.spec.inputs) == 1 and len(predictor.spec.outputs) == 1:
                return {predictor.spec.output.name: predictor.predict(array)}
            array = real_pixels(array, port)
        real[tensor.name] = array
    return predictor.answer(real)


def main() -> None:
    """Run in the child: FOLDER EXCHANGE AT_ONCE FILE... Each answer goes to a file, and one JSON line reports it."""
    reply = replies()
    folder, exchange, at_once, *files = sys.argv[1:]
    # Mapped, so that only those that are looked at take memory.
    samples = {
        path.name.removesuffix(_SAMPLES): np.load(path, mmap_mode="r", allow_pickle=False)
        for path in Path(exchange).glob(f"*{_SAMPLES}")
    }
    for file in files:
        line: dict[str, Any] = {"file": file, "error": ""}
        try:
            predictor = load(Path(folder, file))
            answers = _answers(predictor, samples, int(at_once))
        except (EdgeportError, RuntimeError, ValueError) as error:
            line["error"] = " ".join(str(error).split())
        except Exception as error:  # onnxruntime's errors share no base class below Exception
            line["error"] = f"{type(error).__name__}: {' '.join(str(error).split())}"
        else:
            np.savez(Path(exchange, f"{file}.npz"), allow_pickle=False, **answers)
            line["inputs"] = to_plain(predictor.spec.inputs)
            line["outputs"] = to_plain(predictor.spec.outputs)
        reply(line)


if __name__ == "__main__":
    main()
