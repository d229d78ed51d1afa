"""Turn a Keras model into artefacts: convert, calibrate, embed what the runtime needs, verify, record.

To begin:

    from edgeport.export import Options, export_model

    # A .keras file, a SavedModel folder or a Keras model; a data set, a file, a folder or arrays.
    manifest = export_model(
        "model.keras", "artefacts", calibration="samples.npz", options=Options(precisions=("float32", "int8"))
    )

``edgeport.export.tflite.convert.convert`` and ``edgeport.export.onnx.convert.convert`` return the bytes of one file.
"""

from typing import TYPE_CHECKING

from edgeport.runtime.host.lazy_names import lazy_names
from edgeport.train.models import keras_backend  # noqa: F401  (chooses the backend before Keras is imported)

if TYPE_CHECKING:
    from edgeport.export.conversion.exporting import Progress, export
    from edgeport.export.conversion.options import Options
    from edgeport.export.front_door import export_model
    from edgeport.export.manifest import Manifest, read_manifest
    from edgeport.export.sources.source import Source, load_source
    from edgeport.export.verification.calibration import CalibrationSet, load_calibration

__all__ = [
    "CalibrationSet",
    "Manifest",
    "Options",
    "Progress",
    "Source",
    "export",
    "export_model",
    "load_calibration",
    "load_source",
    "read_manifest",
]

__getattr__ = lazy_names(
    __name__,
    {
        "CalibrationSet": "verification.calibration",
        "Manifest": "manifest",
        "Options": "conversion.options",
        "Progress": "conversion.exporting",
        "Source": "sources.source",
        "export": "conversion.exporting",
        "export_model": "front_door",
        "load_calibration": "verification.calibration",
        "load_source": "sources.source",
        "read_manifest": "manifest",
    },
)
