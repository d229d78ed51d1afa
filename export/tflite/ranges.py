"""A calibrated TFLite model with the ranges of another method than the smallest and the largest value."""

from collections.abc import Collection, Iterable, Sequence
from typing import Any

from ai_edge_litert.interpreter import Interpreter, OpResolverType
from tensorflow.lite.tools import flatbuffer_utils

from edgeport.export.conversion.ranges.histogram import Histogram
from edgeport.export.conversion.ranges.methods import range_of


def with_ranges(calibrated: bytes, samples: Iterable[Sequence[Any]], method: str, *, kept: Collection[str]) -> bytes:
    """Return a float model that has the range of each activation with other ranges.

    Args:
        calibrated: What TFLiteConverter makes before it quantizes.
        samples: For each call an array for each input, in the model's order.
        method: See ``range_of``.
        kept: The tensors whose ranges stay as they are.
    """
    model = flatbuffer_utils.read_model_from_bytearray(bytearray(calibrated))
    tensors = model.subgraphs[0].tensors
    histograms = {
        place: Histogram()
        for place, tensor in enumerate(tensors)
        if tensor.quantization is not None
        and tensor.quantization.min is not None
        and len(tensor.quantization.min) == 1
        and (tensor.name or b"").decode() not in kept
    }
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
    for place, histogram in histograms.items():
        if histogram.counts.any():
            low, high = range_of(histogram, method)
            tensors[place].quantization.min, tensors[place].quantization.max = [low], [high]
    return bytes(flatbuffer_utils.convert_object_to_bytearray(model))
