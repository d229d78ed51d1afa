"""Write a card into a .tflite file, as a metadata entry of its own."""

from edgeport.export.tflite.splice import add_metadata
from edgeport.runtime.artefact.embedded_metadata import Card, to_json

METADATA_NAME = "edgeport"


def embed_card(content: bytes, card: Card) -> bytes:
    """Return a .tflite file with the card as a metadata entry called ``edgeport``.

    Args:
        content: A TFLite file below 2 GiB, as the converter wrote it or as ``embed_metadata`` returned it.
        card: What the file shall say about itself.

    Raises:
        ExportError: The file's root table has fields that edgeport does not know.
    """
    return add_metadata(content, METADATA_NAME, to_json(card).encode("ascii"))
