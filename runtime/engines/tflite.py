"""Runs .tflite artefacts with ai-edge-litert, or with the older tflite-runtime where that has no wheel."""

import importlib
from collections.abc import Sequence
from typing import Any

import numpy as np

from edgeport.runtime.artefact.spec import TensorSpec
from edgeport.runtime.engines.empty_axes import EmptyAxes
from edgeport.runtime.engines.pool import PooledEngine, Slot
from edgeport.runtime.engines.protocol import Origin, distinct
from edgeport.runtime.engines.signal_errors import raised_within
from edgeport.runtime.errors import ArtefactError, InputError, MissingDependencyError
from edgeport.runtime.tensors.arrays import Tensor


class _Slot(Slot):
    """A place for an interpreter, with its calls looked up once: they are done three times a call."""

    __slots__ = ("get_tensor", "invoke", "set_tensor", "shapes")

    shapes: list[tuple[int, ...]]

    def fill(self, opened: Any) -> None:
        """See Slot.fill."""
        self.opened = opened
        self.shapes = [tuple(details["shape"].tolist()) for details in opened.get_input_details()]
        self.set_tensor, self.get_tensor, self.invoke = opened.set_tensor, opened.get_tensor, opened.invoke

    def empty(self) -> None:
        """See Slot.empty."""
        self.opened = self.set_tensor = self.get_tensor = self.invoke = None
        self.shapes = []

    def resize(self, places: Sequence[int], tensors: Sequence[Tensor]) -> None:
        """Make room for other shapes: an interpreter keeps those that it was last given."""
        for place, tensor in zip(places, tensors, strict=True):
            self.opened.resize_tensor_input(place, tensor.shape)
        self.opened.allocate_tensors()
        self.shapes = [tensor.shape for tensor in tensors]


class TfliteEngine(PooledEngine):
    """Interpreters of one TFLite file."""

    slot = _Slot

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
        self._free = any(None in tensor.shape for tensor in self.inputs)
        self._empty_axes = EmptyAxes(origin, [tensor.name for tensor in self.inputs])
        super().__init__(threads=origin.threads, first=interpreter)

    def open_one(self, slot: _Slot) -> Any:
        """See PooledEngine.open_one."""
        return _open_interpreter(self._origin)

    def call_one(self, tensor: Tensor) -> Tensor:
        """See Engine.call_one."""
        if self._free and 0 in tensor.shape:
            self._empty_axes.check([tensor.shape])
        slot = self.take()
        try:
            if self._free and slot.shapes[0] != tensor.shape:
                slot.resize(self._inputs, (tensor,))
            slot.set_tensor(self._input, tensor)
            slot.invoke()
            answer: Tensor = slot.get_tensor(self._output)
        except BaseException as error:
            self._failed(slot, error)
            raise
        self.idle.put(slot)
        return answer

    def call(self, tensors: Sequence[Tensor]) -> Sequence[Tensor]:
        """See Engine.call."""
        if self._free and any(0 in tensor.shape for tensor in tensors):
            self._empty_axes.check([tensor.shape for tensor in tensors])
        slot = self.take()
        try:
            if self._free and slot.shapes != [tensor.shape for tensor in tensors]:
                slot.resize(self._inputs, tensors)
            for place, tensor in zip(self._inputs, tensors, strict=True):
                slot.set_tensor(place, tensor)
            slot.invoke()
            answers = [slot.get_tensor(place) for place in self._outputs]
        except BaseException as error:
            self._failed(slot, error)
            raise
        self.idle.put(slot)
        return answers

    def _failed(self, slot: _Slot, error: BaseException) -> None:
        """Give the slot back, and say what the interpreter failed on."""
        self.give_up(slot)
        if isinstance(error, (ValueError, RuntimeError)) and raised_within(error, self._origin.package, "numpy"):
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


def import_package(package: str) -> Any:
    """Import what opens a file, and return it."""
    return importlib.import_module(f"{package}.interpreter")


def _open_interpreter(origin: Origin) -> Any:
    module = import_package(origin.package)
    try:
        interpreter = module.Interpreter(model_content=origin.content, num_threads=origin.threads)
        interpreter.allocate_tensors()
    except (ValueError, RuntimeError) as error:
        if not raised_within(error, origin.package, "numpy"):
            raise
        raise ArtefactError(
            f"{origin.name}: {origin.package} cannot open it ({' '.join(str(error).split())})"
        ) from error
    return interpreter


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
