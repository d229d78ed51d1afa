"""Runs .onnx artefacts, and .tflite ones that compute in floats, with OpenVINO on the CPU."""

import platform
import re
import sys
from _thread import RLock
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from io import BytesIO
from typing import Any

import numpy as np

from edgeport.runtime.artefact.formats import ENGINES
from edgeport.runtime.artefact.spec import TensorSpec
from edgeport.runtime.engines.empty_axes import EmptyAxes
from edgeport.runtime.engines.forking import survive_fork
from edgeport.runtime.engines.pool import PooledEngine, Slot
from edgeport.runtime.engines.protocol import Origin, distinct
from edgeport.runtime.engines.signal_errors import raised_within
from edgeport.runtime.errors import ArtefactError, InputError, WrongEngineError
from edgeport.runtime.files.checksum import sha256_hex
from edgeport.runtime.files.temporary import full_temporary_folder, temporary_folder
from edgeport.runtime.tensors.arrays import Tensor


@contextmanager
def _without_telemetry() -> Iterator[None]:
    """Let OpenVINO find no package of this name, which reports its import to its maker and writes to the home."""
    name = "openvino_telemetry"
    known = name in sys.modules
    if not known:
        sys.modules[name] = None  # type: ignore[assignment]
    try:
        yield
    finally:
        if not known:
            del sys.modules[name]


with _without_telemetry():
    import openvino

# What OpenVINO computes otherwise than a model says, without a word: float64 in float32, and integers of 64 bits in 32,
# where they saturate. So ports are of these types, and values and constants must fit.
_DTYPES = {
    "f32": "float32",
    "f16": "float16",
    "i8": "int8",
    "u8": "uint8",
    "i16": "int16",
    "i32": "int32",
    "i64": "int64",
    "boolean": "bool",
}
_LOWEST, _HIGHEST = -(2**31), 2**31 - 1
# To these a number beyond all is the end of an axis.
_OF_AXES = {"Slice", "StridedSlice", "Range"}
# Constants of a TFLite file that its own engine computes with as integers.
_INTEGERS = {"i4", "u4", "i8", "u8", "i16"}
_ARM = ("aarch64", "arm64")
_SETTINGS = {
    "PERFORMANCE_HINT": "LATENCY",
    # Else it would compute in bfloat16 or float16 where the CPU can, and quantize activations of its own accord.
    "INFERENCE_PRECISION_HINT": "f32",
    "EXECUTION_MODE_HINT": "ACCURACY",
    # Predictors of one process would all sit on the same cores.
    "ENABLE_CPU_PINNING": False,
}
# Where in its source a complaint was raised, which begins each line of one.
_WHERE = re.compile(r"(?:Exception from |Check '[^\n]*' failed at )\S*src/\S+:\d+:?")
_LONGEST = 300
# What its generator of machine code says where the memory that it has written may not be run.
_CANNOT_RUN = "can't protect"

# One for each input; None for any that they may have.
_Shapes = tuple[tuple[int | None, ...], ...] | None


class _Core:
    """The one Core of a process: with several, what the first ones have opened crashes when these are gone."""

    def __init__(self) -> None:
        self._core: Any = openvino.Core()
        self._making = RLock()
        survive_fork(self)

    def __call__(self) -> Any:
        """Return it."""
        with self._making:
            self._core = self._core or openvino.Core()
            return self._core

    def after_fork(self) -> object:
        """See survive_fork."""
        core, self._core = self._core, None
        # The lock may have been held by a thread that is not there any more.
        self._making = RLock()
        return core


_core = _Core()


class _Request:
    """A model that was compiled for inputs of some shapes, with a request, and the arrays that it is bound to."""

    __slots__ = ("_bound", "compiled", "infer", "inputs", "outputs", "request")

    def __init__(self, compiled: Any, *, fixed: bool) -> None:
        self.compiled, self.request = compiled, compiled.create_infer_request()
        self.infer = self.request.infer
        self.inputs: list[Tensor] = []
        self.outputs: list[Tensor] = []
        # Arrays that are filled and read at each call are faster than tensors that are given and taken.
        if fixed and all(port.partial_shape.is_static for port in compiled.outputs):
            self.inputs, self.outputs = (
                [np.zeros(tuple(port.shape), port.element_type.to_dtype()) for port in side]
                for side in (compiled.inputs, compiled.outputs)
            )
        self._bound = [
            [openvino.Tensor(each, shared_memory=True) for each in side] for side in (self.inputs, self.outputs)
        ]
        for bind, tensors in zip(
            (self.request.set_input_tensor, self.request.set_output_tensor), self._bound, strict=True
        ):
            for place, tensor in enumerate(tensors):
                bind(place, tensor)

    def answer_one(self, tensor: Tensor) -> Tensor:
        """Return the only output for the only input, of a model whose shapes are fixed."""
        self.inputs[0][...] = tensor
        self.infer(share_outputs=True)
        return self.outputs[0].copy()

    def answer(self, tensors: Sequence[Tensor]) -> list[Tensor]:
        """Return the outputs for the inputs."""
        if self.inputs:
            for bound, tensor in zip(self.inputs, tensors, strict=True):
                bound[...] = tensor
            self.infer(share_outputs=True)
            return [bound.copy() for bound in self.outputs]
        request = self.request
        for place, tensor in enumerate(tensors):
            request.set_input_tensor(place, openvino.Tensor(np.ascontiguousarray(tensor)))
        self.infer(share_outputs=True)
        return [request.get_output_tensor(place).data.copy() for place in range(len(request.model_outputs))]


class _Slot(Slot):
    """A place for the model as it was compiled for single samples, if it may be, and for any shapes."""

    __slots__ = ("any",)

    def empty(self) -> None:
        """See Slot.empty."""
        self.opened = self.any = None


class OpenvinoEngine(PooledEngine):
    """A model, compiled once for each thread that uses it at a time: one alone would make them wait for each other."""

    slot = _Slot

    def __init__(self, origin: Origin) -> None:
        self._origin = origin
        model = _read(origin)
        self.version = openvino.__version__.partition("-")[0]
        self.inputs, self.outputs = (
            distinct(tuple(_spec(port, origin) for port in side)) for side in (model.inputs, model.outputs)
        )
        if not self.inputs or not self.outputs:
            raise ArtefactError(
                f"{origin.name}: got {len(self.inputs)} inputs and {len(self.outputs)} outputs, "
                "expected at least one each"
            )
        _check_operators(model, origin)
        self._free = any(None in tensor.shape for tensor in self.inputs)
        # Where the batch alone is free, a single sample gets a model that is compiled for it: it is twice as fast.
        by_sample = all(tensor.shape[:1] == (None,) and None not in tensor.shape[1:] for tensor in self.inputs)
        self._one = tuple((1, *tensor.shape[1:]) for tensor in self.inputs) if self._free and by_sample else None
        self._wide = [place for place, tensor in enumerate(self.inputs) if tensor.dtype == "int64"]
        self._empty_axes = EmptyAxes(origin, [tensor.name for tensor in self.inputs])
        first = self._compiled(model, self._one)
        self._by_sample = self._gives_one_for_one(first.compiled) if self._one else []
        # The usual call has nothing to look at beside the shape.
        plain = len(first.inputs) == len(first.outputs) == 1 and not self._wide
        self._plain_shape = first.inputs[0].shape if plain else None
        # By the shapes that they are for: what a handler uses, which cannot wait until a model is compiled.
        self._first = {self._one: first.compiled}
        super().__init__(threads=origin.threads, first=first)

    def open_one(self, slot: _Slot) -> _Request:
        """See PooledEngine.open_one."""
        return self._open(self._one, slot)

    def call_one(self, tensor: Tensor) -> Tensor:
        """See Engine.call_one."""
        if tensor.shape != self._plain_shape:
            return self.call((tensor,))[0]
        slot = self.take()
        try:
            answer: Tensor = slot.opened.answer_one(tensor)
        except BaseException as error:
            self._failed(slot, error)
            raise
        self.idle.put(slot)
        return answer

    def call(self, tensors: Sequence[Tensor]) -> Sequence[Tensor]:
        """See Engine.call."""
        for place in self._wide:
            self._check_wide(self.inputs[place].name, tensors[place])
        shapes = tuple(tensor.shape for tensor in tensors)
        if self._free and any(0 in shape for shape in shapes):
            self._empty_axes.check(shapes)
        slot = self.take()
        try:
            request = slot.opened
            if self._one is not None and shapes != self._one:
                slot.any = request = slot.any or self._open(None, slot)
            answers: list[Tensor] = request.answer(tensors)
        except BaseException as error:
            self._failed(slot, error)
            raise
        self.idle.put(slot)
        if any(len(answers[place]) != len(tensors[0]) for place in self._by_sample):
            raise _wrong(
                self._origin, f"gives {len(answers[self._by_sample[0]])} answers for {len(tensors[0])} samples"
            )
        return answers

    def _failed(self, slot: _Slot, error: BaseException) -> None:
        """Give up what a slot held; raise InputError for what OpenVINO itself has raised."""
        self.give_up(slot)
        if isinstance(error, RuntimeError) and raised_within(error, "openvino"):
            raise InputError(f"{self._origin.name}: openvino cannot compute this input ({_reason(error)})") from error

    def _gives_one_for_one(self, compiled: Any) -> list[int]:
        """Return the outputs of one answer a sample; raises WrongEngineError for several for one, as it has given."""
        by_sample = []
        for place, (port, output) in enumerate(zip(compiled.outputs, self.outputs, strict=True)):
            if output.shape[:1] == (None,) and port.partial_shape[0].is_static:
                if port.partial_shape[0].get_length() != 1:
                    raise _wrong(self._origin, f"gives {port.partial_shape} for {output} of one sample")
                by_sample.append(place)
        return by_sample

    def _open(self, shapes: _Shapes, slot: _Slot) -> _Request:
        """Return a request for inputs of these shapes, of a model of its own or, below another call, of that one's."""
        if slot.below and shapes in self._first:
            return _Request(self._first[shapes], fixed=shapes is not None or not self._free)
        request = self._compiled(_read(self._origin), shapes)
        self._first.setdefault(shapes, request.compiled)
        return request

    def _compiled(self, model: Any, shapes: _Shapes) -> _Request:
        """Return a model compiled for inputs of these shapes, or of any that it takes."""
        settings = {**_SETTINGS, "INFERENCE_NUM_THREADS": self._origin.threads}
        try:
            if shapes is not None:
                model.reshape({port: list(shape) for port, shape in zip(model.inputs, shapes, strict=True)})
            fixed = shapes is not None or not self._free
            if self._origin.cache:
                return _Request(self._kept(model, shapes, settings), fixed=fixed)
            return _Request(_core().compile_model(model, "CPU", settings), fixed=fixed)
        except RuntimeError as error:
            raise _refusal(error, self._origin) from error

    def _kept(self, model: Any, shapes: _Shapes, settings: dict[str, Any]) -> Any:
        """Return the compiled model of the user's cache, or compile it and keep it there."""
        # Those who have no cache need none of it.
        from edgeport.runtime.engines.compiled import CompiledFolder, machine_facts

        content = self._origin.content
        folder = CompiledFolder(self._origin.cache)
        facts = {
            **machine_facts(),
            "artefact": sha256_hex([content], size=len(content)),
            "openvino": openvino.__version__,
            "settings": settings,
            "shapes": shapes,
        }
        compiled = folder.find(facts)
        if compiled is not None:
            try:
                # It keeps the settings of none.
                return _core().import_model(BytesIO(compiled), "CPU", settings)
            except RuntimeError as error:
                raise folder.damaged(facts, _reason(error)) from error
        made = _core().compile_model(model, "CPU", settings)
        folder.keep(facts, made.export_model().getvalue())
        return made

    def _check_wide(self, name: str, tensor: Tensor) -> None:
        if _beyond_32_bits(tensor):
            raise InputError(
                f"{self._origin.name}: got values from {tensor.min()} to {tensor.max()} for {name}, expected {_LOWEST} "
                f"to {_HIGHEST}: openvino computes integers in 32 bits; load the file with another engine"
            )


def open_engine(origin: Origin) -> OpenvinoEngine:
    """Open a file's bytes.

    Raises:
        ArtefactError: OpenVINO refuses the file.
        WrongEngineError: It would compute it otherwise than the file says.
    """
    return OpenvinoEngine(origin)


def import_package(package: str) -> None:
    """Import what opens a file, which has come with this module."""


def _read(origin: Origin) -> Any:
    """Return the file as OpenVINO's own graph."""
    try:
        if origin.format == "onnx":
            return _core().read_model(origin.content)
        # It takes TFLite from files alone, by their suffix.
        with temporary_folder() as folder:
            path = folder / "model.tflite"
            path.write_bytes(origin.content)
            return _core().read_model(str(path))
    except RuntimeError as error:
        raise _refusal(error, origin) from error
    except OSError as error:
        why = full_temporary_folder(error) or f"cannot write temporary files to TMPDIR ({error.strerror})"
        raise InputError(f"{origin.name}: openvino reads TFLite from a file of its own: {why}") from error


def _refusal(error: RuntimeError, origin: Origin) -> Exception:
    """Return what to raise for a file that OpenVINO does not take."""
    if not raised_within(error, "openvino"):
        return error
    return ArtefactError(f"{origin.name}: openvino cannot open it ({_reason(error)})")


def _reason(error: RuntimeError) -> str:
    words = " ".join(_WHERE.sub(" ", str(error)).split())
    if words == _CANNOT_RUN:
        return "it writes machine code while it runs, which this process may not: MemoryDenyWriteExecute of a service"
    return words if len(words) <= _LONGEST else f"{words[:_LONGEST]} ..."


def _check_operators(model: Any, origin: Origin) -> None:
    """Raise WrongEngineError for a model that OpenVINO would compute otherwise, without a word."""
    for operator in model.get_ordered_ops():
        kinds = {output.element_type.get_type_name() for output in operator.outputs()}
        kind = operator.get_type_name()
        if "f64" in kinds:
            raise _wrong(origin, f"computes in float64 ({operator.get_friendly_name()}), which it does in float32")
        if origin.format == "tflite" and (kind == "FakeQuantize" or (kind == "Constant" and kinds & _INTEGERS)):
            raise _wrong(origin, "holds integers, which it computes otherwise than TensorFlow Lite does")
        if kind == "FakeQuantize" and platform.machine() in _ARM:
            raise _wrong(origin, "holds integers: on ARM openvino opens only some such files, and rounds differently")
        if kind == "Constant" and kinds & {"i64", "u64"} and _is_wide(operator):
            raise _wrong(origin, "holds a number of more than 32 bits, and it computes integers in 32")


def _is_wide(constant: Any) -> bool:
    """Return whether a constant that is more than the end of an axis goes beyond 32 bits."""
    if not _beyond_32_bits(constant.get_data()):
        return False
    users = {each.get_node().get_type_name() for each in constant.output(0).get_target_inputs()}
    return not users <= _OF_AXES


def _beyond_32_bits(values: Tensor) -> bool:
    return bool(values.size) and (int(values.min()) < _LOWEST or int(values.max()) > _HIGHEST)


def _wrong(origin: Origin, why: str) -> WrongEngineError:
    others = [name for name, row in ENGINES.items() if origin.format in row.formats and name != origin.package]
    return WrongEngineError(f"{origin.name}: not for openvino: it {why}; take {' or '.join(others)}")


def _spec(port: Any, origin: Origin) -> TensorSpec:
    kind, names = port.element_type.get_type_name(), port.get_names()
    name = min(names, default=port.get_node().get_friendly_name())
    if len(names) > 1:
        raise _wrong(origin, f"has several names for one tensor ({', '.join(sorted(names))})")
    if kind not in _DTYPES:
        raise ArtefactError(f"{origin.name}: its tensor {name} is a {kind}, which edgeport cannot feed to openvino")
    return TensorSpec(
        name=name,
        shape=tuple(axis.get_length() if axis.is_static else None for axis in port.partial_shape),
        dtype=_DTYPES[kind],
    )
