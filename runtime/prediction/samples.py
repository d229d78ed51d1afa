"""What ``edgeport predict`` reads: files as samples of a model's inputs."""

import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from edgeport.runtime.artefact.spec import Spec
from edgeport.runtime.errors import InputError
from edgeport.runtime.pictures.images import read_images
from edgeport.runtime.tensors.arrays import Pixels, Tensor


class Samples(NamedTuple):
    """Samples as ``Predictor.answer`` takes them.

    Attributes:
        names: What to call each of the n samples: its file, and its place where a file holds several.
        values: For each input its name and n samples: uint8 for pixels, else real values or integers.
        pictures: The picture file that each sample is; empty where samples are no pictures.
    """

    names: tuple[str, ...]
    values: Mapping[str, Tensor]
    pictures: tuple[Path, ...] = ()

    def parts(self, count: int) -> Iterator["Samples"]:
        """Yield the samples, so many at a time."""
        for start in range(0, len(self.names), count):
            part = slice(start, start + count)
            values = {name: array[part] for name, array in self.values.items()}
            yield Samples(self.names[part], values, self.pictures[part])


def read_samples(paths: Sequence[Path], spec: Spec, *, invert: bool = False) -> Samples:
    """Return files as samples for an artefact.

    Args:
        paths: Pictures, in any format that Pillow reads safely.
        spec: What is known of the artefact.
        invert: Whether pictures are dark on light, where the model knows light on dark.

    Raises:
        InputError: The artefact takes no pictures, or a file is none.
    """
    shape, inputs = spec.input.shape[1:], "; ".join(map(str, spec.inputs))
    if len(shape) != 3 or None in shape or len(spec.inputs) > 1:
        raise InputError(f"{spec.name} takes {inputs}, which is no image: use it from Python")
    if spec.metadata and spec.metadata.inputs[0].range is None:
        raise InputError(f"{spec.name} takes {inputs}, and no pixels: use run(), or export with --input-range")
    height, width, channels = (axis or 0 for axis in shape)
    images = read_images(paths, shape=(height, width, channels), resizing=spec.resizing, invert=invert)
    _hint_at_inversion(images, spec, invert)
    return Samples(tuple(map(str, paths)), {spec.input.name: images}, tuple(paths))


def _hint_at_inversion(images: Pixels, spec: Spec, inverted: bool) -> None:
    """Say so when digits look like ink on paper and the model learned the opposite: it would answer nonsense."""
    if inverted or spec.metadata is None or not spec.metadata.dataset.startswith("mnist"):
        return
    light = sum(bool(np.median(image) > 127) for image in images)
    if light:
        print(
            f"edgeport predict: {light} of {len(images)} images look dark on light; this model learned light digits "
            "on black: add --invert",
            file=sys.stderr,
        )
