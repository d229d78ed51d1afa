"""Models whose inputs of the shape of images take pixels, and do not scale them."""

from dataclasses import replace

from edgeport.export import Source
from edgeport.runtime.artefact.input_kinds import parsed_input, with_kinds


def with_pixels(source: Source, low: float = -1, high: float = 1) -> Source:
    """Return the model with the range of its pixels said, whatever else it takes beside them."""
    said = [parsed_input(f"pixels:{low}:{high}")]
    kinds = (with_kinds([port], said, what="")[0] if port.is_image else port for port in source.inputs)
    return replace(source, kinds=tuple(kinds))
