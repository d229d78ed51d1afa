"""Write what an artefact says of itself into a .tflite file, as a metadata entry of its own."""

from edgeport.export.tflite.splice import add_metadata
from edgeport.runtime.artefact.embedded_metadata import EmbeddedMetadata, to_json

METADATA_NAME = "edgeport"


def embed_metadata(content: bytes, metadata: EmbeddedMetadata) -> bytes:
    """Return a .tflite file with edgeport's metadata as an entry called ``edgeport``.

    Args:
        content: A TFLite file below 2 GiB, as the converter wrote it or as ``embed_metadata`` returned it.
        metadata: What the file shall say about itself.

    Raises:
        ExportError: The file's root table has fields that edgeport does not know.
    """
    return add_metadata(content, METADATA_NAME, to_json(metadata).encode("ascii"))
