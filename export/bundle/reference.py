"""What the Keras model answers to the golden samples: the benchmark on the device compares the artefacts with it."""

from dataclasses import dataclass
from pathlib import Path

from edgeport.export.bundle.samples import GoldenSamples
from edgeport.export.manifest import Manifest
from edgeport.runtime.errors import EdgeportError
from edgeport.runtime.tensors.arrays import FloatArray
from edgeport.runtime.tensors.encoding import real_pixels


@dataclass(frozen=True, eq=False)
class ReferenceAnswers:
    """The answers of the model that was exported.

    Attributes:
        classes: float32 of shape (n, classes); None if the model could not be asked.
        why_not: Why it could not, in one line.
    """

    classes: FloatArray | None
    why_not: str = ""


def reference_answers(folder: Path, manifest: Manifest, samples: GoldenSamples) -> ReferenceAnswers:
    """Ask the model that an export was made from, if it is a classifier of images and still lies where it was.

    Args:
        folder: The export folder.
        manifest: Its manifest, which names the model relative to it.
        samples: The golden samples.
    """
    if not manifest.classifies_images or manifest.image is None or manifest.image.range is None:
        return ReferenceAnswers(None, "the model does not classify images")
    if samples.labels is None:
        return ReferenceAnswers(None, "the true classes of the golden samples are not known")
    if not manifest.source["file"]:
        return ReferenceAnswers(None, "the model that was exported is not a file")
    path = folder / manifest.source["file"]
    if not path.exists():
        return ReferenceAnswers(None, f"the model that was exported, {path}, is not there any more")
    try:
        # TensorFlow takes seconds to import, and a bundle can be made without it.
        from edgeport.export.sources.source import load_source

        source = load_source(path)
        if source.opened.sha256 != manifest.source["sha256"]:
            return ReferenceAnswers(None, f"{path} is not the model that was exported any more")
        name = source.inputs[0].name
        real = {name: real_pixels(samples.inputs[manifest.image.name], manifest.image)}
        return ReferenceAnswers(source.answers(real)[source.outputs[0].name])
    except EdgeportError as error:
        return ReferenceAnswers(None, str(error))
    except ModuleNotFoundError as error:
        return ReferenceAnswers(None, f"{error.name} is not installed here")
