"""TFLiteConverter on a frozen graph, with the ranges of activations that any method finds."""

from collections.abc import Collection, Iterable, Sequence
from types import SimpleNamespace
from typing import Any

import tensorflow as tf
from ai_edge_litert.interpreter import Interpreter, OpResolverType
from tensorflow.lite.python.conversion_metadata_schema_py_generated import ModelType
from tensorflow.lite.python.convert import mlir_quantize
from tensorflow.lite.tools import flatbuffer_utils

from edgeport.export.conversion.ranges.histogram import Histogram
from edgeport.export.conversion.ranges.methods import MINMAX, range_of
from edgeport.export.graphs.graph import Graph, live_graph


class Seen:
    """What one pass over the calibration samples has shown of a model, for all methods.

    Attributes:
        calibrated: The float model with the least and the largest value of each activation; empty before the pass.
        histograms: The values of each activation, by its place in the file; empty until a method asks for them.
    """

    def __init__(self) -> None:
        self.calibrated = b""
        self.histograms: dict[int, Histogram] = {}


class FrozenGraphConverter(tf.lite.TFLiteConverter):  # type: ignore[misc]
    """TFLiteConverter on a graph whose weights are constants already.

    ``from_concrete_functions`` would make a function of the graph and freeze that again, with ten copies of all weights
    on the way.

    Attributes:
        method: How 8-bit activations get their ranges: see ``range_of``.
        kept: The tensors whose ranges are the least and the largest value all the same.
        seen: What converters of the same graph and samples share.
    """

    def __init__(self, graph: Graph, *, kept: Collection[str] = ()) -> None:
        live = live_graph(graph.definition)
        super().__init__([SimpleNamespace(graph=live)])
        self._metadata.environment.modelType = ModelType.TF_CONCRETE_FUNCTIONS
        self._frozen = graph
        self.method, self.kept, self.seen = MINMAX, kept, Seen()
        self._experimental_calibrate_only: bool = False
        self._inputs, self._outputs = (
            [live.get_tensor_by_name(f"{port.name}:0") for port in ports] for ports in (graph.inputs, graph.outputs)
        )

    def _freeze_concrete_function(self) -> tuple[Any, list[Any], list[Any], Any]:
        return self._frozen.definition, self._inputs, self._outputs, None

    def _quantize(self, result: bytes, *settings: Any) -> Any:
        """Quantize with the ranges that the method finds, which TensorFlow has no word for."""
        input_type, output_type, activations, *_, with_variables, debugging = settings
        if activations == tf.int16:
            return super()._quantize(result, *settings)
        if not self.seen.calibrated:
            wanted, self._experimental_calibrate_only = self._experimental_calibrate_only, True
            self.seen.calibrated = super()._quantize(result, *settings)
            self._experimental_calibrate_only = wanted
        calibrated = self.seen.calibrated if self.method == MINMAX else self._with_ranges()
        if self._experimental_calibrate_only:
            return calibrated
        return mlir_quantize(
            calibrated,
            input_data_type=input_type,
            output_data_type=output_type,
            enable_variable_quantization=with_variables,
            debug_options_str=debugging.SerializeToString(),
        )

    def _with_ranges(self) -> bytes:
        """Return the calibrated model with other ranges."""
        model = flatbuffer_utils.read_model_from_bytearray(bytearray(self.seen.calibrated))
        tensors = model.subgraphs[0].tensors
        if not self.seen.histograms:
            samples = self.representative_dataset
            samples = samples.input_gen if isinstance(samples, tf.lite.RepresentativeDataset) else samples
            places = [place for place, tensor in enumerate(tensors) if _has_range(tensor, self.kept)]
            self.seen.histograms = _histograms(self.seen.calibrated, places, samples())
        for place, histogram in self.seen.histograms.items():
            if histogram.counts.any():
                low, high = range_of(histogram, self.method)
                tensors[place].quantization.min, tensors[place].quantization.max = [low], [high]
        return bytes(flatbuffer_utils.convert_object_to_bytearray(model))


def _has_range(tensor: Any, kept: Collection[str]) -> bool:
    quantization = tensor.quantization
    has_one = quantization is not None and quantization.min is not None and len(quantization.min) == 1
    return has_one and (tensor.name or b"").decode() not in kept


def _histograms(calibrated: bytes, places: Sequence[int], samples: Iterable[Sequence[Any]]) -> dict[int, Histogram]:
    """Return the values of some tensors.

    Args:
        calibrated: The model.
        places: The tensors.
        samples: For each call an array for each input, in the model's order.
    """
    histograms = {place: Histogram() for place in places}
    # The plain kernels leave every tensor in place.
    interpreter = Interpreter(
        model_content=calibrated,
        num_threads=1,
        experimental_op_resolver_type=OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES,
        experimental_preserve_all_tensors=True,
    )
    inputs = [details["index"] for details in interpreter.get_input_details()]
    for number, sample in enumerate(samples):
        if not number:
            for place, array in zip(inputs, sample, strict=True):
                interpreter.resize_tensor_input(place, array.shape)
            interpreter.allocate_tensors()
        for place, array in zip(inputs, sample, strict=True):
            interpreter.set_tensor(place, array)
        interpreter.invoke()
        for place, histogram in histograms.items():
            histogram.add(interpreter.get_tensor(place))
    return histograms
