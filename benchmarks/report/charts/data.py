"""What charts draw, as data; colours and marks are names of ``looks``."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

# A value with the ends of its interval; they are the value itself where there is none.
Bounded = tuple[float, float, float]


@dataclass(frozen=True)
class Spot:
    """A candidate by latency and accuracy; ``front`` if no other one beats it in both."""

    name: str
    colour: str
    mark: str
    latency: Bounded
    accuracy: Bounded
    front: bool = False


@dataclass(frozen=True)
class Scatter:
    """Accuracy, in percent, against latency in a unit."""

    spots: Sequence[Spot]
    unit: str


@dataclass(frozen=True)
class Dot:
    """A value on a line."""

    value: Bounded
    colour: str
    mark: str


@dataclass(frozen=True)
class Line:
    """Values on one line, with a note at its end."""

    name: str
    dots: Sequence[Dot]
    note: str = ""


@dataclass(frozen=True)
class Intervals:
    """A line for each name; ``mark_at`` is where nothing has changed."""

    lines: Sequence[Line]
    axis: str
    logarithmic: bool = False
    mark_at: float | None = None


@dataclass(frozen=True, eq=False)
class Strip:
    """The timed calls of a candidate.

    Attributes:
        name: Its name.
        colour: Its colour.
        calls: The calls that are drawn, in the unit of the axis, of shape (n,).
        median: Of all calls.
        p90: The 90th percentile; None where there are too few calls.
        medians: Of each process.
    """

    name: str
    colour: str
    calls: npt.NDArray[np.float64]
    median: float
    p90: float | None
    medians: Sequence[float]


@dataclass(frozen=True)
class Strips:
    """Distributions of latency, one above the other."""

    strips: Sequence[Strip]
    axis: str


@dataclass(frozen=True)
class Piece:
    """A piece of a bar."""

    length: float
    colour: str
    pale: bool = False


@dataclass(frozen=True)
class Bar:
    """A bar of pieces that add up, with a note at its end."""

    name: str
    pieces: Sequence[Piece]
    note: str

    @property
    def length(self) -> float:
        """Of all pieces."""
        return sum(piece.length for piece in self.pieces)


@dataclass(frozen=True)
class Bars:
    """Bars from left to right, one below the other."""

    bars: Sequence[Bar]
    axis: str


@dataclass(frozen=True)
class Curve:
    """A rate over batch sizes, the least first."""

    name: str
    colour: str
    mark: str
    points: Sequence[tuple[int, float]]


@dataclass(frozen=True)
class Curves:
    """Throughput over batch sizes."""

    curves: Sequence[Curve]


@dataclass(frozen=True, eq=False)
class Trace:
    """A line or a cloud of points; its colour is a name of ``looks``.

    Attributes:
        name: What it is of.
        colour: Its colour.
        mark: The mark of its points.
        x: From left to right, of shape (n,).
        y: From below to above, of shape (n,).
    """

    name: str
    colour: str
    mark: str
    x: npt.NDArray[np.float64]
    y: npt.NDArray[np.float64]


@dataclass(frozen=True)
class Cloud:
    """Points of several candidates, with a line where both values are the same."""

    traces: Sequence[Trace]
    across: str
    up: str


@dataclass(frozen=True)
class Plot:
    """Lines within a square from 0 to 1; ``diagonal`` draws what chance would give."""

    traces: Sequence[Trace]
    across: str
    up: str
    diagonal: bool = False


@dataclass(frozen=True, eq=False)
class Spread:
    """How some values are distributed."""

    name: str
    colour: str
    values: npt.NDArray[np.float64]


@dataclass(frozen=True)
class SpreadRow:
    """Distributions drawn over each other."""

    name: str
    spreads: Sequence[Spread]


@dataclass(frozen=True)
class Histograms:
    """Rows of distributions on one scale; ``mark_at`` is where nothing is off."""

    rows: Sequence[SpreadRow]
    axis: str
    mark_at: float | None = None


@dataclass(frozen=True)
class Spark:
    """How one figure went."""

    values: Sequence[float]


@dataclass(frozen=True)
class Panel:
    """The layers of one file with integers.

    Attributes:
        name: What the panel is of.
        colour: Its colour.
        places: Where each layer stands among all names.
        built_up: The SQNR of each layer's output, in dB.
        own: The SQNR of what each layer adds itself, in dB; None where that is unknown.
        shares: Of the error at the outputs, each layer's part, 0 to 1.
        costly: The places of the layers that cost most.
        branches: Pairs of places: a tensor of the first is joined again at the second.
    """

    name: str
    colour: str
    places: Sequence[int]
    built_up: Sequence[float]
    own: Sequence[float | None]
    shares: Sequence[float]
    costly: Sequence[int]
    branches: Sequence[tuple[int, int]]


@dataclass(frozen=True)
class Layers:
    """The layers of a network from left to right, with a panel for each file."""

    names: Sequence[str]
    panels: Sequence[Panel]


ChartData = Scatter | Intervals | Strips | Bars | Curves | Layers | Cloud | Plot | Histograms
