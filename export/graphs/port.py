"""An input or output of a model."""

from dataclasses import dataclass

_LAYOUTS = {2: "NC", 3: "NTC", 4: "NHWC", 5: "NDHWC"}


@dataclass(frozen=True)
class Port:
    """An input or output of a model.

    Attributes:
        name: The name that users see.
        shape: Its axes, the batch first; None for an axis of any length.
        dtype: Its numpy dtype's name.
    """

    name: str
    shape: tuple[int | None, ...]
    dtype: str

    @property
    def is_real(self) -> bool:
        """Whether it holds real numbers, not integers such as tokens."""
        return "float" in self.dtype

    @property
    def is_image(self) -> bool:
        """Whether it takes images: real numbers of shape (batch, height, width, 1, 3 or 4 channels)."""
        return len(self.shape) == 4 and self.shape[3] in (1, 3, 4) and self.is_real

    @property
    def layout(self) -> str:
        """What its axes are: ``NHWC``, ``NTC``, ``NT`` (tokens) ... or empty."""
        return "NT" if len(self.shape) == 2 and not self.is_real else _LAYOUTS.get(len(self.shape), "")

    def __str__(self) -> str:
        axes = ", ".join("n" if axis is None else str(axis) for axis in self.shape)
        return f"{self.name} {self.dtype} ({axes})"
