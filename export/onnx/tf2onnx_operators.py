"""TensorFlow operators that tf2onnx does not know: Erfc (in gelu) and Expm1 (in celu)."""

from typing import Any

import numpy as np
from tf2onnx.handler import tf_op


@tf_op("Erfc")
class Erfc:
    """``erfc(x) = 1 - erf(x)``, the definition of the complementary error function."""

    @classmethod
    def version_9(cls, ctx: Any, node: Any, **options: Any) -> None:
        """Convert for opset 9 and later."""
        _difference(ctx, node, "Erf", one_first=True)


@tf_op("Expm1")
class Expm1:
    """``expm1(x) = exp(x) - 1``."""

    @classmethod
    def version_7(cls, ctx: Any, node: Any, **options: Any) -> None:
        """Convert for opset 7 and later."""
        _difference(ctx, node, "Exp", one_first=False)


def _difference(ctx: Any, node: Any, operator: str, *, one_first: bool) -> None:
    """Replace a node by ``1 - operator(x)`` or by ``operator(x) - 1``."""
    output = node.output[0]
    shape, dtype = ctx.get_shape(output), ctx.get_dtype(output)
    one = ctx.make_const(f"{node.name}/one", np.array(1, np.float32)).output[0]
    ctx.remove_node(node.name)
    inner = ctx.make_node(operator, node.input[:1]).output[0]
    sides = [one, inner] if one_first else [inner, one]
    ctx.make_node("Sub", sides, name=node.name, outputs=node.output, shapes=[shape], dtypes=[dtype])
