"""An ONNX graph pass: sizes that tf2onnx writes in a way that ONNX reads otherwise."""

import numpy as np
import onnx
from onnx import numpy_helper

from edgeport.export.onnx.passes.graph_queries import axis_lengths


def mend_sizes(model: onnx.ModelProto) -> None:
    """Mend each Resize whose output would be a pixel short, and each ConvTranspose whose padding is negative.

    The graph is changed in place.
    """
    shapes = axis_lengths(model)
    constants = {tensor.name: tensor for tensor in model.graph.initializer}
    for node in model.graph.node:
        if node.op_type == "Resize" and len(node.input) > 2 and node.input[2] in constants:
            _round_up(constants[node.input[2]], shapes.get(node.input[0], []))
        elif node.op_type == "ConvTranspose":
            _pad_output(node)


def _round_up(constant: onnx.TensorProto, lengths: list[int]) -> None:
    """Make the scales so large that ``floor(length * scale)`` is the length that was meant.

    From 9 to 17 pixels the scale is 17 / 9, the nearest float32 is a little less, and ONNX gets 16 pixels.
    """
    scales = numpy_helper.to_array(constant).copy()
    # A Resize to given sizes has no scales.
    for axis, length in enumerate(lengths[: len(scales)]):
        wanted = round(float(scales[axis]) * length)
        while 0 < wanted - float(scales[axis]) * length < 1e-3:
            scales[axis] = np.nextafter(scales[axis], np.float32(np.inf))
    constant.CopyFrom(numpy_helper.from_array(scales, constant.name))


def _pad_output(node: onnx.NodeProto) -> None:
    """Turn negative padding at the end, which ONNX forbids, into the output padding that it stands for."""
    attributes = {attribute.name: attribute for attribute in node.attribute}
    pads = list(attributes["pads"].ints) if "pads" in attributes else []
    ends = pads[len(pads) // 2 :]
    if not any(pad < 0 for pad in ends):
        return
    attributes["pads"].ints[:] = [*pads[: len(pads) // 2], *(max(pad, 0) for pad in ends)]
    extra = [max(-pad, 0) for pad in ends]
    if "output_padding" in attributes:
        node.attribute.remove(attributes["output_padding"])
    node.attribute.append(onnx.helper.make_attribute("output_padding", extra))
