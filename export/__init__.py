"""Turn a Keras model into artefacts: convert, calibrate, embed what the runtime needs, verify, record.

To begin::

    from pathlib import Path
    from edgeport.export import export, load_calibration, load_source

    source = load_source(Path("model.keras"))
    calibration = load_calibration("mnist-5k", image_shape=source.image_shape)
    manifest = export(source, Path("artefacts"), calibration)
"""

from typing import TYPE_CHECKING

from edgeport.runtime.lazy_names import lazy_names

if TYPE_CHECKING:
    from edgeport.export.calibration import CalibrationSet, load_calibration
    from edgeport.export.exporting import export
    from edgeport.export.manifest import Manifest, read_manifest
    from edgeport.export.source import Source, load_source

__all__ = ["CalibrationSet", "Manifest", "Source", "export", "load_calibration", "load_source", "read_manifest"]

__getattr__ = lazy_names(
    __name__,
    {
        "CalibrationSet": "calibration",
        "Manifest": "manifest",
        "Source": "source",
        "export": "exporting",
        "load_calibration": "calibration",
        "load_source": "source",
        "read_manifest": "manifest",
    },
)
