"""An engine that is none of edgeport's: ONNX' own reference, written as a new engine's module would be."""

from collections.abc import Sequence

import numpy as np
import onnx
from onnx.reference import ReferenceEvaluator

from edgeport.runtime.artefact.spec import TensorSpec
from edgeport.runtime.engines.protocol import Origin


class ReferenceEngine:
    def __init__(self, origin: Origin) -> None:
        model = onnx.load_from_string(origin.content)
        self._evaluator = ReferenceEvaluator(model)
        self.version = onnx.__version__
        self.inputs, self.outputs = (tuple(map(_spec, side)) for side in (model.graph.input, model.graph.output))

    def call_one(self, tensor: np.ndarray) -> np.ndarray:
        return self.call([tensor])[0]

    def call(self, tensors: Sequence[np.ndarray]) -> Sequence[np.ndarray]:
        return self._evaluator.run(None, {spec.name: each for spec, each in zip(self.inputs, tensors, strict=True)})


def open_engine(origin: Origin) -> ReferenceEngine:
    return ReferenceEngine(origin)


def import_package(package: str) -> None:
    """It has come with this module."""


def _spec(value: onnx.ValueInfoProto) -> TensorSpec:
    tensor = value.type.tensor_type
    shape = tuple(axis.dim_value if axis.HasField("dim_value") else None for axis in tensor.shape.dim)
    return TensorSpec(value.name, shape, onnx.helper.tensor_dtype_to_np_dtype(tensor.elem_type).name)
