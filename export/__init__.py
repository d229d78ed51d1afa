"""Turn a Keras model into artefacts: convert, calibrate, embed what the runtime needs, verify, record.

To begin::

    from pathlib import Path
    from edgeport.export import Options, export, load_calibration, load_source

    source = load_source(Path("model.keras"))  # or a SavedModel folder, or a Keras model
    calibration = load_calibration("mnist-5k", inputs=source.inputs)
    manifest = export(source, Path("artefacts"), calibration, options=Options(precisions=("float32", "int8")))

``edgeport.export.tflite.convert.convert`` and ``edgeport.export.onnx.convert.convert`` return the bytes of one file.
"""

from typing import TYPE_CHECKING

from edgeport.runtime.lazy_names import lazy_names
from edgeport.train import keras_backend  # noqa: F401  (chooses the backend before Keras is imported)

if TYPE_CHECKING:
    from edgeport.export.exporting import Progress, export
    from edgeport.export.manifest import Manifest, read_manifest
    from edgeport.export.options import Options
    from edgeport.export.sources.source import Source, load_source
    from edgeport.export.verification.calibration import CalibrationSet, load_calibration

__all__ = [
    "CalibrationSet",
    "Manifest",
    "Options",
    "Progress",
    "Source",
    "export",
    "load_calibration",
    "load_source",
    "read_manifest",
]

__getattr__ = lazy_names(
    __name__,
    {
        "CalibrationSet": "verification.calibration",
        "Manifest": "manifest",
        "Options": "options",
        "Progress": "exporting",
        "Source": "sources.source",
        "export": "exporting",
        "load_calibration": "verification.calibration",
        "load_source": "sources.source",
        "read_manifest": "manifest",
    },
)
