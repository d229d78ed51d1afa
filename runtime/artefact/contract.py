"""The contract: what a model takes and gives, the same from training to the device.

It is found once, when a model is opened for the export. Calibration and verification obey it, ``manifest.json`` records
it, and each artefact carries of it what its own tensors do not say. How a file stores a tensor (``TensorSpec``: with
integers, a scale and a zero point) is no part of it: nine artefacts of a model share one contract.
"""

from typing import NamedTuple

from edgeport.runtime.samples.log_mel import LogMel
from edgeport.runtime.samples.pictures.resizing import Resizing

KINDS = ("pixels", "real", "ids")
# By how many channels they are of.
CHANNELS = {"grey": 1, "rgb": 3, "bgr": 3}
# What 0 and 255 are to a model that takes pixels as they are.
RAW = (0.0, 255.0)
# What an output means.
OUTPUT_KINDS = ("classes", "labels", "yes-no", "values", "map", "boxes", "any")
# What answers can be judged as: some tasks are no property of an output, but of what is asked of it.
JUDGED_KINDS = (*OUTPUT_KINDS, "sequence", "anomaly", "similarity")
# Those whose columns are classes, and whose names are what people call labels.
_LABELLED = ("", "classes", "labels", "yes-no", "map")
_LAYOUTS = {2: "NC", 3: "NTC", 4: "NHWC", 5: "NDHWC"}


class Input(NamedTuple):
    """One input of a model.

    Attributes:
        name: The name that users see.
        shape: Its axes, the batch first; None for an axis of any length. Empty where an artefact's own tensor says it.
        dtype: The numpy dtype's name that the model itself takes; empty likewise.
        layout: What its axes are: ``NHWC`` for images, ``NTC`` for signals, ``NT`` for token sequences, ``NC`` ...
        range: For pixels, the real values that 0 and 255 stand for; (0, 255) means raw pixels. None for an input that
            takes no pixels.
        resizing: For pixels, how pictures of any size take the model's; None where that was not recorded.
        kind: What it takes: ``pixels`` (uint8 from 0 to 255, which become real values), ``real`` values as they are,
            or ``ids`` (integers: tokens, categories). Empty in files that do not say.
        channels: What the model's channels are, for pixels: ``grey``, ``rgb`` or ``bgr``. Pixels always come as RGB, as
            pictures are read; those of a ``bgr`` model are swapped where they become real values. Empty for others.
        columns: What the table that it was trained or calibrated on calls its numbers, in their order. Empty where it
            was no table, or nobody has named them.
        log_mel: For real values, how sound becomes them: (frames, bands) of log-mel features. None for others.
    """

    name: str
    shape: tuple[int | None, ...] = ()
    dtype: str = ""
    layout: str = ""
    range: tuple[float, float] | None = None
    resizing: Resizing | None = None
    kind: str = ""
    channels: str = ""
    columns: tuple[str, ...] = ()
    log_mel: LogMel | None = None

    @property
    def is_real(self) -> bool:
        """Whether it takes real numbers, not integers such as tokens."""
        return "float" in self.dtype

    @property
    def is_image(self) -> bool:
        """Whether it has the shape of images: real numbers of (batch, height, width, 1, 3 or 4 channels)."""
        return len(self.shape) == 4 and self.shape[3] in (1, 3, 4) and self.is_real

    @property
    def is_heard(self) -> bool:
        """Whether it has the shape of log-mel features: real (batch, frames, bands), or an axis of 1 more."""
        known = len(self.shape) > 2 and all(self.shape[1:3])
        return self.is_real and known and self.shape[3:] in ((), (1,))

    def __str__(self) -> str:
        return _text(self.name, self.shape, self.dtype)


class Output(NamedTuple):
    """One output of a model.

    Attributes:
        name: The name that users see, in an artefact that ends at the logits too.
        shape: Its axes, the batch first; None for an axis of any length. Empty where an artefact's own tensor says it.
        dtype: The numpy dtype's name that the model itself gives; empty likewise.
        activation: What the runtime still has to apply to what a file gives: ``none``, ``softmax`` or ``sigmoid``.
        ending: What its values come from, inside the file or by the runtime: ``none``, ``softmax`` or ``sigmoid``.
            Empty in files that do not say.
        kind: What it means: ``classes`` that exclude each other, ``labels`` that do not, ``yes-no``, real ``values``, a
            ``map`` with an answer for each place, ``boxes`` around objects, or ``any`` other thing. Empty in files that
            do not say. docs/reference/outputs.md has the shapes of each.
        columns: The names of its columns: of classes, labels or values; of the answers no and yes; of the four numbers
            of a box. Empty where nobody has named them.
        units: The unit of each of its values, such as ``degC``; of boxes ``share`` of the picture or ``pixels``, for
            each of the four numbers. Empty where none are known.
    """

    name: str
    shape: tuple[int | None, ...] = ()
    dtype: str = ""
    activation: str = "none"
    ending: str = ""
    kind: str = ""
    columns: tuple[str, ...] = ()
    units: tuple[str, ...] = ()

    @property
    def labels(self) -> tuple[str, ...]:
        """The names of its classes or labels; empty where it has none, or nobody has named them."""
        return self.columns if self.kind in _LABELLED else ()

    @property
    def is_real(self) -> bool:
        """Whether it gives real numbers, not integers such as class ids."""
        return "float" in self.dtype

    def __str__(self) -> str:
        return _text(self.name, self.shape, self.dtype)


def layout_of(shape: tuple[int | None, ...], dtype: str) -> str:
    """Return what the axes of an input usually are: ``NHWC``, ``NTC``, ``NT`` (tokens) ... or empty."""
    return "NT" if len(shape) == 2 and "float" not in dtype else _LAYOUTS.get(len(shape), "")


def _text(name: str, shape: tuple[int | None, ...], dtype: str) -> str:
    axes = ", ".join("n" if axis is None else str(axis) for axis in shape)
    return f"{name} {dtype} ({axes})"
