"""Predict with an exported artefact: numpy and one engine, nothing else.

To begin::

    from edgeport.runtime import load

    predictor = load("edge.int8.tflite")
    probabilities = predictor.predict(images)  # uint8 (n, 28, 28) -> float32 (n, 10)
"""

from edgeport.runtime.card import Card
from edgeport.runtime.errors import (
    ArtefactError,
    EdgeportError,
    ExportError,
    InputError,
    MissingDependencyError,
)
from edgeport.runtime.loading import load
from edgeport.runtime.predictor import Predictor
from edgeport.runtime.spec import Spec, TensorSpec

__all__ = [
    "ArtefactError",
    "Card",
    "EdgeportError",
    "ExportError",
    "InputError",
    "MissingDependencyError",
    "Predictor",
    "Spec",
    "TensorSpec",
    "load",
]
