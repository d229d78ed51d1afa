"""How tf2onnx shall convert a choice between two tensors.

Its own way is ``condition * x + (1 - condition) * y``: NaN wherever the branch that is not taken is infinite or NaN, as
in ``where(x > 0, log(x), 0)``, and never -0.0.
"""

from typing import Any

from onnx import TensorProto
from tf2onnx.handler import tf_op
from tf2onnx.onnx_opset import controlflow

_REAL = (TensorProto.FLOAT, TensorProto.DOUBLE)


@tf_op(["Select", "SelectV2"])
class Select(controlflow.Select):  # type: ignore[misc]
    """A choice between real numbers, by ONNX's own operator for it."""

    @classmethod
    def version_9(cls, ctx: Any, node: Any, **options: Any) -> None:
        """Convert for opset 9 and later."""
        node.set_attr("handles_nan", ctx.get_dtype(node.output[0]) in _REAL)
        super().version_9(ctx, node, **options)
