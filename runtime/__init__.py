"""Predict with an exported artefact: numpy and one engine, nothing else.

To begin:

    from edgeport.runtime import load

    predictor = load("edge.int8.tflite")
    probabilities = predictor.predict(images)  # uint8 (n, 28, 28) -> float32 (n, 10)
"""

import os
from typing import TYPE_CHECKING

from edgeport.runtime.host.lazy_names import lazy_names

# onnxruntime from 1.29 on reports to its maker which models it runs, and the thread that does so keeps forked children
# from ending. It looks at this variable when it is first imported; whoever has set it already keeps what they set.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")

if TYPE_CHECKING:
    from edgeport.runtime.artefact.embedded_metadata import EmbeddedMetadata
    from edgeport.runtime.artefact.spec import Spec, TensorSpec
    from edgeport.runtime.errors import ArtefactError, EdgeportError, InputError, MissingDependencyError
    from edgeport.runtime.prediction.classification import Classification
    from edgeport.runtime.prediction.loading import load
    from edgeport.runtime.prediction.predictor import Predictor

__all__ = [
    "ArtefactError",
    "Classification",
    "EdgeportError",
    "EmbeddedMetadata",
    "InputError",
    "MissingDependencyError",
    "Predictor",
    "Spec",
    "TensorSpec",
    "load",
]

__getattr__ = lazy_names(
    __name__,
    {
        "ArtefactError": "errors",
        "EmbeddedMetadata": "artefact.embedded_metadata",
        "Classification": "prediction.classification",
        "EdgeportError": "errors",
        "InputError": "errors",
        "MissingDependencyError": "errors",
        "Predictor": "prediction.predictor",
        "Spec": "artefact.spec",
        "TensorSpec": "artefact.spec",
        "load": "prediction.loading",
    },
)
