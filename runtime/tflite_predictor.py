"""Runs .tflite artefacts with ai-edge-litert, or with the older tflite-runtime where that has no wheel."""

import importlib
import threading
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from typing import Any

import numpy as np

from edgeport.runtime.card import Card
from edgeport.runtime.errors import ArtefactError, MissingDependencyError
from edgeport.runtime.predictor import Predictor, Tensor
from edgeport.runtime.spec import Spec, TensorSpec


class TflitePredictor(Predictor):
    """One TFLite interpreter, shared safely by threads: it is used by one at a time."""

    def __init__(self, interpreter: Any, spec: Spec) -> None:
        super().__init__(spec)
        self._interpreter = interpreter
        # The details never change, and asking for them is slow: once is enough.
        self._input_indices = [details["index"] for details in interpreter.get_input_details()]
        self._output_indices = [details["index"] for details in interpreter.get_output_details()]
        self._input_index, self._output_index = self._input_indices[0], self._output_indices[0]
        self._free_batch = spec.input.shape[:1] == (None,)
        self._batch = 1
        # Two threads inside one interpreter get each other's answers, or abort the process.
        self._lock = threading.Lock()

    def run(self, tensor: Tensor) -> Tensor:
        """See Predictor.run."""
        self._check_tensor(tensor)
        with self._lock:
            if self._free_batch:
                self._resize([tensor])
            self._interpreter.set_tensor(self._input_index, tensor)
            self._interpreter.invoke()
            answer: Tensor = self._interpreter.get_tensor(self._output_index)
        return answer

    def run_named(self, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """See Predictor.run_named."""
        self._check_tensors(tensors)
        ordered = [tensors[tensor.name] for tensor in self.spec.inputs]
        with self._lock:
            if self._free_batch:
                self._resize(ordered)
            for index, tensor in zip(self._input_indices, ordered, strict=True):
                self._interpreter.set_tensor(index, tensor)
            self._interpreter.invoke()
            answers = [self._interpreter.get_tensor(index) for index in self._output_indices]
        return {tensor.name: answer for tensor, answer in zip(self.spec.outputs, answers, strict=True)}

    def _resize(self, tensors: Sequence[Tensor]) -> None:
        """Make room for another batch: an interpreter keeps the shapes that it was last given."""
        batch = len(tensors[0])
        if batch == self._batch:
            return
        for index, tensor in zip(self._input_indices, tensors, strict=True):
            self._interpreter.resize_tensor_input(index, tensor.shape)
        self._interpreter.allocate_tensors()
        self._batch = batch


def open_predictor(content: bytes, *, name: str, card: Card | None, engine: str, threads: int) -> TflitePredictor:
    """Open a TFLite file's bytes.

    Args:
        content: The whole file.
        name: What to call the file.
        card: What the file says about itself, if anything.
        engine: ``ai_edge_litert`` or ``tflite_runtime``.
        threads: How many threads the engine may use.

    Raises:
        ArtefactError: The engine refuses the file.
        MissingDependencyError: The engine is tflite-runtime, beside a numpy that it cannot work with.
    """
    if engine == "tflite_runtime" and int(np.__version__.partition(".")[0]) >= 2:
        raise MissingDependencyError(
            f"tflite-runtime was built for numpy 1, and numpy {np.__version__} is installed: pip install 'numpy<2'"
        )
    interpreter_class = importlib.import_module(f"{engine}.interpreter").Interpreter
    try:
        interpreter = interpreter_class(model_content=content, num_threads=threads)
        interpreter.allocate_tensors()
    except (ValueError, RuntimeError) as error:
        raise ArtefactError(f"{name}: {engine} cannot open it ({' '.join(str(error).split())})") from error
    distribution = engine.replace("_", "-")
    inputs, outputs = interpreter.get_input_details(), interpreter.get_output_details()
    if not inputs or not outputs:
        raise ArtefactError(f"{name}: got {len(inputs)} inputs and {len(outputs)} outputs, expected at least one each")
    spec = Spec(
        name=name,
        format="tflite",
        engine=distribution,
        engine_version=version(distribution),
        threads=threads,
        inputs=tuple(map(_tensor_spec, inputs)),
        outputs=tuple(map(_tensor_spec, outputs)),
        card=card,
    )
    return TflitePredictor(interpreter, spec)


def _tensor_spec(details: dict[str, Any]) -> TensorSpec:
    scale, zero_point = details["quantization"]
    # The signature of a shape has -1 where the shape itself has 1, for now.
    shape = details["shape_signature"] if len(details["shape_signature"]) else details["shape"]
    return TensorSpec(
        name=details["name"],
        shape=tuple(None if axis < 0 else int(axis) for axis in shape),
        dtype=np.dtype(details["dtype"]).name,
        scale=float(scale),
        zero_point=int(zero_point),
    )
