"""Runs .tflite artefacts with ai-edge-litert, or with the older tflite-runtime where that has no wheel."""

import importlib
import os
import sys
import weakref
from collections.abc import Sequence
from typing import Any

import numpy as np

from edgeport.runtime.artefact.spec import TensorSpec
from edgeport.runtime.engines.empty_axes import EmptyAxes
from edgeport.runtime.engines.protocol import Origin, distinct
from edgeport.runtime.engines.signal_errors import raised_within
from edgeport.runtime.errors import ArtefactError, InputError, MissingDependencyError
from edgeport.runtime.tensors.arrays import Tensor

try:
    # The module queue takes both from here, and brings along others which take a quarter of a megabyte.
    from _queue import Empty, SimpleQueue
except ImportError:
    from queue import Empty, SimpleQueue


class _Slot:
    """A place for one interpreter, which is opened when it is first needed.

    A slot belongs to whoever took it from the engine's queue. One that gets lost there, since an exception may come at
    any moment (Ctrl-C, a timeout by signal), is replaced by an empty one when Python clears it away.
    """

    __slots__ = ("_engine", "_interpreter", "get_tensor", "invoke", "set_tensor", "shapes")

    shapes: list[tuple[int, ...]]

    def __init__(self, engine: "TfliteEngine") -> None:
        # Not the engine itself: when that goes, its slots shall go and not come back.
        self._engine = weakref.ref(engine)
        self.empty()

    def __del__(self) -> None:
        engine = self._engine()
        if engine is not None:
            engine.idle.put(_Slot(engine))

    def fill(self, interpreter: Any) -> None:
        """Put an interpreter in its place."""
        self._interpreter = interpreter
        self.shapes = [tuple(details["shape"].tolist()) for details in interpreter.get_input_details()]
        # Looked up once: it is done three times a call.
        self.set_tensor, self.get_tensor = interpreter.set_tensor, interpreter.get_tensor
        self.invoke = interpreter.invoke

    def empty(self) -> None:
        """Let go of the interpreter."""
        self._interpreter = self.set_tensor = self.get_tensor = self.invoke = None
        self.shapes = []

    def resize(self, places: Sequence[int], tensors: Sequence[Tensor]) -> None:
        """Make room for other shapes: an interpreter keeps those that it was last given."""
        for place, tensor in zip(places, tensors, strict=True):
            self._interpreter.resize_tensor_input(place, tensor.shape)
        self._interpreter.allocate_tensors()
        self.shapes = [tensor.shape for tensor in tensors]


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
        self._free = any(None in tensor.shape for tensor in self.inputs)
        self._empty_axes = EmptyAxes(origin, [tensor.name for tensor in self.inputs])
        self.idle: SimpleQueue[_Slot] = SimpleQueue()
        self._spare: SimpleQueue[_Slot] = SimpleQueue()
        for _ in range(max(1, _cores() // origin.threads)):
            self._spare.put(_Slot(self))
        first = self._spare.get()
        first.fill(interpreter)
        self.idle.put(first)

    def call_one(self, tensor: Tensor) -> Tensor:
        """See Engine.call_one."""
        if self._free and 0 in tensor.shape:
            self._empty_axes.check([tensor.shape])
        slot = self._take()
        try:
            if self._free and slot.shapes[0] != tensor.shape:
                slot.resize(self._inputs, (tensor,))
            slot.set_tensor(self._input, tensor)
            slot.invoke()
            answer: Tensor = slot.get_tensor(self._output)
        except BaseException as error:
            self._give_up(slot, error)
            raise
        self.idle.put(slot)
        return answer

    def call(self, tensors: Sequence[Tensor]) -> Sequence[Tensor]:
        """See Engine.call."""
        if self._free and any(0 in tensor.shape for tensor in tensors):
            self._empty_axes.check([tensor.shape for tensor in tensors])
        slot = self._take()
        try:
            if self._free and slot.shapes != [tensor.shape for tensor in tensors]:
                slot.resize(self._inputs, tensors)
            for place, tensor in zip(self._inputs, tensors, strict=True):
                slot.set_tensor(place, tensor)
            slot.invoke()
            answers = [slot.get_tensor(place) for place in self._outputs]
        except BaseException as error:
            self._give_up(slot, error)
            raise
        self.idle.put(slot)
        return answers

    def _take(self) -> Any:
        try:
            slot = self.idle.get_nowait()
        except Empty:
            try:
                slot = self._spare.get_nowait()
            except Empty:
                # A signal handler that predicts while its own thread does would wait for itself.
                slot = _Slot(self) if self._is_below() else self.idle.get()
        if slot.invoke is None:
            slot.fill(_open_interpreter(self._origin))
        return slot

    def _is_below(self) -> bool:
        """Whether this thread is inside a call of this engine already: a handler runs on top of what it interrupts."""
        calls = TfliteEngine.call_one.__code__, TfliteEngine.call.__code__
        frame = sys._getframe(2).f_back  # below the call that asks
        while frame is not None:
            if frame.f_code in calls and frame.f_locals.get("self") is self:
                return True
            frame = frame.f_back
        return False

    def _give_up(self, slot: _Slot, error: BaseException) -> None:
        """Give the slot back without its interpreter, which has failed in the middle, and say what it failed on."""
        slot.empty()
        self.idle.put(slot)
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
