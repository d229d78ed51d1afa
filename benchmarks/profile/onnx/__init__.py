"""Profiles of ONNX artefacts."""
