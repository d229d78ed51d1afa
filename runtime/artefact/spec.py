"""Facts about a loaded artefact: its tensors, its metadata and the engine that runs it."""

from typing import NamedTuple

from edgeport.runtime.artefact.embedded_metadata import EmbeddedMetadata
from edgeport.runtime.samples.pictures.resizing import DIGITS, KERAS_LOADER, Resizing


class TensorSpec(NamedTuple):
    """One input or output tensor of an artefact.

    Attributes:
        name: The tensor's name in the file.
        shape: Its axes; None for an axis of any length (a dynamic batch).
        dtype: Its numpy dtype's name, for example ``"int8"``.
        scale: The step between two neighbouring integers; 0 for a tensor that is not quantized.
        zero_point: The integer that stands for the real 0.
    """

    name: str
    shape: tuple[int | None, ...]
    dtype: str
    scale: float = 0.0
    zero_point: int = 0

    @property
    def quantized(self) -> bool:
        """Whether the integers of this tensor stand for real values, ``(q - zero_point) * scale``."""
        return self.scale != 0.0

    def __str__(self) -> str:
        axes = ", ".join("n" if axis is None else str(axis) for axis in self.shape)
        text = f"{self.name} {self.dtype} ({axes})"
        return f"{text} scale={self.scale:.6g} zero_point={self.zero_point}" if self.quantized else text


class Spec(NamedTuple):
    """What a predictor knows about itself.

    Attributes:
        name: The artefact's file name, or what it was loaded as.
        format: The artefact's format, ``tflite`` or ``onnx``.
        engine: The package that runs it.
        engine_version: That package's version.
        threads: How many threads the engine may use.
        inputs: The input tensors.
        outputs: The output tensors.
        metadata: What the artefact says about itself; None for one that edgeport did not make.
    """

    name: str
    format: str
    engine: str
    engine_version: str
    threads: int
    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]
    metadata: EmbeddedMetadata | None

    @property
    def input(self) -> TensorSpec:
        """The first input tensor; most artefacts have no other."""
        return self.inputs[0]

    @property
    def output(self) -> TensorSpec:
        """The first output tensor; most artefacts have no other."""
        return self.outputs[0]

    @property
    def activation(self) -> str:
        """What the runtime applies to the first output: ``softmax``, ``sigmoid`` or ``none``."""
        return self.metadata.outputs[0].activation if self.metadata else "none"

    @property
    def resizing(self) -> Resizing:
        """How pictures take the size of the first input."""
        if self.metadata is None:
            return KERAS_LOADER
        # Artefacts that do not say so are from before it was a choice.
        return self.metadata.inputs[0].resizing or DIGITS

    @property
    def labels(self) -> tuple[str, ...]:
        """The class names in output order; empty if the artefact does not carry them."""
        return self.metadata.labels if self.metadata else ()
