"""What is done to an ONNX model between tf2onnx and the file: one pass a module."""
