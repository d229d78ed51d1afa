"""What the Keras model answers to the golden samples: the benchmark on the device compares the artefacts with it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from edgeport.export.bundle.samples import GoldenSamples
from edgeport.export.manifest import Manifest
from edgeport.runtime.errors import EdgeportError
from edgeport.runtime.tensors.arrays import FloatArray, Tensor
from edgeport.runtime.tensors.encoding import real_values


@dataclass(frozen=True, eq=False)
class ReferenceAnswers:
    """The answers of the model that was exported.

    Attributes:
        classes: Of a classifier of images, float32 of shape (n, classes); None of others, or if it could not be asked.
        outputs: Of others an array of (n, ...) for each output; empty likewise.
        why_not: Why it could not, in one line.
    """

    classes: FloatArray | None = None
    outputs: Mapping[str, Tensor] = field(default_factory=dict)
    why_not: str = ""

    @property
    def known(self) -> bool:
        """Whether there is something that a benchmark compares with."""
        return self.classes is not None or bool(self.outputs)


def reference_answers(folder: Path, manifest: Manifest, samples: GoldenSamples) -> ReferenceAnswers:
    """Ask the model that an export was made from, if it still lies where it was.

    Args:
        folder: The export folder.
        manifest: Its manifest, which names the model relative to it.
        samples: The golden samples.
    """
    if not manifest.source["file"]:
        return ReferenceAnswers(why_not="the model that was exported is not a file")
    path = folder / manifest.source["file"]
    if not path.exists():
        return ReferenceAnswers(why_not=f"the model that was exported, {path}, is not there any more")
    try:
        # TensorFlow takes seconds to import, and a bundle can be made without it.
        from edgeport.export.sources.source import load_source

        source = load_source(path)
        if source.opened.sha256 != manifest.source["sha256"]:
            return ReferenceAnswers(why_not=f"{path} is not the model that was exported any more")
        real = {port.name: real_values(samples.inputs[port.name], port) for port in manifest.inputs}
        outputs = source.answers(real)
    except EdgeportError as error:
        return ReferenceAnswers(why_not=str(error))
    except ModuleNotFoundError as error:
        return ReferenceAnswers(why_not=f"{error.name} is not installed here")
    if samples.labels is not None and manifest.classifies_images:
        return ReferenceAnswers(np.asarray(outputs[source.outputs[0].name], np.float32))
    return ReferenceAnswers(outputs=outputs)
