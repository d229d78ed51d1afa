"""TFLite models in integers but for some layers."""

from collections.abc import Collection, Sequence
from typing import Any

from tensorflow.lite.python.convert import mlir_quantize

from edgeport.export.conversion.mixing import PORTS
from edgeport.export.conversion.options import Options, check_layers
from edgeport.export.graphs.places import layers_of_tflite_tensor, owner_of
from edgeport.export.parts.tflite import TfliteParts


class Mixer:
    """Makes models in integers with some of their layers in floats; calibrates once for all of them.

    It takes the two steps of TensorFlow's QuantizationDebugger, which makes a second model to be debugged each time,
    and cannot do that where no layer is left in integers.
    """

    def __init__(self, converter: Any, layers: Sequence[str], options: Options) -> None:
        """Calibrate.

        Args:
            converter: A TFLiteConverter that would make int8 of it.
            layers: See Graph.
            options: The type of inputs and outputs.
        """
        self._in_integers = options.tensor_type == "int8"
        converter._experimental_calibrate_only = True
        self._calibrated: bytes = converter.convert()
        self._per_tensor = converter._experimental_disable_per_channel
        calibrated = TfliteParts(self._calibrated)
        self._layers = {}
        for each in calibrated.operators:
            constants = [name for name in each.inputs if name in calibrated.constants]
            owner = owner_of((each.name, *constants), layers, format="tflite")
            for name in each.outputs:
                if name not in calibrated.constants:
                    self._layers[name] = {owner, *layers_of_tflite_tensor(name, layers)}

    @property
    def layers(self) -> frozenset[str]:
        """The layers that can stay in floats, and the tensors of what is in no layer."""
        ports = [PORTS] if self._in_integers else []
        return frozenset([*ports, *(name for found in self._layers.values() for name in found)])

    def __call__(self, in_floats: Collection[str]) -> bytes:
        """Return the model.

        Args:
            in_floats: The layers that stay in floats; what is in no layer goes by the name of the tensor that it
                writes.

        Raises:
            InputError: One of them has no operator of its own.
        """
        check_layers(in_floats, self.layers)
        kept = [name for name, found in self._layers.items() if found.intersection(in_floats)]
        content: bytes = mlir_quantize(
            self._calibrated,
            disable_per_channel=self._per_tensor,
            fully_quantize=self._in_integers and PORTS not in in_floats,
            denylisted_nodes=kept or None,
        )
        return content
