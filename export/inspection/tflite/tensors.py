"""The tensors of a TFLite file, with the flatbuffer classes that ai-edge-litert brings."""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from edgeport.export.inspection.facts import NARROW, Constant, bytes_of, elements_of, is_float
from edgeport.runtime.artefact.spec import TensorSpec

_DTYPES = {number: name.lower() for name, number in vars(schema.TensorType).items() if isinstance(number, int)}
_MOST_AXES = 32
_NUMBERS = {"int32": "<i4", "int64": "<i8"}
# Which inputs of an operator hold axes, sizes or places, or say how often something is done.
_REDUCED = ("MEAN", "SUM", "REDUCE_MAX", "REDUCE_MIN", "REDUCE_PROD", "REDUCE_ANY", "REDUCE_ALL", "ARG_MAX", "ARG_MIN")
_NO_WEIGHTS: dict[str, tuple[int, ...]] = {
    **dict.fromkeys(_REDUCED, (1,)),
    **dict.fromkeys(("RESHAPE", "TRANSPOSE", "EXPAND_DIMS", "TILE", "PAD", "MIRROR_PAD", "BROADCAST_TO"), (1,)),
    **dict.fromkeys(("RESIZE_BILINEAR", "RESIZE_NEAREST_NEIGHBOR", "TOPK_V2", "CUMSUM", "REVERSE_V2"), (1,)),
    **dict.fromkeys(("GATHER", "GATHER_ND"), (1,)),
    **dict.fromkeys(("TRANSPOSE_CONV", "CONV_3D_TRANSPOSE", "SPLIT", "FILL"), (0,)),
    **dict.fromkeys(("PADV2", "SLICE", "SPLIT_V", "SPACE_TO_BATCH_ND", "BATCH_TO_SPACE_ND"), (1, 2)),
    "STRIDED_SLICE": (1, 2, 3),
    "DYNAMIC_UPDATE_SLICE": (2,),
    "SCATTER_ND": (0, 2),
    "ONE_HOT": (0, 1, 2, 3),
    "RANGE": (0, 1, 2),
}


@dataclass(frozen=True)
class TfliteTensor:
    """One tensor of a TFLite file.

    Tensors that share a constant buffer share their key, and so are one constant. ``values`` are those of a few
    constant integers, such as the axes of a reduction.
    """

    key: str
    name: str
    dtype: str
    shape: tuple[int, ...]
    signature: tuple[int | None, ...]
    scales: tuple[float, ...]
    zero_points: tuple[int, ...]
    constant: Constant | None
    values: tuple[int, ...]

    @property
    def quantized(self) -> bool:
        """Whether its elements are integers that stand for real values."""
        return self.dtype in NARROW and bool(self.scales)


def read_tensor(table: Any, model: Any, content: bytes) -> TfliteTensor:
    """Return what a file says of a tensor.

    Args:
        table: The tensor in the schema's classes.
        model: The whole file in the schema's classes.
        content: The whole file.

    Raises:
        ValueError: The file contradicts itself.
    """
    shape = numbers(table.shape)
    if len(shape) > _MOST_AXES or any(axis < 0 for axis in shape):
        raise ValueError(f"a tensor of shape {shape[:_MOST_AXES]}")
    signature = numbers(table.shapeSignature)
    if len(signature) != len(shape):
        signature = shape
    quantization = table.quantization or schema.QuantizationParametersT()
    name, dtype = (table.name or b"").decode("utf-8", "replace"), _DTYPES[table.type]
    scales = numbers(quantization.scale)
    stored = _stored_bytes(model.buffers[table.buffer], content)
    constant, values = None, ()
    if (stored or table.externalBuffer) and not table.isVariable:
        expected = bytes_of(dtype, elements_of(shape))
        if stored and expected not in (None, stored) and table.sparsity is None:
            raise ValueError(f"{stored} bytes for {dtype} of shape {shape}")
        # Whether it holds weights, those who read it say.
        constant = Constant(name, dtype, shape, stored, weight=False, per_channel=len(scales) > 1)
        data = model.buffers[table.buffer].data
        if dtype in _NUMBERS and data is not None and 0 < stored <= 8 * _MOST_AXES and table.sparsity is None:
            values = numbers(np.frombuffer(data, _NUMBERS[dtype]))
    return TfliteTensor(
        key=(f"buffer {table.buffer}" if stored else f"external {id(table)}") if constant else "",
        name=name,
        dtype=dtype,
        shape=shape,
        signature=tuple(None if axis < 0 else axis for axis in signature),
        scales=scales,
        zero_points=numbers(quantization.zeroPoint),
        constant=constant,
        values=values,
    )


def _stored_bytes(buffer: Any, content: bytes) -> int:
    """Return how many bytes of the file a buffer takes: inside the flatbuffer, or behind it in files above 2 GB."""
    if buffer.data is not None and len(buffer.data):
        return len(buffer.data)
    # 0 and 1 stand for an offset that is not used.
    if buffer.offset > 1 and buffer.offset + buffer.size > len(content):
        raise ValueError(f"a buffer from byte {buffer.offset} on, behind the end")
    return int(buffer.size) if buffer.offset > 1 else 0


def is_weight(tensor: TfliteTensor, kind: str, position: int) -> bool:
    """Whether an operator of this kind reads a constant at this place as weights or biases."""
    if not tensor.shape or position in _NO_WEIGHTS.get(kind, ()):
        return False
    # Integers of 32 and 64 bits are biases if they have a scale, else axes and shapes.
    quantized = tensor.dtype.startswith("int") and bool(tensor.scales)
    return is_float(tensor.dtype) or tensor.dtype in NARROW or quantized


def spec_of(tensor: TfliteTensor) -> TensorSpec:
    """Return a tensor as every format describes its inputs and outputs."""
    scale, zero_point = 0.0, 0
    if len(tensor.scales) == 1 and math.isfinite(tensor.scales[0]):
        scale = tensor.scales[0]
        zero_point = tensor.zero_points[0] if len(tensor.zero_points) == 1 else 0
    return TensorSpec(tensor.name, tensor.signature, tensor.dtype, scale, zero_point)


def numbers(vector: Any) -> tuple[Any, ...]:
    """Return a list of the schema's classes, which may be missing, in Python's own types."""
    return () if vector is None else tuple(np.asarray(vector).tolist())
