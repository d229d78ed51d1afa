"""Runs .onnx artefacts with onnxruntime on the CPU."""

from collections.abc import Mapping

import onnxruntime

from edgeport.runtime.card import Card
from edgeport.runtime.errors import ArtefactError
from edgeport.runtime.predictor import Predictor, Tensor
from edgeport.runtime.spec import Spec, TensorSpec

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


class OnnxPredictor(Predictor):
    """One onnxruntime session; sessions are safe to share between threads as they are."""

    def __init__(self, session: onnxruntime.InferenceSession, spec: Spec) -> None:
        super().__init__(spec)
        self._session = session
        self._outputs = [tensor.name for tensor in spec.outputs]
        self._first_output = self._outputs[:1]

    def run(self, tensor: Tensor) -> Tensor:
        """See Predictor.run."""
        self._check_tensor(tensor)
        answer: Tensor = self._session.run(self._first_output, {self.spec.input.name: tensor})[0]
        return answer

    def run_named(self, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """See Predictor.run_named."""
        self._check_tensors(tensors)
        return dict(zip(self._outputs, self._session.run(self._outputs, dict(tensors)), strict=True))


def open_predictor(content: bytes, *, name: str, card: Card | None, engine: str, threads: int) -> OnnxPredictor:
    """Open an ONNX file's bytes; raises ArtefactError if onnxruntime refuses them.

    Args:
        content: The whole file.
        name: What to call the file.
        card: What the file says about itself, if anything.
        engine: ``onnxruntime``, the only one.
        threads: How many threads a single operator may use.
    """
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    # Warnings about a model's inner life are for its exporter, not for those who run it.
    options.log_severity_level = 3
    try:
        session = onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # onnxruntime's errors share no base class below Exception
        raise ArtefactError(f"{name}: onnxruntime cannot open it ({' '.join(str(error).split())})") from error
    inputs, outputs = session.get_inputs(), session.get_outputs()
    if not inputs or not outputs:
        raise ArtefactError(f"{name}: got {len(inputs)} inputs and {len(outputs)} outputs, expected at least one each")
    spec = Spec(
        name=name,
        format="onnx",
        engine=engine,
        engine_version=onnxruntime.__version__,
        threads=threads,
        inputs=tuple(_tensor_spec(tensor, name) for tensor in inputs),
        outputs=tuple(_tensor_spec(tensor, name) for tensor in outputs),
        card=card,
    )
    return OnnxPredictor(session, spec)


def _tensor_spec(tensor: onnxruntime.NodeArg, artefact: str) -> TensorSpec:
    if tensor.type not in _DTYPES:
        raise ArtefactError(f"{artefact}: its tensor {tensor.name} is a {tensor.type}, which edgeport cannot feed")
    return TensorSpec(
        name=tensor.name,
        shape=tuple(axis if isinstance(axis, int) else None for axis in tensor.shape),
        dtype=_DTYPES[tensor.type],
    )
