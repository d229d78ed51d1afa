"""tf2onnx's own way to an int8 ONNX file: from the int8 TFLite file."""

from pathlib import Path

import tf2onnx

OPSET = 17


def convert(tflite: Path, onnx: Path) -> None:
    """Write the ONNX file that tf2onnx makes of a TFLite file; it keeps the integers, and their types outside.

    Args:
        tflite: An int8 file.
        onnx: Where the result goes.
    """
    tf2onnx.convert.from_tflite(str(tflite), opset=OPSET, output_path=str(onnx))
