"""An ONNX file taken apart."""
