"""The precisions that TFLite knows: what each asks of the converter, and what its integers lack."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import tensorflow as tf

from edgeport.export.graphs.graph import Graph
from edgeport.export.tflite.substitutes import without_reversals, without_squared_differences

_OPS = tf.lite.OpsSet


@dataclass(frozen=True)
class Integers:
    """What activations in integers are, and can.

    Attributes:
        operators: The sets of operators that the converter may use.
        steps: How many steps the range of an activation has.
        substitutes: What is done to the graph for the operators that they lack.
        compared: Whether inputs may be compared with constants; else that stays in floats.
        fed: Whether inputs may be integers of the model's own, such as tokens.
        port_types: Whether the inputs and outputs of a file may be of another type.
    """

    operators: tuple[Any, ...]
    steps: int
    substitutes: tuple[Callable[[Graph], Graph], ...]
    compared: bool = True
    fed: bool = True
    port_types: bool = True


@dataclass(frozen=True)
class Scheme:
    """How the converter makes one precision.

    Attributes:
        optimized: Whether it stores weights smaller than they are.
        weights: The type of weights that stay floats; None for float32, or for what the converter takes by itself.
        integers: What its activations are in integers; None if they are floats.
    """

    optimized: bool = True
    weights: Any = None
    integers: Integers | None = None


_INT8 = Integers((_OPS.TFLITE_BUILTINS_INT8,), 255, (without_reversals,))
SCHEMES = {
    "float32": Scheme(optimized=False),
    "float16": Scheme(weights=tf.float16),
    "dynamic": Scheme(),
    "int8": Scheme(integers=_INT8),
    "int16x8": Scheme(
        integers=Integers(
            (_OPS.EXPERIMENTAL_TFLITE_BUILTINS_ACTIVATIONS_INT16_WEIGHTS_INT8, _OPS.TFLITE_BUILTINS),
            65_535,
            (without_reversals, without_squared_differences),
            compared=False,
            fed=False,
            port_types=False,
        )
    ),
    "mixed": Scheme(integers=_INT8),
}
