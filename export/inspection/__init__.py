"""Look inside an artefact: its tensors, operators, sizes, and what runs in integers.

To begin:

    from edgeport.export.inspection import inspect

    inspection = inspect("edge.int8.tflite")
    print(inspection.arithmetic, inspection.parameters, inspection.macs)

Any ``.tflite`` or ``.onnx`` file will do, whoever made it. Nothing is run, and TensorFlow is not needed.
"""

from typing import TYPE_CHECKING

from edgeport.runtime.host.lazy_names import lazy_names

if TYPE_CHECKING:
    from edgeport.export.inspection.document import to_document
    from edgeport.export.inspection.facts import ArtefactGraph, Constant, Inspection, Operator
    from edgeport.export.inspection.inspecting import inspect

__all__ = ["ArtefactGraph", "Constant", "Inspection", "Operator", "inspect", "to_document"]

__getattr__ = lazy_names(
    __name__,
    {
        "Constant": "facts",
        "ArtefactGraph": "facts",
        "Inspection": "facts",
        "Operator": "facts",
        "inspect": "inspecting",
        "to_document": "document",
    },
)
