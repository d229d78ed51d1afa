"""Runs .tflite artefacts with ai-edge-litert, or with the older tflite-runtime where that has no wheel."""

import importlib
import os
from collections.abc import Sequence
from queue import Empty, SimpleQueue
from typing import Any

import numpy as np

from edgeport.runtime.engine import Origin, Tensor, distinct
from edgeport.runtime.errors import ArtefactError, InputError, MissingDependencyError
from edgeport.runtime.spec import TensorSpec


class _Interpreter:
    """One interpreter, and the batch that it has made room for."""

    __slots__ = ("_interpreter", "batch", "get_tensor", "invoke", "set_tensor")

    def __init__(self, interpreter: Any) -> None:
        self._interpreter = interpreter
        self.batch = 1
        # Looked up once: it is done three times a call.
        self.set_tensor, self.invoke, self.get_tensor = (
            interpreter.set_tensor,
            interpreter.invoke,
            interpreter.get_tensor,
        )

    def resize(self, places: Sequence[int], tensors: Sequence[Tensor]) -> None:
        """Make room for another batch: an interpreter keeps the shapes that it was last given."""
        for place, tensor in zip(places, tensors, strict=True):
            self._interpreter.resize_tensor_input(place, tensor.shape)
        self._interpreter.allocate_tensors()
        self.batch = len(tensors[0])


class TfliteEngine:
    """Interpreters of one TFLite file, each used by one thread at a time.

    Two threads inside one interpreter get each other's answers, or abort the process. So a thread takes one that is
    idle. If there is none it opens another, up to as many as there are cores to run them, and else waits.
    """

    def __init__(self, origin: Origin) -> None:
        self._origin = origin
        interpreter = _open_interpreter(origin)
        inputs, outputs = interpreter.get_input_details(), interpreter.get_output_details()
        if not inputs or not outputs:
            raise ArtefactError(
                f"{origin.name}: got {len(inputs)} inputs and {len(outputs)} outputs, expected at least one each"
            )
        self.version = str(importlib.import_module(origin.package).__version__)
        self.inputs, self.outputs = distinct(tuple(map(_spec, inputs))), distinct(tuple(map(_spec, outputs)))
        # The details never change, and asking for them is slow: once is enough.
        self._inputs, self._outputs = ([each["index"] for each in side] for side in (inputs, outputs))
        self._input, self._output = self._inputs[0], self._outputs[0]
        self._free_batch = self.inputs[0].shape[:1] == (None,)
        # None stands for an interpreter that must be opened first.
        self._idle: SimpleQueue[_Interpreter | None] = SimpleQueue()
        self._idle.put(_Interpreter(interpreter))
        self._unopened: list[None] = [None] * (max(1, _cores() // origin.threads) - 1)

    def call_one(self, tensor: Tensor) -> Tensor:
        """See Engine.call_one."""
        held = self._take()
        try:
            if self._free_batch and held.batch != len(tensor):
                held.resize(self._inputs, (tensor,))
            held.set_tensor(self._input, tensor)
            held.invoke()
            answer: Tensor = held.get_tensor(self._output)
        except BaseException as error:
            self._give_up(error)
            raise
        self._idle.put(held)
        return answer

    def call(self, tensors: Sequence[Tensor]) -> Sequence[Tensor]:
        """See Engine.call."""
        held = self._take()
        try:
            if self._free_batch and held.batch != len(tensors[0]):
                held.resize(self._inputs, tensors)
            for place, tensor in zip(self._inputs, tensors, strict=True):
                held.set_tensor(place, tensor)
            held.invoke()
            answers = [held.get_tensor(place) for place in self._outputs]
        except BaseException as error:
            self._give_up(error)
            raise
        self._idle.put(held)
        return answers

    def _take(self) -> _Interpreter:
        try:
            held = self._idle.get_nowait()
        except Empty:
            try:
                held = self._unopened.pop()
            except IndexError:
                held = self._idle.get()
        if held is not None:
            return held
        try:
            return _Interpreter(_open_interpreter(self._origin))
        except BaseException:
            self._idle.put(None)
            raise

    def _give_up(self, error: BaseException) -> None:
        """Let a fresh interpreter take the place of one that has failed in the middle, and say what it failed on."""
        self._idle.put(None)
        if isinstance(error, (ValueError, RuntimeError)):
            reason = " ".join(str(error).split())
            raise InputError(
                f"{self._origin.name}: {self._origin.package} cannot compute this input ({reason})"
            ) from error


def open_engine(origin: Origin) -> TfliteEngine:
    """Open a TFLite file's bytes.

    Raises:
        ArtefactError: The engine refuses the file.
        MissingDependencyError: The engine is tflite-runtime, beside a numpy that it cannot work with.
    """
    if origin.package == "tflite_runtime" and int(np.__version__.partition(".")[0]) >= 2:
        raise MissingDependencyError(
            f"tflite-runtime was built for numpy 1, and numpy {np.__version__} is installed: pip install 'numpy<2'"
        )
    return TfliteEngine(origin)


def _open_interpreter(origin: Origin) -> Any:
    interpreter_class = importlib.import_module(f"{origin.package}.interpreter").Interpreter
    try:
        interpreter = interpreter_class(model_content=origin.content, num_threads=origin.threads)
        interpreter.allocate_tensors()
    except (ValueError, RuntimeError) as error:
        raise ArtefactError(
            f"{origin.name}: {origin.package} cannot open it ({' '.join(str(error).split())})"
        ) from error
    return interpreter


def _cores() -> int:
    # What this process may use: a container or taskset gives less than the machine has.
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _spec(details: dict[str, Any]) -> TensorSpec:
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
