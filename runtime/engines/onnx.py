"""Runs .onnx artefacts with onnxruntime on the CPU."""

from collections.abc import Sequence

import onnxruntime

from edgeport.runtime.artefact.spec import TensorSpec
from edgeport.runtime.engines.protocol import Origin
from edgeport.runtime.engines.signal_errors import raised_within
from edgeport.runtime.errors import ArtefactError, InputError
from edgeport.runtime.tensors.arrays import Tensor

_DTYPES = {
    "tensor(float)": "float32",
    "tensor(float16)": "float16",
    "tensor(double)": "float64",
    "tensor(int8)": "int8",
    "tensor(uint8)": "uint8",
    "tensor(int16)": "int16",
    "tensor(int32)": "int32",
    "tensor(int64)": "int64",
    "tensor(bool)": "bool",
}


class OnnxEngine:
    """One onnxruntime session; sessions are safe to share between threads as they are."""

    def __init__(self, origin: Origin, session: onnxruntime.InferenceSession) -> None:
        self._name = origin.name
        self._session = session
        self.version = onnxruntime.__version__
        self.inputs, self.outputs = (
            tuple(_spec(tensor, origin.name) for tensor in side)
            for side in (session.get_inputs(), session.get_outputs())
        )
        if not self.inputs or not self.outputs:
            raise ArtefactError(
                f"{origin.name}: got {len(self.inputs)} inputs and {len(self.outputs)} outputs, "
                "expected at least one each"
            )
        self._input = self.inputs[0].name
        self._outputs = [tensor.name for tensor in self.outputs]
        self._first_output = self._outputs[:1]

    def call_one(self, tensor: Tensor) -> Tensor:
        """See Engine.call_one."""
        try:
            answer: Tensor = self._session.run(self._first_output, {self._input: tensor})[0]
        except Exception as error:  # onnxruntime's errors share no base class below Exception
            if not raised_within(error, "onnxruntime"):
                raise
            raise self._refused(error) from error
        return answer

    def call(self, tensors: Sequence[Tensor]) -> Sequence[Tensor]:
        """See Engine.call."""
        named = {spec.name: tensor for spec, tensor in zip(self.inputs, tensors, strict=True)}
        try:
            answers: Sequence[Tensor] = self._session.run(self._outputs, named)
        except Exception as error:  # onnxruntime's errors share no base class below Exception
            if not raised_within(error, "onnxruntime"):
                raise
            raise self._refused(error) from error
        return answers

    def _refused(self, error: Exception) -> InputError:
        return InputError(f"{self._name}: onnxruntime cannot compute this input ({' '.join(str(error).split())})")


def import_package(package: str) -> None:
    """Import what opens a file, which has come with this module."""


def open_engine(origin: Origin) -> OnnxEngine:
    """Open an ONNX file's bytes; raises ArtefactError if onnxruntime refuses them."""
    options = session_options(origin.threads)
    try:
        session = onnxruntime.InferenceSession(origin.content, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # onnxruntime's errors share no base class below Exception
        if not raised_within(error, "onnxruntime"):
            raise
        raise ArtefactError(f"{origin.name}: onnxruntime cannot open it ({' '.join(str(error).split())})") from error
    return OnnxEngine(origin, session)


def session_options(threads: int) -> onnxruntime.SessionOptions:
    """Return the options that files are opened with; ``docs/results/session-options.json`` has what others take."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    # Warnings about a model's inner life are for its exporter, and errors are raised: they need not be printed too.
    options.log_severity_level = 4
    return options


def _spec(tensor: onnxruntime.NodeArg, artefact: str) -> TensorSpec:
    if tensor.type not in _DTYPES:
        raise ArtefactError(f"{artefact}: its tensor {tensor.name} is a {tensor.type}, which edgeport cannot feed")
    return TensorSpec(
        name=tensor.name,
        shape=tuple(axis if isinstance(axis, int) else None for axis in tensor.shape),
        dtype=_DTYPES[tensor.type],
    )
