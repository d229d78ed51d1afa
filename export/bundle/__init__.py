"""Pack an export for a device: artefacts, packages, golden answers, an installer, in one archive.

To begin:

    from pathlib import Path
    from edgeport.export.bundle import BundleOptions, archive_bytes, make_bundle

    bundle = make_bundle(Path("artefacts"), BundleOptions(target="raspberry-pi"))
    Path("edge.tar.gz").write_bytes(archive_bytes(bundle.files, top=bundle.name))

TensorFlow is not needed, unless a data set has to be downloaded.
"""

from typing import TYPE_CHECKING

from edgeport.runtime.host.lazy_names import lazy_names

if TYPE_CHECKING:
    from edgeport.export.bundle.archive import archive_bytes
    from edgeport.export.bundle.bundling import Bundle, BundleOptions, make_bundle

__all__ = ["Bundle", "BundleOptions", "archive_bytes", "make_bundle"]

__getattr__ = lazy_names(
    __name__,
    {"Bundle": "bundling", "BundleOptions": "bundling", "archive_bytes": "archive", "make_bundle": "bundling"},
)
