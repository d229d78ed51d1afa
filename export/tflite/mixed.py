"""TFLite models in integers but for some layers."""

from collections.abc import Sequence
from typing import Any

import tensorflow as tf

from edgeport.export.conversion.options import Options, check_layers
from edgeport.export.graphs.places import layers_of_tflite_tensor
from edgeport.export.parts.tflite import TfliteParts
from edgeport.runtime.errors import InputError

_debugging = tf.lite.experimental


def with_layers_in_floats(converter: Any, layers: Sequence[str], options: Options) -> bytes:
    """Return a model in integers, with some of its layers in floats.

    Args:
        converter: A TFLiteConverter that would make int8 of it.
        layers: See Graph.
        options: Which layers, and the type of inputs and outputs.

    Raises:
        InputError: A layer has no operator of its own, or inputs shall be uint8.
    """
    if options.tensor_type == "uint8":
        raise InputError("--tensor-type: got uint8 with --keep-float, expected int8 or float32")
    quantizer = _debugging.QuantizationDebugger(
        converter=converter, debug_options=_choice((), in_integers=options.tensor_type == "int8")
    )
    calibrated = TfliteParts(quantizer.calibrated_model)
    outputs = {name: layers_of_tflite_tensor(name, layers) for each in calibrated.operators for name in each.outputs}
    check_layers(options.keep_float, {layer for found in outputs.values() for layer in found})
    kept = [name for name, found in outputs.items() if set(found) & set(options.keep_float)]
    quantizer.options = _choice(kept, in_integers=options.tensor_type == "int8")
    content: bytes = quantizer.get_nondebug_quantized_model()
    return content


def _choice(kept: Sequence[str], *, in_integers: bool) -> Any:
    return _debugging.QuantizationDebugOptions(denylisted_nodes=list(kept) or None, fully_quantize=in_integers)
